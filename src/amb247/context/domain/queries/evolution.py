"""Reads of the temporal evolution: which entities a temporal query finds, and their attributes' instances in its interval.

One statement finds the entities of a page, one reads all their instances. A long series is cut at a moment, for all
attributes alike, so that the next answer goes on there and nothing is lost or sent twice.

References
----------
ETSI GS CIM 009 v1.8.1, 4.11, 5.7.3, 5.7.4; 6.3.10 (pagination).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.db import connection

from amb247.context.documents.temporal import Evolution, Taken
from amb247.context.domain.queries.candidates import candidates
from amb247.context.domain.validate import VALUE_KEY, time_text
from amb247.context.ngsi_errors import TooManyResults
from amb247.context.querying.query import Query
from amb247.context.querying.temporal import TemporalQuery
from amb247.context.stored import Instance

MAX_INSTANCES = 10_000  # in one answer, over all entities and attributes
LEAST_OF_SERIES = 100
MAX_AT_ONCE = 100_000  # of one and the same moment, which cannot be cut
NULL = "urn:ngsi-ld:null"
TICK = timedelta(microseconds=1)


class Head(NamedTuple):
    """What is known of an entity beside its attributes."""

    id: str
    types: list[str]
    scope: list[str]
    created_at: datetime
    modified_at: datetime
    deleted_at: datetime | None


@dataclass(slots=True)
class Slice:
    """What one answer holds of the interval.

    Attributes
    ----------
    first, last : datetime or None
        The least and most recent moment among the instances; None when there are none.
    is_partial : bool
        Whether there is more: later than `last`, or earlier than `first` when the query has `last_n`.
    """

    evolutions: list[Evolution]
    first: datetime | None = None
    last: datetime | None = None
    is_partial: bool = False


def find_heads(
    query: Query, temporal: TemporalQuery, *, attributes: Sequence[str] | None = None
) -> list[Head]:
    """The page of entities that the query finds, in the order of ids.

    An entity is found when it has an instance of one of `attributes` (None: of any) in the interval and the other
    conditions hold; `q` and the geo-query look at the instances in the interval, and where an attribute has none there, at
    the one that was valid when the interval began (a lamp's place need not be observed each night to be found by it).
    """
    found = candidates(query, temporal, attributes)
    page: list[Head] = []
    for number, row in enumerate(found):
        if number < query.offset:
            continue
        if len(page) == query.limit:
            break
        page.append(Head(*row))
    return page


def count_heads(query: Query, temporal: TemporalQuery, *, attributes: Sequence[str] | None = None) -> int:
    """How many entities `find_heads` would find without limit and offset."""
    return sum(1 for _ in candidates(replace(query, offset=0), temporal, attributes))


def head_of(entity_id: str, query: Query | None = None) -> Head | None:
    """What is known of one entity, in the state or in the past alone; None when unknown or not to be seen.

    `query` carries the restriction of the reader.
    """
    asked = replace(query or Query(), ids=(entity_id,), q=None, geo=None, attrs=(), limit=1, offset=0)
    row = next(candidates(asked, None, None), None)
    return None if row is None else Head(*row)


def evolve(
    heads: Sequence[Head],
    temporal: TemporalQuery,
    *,
    attributes: Sequence[str] | None = None,
    dataset_ids: Sequence[str] = (),
    limit: int = MAX_INSTANCES,
) -> Slice:
    """The instances of these entities in the interval, at most `limit` of them.

    Parameters
    ----------
    attributes : sequence of str, optional
        Internal names; None: every attribute.
    dataset_ids : sequence of str
        Only instances with one of these; ``@none`` is the default instance. Empty: all.
    limit : int
        Those of one moment stay together: there may be more when a single moment has more.

    Raises
    ------
    TooManyResults
        More than 100,000 instances share one moment.
    """
    rows, horizon = _rows(heads, temporal, attributes, dataset_ids, limit)
    cut = horizon
    if len(rows) > limit:
        cut = rows[limit][2]
        rows = [row for row in rows if row[2] != cut and _is_before(row[2], cut, temporal)]
    if cut is not None and not rows:
        rows = _all_of(heads, temporal, attributes, dataset_ids, cut)
    evolutions = {head.id: Evolution(*head) for head in heads}
    for row in rows:
        taken = _taken(row)
        evolutions[row[0]].attributes.setdefault(row[1], []).append(taken)
    times = [row[2] for row in rows]
    return Slice(
        list(evolutions.values()),
        min(times, default=None),
        max(times, default=None),
        is_partial=cut is not None,
    )


def stream(
    heads: Iterator[list[Head]],
    temporal: TemporalQuery,
    *,
    attributes: Sequence[str] | None = None,
    dataset_ids: Sequence[str] = (),
) -> Iterator[Evolution]:
    """Every instance of many entities, a slice at a time: for answers that are written as they are read."""
    for chunk in heads:
        rest: TemporalQuery | None = temporal
        while rest is not None:
            part = evolve(chunk, rest, attributes=attributes, dataset_ids=dataset_ids)
            yield from part.evolutions
            rest = rest_of(rest, part)


def rest_of(temporal: TemporalQuery, part: Slice) -> TemporalQuery | None:
    """The query for what the slice left; None when it left nothing."""
    if not part.is_partial or part.first is None or part.last is None:
        return None
    if temporal.last_n is not None:
        return replace(temporal, end=part.first, relation="between" if temporal.start else "before")
    return replace(temporal, start=part.last + TICK, relation="between" if temporal.end else "after")


def _is_before(time: datetime, cut: datetime, temporal: TemporalQuery) -> bool:
    return time > cut if temporal.last_n is not None else time < cut


def _all_of(
    heads: Sequence[Head],
    temporal: TemporalQuery,
    attributes: Sequence[str] | None,
    dataset_ids: Sequence[str],
    moment: datetime,
) -> list[Any]:
    """Every instance of one moment."""
    at_once = replace(temporal, start=moment, end=moment + TICK)
    rows, horizon = _rows(heads, at_once, attributes, dataset_ids, MAX_AT_ONCE)
    if len(rows) > MAX_AT_ONCE or horizon is not None:
        raise TooManyResults(
            f"More than {MAX_AT_ONCE:,} instances carry the time {time_text(moment)}; ask for fewer entities (limit) "
            "or attributes (attrs)."
        )
    return rows


def _rows(
    heads: Sequence[Head],
    temporal: TemporalQuery,
    attributes: Sequence[str] | None,
    dataset_ids: Sequence[str],
    limit: int,
) -> tuple[list[Any], datetime | None]:
    """At most `limit` + 1 rows in the order of time (the newest first with `last_n`), and the horizon.

    Of each series at most `each` instances are read. The horizon is where the first of the series that have more was cut:
    only what lies before it is complete, and nothing else is given. None: no series was cut.
    """
    if not heads:
        return [], None
    width = len(heads) * len(attributes) if attributes is not None else len(heads) * 10
    each = min(max(4 * limit // max(width, 1), LEAST_OF_SERIES), limit + 1)
    is_cut = temporal.last_n is None or temporal.last_n > each
    with connection.cursor() as cursor:
        cursor.execute(
            _statement(temporal, attributes, dataset_ids),
            {
                "ids": orjson.dumps([head.id for head in heads]).decode(),
                "attributes": None if attributes is None else orjson.dumps(list(attributes)).decode(),
                "datasets": ["" if one == "@none" else one for one in dataset_ids],
                "start": temporal.start,
                "end": temporal.end,
                "each": each if is_cut else temporal.last_n,
                "cut_at": each if is_cut else None,
                "limit": limit + 1,
            },
        )
        rows = cursor.fetchall()
    horizon = rows[0][-1] if rows else None
    return [row for row in rows if row[2] is not None], horizon


def time_of(temporal: TemporalQuery | None) -> str:
    """SQL for the time of a row of the history (alias h) that the query is about."""
    if temporal is not None and temporal.timeproperty == "modifiedAt":
        return "h.modified_at"
    if temporal is not None and temporal.timeproperty == "createdAt":
        return "coalesce(h.created_at, h.modified_at)"
    return "h.at"


def within(temporal: TemporalQuery | None) -> str:
    """SQL: whether a row of the history (alias h) conveys the time property, within the interval."""
    if temporal is None:
        return "true"
    time = time_of(temporal)
    parts = {
        "observedAt": ["h.observed", "NOT h.deleted"],
        "createdAt": ["NOT h.deleted"],
        "modifiedAt": ["NOT h.deleted"],
        "deletedAt": ["h.deleted"],
        None: ["true"],
    }[temporal.timeproperty]
    if temporal.start is not None:
        parts.append(f"{time} >= %(start)s")
    if temporal.end is not None:
        parts.append(f"{time} < %(end)s")
    return " AND ".join(parts)


def bounds(temporal: TemporalQuery) -> str:
    """SQL: the part of `within` that picks partitions, for looks that only ask which attributes there are."""
    if time_of(temporal) != "h.at":
        return "true"
    parts = ["true"]
    if temporal.start is not None:
        parts.append("h.at >= %(start)s")
    if temporal.end is not None:
        parts.append("h.at < %(end)s")
    return " AND ".join(parts)


def series(temporal: TemporalQuery, attributes: Sequence[str] | None) -> str:
    """SQL of the table expression `series (id, attribute)`: what is to be read, for WITH RECURSIVE.

    Without a list of attributes it jumps through the primary key from one attribute of an entity to the next.
    """
    if attributes is not None:
        return (
            "series AS (SELECT i.id, a.attribute FROM jsonb_array_elements_text(%(ids)s::jsonb) i (id)"
            " CROSS JOIN jsonb_array_elements_text(%(attributes)s::jsonb) a (attribute))"
        )
    first = (
        f"(SELECT h.attribute FROM context_history h WHERE h.entity_id = {{0}} AND {bounds(temporal)}{{1}}"
        " ORDER BY h.attribute LIMIT 1)"
    )
    return (
        f"series AS (SELECT i.id, {first.format('i.id', '')} AS attribute"
        " FROM jsonb_array_elements_text(%(ids)s::jsonb) i (id)"
        f" UNION ALL SELECT s.id, {first.format('s.id', ' AND h.attribute > s.attribute')}"
        " FROM series s WHERE s.attribute IS NOT NULL)"
    )


def state_times(temporal: TemporalQuery | None) -> bool:
    """Whether what lives in the state alone conveys the time property: it was created, never observed or deleted."""
    return temporal is None or temporal.timeproperty in {None, "createdAt", "modifiedAt"}


# What was never observed and never changed has no row of history: its state is its history (`writing.is_unrecorded`).
UNRECORDED = """
    SELECT e.id, a.key AS attribute, coalesce((one->>'createdAt')::timestamptz, e.created_at) AS t,
           one->>'datasetId' AS dataset_id, one - 'createdAt' AS instance
    FROM context_entity e CROSS JOIN LATERAL jsonb_each(e.doc) a
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE jsonb_typeof(a.value) WHEN 'array' THEN a.value ELSE jsonb_build_array(a.value) END) one
    WHERE NOT one ? 'observedAt' AND NOT one ? 'modifiedAt'"""


def unrecorded(temporal: TemporalQuery, attributes: Sequence[str] | None, dataset_ids: Sequence[str]) -> str:
    """SQL of rows (id, attribute, t, dataset_id, instance) of the page's entities that live in the state alone."""
    parts = ["e.id IN (SELECT jsonb_array_elements_text(%(ids)s::jsonb))"]
    time = "coalesce((one->>'createdAt')::timestamptz, e.created_at)"
    if temporal.start is not None:
        parts.append(f"{time} >= %(start)s")
    if temporal.end is not None:
        parts.append(f"{time} < %(end)s")
    if attributes is not None:
        parts.append("a.key IN (SELECT jsonb_array_elements_text(%(attributes)s::jsonb))")
    if dataset_ids:
        parts.append("coalesce(one->>'datasetId', '') = ANY(%(datasets)s)")
    return f"{UNRECORDED} AND {' AND '.join(parts)}"


def _statement(
    temporal: TemporalQuery, attributes: Sequence[str] | None, dataset_ids: Sequence[str]
) -> str:
    way = "DESC" if temporal.last_n is not None else "ASC"
    edge, beyond = ("max(least_t)", ">") if way == "DESC" else ("min(most_t)", "<")
    dataset = " AND h.dataset_id = ANY(%(datasets)s)" if dataset_ids else ""
    # Of what kind the deleted one was, its last instance says.
    kind = (
        "CASE WHEN h.deleted THEN (SELECT coalesce(p.instance->>'type', 'Property') FROM context_history p"
        " WHERE p.entity_id = h.entity_id AND p.attribute = h.attribute AND p.at <= h.at AND NOT p.deleted"
        " ORDER BY p.at DESC, p.seq DESC LIMIT 1) END"
        if temporal.timeproperty in {None, "deletedAt"}
        else "NULL"
    )
    state = ""
    if state_times(temporal):
        state = (
            " UNION ALL SELECT u.id, u.attribute, u.t, u.t, NULL, u.t, u.t, false, coalesce(u.dataset_id, ''), false,"
            " NULL, NULL, u.instance::text, NULL"
            f" FROM ({unrecorded(temporal, attributes, dataset_ids)}) u"
        )
    return (
        f"WITH RECURSIVE {series(temporal, attributes)}, read AS ("
        " SELECT s.id, s.attribute, x.* FROM series s CROSS JOIN LATERAL ("
        f" SELECT {time_of(temporal)} AS t, h.at, h.seq, coalesce(h.created_at, h.modified_at) AS created, h.modified_at,"
        f" h.observed, h.dataset_id, h.deleted, h.num, h.unit, h.instance::text AS instance, {kind} AS kind"
        " FROM context_history h WHERE h.entity_id = s.id AND h.attribute = s.attribute"
        f" AND {within(temporal)}{dataset} ORDER BY t {way}, h.seq {way} LIMIT %(each)s) x"
        "), edge AS (SELECT (SELECT " + edge + " FROM (SELECT min(t) AS least_t, max(t) AS most_t FROM read"
        " GROUP BY id, attribute HAVING count(*) >= %(cut_at)s) cut) AS horizon)"
        f" SELECT r.*, edge.horizon FROM edge LEFT JOIN (SELECT * FROM read{state}) r"
        f" ON edge.horizon IS NULL OR r.t {beyond} edge.horizon"
        f" ORDER BY r.t {way}, r.id, r.attribute, r.seq {way} LIMIT %(limit)s"
    )


def _taken(row: Any) -> Taken:
    _, _, time, at, seq, created, modified, observed, dataset, deleted, number, unit, instance, kind, _ = row
    if deleted:
        made: Instance = {"type": kind or "Property"}
        made[VALUE_KEY[made["type"]]] = _null_of(made["type"])
    elif instance is not None:
        made = orjson.loads(instance)
    else:
        made = {"type": "Property", "value": int(number) if number.is_integer() else number}
        if unit is not None:
            made["unitCode"] = unit
    if observed:
        made["observedAt"] = time_text(at)
    else:
        made.pop("observedAt", None)
    if dataset:
        made["datasetId"] = dataset
    return Taken(time, made, created, modified, seq, deleted)


def _null_of(kind: str) -> Any:
    if kind == "LanguageProperty":
        return {"@none": NULL}
    if kind in {"ListProperty", "ListRelationship"}:
        return [NULL]
    return NULL
