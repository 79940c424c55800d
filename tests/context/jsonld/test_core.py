from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from amb247.context.jsonld.core import SERVED, TERMS, VERSIONS, core_context, core_version

DATA = (
    Path(os.environ.get("AMB_SHARED_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
    / "ngsi-ld"
    / "core-context"
)
FILES = {
    "1.3": "ngsi-ld-core-context-v1.3.jsonld",
    "1.6": "scorpio-2023-07-05-core-context.jsonld",
    "1.7": "ngsi-ld-core-context-v1.7.jsonld",
    "1.8": "ngsi-ld-core-context-v1.8.jsonld",
    "1.9": "ngsi-ld-core-context-v1.9.jsonld",
}


@pytest.mark.data
@pytest.mark.parametrize("version", VERSIONS)
def test_tables_make_the_published_context(version):
    path = DATA / FILES[version]
    if not path.exists():
        pytest.skip(f"needs {path}")
    published = json.loads(path.read_text())["@context"]
    made = core_context(version)["@context"]
    assert {key: value for key, value in made.items() if published.get(key) != value} == {}
    assert set(made) == set(published)


@pytest.mark.parametrize(
    ("url", "version"),
    [
        ("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld", SERVED),
        ("http://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.3.jsonld", "1.3"),
        ("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.4.jsonld", "1.6"),
        ("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld", "1.9"),
        ("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v2.0.jsonld", "1.9"),
        ("https://uri.etsi.org/ngsi-ld/primer/ngsi-ld-core-context-v1.7.jsonld", "1.7"),
        ("https://uri.etsi.org.evil.example/ngsi-ld/v1/ngsi-ld-core-context.jsonld", None),
        ("https://uri.etsi.org/ngsi-ld/primer/store-context.jsonld", None),
    ],
)
def test_well_known_addresses(url, version):
    assert core_version(url) == version


def test_terms_of_all_versions_have_one_iri():
    assert TERMS["location"] == "https://uri.etsi.org/ngsi-ld/location"
    assert TERMS["attributeCount"] == "https://uri.etsi.org/ngsi-ld/attributeCount"
    assert TERMS["description"] == "http://purl.org/dc/terms/description"
    assert TERMS["value"] == "https://uri.etsi.org/ngsi-ld/hasValue"
