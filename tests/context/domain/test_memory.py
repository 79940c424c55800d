"""Writing from memory: another writer's change between two of ours is never lost, and nothing is decided from what is past."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from amb247.context import api
from amb247.context.documents.parse import parse_entity
from amb247.context.domain import operations, writing
from amb247.context.jsonld.context import CORE
from amb247.context.ngsi_errors import AlreadyExists

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]
LAMP = "urn:ngsi-ld:Lamp:1"


def lamp(**values):
    document = {"id": LAMP, "type": "Lamp"}
    return document | {name: {"type": "Property", "value": value} for name, value in values.items()}


def put(**values):
    return api.upsert([lamp(**values)], strict=False)


def elsewhere(work):
    """Do it as another process would: nothing of it is in this one's memory."""
    kept, writing.documents = writing.documents, writing.Documents()
    try:
        return work()
    finally:
        writing.documents = kept


def operate(operation, **values):
    parsed = parse_entity(lamp(**values), CORE)
    return writing.write([LAMP], lambda one: operation(one, parsed, operations.anyone))


def statements(work):
    with connection.execute_wrapper(seen := Seen()):
        work()
    return seen.all


class Seen:
    def __init__(self):
        self.all = []

    def __call__(self, execute, sql, params, many, context):
        self.all.append(sql)
        return execute(sql, params, many, context)


def locks(work):
    return sum("FOR UPDATE" in one for one in statements(work))


def value(name):
    return api.get(LAMP)[name]["value"]


def test_what_is_remembered_is_not_locked_first():
    assert locks(lambda: put(level=1)) == 1
    assert locks(lambda: put(level=2)) == 0
    assert value("level") == 2


def test_a_change_made_elsewhere_stays():
    put(level=1, power=5)
    elsewhere(lambda: put(power=6))
    put(level=2)
    assert (value("level"), value("power")) == (2, 6)


def test_the_same_value_again_wins_over_a_change_made_elsewhere():
    put(level=1)
    elsewhere(lambda: put(level=2))
    assert put(level=1).updated == 1
    assert value("level") == 1


def test_an_entity_deleted_elsewhere_can_be_created():
    put(level=1)
    elsewhere(lambda: api.delete([LAMP]))
    operate(operations.create, level=3)
    assert value("level") == 3


def test_an_entity_deleted_and_made_again_elsewhere_is_another():
    put(level=1, power=5)
    version = writing.documents._kept["", LAMP].version
    elsewhere(lambda: api.delete([LAMP]))
    elsewhere(lambda: put(level=7))
    with connection.cursor() as cursor:  # even if it had come to the same number
        cursor.execute("UPDATE context_entity SET version = %s", [version])
    put(level=2)
    assert set(api.get(LAMP)) >= {"level"}
    assert "power" not in api.get(LAMP)


def test_a_refusal_is_never_from_memory():
    put(level=1)
    with pytest.raises(AlreadyExists):
        operate(operations.create, level=3)
    assert value("level") == 1


def test_a_removal_looks_at_the_row():
    put(level=1, power=5)
    elsewhere(lambda: put(power=6, colour="red"))
    writing.write([LAMP], lambda one: operations.delete_attribute(one, LAMP, "power", operations.anyone))
    assert value("colour") == "red"
    assert "power" not in api.get(LAMP)


def test_after_an_error_of_memory_it_is_not_asked_for_a_while():
    put(level=0)
    elsewhere(lambda: put(level=1))
    put(level=2)
    assert locks(lambda: put(level=3)) == 1
    for number in range(writing.Trust.WARY_FOR):
        put(level=number + 10)
    assert locks(lambda: put(level=4)) == 0


def test_two_writers_at_once_lose_nothing():
    put(left=0, right=0)

    def count(name):
        for number in range(1, 101):
            put(**{name: number})
        connection.close()

    threads = [threading.Thread(target=count, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (value("left"), value("right")) == (100, 100)
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM context_change WHERE entity_id = %s ORDER BY version", [LAMP])
        assert [row[0] for row in cursor.fetchall()] == list(range(1, 202))
