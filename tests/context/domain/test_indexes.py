"""What a query reads: PostgreSQL's own plans, on enough entities that reading all of them would be wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from context.querying.world import Names
from django.db import connection

from amb247.context.domain import indexes
from amb247.context.domain.places import fill_cells
from amb247.context.domain.queries import find as finding
from amb247.context.domain.queries.find import count, find
from amb247.context.querying import syntax
from amb247.context.querying.compile import IndexKey
from amb247.context.querying.query import Query

NUMBER = 20_000
FILL = """
INSERT INTO context_entity (id, type, scope, doc, bbox, created_at, modified_at, version)
SELECT 'urn:ngsi-ld:' || CASE WHEN n %% 50 = 0 THEN 'Vehicle' ELSE 'Streetlight' END || ':' || lpad(n::text, 6, '0'),
       ARRAY[CASE WHEN n %% 50 = 0 THEN 'Vehicle' ELSE 'Streetlight' END],
       CASE WHEN n %% 10 = 0 THEN ARRAY['/city/' || n %% 200] ELSE '{}' END,
       jsonb_build_object(
           'circuit', jsonb_build_object('type', 'Property', 'value', 'C' || n %% 400),
           'power', jsonb_build_object('type', 'Property', 'value', n),
           'filler', jsonb_build_object('type', 'Property', 'value', repeat('x', 500)),
           'feeder', jsonb_build_object('type', 'Relationship', 'object', 'urn:ngsi-ld:Feeder:' || n %% 400)),
       box(point(-73.25 + (n * 7919 %% 10000) / 40000.0, 6.95 + (n * 104729 %% 10000) / 40000.0),
           point(-73.25 + (n * 7919 %% 10000) / 40000.0, 6.95 + (n * 104729 %% 10000) / 40000.0)),
       now(), now(), 1
FROM generate_series(1, %s) n
"""


@pytest.fixture
def city(db):
    fill()


def fill():
    with connection.cursor() as cursor:
        cursor.execute(FILL, [NUMBER])
        fill_cells(cursor)
        cursor.execute("ANALYZE context_entity")
    indexes.forget()


def plans_of(query, monkeypatch):
    """The plans of the statements over all entities that a query makes, as one text each."""
    plans = []

    def explain(sql, params):
        if "FROM context_entity" in sql and "e.id = ANY" not in sql:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + sql, params)
                plans.append("\n".join(row[0] for row in cursor.fetchall()))
        return fetch(sql, params)

    fetch = finding.fetch
    monkeypatch.setattr(finding, "fetch", explain)
    find(query)
    assert plans
    return plans


NEAR = syntax.parse_geo("near;maxDistance==300", "Point", [-73.12, 7.1], None, Names())
BOX = syntax.parse_geo("within", "Polygon", [[[-73.12, 7.1], [-73.11, 7.1], [-73.11, 7.11], [-73.12, 7.11], [-73.12, 7.1]]], None, Names())  # fmt: skip
ANY_OF = [
    (Query(types=syntax.parse_types("Vehicle", Names())), "context_entity_type_id"),
    (Query(types=syntax.parse_types("Vehicle,Nothing", Names())), "context_entity_type_id"),
    (Query(types=syntax.parse_types("(Vehicle;Nothing)", Names())), "context_entity_types"),
    (Query(types=syntax.parse_types("Streetlight", Names()), geo=NEAR), "context_entity_cell"),
    (Query(geo=BOX), "context_entity_cell"),
    (Query(scope=syntax.parse_scope("/city/10"), limit=1000), "context_entity_scope"),
    (Query(scope=syntax.parse_scope("/city/10/#"), limit=1000), "context_entity_scope_above"),
]


@pytest.mark.integration
def test_columns_are_found_by_their_indexes(city, monkeypatch):
    for query, name in ANY_OF:
        for plan in plans_of(query, monkeypatch):
            assert "Seq Scan" not in plan
            assert "context_entity_pkey" not in plan
            assert name in plan or "context_entity_types" in plan
            monkeypatch.undo()


@pytest.mark.integration
def test_ids_are_found_by_the_primary_key(city):
    with connection.cursor() as cursor:
        text, params, is_exact = finding.where(Query(ids=("urn:ngsi-ld:Vehicle:000050",)))
        cursor.execute(f"EXPLAIN SELECT 1 FROM context_entity e WHERE {text}", params)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert is_exact
    assert "context_entity_pkey" in plan
    assert "Index Cond: (id" in plan


@pytest.mark.integration
def test_a_type_that_sorts_last_is_not_looked_for_among_all_ids(city, monkeypatch):
    plans = plans_of(Query(types=syntax.parse_types("Vehicle", Names()), limit=5), monkeypatch)
    assert "context_entity_pkey" not in plans[0]


@pytest.fixture
def lasting(transactional_db):
    """A database outside of any transaction, as builders of indexes need it; what is left behind goes."""
    indexes.forget()
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'context_value_%'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP INDEX {name}")
            cursor.execute(f"DROP STATISTICS IF EXISTS {name}_values")
        cursor.execute("DELETE FROM context_index; DELETE FROM context_entity")
    indexes.forget()


@pytest.fixture
def lasting_city(lasting):
    fill()


KEYS = [
    IndexKey("circuit", "text"),
    IndexKey("power", "number"),
    IndexKey("feeder", "text"),
    IndexKey("it's", "text"),
]


def slowly(*keys):
    for key in keys:
        indexes.remember([key], 10.0)
    indexes.tell()


@pytest.mark.integration
def test_what_is_asked_slowly_gets_an_index_and_loses_it(lasting_city, monkeypatch):
    types = syntax.parse_types("Streetlight", Names())
    asked = {
        text: Query(types=types, q=syntax.parse_q(text, Names()), limit=1000)
        for text in ('circuit=="C17"', "power>=19990", "power==5..7", "feeder==urn:ngsi-ld:Feeder:9")
    }
    before = {text: [one.id for one in find(query)] for text, query in asked.items()}
    slowly(*KEYS)
    built, dropped = indexes.tend()
    assert (sorted(built), dropped) == (["circuit", "feeder", "it's", "power"], [])
    assert indexes.indexed() == frozenset(KEYS)
    for text, query in asked.items():
        plan = plans_of(query, monkeypatch)[0]
        assert "context_value_" in plan, plan
        assert "Seq Scan" not in plan
        monkeypatch.undo()
        assert [one.id for one in find(query)] == before[text]
        assert count(query) == len(before[text])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE context_index SET last_at = %s", [datetime.now(UTC) - timedelta(days=8)])
    built, dropped = indexes.tend()
    assert (built, sorted(dropped)) == ([], ["circuit", "feeder", "it's", "power"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'context_value_%'")
        assert cursor.fetchone()[0] == 0


@pytest.mark.integration
def test_there_are_never_more_indexes_than_the_cap(lasting, monkeypatch):
    monkeypatch.setattr(indexes, "MAX_INDEXES", 2)
    keys = [IndexKey(name, "text") for name in ("a", "b", "c")]
    slowly(*keys)
    assert len(indexes.tend()[0]) == 2
    slowly(*keys)
    assert indexes.tend() == ([], [])


@pytest.mark.integration
def test_a_build_that_was_stopped_is_done_again(lasting):
    key = IndexKey("a", "text")
    slowly(key)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE context_index SET state = 'building'")
        cursor.execute(f"CREATE INDEX {indexes.name_of(key)} ON context_entity (id)")
    assert indexes.tend() == (["a"], [])
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [indexes.name_of(key)])
        assert "jsonb_typeof" in cursor.fetchone()[0]


@pytest.mark.integration
def test_quick_questions_are_not_noticed(db):
    indexes.forget()
    indexes.remember([IndexKey("a", "text")], 0.001)
    indexes.tell()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM context_index")
        assert cursor.fetchone()[0] == 0
