"""Which entities a temporal query finds: those with data in its interval, of the state and of the past, that it describes.

What SQL can decide (ids, types, scopes, the interval) it decides. `q`, geo-queries and areas are decided by the same
predicates as for subscriptions (`querying.matching`), on a document made of the instances of the interval; SQL leaves out
before what the state alone already shows to be wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import connection

from amb247.context.domain.places import cells_condition
from amb247.context.domain.queries import evolution_sql as sql
from amb247.context.domain.queries.evolution_sql import Parameters, instance_of
from amb247.context.ngsi_errors import BadRequestData, TooComplexQuery
from amb247.context.querying.compile import Condition, plan
from amb247.context.querying.matching import in_areas, matcher
from amb247.context.querying.query import Path, Query, attributes_of, link_depth
from amb247.context.querying.temporal import TemporalQuery
from amb247.context.stored import Instance, Stored

CHUNK = 1_000
TIME_LIMIT_S = 2.0
Row = tuple[str, list[str], list[str], datetime, datetime, datetime | None]

KNOWN = """(
    SELECT id, type, scope, doc, bbox, cell, created_at, modified_at, expires_at, version,
           NULL::timestamptz AS deleted_at
    FROM context_entity
    UNION ALL
    SELECT p.id, p.type, p.scope, '{}'::jsonb, p.bbox, p.cell, p.created_at, p.modified_at, NULL, 0, p.deleted_at
    FROM context_past p WHERE NOT EXISTS (SELECT FROM context_entity x WHERE x.id = p.id)
) e"""
COLUMNS = "e.id, e.type, e.scope, e.created_at, e.modified_at, e.deleted_at"
MEMBERS = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "expiresAt"})


def page_of(query: Query, temporal: TemporalQuery, attributes: Sequence[str] | None) -> list[Row]:
    """The entities from `offset` on, at most `limit`, by id."""
    condition, parameters = _condition(query, temporal, attributes)
    if not _is_inexact(query):
        parameters |= {"limit": query.limit, "offset": query.offset}
        return [
            row[:6]
            for row in _fetch(
                f"{condition} ORDER BY e.id{_way(query)} LIMIT %(limit)s OFFSET %(offset)s", parameters
            )
        ]
    page: list[Row] = []
    for number, row in enumerate(_in_time(_matching(query, temporal, condition, parameters))):
        if number >= query.offset + query.limit:
            break
        if number >= query.offset:
            page.append(row)
    return page


def every(query: Query, temporal: TemporalQuery, attributes: Sequence[str] | None) -> Iterator[list[Row]]:
    """All entities by id, in chunks that are read as they are asked for."""
    condition, parameters = _condition(query, temporal, attributes)
    if _is_inexact(query):
        chunk: list[Row] = []
        for row in _matching(query, temporal, condition, parameters):
            chunk.append(row)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
        return
    for rows in _chunks(query, condition, parameters):
        yield [row[:6] for row in rows]


def count_of(query: Query, temporal: TemporalQuery, attributes: Sequence[str] | None) -> int:
    condition, parameters = _condition(query, temporal, attributes)
    if _is_inexact(query):
        return sum(1 for _ in _in_time(_matching(query, temporal, condition, parameters)))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {KNOWN} WHERE {condition}", parameters)
        return int(cursor.fetchone()[0])


def one_of(entity_id: str, query: Query) -> Row | None:
    """An entity by its id, whether or not it has data; None when it is unknown or the reader may not see it."""
    alone = Query(ids=(entity_id,), restriction=query.restriction)
    condition, parameters = _named(_planned(alone), prefix="w")
    rows = [row for row in _fetch(condition, parameters) if _is_seen(alone, row)]
    return rows[0][:6] if rows else None


def _in_time(rows: Iterator[Row]) -> Iterator[Row]:
    deadline = time.monotonic() + TIME_LIMIT_S
    for row in rows:
        if time.monotonic() > deadline:
            raise TooComplexQuery(
                f"The query took longer than {TIME_LIMIT_S:g} s; narrow it by type, id, place or time."
            )
        yield row


def _is_inexact(query: Query) -> bool:
    """Whether Python has the last word."""
    return query.q is not None or query.geo is not None or not _planned(_described(query)).is_exact


def _described(query: Query) -> Query:
    """The conditions that do not depend on attributes: they hold for what only the history knows as well."""
    return replace(query, q=None, geo=None, attrs=(), order_by=())


def _planned(query: Query) -> Condition:
    return plan(query, cells=cells_condition)


def _named(condition: Condition, *, prefix: str) -> tuple[str, Parameters]:
    return sql.named(condition.possible.text, condition.possible.params, prefix=prefix)


def _is_seen(query: Query, row: Any) -> bool:
    areas = None if query.restriction is None else query.restriction.areas
    return areas is None or (row[6] is not None and in_areas(areas, row[6], row[7]))


def _fetch(condition: str, parameters: Parameters) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS}, (center(e.bbox))[0], (center(e.bbox))[1] FROM {KNOWN} WHERE {condition}",
            parameters,
        )
        return list(cursor.fetchall())


def _way(query: Query) -> str:
    """The only order that a temporal query may ask for is by id (5.7.4.4)."""
    for order in query.order_by:
        if order.path != Path("id"):
            raise BadRequestData("orderBy: temporal queries are ordered by id alone.")
    return " DESC" if query.order_by and query.order_by[0].descending else ""


def _chunks(query: Query, condition: str, parameters: Parameters) -> Iterator[list[Any]]:
    way, after = _way(query), None
    beyond = "<" if way else ">"
    while True:
        rows = _fetch(
            f"({condition}) AND (%(after)s::text IS NULL OR e.id {beyond} %(after)s)"
            f" ORDER BY e.id{way} LIMIT %(chunk)s",
            {**parameters, "after": after, "chunk": CHUNK},
        )
        if rows:
            yield rows
        if len(rows) < CHUNK:
            return
        after = rows[-1][0]


def _condition(
    query: Query, temporal: TemporalQuery, attributes: Sequence[str] | None
) -> tuple[str, Parameters]:
    if link_depth(query.q):
        raise BadRequestData("q: conditions on linked entities are not for temporal queries (5.7.4.4).")
    text, parameters = _named(_planned(_described(query)), prefix="w")
    parameters |= {"start": temporal.start, "end": temporal.end, "names": list(attributes or ())}
    of_names = "" if attributes is None else " AND h.attribute = ANY(%(names)s)"
    has_data = f"EXISTS (SELECT FROM context_history h WHERE h.entity_id = e.id AND {sql.within(temporal)}{of_names})"
    if sql.has_hours(temporal):
        of_hours = "" if attributes is None else " AND k.attribute = ANY(%(names)s)"
        has_data = (
            f"({has_data} OR EXISTS (SELECT FROM context_hour k WHERE k.entity_id = e.id"
            f" AND {sql.hours_within(temporal)}{of_hours}))"
        )
    if sql.state_times(temporal):
        state = sql.unrecorded_of("e", temporal)
        of_keys = "" if attributes is None else " AND a.key = ANY(%(names)s)"
        has_data = f"({has_data} OR EXISTS (SELECT FROM {state}{of_keys}))"
    parts = [f"({text})", has_data]
    for one in _plausible(query):
        part, values = _named(_planned(one), prefix=f"p{len(parts)}_")
        names = sorted(_looked_at(one))
        parameters |= {**values, f"looked{len(parts)}": names}
        parts.append(
            f"(({part}) OR e.deleted_at IS NOT NULL OR e.version = 0"
            f" OR EXISTS (SELECT FROM unnest(%(looked{len(parts)})s::text[]) n (name)"
            " WHERE e.doc -> n.name ? 'observedAt' OR e.doc -> n.name ? 'modifiedAt'"
            " OR jsonb_typeof(e.doc -> n.name) IS DISTINCT FROM 'object')"
            " OR EXISTS (SELECT FROM context_history h WHERE h.entity_id = e.id"
            f" AND h.attribute = ANY(%(looked{len(parts)})s) AND {sql.within(temporal)}))"
        )
    return " AND ".join(parts), parameters


def _plausible(query: Query) -> list[Query]:
    """Conditions of which the state alone can show that they do not hold: of what was never observed and never changed."""
    plausible = []
    if query.geo is not None:
        plausible.append(Query(geo=query.geo))
    if query.q is not None and not attributes_of(query.q) & MEMBERS:
        plausible.append(Query(q=query.q))
    return plausible


def _looked_at(query: Query) -> frozenset[str]:
    names: frozenset[str] = frozenset() if query.q is None else attributes_of(query.q) - MEMBERS
    return names if query.geo is None else names | {query.geo.geoproperty}


def _matching(query: Query, temporal: TemporalQuery, condition: str, parameters: Parameters) -> Iterator[Row]:
    names = sorted(_looked_at(query))
    fits = matcher(replace(query, attrs=(), restriction=None, order_by=()))
    for rows in _chunks(query, condition, parameters):
        seen = [row for row in rows if _is_seen(query, row)]
        documents = _documents([row[0] for row in seen], names, temporal)
        for row in seen:
            if _fits(fits, row, documents.get(row[0], {})):
                yield row[:6]


def _fits(fits: Callable[[Stored], bool], row: Any, attributes: dict[str, list[Instance]]) -> bool:
    return fits(Stored(row[0], row[1], row[2], dict(attributes), created_at=row[3], modified_at=row[4]))


def _documents(
    ids: Sequence[str], names: Sequence[str], temporal: TemporalQuery
) -> dict[str, dict[str, list[Instance]]]:
    """Of each entity the instances of some attributes: in the interval, else the one valid when it began."""
    if not ids or not names:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            sql.valid_instances(temporal),
            {
                "ids": list(ids),
                "attributes": list(names),
                "start": temporal.start,
                "end": temporal.end,
            },
        )
        rows = cursor.fetchall()
    ranks: dict[tuple[str, str], int] = {}
    for entity_id, name, rank, *_ in rows:
        ranks[entity_id, name] = min(rank, ranks.get((entity_id, name), rank))
    found: dict[str, dict[str, list[Instance]]] = {}
    for entity_id, name, rank, deleted, number, unit, instance, dataset, at in rows:
        if rank == ranks[entity_id, name] and not deleted:
            made = instance_of(number, unit, instance, dataset, at)
            found.setdefault(entity_id, {}).setdefault(name, []).append(made)
    return found
