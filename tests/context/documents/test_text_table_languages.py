from __future__ import annotations

from datetime import UTC, datetime

import pytest

from amb247.context.documents.languages import choose
from amb247.context.documents.represent import Form
from amb247.context.documents.table import as_csv
from amb247.context.documents.text import read_json
from amb247.context.jsonld.context import CORE
from amb247.context.ngsi_errors import InvalidRequest
from amb247.context.stored import Stored

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b'[{"b": {"a" : 1, "a":2}}]',
        b"[" * 2_000,
        b"\xff",
    ],
)
def test_bad_json_is_refused(body):
    with pytest.raises(InvalidRequest):
        read_json(body)


@pytest.mark.parametrize(
    "body",
    [b'{"a": ":", "b": "\\":"}', b'{"a": "\\u0022:"}', b' {"a\\\\" : [1, "x\\":"]}', b"5", b"[]"],
)
def test_good_json_is_read(body):
    import json

    assert read_json(body) == json.loads(body)


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("en", "en"),
        ("fr", "fr-CH"),
        ("fr-CH,fr;q=0.9,en;q=0.8,*;q=0.5", "fr-CH"),
        ("en-GB", "en"),
        ("EN", "en"),
        ("ja", "@none"),
        ("*", "@none"),
        ("ja,en;q=0.1", "en"),
        ("en;q=0,fr", "fr-CH"),
        (";;q=,,", "@none"),
    ],
)
def test_best_language(wanted, language):
    texts = {"en": "Square", "fr-CH": "Place", "@none": "Plaza"}
    assert choose(texts, wanted) == (texts[language], language)


def test_table_of_entities():
    one = Stored(
        "urn:a:1",
        ["T"],
        [],
        {
            "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.1, 7.1]}},
            "on": {"type": "Property", "value": True, "observedAt": "2026-01-01T00:00:00.000Z"},
            "speed": [
                {"type": "Property", "value": 2, "datasetId": "urn:d:1"},
                {"type": "Property", "value": 1},
            ],
        },
        NOW,
        NOW,
    )
    two = Stored("urn:a:2", ["T"], [], {"note": {"type": "Property", "value": 'a "b", c'}}, NOW, NOW)
    assert as_csv([one, two], CORE, Form(kind="simplified")).decode().split("\r\n") == [
        "id,type,location.longitude,location.latitude,on,speed,note",
        "urn:a:1,T,-73.1,7.1,true,1,",
        'urn:a:2,T,,,,,"a ""b"", c"',
        "",
    ]
    assert b"on.observedAt" in as_csv([one], CORE, Form())
    assert as_csv([], CORE, Form()) == b"\r\n"
