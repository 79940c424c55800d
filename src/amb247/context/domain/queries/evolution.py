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
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection

from amb247.context.documents.kinds import VALUE_KEY
from amb247.context.documents.temporal import Evolution, Taken, brief
from amb247.context.domain.queries import candidates
from amb247.context.domain.queries import evolution_sql as sql
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
    return [Head(*row) for row in candidates.page_of(query, temporal, attributes)]


def count_heads(query: Query, temporal: TemporalQuery, *, attributes: Sequence[str] | None = None) -> int:
    """How many entities `find_heads` would find without limit and offset."""
    return candidates.count_of(query, temporal, attributes)


def every_head(
    query: Query, temporal: TemporalQuery, *, attributes: Sequence[str] | None = None
) -> Iterator[list[Head]]:
    """All that `find_heads` would find, in chunks, for answers that are written as they are read."""
    for chunk in candidates.every(query, temporal, attributes):
        yield [Head(*row) for row in chunk]


def head_of(entity_id: str, query: Query) -> Head | None:
    """What is known of one entity, in the state or in the past alone; None when unknown or not to be seen.

    Of the query only the reader's restriction counts.
    """
    row = candidates.one_of(entity_id, query)
    return None if row is None else Head(*row)


def has_attribute(entity_id: str, names: Sequence[str]) -> bool:
    """Whether the entity has, or ever had, one of the attributes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM context_entity WHERE id = %s AND doc ?| %s) OR EXISTS (SELECT FROM unnest(%s::text[]) n (name)"
            " CROSS JOIN LATERAL (SELECT 1 FROM context_history WHERE entity_id = %s AND attribute = n.name LIMIT 1) h)",
            [entity_id, list(names), list(names), entity_id],
        )
        return bool(cursor.fetchone()[0])


def units_of(ids: Sequence[str]) -> dict[tuple[str, str], str]:
    """(entity id, attribute) -> the unit code of its present value, where it has one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.id, a.key, a.value->>'unitCode' FROM context_entity e CROSS JOIN LATERAL jsonb_each(e.doc) a"
            " WHERE e.id = ANY(%s) AND a.value ? 'unitCode'",
            [list(ids)],
        )
        return {(entity_id, name): unit for entity_id, name, unit in cursor.fetchall()}


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
        # Rows are in the order of time: those of the moment that does not fit wholly are the last.
        cut = rows[limit][2]
        while rows and rows[-1][2] == cut:
            rows.pop()
    if cut is not None and not rows:
        rows = _all_of(heads, temporal, attributes, dataset_ids, cut)
    evolutions = {head.id: Evolution(*head) for head in heads}
    for row in rows:
        instances = evolutions[row[0]].attributes.setdefault(row[1], [])
        if temporal.last_n is None or len(instances) < temporal.last_n:
            instances.append(_taken(row))
    ends = sorted(sql.moment_of(row[2]) for row in (rows[:1] + rows[-1:]))
    return Slice(
        list(evolutions.values()),
        ends[0] if ends else None,
        ends[-1] if ends else None,
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


def _all_of(
    heads: Sequence[Head],
    temporal: TemporalQuery,
    attributes: Sequence[str] | None,
    dataset_ids: Sequence[str],
    raw: str,
) -> list[Any]:
    """Every instance of one moment, as PostgreSQL wrote it."""
    moment = sql.moment_of(raw)
    at_once = replace(temporal, start=moment, end=moment + TICK)
    rows, horizon = _rows(heads, at_once, attributes, dataset_ids, MAX_AT_ONCE)
    if len(rows) > MAX_AT_ONCE or horizon is not None:
        raise TooManyResults(
            f"More than {MAX_AT_ONCE:,} instances carry the time {brief(moment)}; ask for fewer entities (limit) "
            "or attributes (attrs)."
        )
    return rows


def _rows(
    heads: Sequence[Head],
    temporal: TemporalQuery,
    attributes: Sequence[str] | None,
    dataset_ids: Sequence[str],
    limit: int,
) -> tuple[list[Any], str | None]:
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
            sql.instances(temporal, attributes, dataset_ids),
            {
                "ids": [head.id for head in heads],
                "attributes": None if attributes is None else list(attributes),
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


def _taken(row: Any) -> Taken:
    _, _, raw, at, seq, created, modified, observed, dataset, deleted, number, unit, instance, kind, _ = row
    time = sql.written(raw)
    if deleted:
        null = _null_of(kind or "Property", dataset)
        return Taken(time, null, _stamp(created), _stamp(modified), seq, deleted=True)
    made = sql.instance_of(number, unit, instance, dataset, at if observed else None)
    return Taken(time, made, _stamp(created), _stamp(modified), seq)


# What was taken together carries the same stamps.
_stamp = lru_cache(maxsize=1_024)(sql.written)


def _null_of(kind: str, dataset: str) -> Instance:
    null: Any = NULL
    if kind == "LanguageProperty":
        null = {"@none": NULL}
    elif kind in {"ListProperty", "ListRelationship"}:
        null = [NULL]
    made: Instance = {"type": kind, VALUE_KEY[kind]: null}
    return made | {"datasetId": dataset} if dataset else made
