from __future__ import annotations

from datetime import UTC, datetime

import pytest

from amb247.context.documents.join import check_projection, join_flat, join_flat_geojson, join_inline
from amb247.context.documents.projection import parse_projection
from amb247.context.documents.represent import Form
from amb247.context.jsonld.context import CORE
from amb247.context.ngsi_errors import BadRequestData
from amb247.context.stored import Stored

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIMPLE = Form(kind="simplified")


def one(number, **attributes):
    return Stored(f"urn:x:{number}", ["T"], [], attributes, NOW, NOW)


def to(*numbers):
    targets = [f"urn:x:{number}" for number in numbers]
    return {"type": "Relationship", "object": targets[0] if len(targets) == 1 else targets}


NAMED = {"type": "Property", "value": "n"}
STORE = {
    entity.id: entity
    for entity in (
        one(1, next=to(2), name=NAMED),
        one(2, next=to(3), name=NAMED),
        one(3, next=to(1), name=NAMED),
        one(4, many=to(2, 9), route={"type": "ListRelationship", "objectList": ["urn:x:3", "urn:x:2"]}),
    )
}
asked: list[list[str]] = []


def lookup(ids):
    asked.append(list(ids))
    return {key: STORE[key] for key in ids if key in STORE}


def test_inline_puts_the_entity_into_the_relationship():
    assert join_inline([STORE["urn:x:1"]], CORE, Form(), lookup=lookup) == [
        {
            "id": "urn:x:1",
            "type": "T",
            "next": {
                "type": "Relationship",
                "object": "urn:x:2",
                "entity": {
                    "id": "urn:x:2",
                    "type": "T",
                    "next": {"type": "Relationship", "object": "urn:x:3"},
                    "name": NAMED,
                },
            },
            "name": NAMED,
        }
    ]


def test_inline_simplified_replaces_the_uri_and_stops_at_itself():
    (made,) = join_inline([STORE["urn:x:1"]], CORE, SIMPLE, lookup=lookup, level=5)
    assert made["next"]["next"] == {"id": "urn:x:3", "type": "T", "next": "urn:x:1", "name": "n"}


def test_inline_of_several_and_lists_keeps_what_is_not_here():
    (made,) = join_inline([STORE["urn:x:4"]], CORE, Form(kind="concise"), lookup=lookup)
    assert made["many"]["object"] == ["urn:x:2", "urn:x:9"]
    assert [entity["id"] for entity in made["many"]["entity"]] == ["urn:x:2"]
    assert [entity["id"] for entity in made["route"]["entityList"]] == ["urn:x:3", "urn:x:2"]
    (simple,) = join_inline([STORE["urn:x:4"]], CORE, SIMPLE, lookup=lookup)
    assert simple["many"][1] == "urn:x:9"


def test_one_lookup_a_level():
    asked.clear()
    join_inline([STORE["urn:x:1"], STORE["urn:x:4"]], CORE, Form(), lookup=lookup, level=2)
    assert asked == [["urn:x:2", "urn:x:9", "urn:x:3"]]


def test_contained_by_is_not_opened():
    (made,) = join_inline([STORE["urn:x:1"]], CORE, SIMPLE, lookup=lookup, contained_by=["urn:x:2"])
    assert made["next"] == "urn:x:2"
    flat = join_flat([STORE["urn:x:1"]], CORE, SIMPLE, lookup=lookup, contained_by=["urn:x:2"])
    assert len(flat) == 1


def test_flat_appends_each_once():
    made = join_flat([STORE["urn:x:1"]], CORE, Form(), lookup=lookup, level=5)
    assert [entity["id"] for entity in made] == ["urn:x:1", "urn:x:2", "urn:x:3"]
    collection = join_flat_geojson([STORE["urn:x:1"]], CORE, Form(), lookup=lookup)
    assert [feature["id"] for feature in collection["features"]] == ["urn:x:1", "urn:x:2"]


def test_nested_projection_reaches_linked_entities():
    form = Form(kind="simplified", pick=parse_projection("id,next{name}", CORE))
    assert join_inline([STORE["urn:x:1"]], CORE, form, lookup=lookup) == [
        {"id": "urn:x:1", "next": {"name": "n"}}
    ]
    assert join_flat([STORE["urn:x:1"]], CORE, form, lookup=lookup) == [
        {"id": "urn:x:1", "next": "urn:x:2"},
        {"name": "n"},
    ]
    form = Form(kind="simplified", omit=parse_projection("next{id|type}|name", CORE))
    assert join_inline([STORE["urn:x:1"]], CORE, form, lookup=lookup) == [
        {"id": "urn:x:1", "type": "T", "next": {"next": "urn:x:3", "name": "n"}}
    ]


def test_projection_deeper_than_the_join_is_refused():
    form = Form(pick=parse_projection("a{b{c}}", CORE))
    check_projection(form, join="inline", level=2)
    for join, level in ((None, 2), ("inline", 1)):
        with pytest.raises(BadRequestData):
            check_projection(form, join=join, level=level)


@pytest.mark.parametrize("bad", ["", "a{", "a}", "a{}", ",a", "a,,b", "a{b}}", "a b", "{a}"])
def test_bad_projections_are_refused(bad):
    with pytest.raises(BadRequestData):
        parse_projection(bad, CORE)
