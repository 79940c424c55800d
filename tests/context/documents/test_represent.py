from __future__ import annotations

from datetime import UTC, datetime

from amb247.context.documents.projection import Pick
from amb247.context.documents.represent import Form, represent
from amb247.context.jsonld.context import CORE
from amb247.context.stored import Stored

BORN = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
POINT = {"type": "Point", "coordinates": [-73.1, 7.1]}


def entity(**attributes):
    return Stored("urn:ngsi-ld:T:1", ["T"], [], attributes, BORN, LATER)


def shown(value, **form):
    return represent(entity(a=value), CORE, Form(**form))["a"]


def test_system_times_are_filled_in():
    one = entity(
        a={"type": "Property", "value": 1},
        b={"type": "Property", "value": 2, "createdAt": "2026-01-02T00:00:00.000Z"},
    )
    made = represent(one, CORE, Form(sys_attrs=True))
    assert made == {
        "id": "urn:ngsi-ld:T:1",
        "type": "T",
        "createdAt": "2026-01-01T00:00:00Z",
        "modifiedAt": "2026-01-02T03:04:05.678Z",
        "a": {
            "type": "Property",
            "value": 1,
            "createdAt": "2026-01-01T00:00:00Z",
            "modifiedAt": "2026-01-01T00:00:00Z",
        },
        "b": {
            "type": "Property",
            "value": 2,
            "createdAt": "2026-01-02T00:00:00Z",
            "modifiedAt": "2026-01-02T00:00:00Z",
        },
    }


def test_concise_drops_what_can_be_inferred():
    assert shown({"type": "Property", "value": 5}, kind="concise") == 5
    assert shown({"type": "Property", "value": 5, "unitCode": "CEL"}, kind="concise") == {
        "value": 5,
        "unitCode": "CEL",
    }
    assert shown({"type": "GeoProperty", "value": POINT}, kind="concise") == POINT
    assert shown({"type": "Relationship", "object": "urn:a:b"}, kind="concise") == {"object": "urn:a:b"}
    assert shown({"type": "Property", "value": {"type": "x"}}, kind="concise") == {"value": {"type": "x"}}
    assert shown({"type": "Property", "value": POINT}, kind="concise") == {"type": "Property", "value": POINT}


def test_simplified_with_several_datasets():
    value = [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": "urn:d:1"}]
    assert shown(value, kind="simplified") == {"dataset": {"@none": 1, "urn:d:1": 2}}
    assert shown(value, kind="simplified", dataset_ids=("urn:d:1",)) == 2


def test_feature_with_and_without_geometry():
    made = represent(entity(location={"type": "GeoProperty", "value": POINT}), CORE, Form(geojson=True))
    assert made == {
        "id": "urn:ngsi-ld:T:1",
        "type": "Feature",
        "geometry": POINT,
        "properties": {"type": "T", "location": {"type": "GeoProperty", "value": POINT}},
    }
    assert represent(entity(), CORE, Form(geojson=True))["geometry"] is None


def test_pick_and_omit():
    one = entity(a={"type": "Property", "value": 1}, b={"type": "Property", "value": 2})
    simplified = {"kind": "simplified"}
    assert represent(one, CORE, Form(pick=(Pick("id"), Pick("a")), **simplified)) == {
        "id": "urn:ngsi-ld:T:1",
        "a": 1,
    }
    assert represent(one, CORE, Form(omit=(Pick("type"), Pick("a")), **simplified)) == {
        "id": "urn:ngsi-ld:T:1",
        "b": 2,
    }
    assert represent(one, CORE, Form(attrs=("b",), **simplified)) == {
        "id": "urn:ngsi-ld:T:1",
        "type": "T",
        "b": 2,
    }
