from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
import shapely.geometry
from django.db import connection

from amb247.context import api
from amb247.context.domain.queries import discovery
from amb247.context.ngsi_errors import ResourceNotFound
from amb247.context.querying.query import Restriction

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def fresh():
    discovery.forget()
    yield
    discovery.forget()


def prop(value=1):
    return {"type": "Property", "value": value}


def link():
    return {"type": "Relationship", "object": "urn:x:y"}


def write(entity_id, types, **attributes):
    api.upsert([{"id": entity_id, "type": types, **attributes}])


def test_an_empty_store_has_nothing():
    assert discovery.types() == {}
    assert discovery.attributes() == {}
    with pytest.raises(ResourceNotFound):
        discovery.type_info("T")
    with pytest.raises(ResourceNotFound):
        discovery.attribute_info("a")


def test_what_is_written_between_two_questions_is_in_the_second_answer():
    write("urn:t:1", "T", a=prop(), b=link())
    assert discovery.types() == {"T": ("a", "b")}
    write("urn:t:2", "T", c=prop())
    write("urn:u:1", ["T", "U"], d=prop())
    assert discovery.types() == {"T": ("a", "b", "c", "d"), "U": ("d",)}
    assert discovery.attributes() == {"a": ("T",), "b": ("T",), "c": ("T",), "d": ("T", "U")}


def test_what_is_deleted_is_gone_and_what_others_have_stays():
    write("urn:t:1", "T", a=prop(), b=prop())
    write("urn:t:2", "T", a=prop())
    write("urn:u:1", "U", a=prop())
    assert discovery.types() == {"T": ("a", "b"), "U": ("a",)}
    api.delete(["urn:t:1"])
    assert discovery.types() == {"T": ("a",), "U": ("a",)}
    api.delete(["urn:u:1"])
    assert discovery.attributes() == {"a": ("T",)}
    api.delete(["urn:t:2"])
    assert discovery.types() == {}


def test_a_type_more_brings_all_attributes_to_it():
    write("urn:t:1", "T", a=prop(), b=prop())
    assert discovery.types() == {"T": ("a", "b")}
    write("urn:t:1", ["T", "U"])
    assert discovery.types() == {"T": ("a", "b"), "U": ("a", "b")}


def test_details_of_a_type():
    write("urn:t:1", "T", a=prop(), b=link())
    write("urn:t:2", "T", a=link())
    write("urn:t:3", ["U", "T"], a=[prop(), prop(2) | {"datasetId": "urn:d:1"}])
    info = discovery.type_info("T")
    assert info.entity_count == 3
    assert info.attributes == {"a": ("Property", "Relationship"), "b": ("Relationship",)}
    assert discovery.type_info("U").entity_count == 1


def test_details_of_an_attribute_count_its_instances():
    write("urn:t:1", "T", a=prop())
    write("urn:u:1", "U", a=[prop(), prop(2) | {"datasetId": "urn:d:1"}])
    info = discovery.attribute_info("a")
    assert (info.attribute_count, info.kinds, info.types) == (3, ("Property",), ("T", "U"))


def test_a_kind_that_nobody_has_any_more_is_not_named():
    write("urn:t:1", "T", a=prop())
    write("urn:t:2", "T", a=link())
    assert discovery.attribute_info("a").kinds == ("Property", "Relationship")
    api.delete(["urn:t:1"])
    assert discovery.attribute_info("a").kinds == ("Relationship",)


def test_expired_entities_are_not_there():
    write("urn:t:1", "T", a=prop())
    assert discovery.types() == {"T": ("a",)}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE context_entity SET expires_at = %s", [datetime.now(UTC) - timedelta(seconds=1)]
        )
    assert discovery.types() == {}
    with pytest.raises(ResourceNotFound):
        discovery.type_info("T")


def test_nobody_learns_of_what_lies_beyond_the_reach():
    place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.1, 7.1]}}
    away = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.9, 7.9]}}
    write("urn:t:1", "T", a=prop(), location=place)
    write("urn:t:2", "T", b=prop(), location=away)
    write("urn:u:1", "U", c=prop(), location=place)
    write("urn:v:1", "V", d=prop())
    near = Restriction(areas=(shapely.geometry.box(-73.2, 7, -73, 7.2),))
    assert discovery.types(near) == {"T": ("a", "location"), "U": ("c", "location")}
    assert discovery.type_info("T", near).entity_count == 1
    assert discovery.attribute_info("location", near).attribute_count == 2
    for name in ("b", "d"):
        with pytest.raises(ResourceNotFound):
            discovery.attribute_info(name, near)
    only = Restriction(types=frozenset({"U", "V"}), areas=near.areas)
    assert discovery.types(only) == {"U": ("c", "location")}
    assert discovery.types(Restriction(types=frozenset({"V"}))) == {"V": ("d",)}
    assert discovery.types(Restriction(areas=())) == {}


def test_the_kept_answer_is_that_of_looking_through_everything(monkeypatch):
    """Random writes and deletions; each answer of the kept witnesses against one made anew."""
    monkeypatch.setattr(discovery, "CHUNK", 3)
    rng = random.Random(7)
    for _ in range(60):
        entity_id = f"urn:t:{rng.randrange(8)}"
        if rng.random() < 0.35:
            api.delete([entity_id])
        else:
            names = rng.sample("abcd", rng.randrange(3))
            types = rng.sample(["T", "U", "V"], rng.randrange(1, 3))
            write(entity_id, types, **{name: rng.choice([prop, link])() for name in names})
        kept = discovery.traits()
        seen = dict(discovery._seen)
        discovery.forget()
        assert kept == discovery.traits()
        discovery._seen.update(seen)


def test_too_many_changes_are_not_read_one_by_one(monkeypatch):
    write("urn:t:1", "T", a=prop())
    assert discovery.types() == {"T": ("a",)}
    looked = []
    look = discovery._look_through
    monkeypatch.setattr(discovery, "_look_through", lambda seen: looked.append(1) or look(seen))
    monkeypatch.setattr(discovery, "MAX_NEWS", 0)
    write("urn:t:2", "T", b=prop())
    assert discovery.types() == {"T": ("a", "b")}
    assert looked
