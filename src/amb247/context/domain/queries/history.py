"""Reads of what was: instances of one attribute, hourly figures, and the state at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from amb247.context.data import Hour, Observation
from amb247.context.documents.kinds import VALUE_KEY
from amb247.context.domain.writing import is_unrecorded

MAX_OBSERVATIONS = 100_000


def value_of(instance: dict[str, Any]) -> Any:
    """The value, object, language map ... of an instance, by its kind."""
    return instance.get(VALUE_KEY[instance["type"]])


def history(
    entity_id: str, attribute: str, start: datetime, end: datetime, *, limit: int
) -> list[Observation]:
    """The newest `limit` observations of the interval, in the order of time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT at, num, instance::text, deleted FROM context_history WHERE entity_id = %s AND attribute = %s "
            "AND at >= %s AND at < %s ORDER BY at DESC, seq DESC LIMIT %s",
            [entity_id, attribute, start, end, min(limit, MAX_OBSERVATIONS)],
        )
        rows = cursor.fetchall()
    if rows:
        return [_observation(*row) for row in reversed(rows)]
    return _unrecorded(entity_id, attribute, start, end)


def _unrecorded(entity_id: str, attribute: str, start: datetime, end: datetime) -> list[Observation]:
    """An attribute that was never observed and never changed: its state is its history (`writing.is_unrecorded`)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (doc->%s)::text, created_at FROM context_entity WHERE id = %s", [attribute, entity_id]
        )
        row = cursor.fetchone()
    stored = orjson.loads(row[0]) if row is not None and row[0] is not None else []
    found = [
        Observation(
            datetime.fromisoformat(one["createdAt"]) if "createdAt" in one else row[1].astimezone(UTC),
            value_of(one),
        )
        for one in (stored if isinstance(stored, list) else [stored])
        if is_unrecorded(one)
    ]
    return [one for one in found if start <= one.at < end]


def hourly(entity_id: str, attribute: str, start: datetime, end: datetime) -> list[Hour]:
    """Hourly figures of `[start, end)`: closed hours from the rollup, hours not rolled up yet from the history."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT hour, n, total / n, minimum, maximum FROM context_hour WHERE entity_id = %(id)s "
            "AND attribute = %(attribute)s AND hour >= %(start)s AND hour < %(end)s AND n > 0 "
            "AND hour NOT IN (SELECT hour FROM context_dirty_hour) "
            "UNION ALL "
            "SELECT d.hour, count(*), avg(h.num), min(h.num), max(h.num) FROM context_dirty_hour d "
            "JOIN context_history h ON h.at >= d.hour AND h.at < d.hour + interval '1 hour' "
            "WHERE d.hour >= %(start)s AND d.hour < %(end)s AND h.at >= %(start)s AND h.at < %(end)s "
            "AND h.entity_id = %(id)s AND h.attribute = %(attribute)s "
            "AND h.num IS NOT NULL AND NOT h.deleted GROUP BY d.hour ORDER BY 1",
            {"id": entity_id, "attribute": attribute, "start": start, "end": end},
        )
        return [Hour(*row) for row in cursor.fetchall()]


def last_before(
    entity_type: str, attribute: str, moment: datetime, *, window: timedelta
) -> dict[str, Observation]:
    """The last observation of one attribute of every entity of a type at a moment, none older than `window`.

    Returns
    -------
    dict
        Entity id -> its observation; entities that were deleted by then, or silent, are absent.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.id, h.at, h.num, h.instance::text, h.deleted FROM context_entity e CROSS JOIN LATERAL ("
            " SELECT at, num, instance, deleted FROM context_history WHERE entity_id = e.id AND attribute = %s"
            " AND at <= %s AND at > %s ORDER BY at DESC, seq DESC LIMIT 1) h WHERE e.type @> ARRAY[%s]",
            [attribute, moment, moment - window, entity_type],
        )
        rows = cursor.fetchall()
    found = {row[0]: _observation(*row[1:]) for row in rows}
    return {entity_id: one for entity_id, one in found.items() if not one.deleted}


def changed_after(attributes: Sequence[str], moment: datetime) -> list[tuple[str, str]]:
    """(entity id, attribute) of every instance taken after a moment: what to roll back to show that moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT entity_id, attribute FROM context_history WHERE at > %s AND attribute = ANY(%s)",
            [moment, list(attributes)],
        )
        return list(cursor.fetchall())


def values_at(pairs: Sequence[tuple[str, str]], moment: datetime) -> dict[tuple[str, str], Observation]:
    """The last observation of each (entity id, attribute) at or before a moment; absent when there was none."""
    if not pairs:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, p.attribute, h.at, h.num, h.instance::text, h.deleted "
            "FROM unnest(%s::text[], %s::text[]) AS p (id, attribute) CROSS JOIN LATERAL ("
            " SELECT at, num, instance, deleted FROM context_history WHERE entity_id = p.id"
            " AND attribute = p.attribute AND at <= %s ORDER BY at DESC, seq DESC LIMIT 1) h",
            [[one[0] for one in pairs], [one[1] for one in pairs], moment],
        )
        return {(row[0], row[1]): _observation(*row[2:]) for row in cursor.fetchall()}


def _observation(at: datetime, number: float | None, instance: str | None, deleted: bool) -> Observation:
    moment = at.astimezone(UTC)
    if deleted:
        return Observation(moment, None, deleted=True)
    if instance is None:
        return Observation(moment, number)
    return Observation(moment, value_of(orjson.loads(instance)))
