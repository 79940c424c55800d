"""Reads of the current state for the NGSI-LD interface: one query object in, `Stored` entities out.

Where SQL alone cannot decide (`querying.compile`), candidates are read in their order through a server-side cursor, tested
here, and the reading stops when the page is full. No read goes on for longer than `TIME_LIMIT_S`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import orjson
from django.db import OperationalError, connection, transaction

from amb247.context.domain.places import cells_condition
from amb247.context.ngsi_errors import TooComplexQuery
from amb247.context.querying import compile as compiling
from amb247.context.querying.compile import Condition, IndexKey, Sql
from amb247.context.querying.matching import allows, matcher
from amb247.context.querying.query import Query, Restriction, link_depth
from amb247.context.stored import Stored

TIME_LIMIT_S = 2.0
COLUMNS = "e.id, e.type, e.scope, e.doc::text, e.created_at, e.modified_at, e.expires_at"
ITERATION = 500


def find(query: Query) -> list[Stored]:
    """The page of entities that the query asks for, in its order (by id where it names none)."""
    if query.limit <= 0:
        return []
    plan = _plan(query)
    with reading() as deadline:
        order, order_params = _order(query)
        if plan.is_exact:
            return _rows(
                f"SELECT {COLUMNS} FROM context_entity e WHERE {plan.possible.text} ORDER BY {order} LIMIT %s OFFSET %s",
                [*plan.possible.params, *order_params, query.limit, query.offset],
            )
        found = _decided(query, plan, f"ORDER BY {order}", order_params, deadline)
        return list(islice(found, query.offset, query.offset + query.limit))


def count(query: Query) -> int:
    """How many entities fit, whatever the page."""
    plan = _plan(query)
    with reading() as deadline:
        with connection.cursor() as cursor:
            sure = plan.certain
            cursor.execute(f"SELECT count(*) FROM context_entity e WHERE {sure.text}", sure.params)
            number = int(cursor.fetchone()[0])
        if plan.is_exact:
            return number
        open_ones = Sql(
            f"{plan.possible.text} AND NOT {plan.certain.text}", (*plan.possible.params, *plan.certain.params)
        )
        doubtful = _decided(query, Condition(open_ones, compiling.FALSE), "", [], deadline)
        return number + sum(1 for _ in doubtful)


def get(entity_id: str, restriction: Restriction | None = None) -> Stored | None:
    """One entity, or None when there is none that may be seen."""
    return get_many([entity_id], restriction).get(entity_id)


def get_many(ids: Sequence[str], restriction: Restriction | None = None) -> dict[str, Stored]:
    """Those of the entities that exist and may be seen, by id."""
    if not ids:
        return {}
    found = _rows(
        f"SELECT {COLUMNS} FROM context_entity e WHERE e.id = ANY(%s) AND {compiling.alive('e').possible.text}",
        [list(ids)],
    )
    may_see = None if restriction is None else allows(restriction)
    return {one.id: one for one in found if may_see is None or may_see(one)}


# --- how ---------------------------------------------------------------------------------------------------------


def _plan(query: Query, indexed: Sequence[IndexKey] = ()) -> Condition:
    return compiling.plan(query, cells=cells_condition, indexed=indexed)


@contextmanager
def reading() -> Iterator[float]:
    """A transaction in which a statement that takes too long ends as TooComplexQuery; gives the deadline."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {int(TIME_LIMIT_S * 1000)}")
            yield time.monotonic() + TIME_LIMIT_S
    except OperationalError as problem:
        if getattr(problem.__cause__, "sqlstate", "") == "57014":
            raise TooComplexQuery(
                f"The query took longer than {TIME_LIMIT_S:g} s; narrow it down, for instance by type or place"
            ) from None
        raise


def _rows(sql: str, params: Sequence[Any]) -> list[Stored]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [_stored(row) for row in cursor.fetchall()]


def _stored(row: Sequence[Any]) -> Stored:
    return Stored(row[0], row[1], row[2], orjson.loads(row[3]), row[4], row[5], row[6])


def _decided(
    query: Query, plan: Condition, order: str, order_params: Sequence[Any], deadline: float
) -> Iterator[Stored]:
    """The candidates that fit, in order; those that SQL could not decide are tested here."""
    lookup = None
    if link_depth(query.q):
        restriction = query.restriction

        def lookup(ids: Sequence[str]) -> Mapping[str, Stored]:
            return get_many(ids, restriction)

    fits = matcher(query, lookup=lookup)
    sql = f"SELECT {COLUMNS}, {plan.certain.text} FROM context_entity e WHERE {plan.possible.text} {order}"
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, [*plan.certain.params, *plan.possible.params, *order_params])
        while True:
            rows = cursor.fetchmany(ITERATION)
            for row in rows:
                entity = _stored(row)
                if row[7] or fits(entity):
                    yield entity
            if len(rows) < ITERATION:
                return
            if time.monotonic() > deadline:
                raise TooComplexQuery(
                    f"The query took longer than {TIME_LIMIT_S:g} s; narrow it down, for instance by type or place"
                )


def _order(_query: Query) -> tuple[str, list[Any]]:
    return "e.id", []
