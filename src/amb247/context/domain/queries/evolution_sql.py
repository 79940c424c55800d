"""SQL of the temporal evolution, put together from the temporal query. Rows of the history have the alias h."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from amb247.context.documents.temporal import brief
from amb247.context.querying.temporal import TemporalQuery
from amb247.context.stored import Instance

Parameters = dict[str, Any]


def named(text: str, values: Sequence[Any], *, prefix: str) -> tuple[str, Parameters]:
    """The same SQL with named parameters, so that it can stand beside others."""
    pieces = text.split("%s")
    made = pieces[0]
    for number, piece in enumerate(pieces[1:]):
        made += f"%({prefix}{number})s{piece}"
    return made, {f"{prefix}{number}": value for number, value in enumerate(values)}


def time_of(temporal: TemporalQuery) -> str:
    """The time of a row that the query is about."""
    if temporal.timeproperty == "modifiedAt":
        return "h.modified_at"
    if temporal.timeproperty == "createdAt":
        return "coalesce(h.created_at, h.modified_at)"
    return "h.at"


CONVEYS = {
    "observedAt": "h.observed AND NOT h.deleted",
    "createdAt": "NOT h.deleted",
    "modifiedAt": "NOT h.deleted",
    "deletedAt": "h.deleted",
    None: "true",
}


def within(temporal: TemporalQuery) -> str:
    """Whether a row conveys the time property, within the interval."""
    return f"{CONVEYS[temporal.timeproperty]}{_interval(time_of(temporal), temporal)}"


def _interval(time: str, temporal: TemporalQuery) -> str:
    text = "" if temporal.start is None else f" AND {time} >= %(start)s"
    return text if temporal.end is None else f"{text} AND {time} < %(end)s"


def has_hours(temporal: TemporalQuery) -> bool:
    """Whether hourly figures can answer: they outlast the instances that they were made of."""
    return (
        bool(temporal.methods)
        and temporal.timeproperty == "observedAt"
        and "distinctCount" not in temporal.methods
    )


def hours_within(temporal: TemporalQuery) -> str:
    """Whether an hourly figure (alias k) may be of the interval."""
    return f"true{_interval('k.hour', temporal)}"


def series(temporal: TemporalQuery, attributes: Sequence[str] | None) -> str:
    """The table expression `series (id, attribute)`: what is to be read, for WITH RECURSIVE.

    Ids and attributes are arrays because PostgreSQL knows how many those hold: expecting many series, it would read the
    whole city's history at once. Without a list of attributes it jumps through the primary key from one attribute of an
    entity to the next.
    """
    if attributes is not None:
        return (
            "series AS (SELECT i.id, a.attribute FROM unnest(%(ids)s::text[]) i (id)"
            " CROSS JOIN unnest(%(attributes)s::text[]) a (attribute))"
        )
    at = _interval("h.at", temporal) if time_of(temporal) == "h.at" else ""
    return (
        f"series AS (SELECT i.id, {_next_attribute('i.id', at, '', temporal)} AS attribute"
        " FROM unnest(%(ids)s::text[]) i (id)"
        f" UNION ALL SELECT s.id, {_next_attribute('s.id', at, ' > s.attribute', temporal)}"
        " FROM series s WHERE s.attribute IS NOT NULL)"
    )


def _next_attribute(owner: str, at: str, beyond: str, temporal: TemporalQuery) -> str:
    later = f" AND h.attribute{beyond}" if beyond else ""
    taken = (
        f"(SELECT h.attribute FROM context_history h WHERE h.entity_id = {owner}{later}{at}"
        " ORDER BY h.attribute LIMIT 1)"
    )
    if not has_hours(temporal):
        return taken
    later = f" AND k.attribute{beyond}" if beyond else ""
    rolled = (
        f"(SELECT k.attribute FROM context_hour k WHERE k.entity_id = {owner}{later} AND {hours_within(temporal)}"
        " ORDER BY k.attribute LIMIT 1)"
    )
    return f"least({taken}, {rolled})"  # nulls do not count


def state_times(temporal: TemporalQuery) -> bool:
    """Whether what lives in the state alone conveys the time property: it was created, never observed or deleted."""
    return temporal.timeproperty in {None, "createdAt", "modifiedAt"}


BORN = "coalesce((one->>'createdAt')::timestamptz, e.created_at)"


def unrecorded_of(alias: str, temporal: TemporalQuery) -> str:
    """Instances of one entity (alias e) that have no row of history: never observed, never changed (`is_unrecorded`).

    Ends in a WHERE clause; gives a.key and one.
    """
    return (
        f"jsonb_each({alias}.doc) a CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(a.value)"
        " WHEN 'array' THEN a.value ELSE jsonb_build_array(a.value) END) one"
        f" WHERE NOT one ? 'observedAt' AND NOT one ? 'modifiedAt'{_interval(BORN, temporal)}"
    )


def unrecorded(temporal: TemporalQuery, attributes: Sequence[str] | None, dataset_ids: Sequence[str]) -> str:
    """Rows (id, attribute, t, dataset_id, instance) of the page's entities that live in the state alone."""
    of_names = "" if attributes is None else " AND a.key = ANY(%(attributes)s::text[])"
    of_datasets = " AND coalesce(one->>'datasetId', '') = ANY(%(datasets)s)" if dataset_ids else ""
    return (
        f"SELECT e.id, a.key AS attribute, {BORN} AS t, coalesce(one->>'datasetId', '') AS dataset_id,"
        f" one - 'createdAt' AS instance FROM context_entity e CROSS JOIN LATERAL {unrecorded_of('e', temporal)}"
        f" AND e.id = ANY(%(ids)s::text[]){of_names}{of_datasets}"
    )


def instances(temporal: TemporalQuery, attributes: Sequence[str] | None, dataset_ids: Sequence[str]) -> str:
    """The instances of a page in the order of time, up to the horizon (see `evolution._rows`).

    Times come as PostgreSQL writes them (`written`): making a datetime of each costs more than all the rest.
    """
    way = "DESC" if temporal.last_n is not None else "ASC"
    edge, beyond = ("max(least)", ">") if temporal.last_n is not None else ("min(most)", "<")
    of_datasets = " AND h.dataset_id = ANY(%(datasets)s)" if dataset_ids else ""
    kind = KIND_OF_DELETED if temporal.timeproperty in {None, "deletedAt"} else "NULL"
    state = ""
    if state_times(temporal):
        state = (
            " UNION ALL SELECT u.id, u.attribute, u.t, u.t, NULL, u.t, u.t, false, u.dataset_id, false,"
            f" NULL, NULL, u.instance::text, NULL FROM ({unrecorded(temporal, attributes, dataset_ids)}) u"
        )
    return (
        f"WITH RECURSIVE {series(temporal, attributes)}, taken AS ("
        " SELECT s.id, s.attribute, x.* FROM series s CROSS JOIN LATERAL ("
        f" SELECT {time_of(temporal)} AS t, h.at, h.seq, coalesce(h.created_at, h.modified_at) AS created,"
        " h.modified_at, h.observed, h.dataset_id, h.deleted, h.num, h.unit, h.instance::text AS instance,"
        f" {kind} AS kind FROM context_history h WHERE h.entity_id = s.id AND h.attribute = s.attribute"
        f" AND {within(temporal)}{of_datasets} ORDER BY t {way}, h.seq {way} LIMIT %(each)s) x),"
        f" edge AS (SELECT (SELECT {edge} FROM (SELECT min(t) AS least, max(t) AS most FROM taken"
        " GROUP BY id, attribute HAVING count(*) >= %(cut_at)s) cut) AS horizon)"
        " SELECT r.id, r.attribute, r.t::text, r.at::text, r.seq, r.created::text, r.modified_at::text, r.observed,"
        " r.dataset_id, r.deleted, r.num, r.unit, r.instance, r.kind, edge.horizon::text"
        f" FROM edge LEFT JOIN (SELECT * FROM taken{state}) r"
        f" ON edge.horizon IS NULL OR r.t {beyond} edge.horizon"
        f" ORDER BY r.t {way}, r.id, r.attribute, r.seq {way} LIMIT %(limit)s"
    )


# A row of deletion does not say of what kind the deleted one was; the last instance before it does.
KIND_OF_DELETED = (
    "CASE WHEN h.deleted THEN (SELECT coalesce(p.instance->>'type', 'Property') FROM context_history p"
    " WHERE p.entity_id = h.entity_id AND p.attribute = h.attribute AND p.at <= h.at AND NOT p.deleted"
    " ORDER BY p.at DESC, p.seq DESC LIMIT 1) END"
)


def valid_instances(temporal: TemporalQuery) -> str:
    """Instances of given attributes: of rank 1 those in the interval, of 2 the last before it, of 3 the unrecorded state.

    Instances that say the same value at other times are given once.
    """
    time = time_of(temporal)
    conveys = CONVEYS["createdAt"] if temporal.timeproperty == "deletedAt" else CONVEYS[temporal.timeproperty]
    own = " AND h.entity_id = s.id AND h.attribute = s.attribute"
    columns = "h.deleted, h.num, h.unit, h.instance, h.dataset_id"
    before = ""
    if temporal.start is not None:
        before = (
            f" UNION ALL (SELECT 2, {columns}, h.at FROM context_history h"
            f" WHERE ({conveys} OR h.deleted) AND {time} < %(start)s{own} ORDER BY {time} DESC, h.seq DESC LIMIT 1)"
        )
    everything = TemporalQuery()
    return (
        f"WITH {series(temporal, ())} SELECT s.id, s.attribute, x.rank, x.deleted, x.num, x.unit, x.instance::text,"
        " x.dataset_id, x.at::text FROM series s CROSS JOIN LATERAL ("
        f" (SELECT DISTINCT ON (h.num, h.unit, h.dataset_id, h.instance - 'observedAt') 1 AS rank, {columns}, h.at"
        f" FROM context_history h WHERE {conveys}{_interval(time, temporal)}{own}){before}) x"
        " UNION ALL SELECT u.id, u.attribute, 3, false, NULL, NULL, u.instance::text, u.dataset_id, u.t::text"
        f" FROM ({unrecorded(everything, (), ())}) u"
    )


def moment_of(raw: str) -> datetime:
    """The moment that PostgreSQL wrote."""
    return datetime.fromisoformat(raw).astimezone(UTC)


def written(raw: str) -> str:
    """A time as PostgreSQL writes it, as the standard has it: in UTC, fractions of three or six digits."""
    if raw[-3:] != "+00" or raw[10] != " ":  # a session in another zone; or a year of more digits
        return brief(moment_of(raw))
    fraction = raw[20:-3]
    if not fraction:
        return f"{raw[:10]}T{raw[11:-3]}Z"
    return f"{raw[:10]}T{raw[11:20]}{fraction.ljust(3 if len(fraction) <= 3 else 6, '0')}Z"


def instance_of(
    number: float | None, unit: str | None, instance: str | None, dataset: str, observed: str | None
) -> Instance:
    """The normalized instance of a row; numbers that are whole come back as such, whether sent as 12 or 12.0."""
    if instance is not None:
        made: Instance = orjson.loads(instance)
    else:
        assert number is not None
        made = {"type": "Property", "value": int(number) if number.is_integer() else number}
        if unit is not None:
            made["unitCode"] = unit
    if observed is not None:
        made["observedAt"] = written(observed)
    else:
        made.pop("observedAt", None)
    if dataset:
        made["datasetId"] = dataset
    return made
