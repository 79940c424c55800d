from __future__ import annotations

import pytest

from amb247.context.documents.parse import (
    DELETE,
    parse_attributes,
    parse_entity,
    parse_instance,
    parse_temporal,
)
from amb247.context.jsonld.context import CORE
from amb247.context.ngsi_errors import BadRequestData

URN = "urn:ngsi-ld:Vehicle:A4567"


def attribute(raw, **options):
    return parse_attributes({"a": raw}, CORE, **options).attributes["a"]


def test_normalized_entity_is_kept_as_sent_with_canonical_times():
    parsed = parse_entity(
        {
            "id": URN,
            "type": "Vehicle",
            "scope": "Madrid",
            "speed": {
                "type": "Property",
                "value": 55,
                "unitCode": "KMH",
                "observedAt": "2026-01-01T00:00:00-05:00",
                "source": {"type": "Property", "value": "GPS"},
                "createdAt": "2020-01-01T00:00:00Z",
                "instanceId": "urn:x:1",
            },
            "@context": "https://example.org/ignored",
        },
        CORE,
    )
    assert (parsed.id, parsed.types, parsed.scope) == (URN, ["Vehicle"], ["/Madrid"])
    assert parsed.attributes == {
        "speed": {
            "type": "Property",
            "value": 55,
            "unitCode": "KMH",
            "observedAt": "2026-01-01T05:00:00.000Z",
            "source": {"type": "Property", "value": "GPS"},
        }
    }


@pytest.mark.parametrize(
    ("raw", "made"),
    [
        (5, {"type": "Property", "value": 5}),
        ("text", {"type": "Property", "value": "text"}),
        ([1, 2], {"type": "Property", "value": [1, 2]}),
        ({"street": "x"}, {"type": "Property", "value": {"street": "x"}}),
        ({"value": 5, "unitCode": "CEL"}, {"type": "Property", "value": 5, "unitCode": "CEL"}),
        ({"object": "urn:a:b"}, {"type": "Relationship", "object": "urn:a:b"}),
        ({"languageMap": {"en": "x"}}, {"type": "LanguageProperty", "languageMap": {"en": "x"}}),
        ({"vocab": "male"}, {"type": "VocabProperty", "vocab": "male"}),
        ({"json": {"id": 1}}, {"type": "JsonProperty", "json": {"id": 1}}),
        ({"valueList": [1, "a"]}, {"type": "ListProperty", "valueList": [1, "a"]}),
        ({"objectList": ["urn:a:b"]}, {"type": "ListRelationship", "objectList": ["urn:a:b"]}),
        ({"objectList": [{"object": "urn:a:b"}]}, {"type": "ListRelationship", "objectList": ["urn:a:b"]}),
        (
            {"type": "Point", "coordinates": [1, 2]},
            {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}},
        ),
        (
            {"value": {"type": "Point", "coordinates": [1, 2]}},
            {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}},
        ),
        (
            {"@type": "DateTime", "@value": "2026-01-01T00:00:00Z"},
            {"type": "Property", "value": {"@type": "DateTime", "@value": "2026-01-01T00:00:00Z"}},
        ),
        (
            [{"value": 1}, {"value": 2, "datasetId": "urn:d:1"}],
            [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": "urn:d:1"}],
        ),
    ],
)
def test_concise_kinds_are_inferred(raw, made):
    assert attribute(raw) == made


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {"type": "Unknown", "value": 1},
        {"type": "Property"},
        {"type": "Property", "value": None},
        {"type": "Property", "object": "urn:a:b"},
        {"type": "Relationship", "object": "no uri"},
        {"type": "Relationship", "object": "urn:a:b", "unitCode": "KMH"},
        {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [200, 0]}},
        {"type": "GeoProperty", "value": {"type": "Circle", "coordinates": [0, 0]}},
        {"type": "LanguageProperty", "languageMap": "text"},
        {"type": "Property", "value": 1, "observedAt": "2026-01-01"},
        {"type": "Property", "value": 1, "datasetId": "none"},
        {"type": "Property", "value": 2**70},
        {"type": "Property", "value": float("nan")},
        {"type": "Property", "value": "a\x00b"},
        {"type": "Property", "value": "urn:ngsi-ld:null"},
        {"observedAt": "2026-01-01T00:00:00Z"},
        "urn:ngsi-ld:null",
        [{"value": 1}, {"value": 2}],
    ],
)
def test_bad_attributes_are_refused(raw):
    with pytest.raises(BadRequestData):
        attribute(raw)


def test_nulls_ask_for_removal_where_allowed():
    assert attribute("urn:ngsi-ld:null", nulls=True) is DELETE
    assert attribute({"type": "Property", "value": "urn:ngsi-ld:null"}, nulls=True) is DELETE
    assert (
        attribute({"type": "LanguageProperty", "languageMap": {"@none": "urn:ngsi-ld:null"}}, nulls=True)
        is DELETE
    )
    assert attribute({"object": "urn:ngsi-ld:null", "datasetId": "urn:d:1"}, nulls=True) == {
        "type": "Relationship",
        "object": DELETE,
        "datasetId": "urn:d:1",
    }
    assert attribute({"value": 1, "sub": "urn:ngsi-ld:null", "unitCode": "urn:ngsi-ld:null"}, nulls=True) == {
        "type": "Property",
        "value": 1,
        "sub": DELETE,
        "unitCode": DELETE,
    }


def test_partial_instance_needs_no_value():
    assert parse_instance("a", {"unitCode": "KMH"}, CORE, partial=True) == {"unitCode": "KMH"}
    assert parse_instance("a", {"sub": 1}, CORE, kind="Property", partial=True) == {
        "type": "Property",
        "sub": {"type": "Property", "value": 1},
    }


def test_temporal_is_always_a_list():
    parsed = parse_temporal({"id": URN, "type": "Vehicle", "speed": {"type": "Property", "value": 1}}, CORE)
    assert parsed.attributes == {"speed": [{"type": "Property", "value": 1}]}


def test_id_and_type_are_needed():
    with pytest.raises(BadRequestData, match=r"^id"):
        parse_entity({"type": "Vehicle"}, CORE)
    with pytest.raises(BadRequestData, match=r"^type"):
        parse_entity({"id": URN}, CORE)
    assert parse_entity({"@id": URN, "@type": ["A", "B", "A"]}, CORE).types == ["A", "B"]
