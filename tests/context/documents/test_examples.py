"""The official examples of the Smart Data Models under their own contexts: in, out, and equal."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime

import orjson
import pytest
from factories.data_models import DATA, fetch_model

from amb247.context.documents.parse import parse_entity
from amb247.context.documents.represent import Form, represent
from amb247.context.jsonld.resolve import resolve
from amb247.context.ngsi_errors import BadRequestData
from amb247.context.stored import Stored

EXAMPLES = sorted((DATA / "smart-data-models").glob("*.jsonld"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REFUSED = {
    "AccessPoint": "id: 'ap_542' is no URI",
    "WifiPointOfInterest": "id: 'poi_226' is no URI",
    "TransportStation": "dateLastReported.type: 'DateTime' is no kind of attribute",
}
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not EXAMPLES, reason=f"needs the example entities in {DATA / 'smart-data-models'}"),
]


def read(path):
    raw = json.loads(path.read_text())
    return raw, resolve(raw.get("@context"), fetch=fetch_model)


def stored(raw, context):
    parsed = parse_entity(raw, context)
    return Stored(parsed.id, parsed.types, parsed.scope or [], parsed.attributes, NOW, NOW)


def as_sent(raw):
    """What must come out: without @context; times in UTC; a client's own modifiedAt is none of its business."""
    expected = copy.deepcopy(
        {key: value for key, value in raw.items() if key not in ("@context", "modifiedAt")}
    )
    if "battery" in expected and "+05:30" in expected["battery"].get("observedAt", ""):
        expected["battery"]["observedAt"] = "2021-03-11T10:21:02Z"
    return expected


GOOD = [path for path in EXAMPLES if path.stem not in REFUSED]


def test_all_examples_are_here():
    assert len(EXAMPLES) == 36


@pytest.mark.parametrize(
    "path", [path for path in EXAMPLES if path.stem in REFUSED], ids=lambda path: path.stem
)
def test_invalid_example_is_refused_with_the_reason(path):
    raw, context = read(path)
    with pytest.raises(BadRequestData) as problem:
        parse_entity(raw, context)
    assert problem.value.detail.startswith(REFUSED[path.stem])


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_normalized_comes_out_as_it_went_in(path):
    raw, context = read(path)
    assert represent(stored(raw, context), context) == as_sent(raw)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_simplified_is_the_values_alone(path):
    raw, context = read(path)
    expected = {}
    for name, attribute in as_sent(raw).items():
        if not isinstance(attribute, dict):
            expected[name] = attribute
        else:
            expected[name] = (
                attribute["object"] if attribute["type"] == "Relationship" else attribute["value"]
            )
    assert represent(stored(raw, context), context, Form(kind="simplified")) == expected


def concise(attribute):
    """4.5.2.3 by hand: no type where it can be told, the value alone where nothing is beside it."""
    left = {
        key: concise(part) if key not in ("value", "object") and isinstance(part, dict) else part
        for key, part in attribute.items()
        if key != "type"
    }
    value = left.get("value")
    is_geometry = isinstance(value, dict) and "coordinates" in value
    if attribute["type"] == "Property" and is_geometry:
        return {"type": "Property", **left}  # would be read as a GeoProperty
    if set(left) != {"value"} or (isinstance(value, dict) and "type" in value and not is_geometry):
        return left
    return value


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_concise_drops_types_and_bare_properties(path):
    raw, context = read(path)
    expected = {
        name: concise(attribute) if isinstance(attribute, dict) else attribute
        for name, attribute in as_sent(raw).items()
    }
    made = represent(stored(raw, context), context, Form(kind="concise"))
    assert made == expected
    again = stored({**made}, context)
    assert represent(again, context) == as_sent(raw)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_stored_form_can_be_written_as_json_and_read_back(path):
    raw, context = read(path)
    one = stored(raw, context)
    assert orjson.loads(orjson.dumps(one.attributes)) == one.attributes


def test_lamp_of_an_sdm_client_is_the_citys_own():
    raw, context = read(DATA / "smart-data-models" / "Streetlight.jsonld")
    one = stored(raw, context)
    assert one.types == ["Streetlight"]
    assert {"powerState", "status", "location", "circuit"} <= set(one.attributes)
