"""Which entities a temporal query finds: those with data in its interval, of the state and of the past, that it describes.

What SQL can decide (ids, types, scopes, the interval) it decides. `q`, geo-queries and areas are decided by the same
predicates as for subscriptions (`querying.matching`), on a document made of the instances of the interval; SQL leaves out
before what the state alone already shows to be wrong.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import connection

from amb247.context.domain.queries import evolution_sql as sql
from amb247.context.domain.queries.candidates_sql import (
    COLUMNS,
    PAST,
    STATE,
    condition_of,
    described,
    looked_at,
    named,
    planned,
)
from amb247.context.domain.queries.evolution_sql import Parameters, instance_of
from amb247.context.domain.queries.reading import TIME_LIMIT_S, time_is_over_at
from amb247.context.ngsi_errors import BadRequestData, TooComplexQuery
from amb247.context.querying.matching import in_areas, matcher
from amb247.context.querying.query import Path, Query
from amb247.context.querying.temporal import TemporalQuery
from amb247.context.stored import Instance, Stored

FIRST_CHUNK, CHUNK = 64, 1_000
Row = tuple[str, list[str], list[str], datetime, datetime, datetime | None]


def page_of(query: Query, temporal: TemporalQuery, attributes: Sequence[str] | None) -> list[Row]:
    """The entities from `offset` on, at most `limit`, by id."""
    condition, parameters = condition_of(query, temporal, attributes)
    if not _is_inexact(query):
        rows = _fetch(condition, parameters, way=_way(query), limit=query.limit, offset=query.offset)
        return [row[:6] for row in rows]
    page: list[Row] = []
    for number, row in enumerate(_matching(query, temporal, condition, parameters, until=time_is_over_at())):
        if number >= query.offset + query.limit:
            break
        if number >= query.offset:
            page.append(row)
    return page


def every(query: Query, temporal: TemporalQuery, attributes: Sequence[str] | None) -> Iterator[list[Row]]:
    """All entities by id, in chunks that are read as they are asked for."""
    condition, parameters = condition_of(query, temporal, attributes)
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
    condition, parameters = condition_of(query, temporal, attributes)
    if _is_inexact(query):
        return sum(1 for _ in _matching(query, temporal, condition, parameters, until=time_is_over_at()))
    with connection.cursor() as cursor:
        counts = [f"(SELECT count(*) FROM {source} e WHERE {condition})" for source in (STATE, PAST)]
        cursor.execute(f"SELECT {' + '.join(counts)}", parameters)
        return int(cursor.fetchone()[0])


def one_of(entity_id: str, query: Query) -> Row | None:
    """An entity by its id, whether or not it has data; None when it is unknown or the reader may not see it."""
    alone = Query(ids=(entity_id,), restriction=query.restriction)
    condition, parameters = named(planned(alone), prefix="w")
    rows = [row for row in _fetch(condition, parameters) if _is_seen(alone, row)]
    return rows[0][:6] if rows else None


def _is_inexact(query: Query) -> bool:
    """Whether Python has the last word."""
    return query.q is not None or query.geo is not None or not planned(described(query)).is_exact


def _is_seen(query: Query, row: Any) -> bool:
    areas = None if query.restriction is None else query.restriction.areas
    return areas is None or (row[6] is not None and in_areas(areas, row[6], row[7]))


def _fetch(
    condition: str, parameters: Parameters, *, way: str = "", limit: int = 1, offset: int = 0
) -> list[Any]:
    """Of the state and of the past each the first by id, then the first of both: so each follows its index."""
    parts = [
        f"(SELECT {COLUMNS}, (center(e.bbox))[0] AS lon, (center(e.bbox))[1] AS lat FROM {source} e"
        f" WHERE {condition} ORDER BY e.id{way} LIMIT %(upto)s)"
        for source in (STATE, PAST)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"{' UNION ALL '.join(parts)} ORDER BY id{way} LIMIT %(limit)s OFFSET %(offset)s",
            {**parameters, "upto": limit + offset, "limit": limit, "offset": offset},
        )
        return list(cursor.fetchall())


def _way(query: Query) -> str:
    """The only order that a temporal query may ask for is by id (5.7.4.4)."""
    for order in query.order_by:
        if order.path != Path("id"):
            raise BadRequestData("orderBy: temporal queries are ordered by id alone.")
    return " DESC" if query.order_by and query.order_by[0].descending else ""


def _chunks(query: Query, condition: str, parameters: Parameters) -> Iterator[list[Any]]:
    """Candidates by id. The first read is for a small page, the next ones grow: most pages need no second."""
    way, after, size = _way(query), None, FIRST_CHUNK
    beyond = "<" if way else ">"
    while True:
        rows = _fetch(
            f"({condition}) AND (%(after)s::text IS NULL OR e.id {beyond} %(after)s)",
            {**parameters, "after": after},
            way=way,
            limit=size,
        )
        if rows:
            yield rows
        if len(rows) < size:
            return
        after, size = rows[-1][0], min(size * 4, CHUNK)


def _matching(
    query: Query, temporal: TemporalQuery, condition: str, parameters: Parameters, *, until: float = math.inf
) -> Iterator[Row]:
    """Those that fit, in the order of ids; `until` (of `time.monotonic`) also ends a search that finds nothing."""
    names = sorted(looked_at(query))
    fits = matcher(replace(query, attrs=(), restriction=None, order_by=()))
    for rows in _chunks(query, condition, parameters):
        seen = [row for row in rows if _is_seen(query, row)]
        documents = _documents([row[0] for row in seen], names, temporal)
        for row in seen:
            if time.monotonic() > until:
                raise TooComplexQuery(
                    f"The query took longer than {TIME_LIMIT_S:g} s; narrow it by type, id, place or time."
                )
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
    rows = [row for row in rows if not row[3]]  # what was deleted by then
    ranks: dict[tuple[str, str], int] = {}
    for entity_id, name, rank, *_ in rows:
        ranks[entity_id, name] = min(rank, ranks.get((entity_id, name), rank))
    found: dict[str, dict[str, list[Instance]]] = {}
    for entity_id, name, rank, _, number, unit, instance, dataset, at in rows:
        if rank == ranks[entity_id, name]:
            made = instance_of(number, unit, instance, dataset, at)
            found.setdefault(entity_id, {}).setdefault(name, []).append(made)
    return found
