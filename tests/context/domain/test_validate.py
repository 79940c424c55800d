"""What the door refuses: field, reason and remedy of each; never anything but `BatchRefused`."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amb247.context.domain.validate import check_batch, identify_batch

pytestmark = pytest.mark.unit
NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)


def refusal_of(entity, *, strict=True):
    named, refused = identify_batch([entity])
    good, wrong = check_batch(named, {}, now=NOW, strict=strict)
    assert len(refused) + len(wrong) + len(good) == 1
    return (refused + wrong or [None])[0]


def vehicle(**attributes):
    place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.1, 7.1]}}
    return {"id": "urn:ngsi-ld:Vehicle:t:1", "type": "Vehicle", "location": place} | attributes


@pytest.mark.parametrize(
    ("entity", "field", "code"),
    [
        ([], "entity", "not_an_object"),
        ("text", "entity", "not_an_object"),
        ({"type": "Vehicle"}, "id", "no_id"),
        ({"id": "", "type": "Vehicle"}, "id", "bad_id"),
        ({"id": "bus 1", "type": "Vehicle"}, "id", "bad_id"),
        ({"id": "urn:x:" + "a" * 600, "type": "Vehicle"}, "id", "bad_id"),
        ({"id": "urn:x:a\tb", "type": "Vehicle"}, "id", "bad_id"),
        ({"id": "urn:x:a\\b", "type": "Vehicle"}, "id", "bad_id"),
        ({"id": "urn:x:1"}, "type", "no_type"),
        ({"id": "urn:x:1", "type": []}, "type", "no_type"),
        ({"id": "urn:x:1", "type": ["Vehicle", 3]}, "type", "bad_type"),
        (vehicle(**{"bad name": {"type": "Property", "value": 1}}), "bad name", "bad_attribute_name"),
        (vehicle(speed=12), "speed", "not_normalized"),
        (vehicle(speed={"type": "Thing", "value": 1}), "speed", "bad_kind"),
        (vehicle(speed={"type": "Property"}), "speed.value", "bad_value"),
        (vehicle(speed={"type": "Property", "value": None}), "speed.value", "bad_value"),
        (vehicle(speed={"type": "Property", "value": math.nan}), "speed.value", "bad_value"),
        (vehicle(speed={"type": "Property", "value": "fast"}), "speed", "wrong_attribute"),
        (vehicle(speed={"type": "Property", "value": True}), "speed", "wrong_attribute"),
        (vehicle(speed={"type": "Property", "value": -3}), "speed", "wrong_attribute"),
        (vehicle(speed={"type": "Property", "value": 9000}), "speed", "wrong_attribute"),
        (vehicle(speed={"type": "Relationship", "object": "urn:x:1"}), "speed", "wrong_attribute"),
        (vehicle(serviceStatus={"type": "Property", "value": "flying"}), "serviceStatus", "wrong_attribute"),
        (vehicle(sped={"type": "Property", "value": 1}), "sped", "unknown_attribute"),
        (vehicle(refRoute={"type": "Relationship", "object": "route 1"}), "refRoute.object", "bad_object"),
        (vehicle(name={"type": "Property", "value": "x" * 10_000_000}), "name", "too_large"),
        (
            vehicle(speed={"type": "Property", "value": 1, "observedAt": "25:61:00"}),
            "speed.observedAt",
            "bad_time",
        ),
        (vehicle(speed={"type": "Property", "value": 1, "observedAt": 17}), "speed.observedAt", "bad_time"),
        (
            vehicle(speed={"type": "Property", "value": 1, "observedAt": "2026-11-22T10:00:00"}),
            "speed.observedAt",
            "bad_time",
        ),
        (
            vehicle(speed={"type": "Property", "value": 1, "observedAt": "2031-01-01T00:00:00Z"}),
            "speed.observedAt",
            "future_time",
        ),
        (
            vehicle(speed={"type": "Property", "value": 1, "observedAt": "1950-01-01T00:00:00Z"}),
            "speed.observedAt",
            "bad_time",
        ),
        (
            vehicle(speed={"type": "Property", "value": 1, "datasetId": "a\tb"}),
            "speed.datasetId",
            "bad_dataset",
        ),
        (
            vehicle(speed=[{"type": "Property", "value": 1}, {"type": "Property", "value": 2}]),
            "speed",
            "duplicate_dataset",
        ),
        (vehicle(speed=[]), "speed", "bad_value"),
        (vehicle(scope="Norte"), "scope", "bad_scope"),
        (vehicle(location={"type": "GeoProperty", "value": "here"}), "location.value", "bad_geometry"),
        (
            vehicle(location={"type": "GeoProperty", "value": {"type": "Circle"}}),
            "location.value.type",
            "bad_geometry",
        ),
        (
            vehicle(
                location={"type": "GeoProperty", "value": {"type": "Point", "coordinates": [7.1, -173.1]}}
            ),
            "location.value.coordinates",
            "bad_geometry",
        ),
        (
            vehicle(location={"type": "GeoProperty", "value": {"type": "Point", "coordinates": ["a", "b"]}}),
            "location.value.coordinates",
            "bad_geometry",
        ),
        (
            vehicle(
                location={"type": "GeoProperty", "value": {"type": "Point", "coordinates": [math.nan, 1.0]}}
            ),
            "location.value.coordinates",
            "bad_geometry",
        ),
        (
            vehicle(
                location={
                    "type": "GeoProperty",
                    "value": {"type": "LineString", "coordinates": [[0.0, 0.0], [1.0, 1.0]]},
                }
            ),
            "location",
            "wrong_attribute",
        ),
        (
            vehicle(
                location={"type": "GeoProperty", "value": {"type": "Polygon", "coordinates": [0.0, 1.0]}}
            ),
            "location.value.coordinates",
            "bad_geometry",
        ),
    ],
)
def test_bad_entity_is_refused_by_field(entity, field, code):
    refusal = refusal_of(entity)
    assert refusal is not None
    assert (refusal.field, refusal.code) == (field, code)
    assert refusal.reason
    assert refusal.remedy


def test_unknown_type_takes_any_attribute():
    assert (
        refusal_of({"id": "urn:x:1", "type": "Fountain", "height": {"type": "Property", "value": 3}}) is None
    )


def test_lenient_check_lets_a_declared_type_carry_more():
    entity = vehicle(sped={"type": "Property", "value": 1})
    assert refusal_of(entity, strict=False) is None
    assert refusal_of(vehicle(speed={"type": "Property", "value": "x"}), strict=False) is not None


def test_time_is_made_utc_with_milliseconds():
    entity = vehicle(speed={"type": "Property", "value": 1, "observedAt": "2026-11-22T09:30:00-05:00"})
    named, _ = identify_batch([entity])
    good, _ = check_batch(named, {}, now=NOW, strict=True)
    assert good[0].attributes["speed"]["observedAt"] == "2026-11-22T14:30:00.000Z"
    assert entity["speed"]["observedAt"] == "2026-11-22T09:30:00-05:00"  # the caller's own is left alone


def test_a_clock_five_minutes_fast_is_forgiven():
    soon = (NOW + timedelta(minutes=4)).isoformat()
    assert refusal_of(vehicle(speed={"type": "Property", "value": 1, "observedAt": soon})) is None


def test_what_is_stored_already_is_not_read_again():
    named, _ = identify_batch([vehicle()])
    good, refused = check_batch(
        named, {"urn:ngsi-ld:Vehicle:t:1": {"location": vehicle()["location"]}}, now=NOW, strict=True
    )
    assert (good[0].attributes, refused) == ({}, [])


def test_of_an_entity_twice_in_a_batch_the_second_is_read():
    named, _ = identify_batch([vehicle(), vehicle()])
    good, _ = check_batch(
        named, {"urn:ngsi-ld:Vehicle:t:1": {"location": vehicle()["location"]}}, now=NOW, strict=True
    )
    assert [sorted(one.attributes) for one in good] == [[], ["location"]]


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "value",
                    "object",
                    "observedAt",
                    "coordinates",
                    "id",
                    "Property",
                    "Point",
                    "location",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json, json)
def test_no_input_raises_anything_else(whole, part):
    named, refused = identify_batch(
        [whole, {"id": "urn:x:1", "type": "Vehicle", "location": part, "speed": part}]
    )
    good, wrong = check_batch(named, {}, now=NOW, strict=True)
    assert len(good) + len(wrong) + len(refused) == 2
