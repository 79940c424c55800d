"""Reads of the current state for the NGSI-LD interface: one query object in, `Stored` entities out.

What SQL alone cannot decide (`querying.compile`) is tested here, on no more of a candidate than the test needs; then the
page is read as a whole. Entities come in the order of their ids unless the query names another. No read goes on for longer
than `reading.TIME_LIMIT_S`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import shapely

from amb247.context.domain import indexes
from amb247.context.domain.places import cells_condition
from amb247.context.domain.queries.ordering import order_sql
from amb247.context.domain.queries.reading import Clock, fetch, reading
from amb247.context.ngsi_errors import TooComplexQuery
from amb247.context.querying import compile as compiling
from amb247.context.querying.compile import Condition, Sql
from amb247.context.querying.matching import allows, matcher
from amb247.context.querying.query import Query, Restriction, attributes_of, link_depth
from amb247.context.stored import Stored

STAMPS = "e.created_at::text, e.modified_at::text, e.expires_at::text"
PAGE = "e.id, e.type, e.scope, e.doc, e.created_at, e.modified_at, e.expires_at"
FULL = f"e.id, e.type, e.scope, e.doc::text, {STAMPS}"
LARGEST_CHUNK = 50_000


def find(query: Query) -> list[Stored]:
    """The page of entities that the query asks for.

    Raises
    ------
    TooComplexQuery
        It took too long.
    """
    if query.limit <= 0:
        return []
    with _noted(query), reading() as clock:
        if query.order_by:
            return _ordered(query, clock)
        plans = _plans(query, in_id_order=True)
        if all(plan.is_exact for plan in plans) and not _has_areas(query):
            return _page(plans, query.limit, query.offset)
        wanted = query.offset + query.limit
        ids = _decided_ids(query, plans, wanted, clock)[query.offset : wanted]
        return _by_ids(ids)


def count(query: Query) -> int:
    """How many entities fit, whatever the page."""
    number = 0
    with _noted(query), reading() as clock:
        plans = _plans(query, in_id_order=True)
        if _has_areas(query):
            return len(_decided_ids(query, plans, None, clock))
        for plan in plans:
            number += _number(plan.certain)
            if not plan.is_exact:
                number += len(_decided_ids(query, [_undecided(plan)], None, clock))
    return number


def get(entity_id: str, restriction: Restriction | None = None) -> Stored | None:
    """One entity, or None when there is none that may be seen."""
    return get_many([entity_id], restriction).get(entity_id)


def get_many(ids: Sequence[str], restriction: Restriction | None = None) -> dict[str, Stored]:
    """Those of the entities that exist and may be seen, by id."""
    found = _by_ids(ids) if ids else []
    may_see = None if restriction is None else allows(restriction)
    return {one.id: one for one in found if may_see is None or may_see(one)}


def where(query: Query, *, alias: str = "e") -> tuple[str, list[Any], bool]:
    """Condition over `context_entity`, its parameters, and whether it says everything; else `matching.matcher` must follow."""
    plan = compiling.plan(query, cells=cells_condition, alias=alias)
    return plan.possible.text, list(plan.possible.params), plan.is_exact


def fits_sql(query: Query, clock: Clock) -> Sql:
    """A condition over `context_entity e` that says everything: what SQL cannot decide is decided here and now."""
    (plan,) = _plans(query, in_id_order=False)
    if plan.is_exact and not _has_areas(query):
        return plan.possible
    return Sql("e.id = ANY(%s)", (_decided_ids(query, [plan], None, clock),))


# --- plans -------------------------------------------------------------------------------------------------------


def _plans(query: Query, *, in_id_order: bool) -> list[Condition]:
    """One plan for each part of the entities (`compile.arms_of`), which are read in the order of ids and no further than needed.

    Undivided, PostgreSQL would go through all ids, wherever among them those of the type may be.
    """
    present = indexes.indexed() if query.q is not None else frozenset()
    return [
        compiling.plan(query, cells=cells_condition, indexed=present, arm=arm, centres_elsewhere=True)
        for arm in (compiling.arms_of(query) if in_id_order else [None])
    ]


@contextmanager
def _noted(query: Query) -> Iterator[None]:
    """What was asked and how long it took may be worth an index; also, and above all, when it took too long."""
    start = time.monotonic()
    try:
        yield
    except TooComplexQuery:
        indexes.remember(compiling.index_keys(query), time.monotonic() - start)
        raise
    indexes.note(compiling.index_keys(query), time.monotonic() - start)


def _undecided(plan: Condition) -> Condition:
    possible, certain = plan.possible, plan.certain
    return Condition(
        Sql(f"{possible.text} AND NOT {certain.text}", (*possible.params, *certain.params)), compiling.FALSE
    )


def _has_areas(query: Query) -> bool:
    return query.restriction is not None and query.restriction.areas is not None


# --- reading -----------------------------------------------------------------------------------------------------


def _number(condition: Sql) -> int:
    if condition == compiling.FALSE:
        return 0
    return int(fetch(f"SELECT count(*) FROM context_entity e WHERE {condition.text}", condition.params)[0][0])


def _page(plans: Sequence[Condition], limit: int, offset: int) -> list[Stored]:
    """The rows of the page are chosen first; only they are turned into text."""
    arms = [
        f"SELECT * FROM (SELECT {PAGE} FROM context_entity e WHERE {plan.possible.text} ORDER BY e.id LIMIT %s) a"
        for plan in plans
    ]
    params = [param for plan in plans for param in (*plan.possible.params, offset + limit)]
    rows = fetch(
        f"SELECT {FULL} FROM ({' UNION ALL '.join(arms)} ORDER BY id LIMIT %s OFFSET %s) e ORDER BY e.id",
        [*params, limit, offset],
    )
    return [_stored(row) for row in rows]


def _by_ids(ids: Sequence[str]) -> list[Stored]:
    """The entities in the order of the ids."""
    rows = fetch(
        f"SELECT {FULL} FROM context_entity e WHERE e.id = ANY(%s) AND {compiling.alive('e').possible.text}",
        [list(ids)],
    )
    found = {row[0]: row for row in rows}
    return [_stored(found[one]) for one in ids if one in found]


def _stored(row: Sequence[Any]) -> Stored:
    """psycopg's own reading of moments takes as long as that of the document."""
    return Stored(
        row[0],
        row[1],
        row[2],
        orjson.loads(row[3]),
        datetime.fromisoformat(row[4]),
        datetime.fromisoformat(row[5]),
        None if row[6] is None else datetime.fromisoformat(row[6]),
    )


# --- what is decided here ----------------------------------------------------------------------------------------

LIGHT = "e.id, (center(e.bbox))[0], (center(e.bbox))[1]"
Test = Callable[[Sequence[Any]], list[bool]]


def _decided_ids(query: Query, plans: Sequence[Condition], wanted: int | None, clock: Clock) -> list[str]:
    """The first ids, in their order, of the entities that fit."""
    found: list[str] = []
    for plan in plans:
        mine = _decided_by(query, plan, wanted, clock)
        found = sorted([*found, *mine])[:wanted] if found else mine
    return found


def _decided_by(query: Query, plan: Condition, wanted: int | None, clock: Clock) -> list[str]:
    found: list[str] = []
    test = _tester(query, plan)
    columns, column_params = _light_columns(query, plan)
    after, chunk = "", LARGEST_CHUNK if wanted is None else min(2 * wanted + 50, LARGEST_CHUNK)
    while True:
        rows = fetch(
            f"SELECT {columns} FROM context_entity e WHERE {plan.possible.text} AND e.id > %s ORDER BY e.id LIMIT %s",
            [*column_params, *plan.possible.params, after, chunk],
        )
        found += [row[0] for row, fits in zip(rows, test(rows), strict=True) if fits]
        if len(rows) < chunk or (wanted is not None and len(found) >= wanted):
            return found[:wanted]
        clock.check()
        after, chunk = rows[-1][0], min(chunk * 4, LARGEST_CHUNK)


def _light_columns(query: Query, plan: Condition) -> tuple[str, list[Any]]:
    """Id and centre; where there is something to decide, whether it is certain, and so much as the test needs."""
    if plan.is_exact:
        return LIGHT, []
    names = sorted(_needed(query))
    pairs = ", ".join(["%s::text, e.doc->%s"] * len(names))
    return (
        f"{LIGHT}, {plan.certain.text}, jsonb_build_array(e.type, e.scope, jsonb_build_object({pairs}))::text, {STAMPS}",
        [*plan.certain.params, *(name for name in names for _ in range(2))],
    )


def _needed(query: Query) -> frozenset[str]:
    names = frozenset(query.attrs)
    if query.q is not None:
        names |= attributes_of(query.q)
    if query.geo is not None:
        names |= {query.geo.geoproperty}
    return names


def _tester(query: Query, plan: Condition) -> Test:
    """Which of some light rows fit."""
    restriction = query.restriction
    areas = None if restriction is None else restriction.areas

    def lookup(ids: Sequence[str]) -> Mapping[str, Stored]:
        return get_many(ids, restriction)

    # Types and places of the restriction are settled: by SQL and by the centres.
    fits = matcher(replace(query, restriction=None), lookup=lookup if link_depth(query.q) else None)

    def test(rows: Sequence[Any]) -> list[bool]:
        allowed = [True] * len(rows) if areas is None else _inside(areas, rows)
        if plan.is_exact:
            return allowed
        return [ok and (row[3] or fits(_partly(row))) for ok, row in zip(allowed, rows, strict=True)]

    return test


def _inside(areas: Sequence[Any], rows: Sequence[Any]) -> list[bool]:
    lons, lats = [row[1] for row in rows], [row[2] for row in rows]
    inside = [False] * len(rows)
    for area in areas:
        shapely.prepare(area)
        inside = [
            one or bool(two) for one, two in zip(inside, shapely.intersects_xy(area, lons, lats), strict=True)
        ]
    return inside


def _partly(row: Sequence[Any]) -> Stored:
    types, scope, attributes = orjson.loads(row[4])
    return Stored(
        row[0],
        types,
        scope,
        {name: value for name, value in attributes.items() if value is not None},
        datetime.fromisoformat(row[5]),
        datetime.fromisoformat(row[6]),
        None if row[7] is None else datetime.fromisoformat(row[7]),
    )


# --- in another order --------------------------------------------------------------------------------------------


def _ordered(query: Query, clock: Clock) -> list[Stored]:
    """The page in the order that the query names; what is to be decided is decided first."""
    condition = fits_sql(query, clock)
    order = order_sql(query, condition, clock)
    rows = fetch(
        f"SELECT {FULL} FROM (SELECT {PAGE} FROM context_entity e {order.joins.text} WHERE {condition.text} "
        f"ORDER BY {order.keys.text}, e.id LIMIT %s OFFSET %s) e",
        [*order.joins.params, *condition.params, *order.keys.params, query.limit, query.offset],
    )
    return [_stored(row) for row in rows]
