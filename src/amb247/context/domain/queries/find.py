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
        return _decided_page(query, plans, clock)


def count(query: Query) -> int:
    """How many entities fit, whatever the page."""
    number = 0
    with _noted(query), reading() as clock:
        plans = _plans(query, in_id_order=True)
        if _has_areas(query):
            return len(_decided_ids(query, plans, clock))
        for plan in plans:
            number += _number(plan.certain)
            if not plan.is_exact:
                number += len(_decided_ids(query, [_undecided(plan)], clock))
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
    return Sql("e.id = ANY(%s)", (_decided_ids(query, [plan], clock),))


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
    rows = _portion(plans, [Sql(PAGE)] * len(plans), FULL, "", offset + limit, offset)
    return [_stored(row) for row in rows]


def _portion(
    plans: Sequence[Condition], columns: Sequence[Sql], shown: str, after: str, size: int, offset: int = 0
) -> list[Any]:
    """The next possible rows of all parts in the order of ids: at most `size`, of which the first `offset` are left out."""
    arms, params = [], list[Any]()
    for plan, chosen in zip(plans, columns, strict=True):
        later = " AND e.id > %s" if after else ""
        arms.append(
            f"SELECT * FROM (SELECT {chosen.text} FROM context_entity e WHERE {plan.possible.text}{later} "
            "ORDER BY e.id LIMIT %s) a"
        )
        params += [*chosen.params, *plan.possible.params, *([after] if after else []), size]
    return fetch(
        f"SELECT {shown} FROM ({' UNION ALL '.join(arms)} ORDER BY id LIMIT %s OFFSET %s) e ORDER BY e.id",
        [*params, size - offset, offset],
    )


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

CENTRE = "(center(e.bbox))[0] AS lon, (center(e.bbox))[1] AS lat"
LARGEST_PAGE = 1_000
AT_ONCE = 500  # rows that are decided between two looks at the clock
Test = Callable[[Sequence[Any]], list[bool]]


def _decided_page(query: Query, plans: Sequence[Condition], clock: Clock) -> list[Stored]:
    """Most pages are in the first portion, which comes whole; of later ones only what the test needs is read first."""
    wanted = query.offset + query.limit
    found: list[str] = []
    after = ""
    if wanted <= LARGEST_PAGE:
        is_mostly_sure = query.geo is not None and query.geo.relation == "near" and not _has_areas(query)
        size = wanted + 25 if is_mostly_sure else 2 * wanted + 50
        columns = [
            Sql(f"{PAGE}, {CENTRE}, {plan.certain.text} AS sure", plan.certain.params) for plan in plans
        ]
        rows = _portion(plans, columns, f"{FULL}, lon, lat, sure", "", size)
        page = [row for row, fits in zip(rows, _whole_test(query, plans)(rows), strict=True) if fits]
        if len(page) >= wanted or len(rows) < size:
            return [_stored(row) for row in page[query.offset : wanted]]
        found, after = [row[0] for row in page], rows[-1][0]
    ids = _decided_ids(query, plans, clock, found=found, after=after, wanted=wanted)
    return _by_ids(ids[query.offset : wanted])


def _decided_ids(
    query: Query,
    plans: Sequence[Condition],
    clock: Clock,
    *,
    found: Sequence[str] = (),
    after: str = "",
    wanted: int | None = None,
) -> list[str]:
    """The ids, in their order, of the entities that fit: all, or the first ones."""
    ids = list(found)
    columns = [_light_columns(query, plan) for plan in plans]
    test = _light_test(query, plans)
    size = LARGEST_CHUNK if wanted is None else min(8 * wanted + 50, LARGEST_CHUNK)
    while True:
        rows = _portion(plans, columns, "e.*", after, size)
        for first in range(0, len(rows), AT_ONCE):
            part = rows[first : first + AT_ONCE]
            ids += [row[0] for row, fits in zip(part, test(part), strict=True) if fits]
            clock.check()
        if len(rows) < size or (wanted is not None and len(ids) >= wanted):
            return ids[:wanted]
        after, size = rows[-1][0], min(size * 4, LARGEST_CHUNK)


def _light_columns(query: Query, plan: Condition) -> Sql:
    """Id and centre; where there is something to decide, whether it is certain, and so much as the test needs."""
    if plan.is_exact:
        return Sql(
            f"e.id, {CENTRE}, TRUE AS sure, NULL AS part, NULL AS created, NULL AS modified, NULL AS expires"
        )
    names = sorted(_needed(query))
    pairs = ", ".join(["%s::text, e.doc->%s"] * len(names))
    return Sql(
        f"e.id, {CENTRE}, {plan.certain.text} AS sure, "
        f"jsonb_build_array(e.type, e.scope, jsonb_build_object({pairs}))::text AS part, "
        "e.created_at::text AS created, e.modified_at::text AS modified, e.expires_at::text AS expires",
        (*plan.certain.params, *(name for name in names for _ in range(2))),
    )


def _needed(query: Query) -> frozenset[str]:
    names = frozenset(query.attrs)
    if query.q is not None:
        names |= attributes_of(query.q)
    if query.geo is not None:
        names |= {query.geo.geoproperty}
    return names


def _predicate(query: Query) -> Callable[[Stored], bool]:
    """What decides; types and places of the restriction are settled by SQL and by the centres."""
    restriction = query.restriction

    def lookup(ids: Sequence[str]) -> Mapping[str, Stored]:
        return get_many(ids, restriction)

    return matcher(replace(query, restriction=None), lookup=lookup if link_depth(query.q) else None)


def _whole_test(query: Query, plans: Sequence[Condition]) -> Test:
    """Which of some whole rows fit."""
    fits = None if all(plan.is_exact for plan in plans) else _predicate(query)
    return lambda rows: [
        ok and (fits is None or row[9] or fits(_stored(row)))
        for ok, row in zip(_inside(query, rows, 7), rows, strict=True)
    ]


def _light_test(query: Query, plans: Sequence[Condition]) -> Test:
    """Which of some light rows fit."""
    fits = None if all(plan.is_exact for plan in plans) else _predicate(query)
    return lambda rows: [
        ok and (fits is None or row[3] or fits(_partly(row)))
        for ok, row in zip(_inside(query, rows, 1), rows, strict=True)
    ]


def _inside(query: Query, rows: Sequence[Any], column: int) -> list[bool]:
    """Which of the rows' centres lie within the restriction's areas; longitudes are in this column, latitudes in the next."""
    areas = None if query.restriction is None else query.restriction.areas
    if areas is None or not rows:
        return [True] * len(rows)
    lons, lats = [row[column] for row in rows], [row[column + 1] for row in rows]
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
