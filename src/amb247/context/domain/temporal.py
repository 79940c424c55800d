"""Writing the past: instances of attributes that were, are corrected, or never should have been.

What is written here is history alone. The current state of an entity does not change by it, whatever the times of the
instances; an entity that the state does not know is remembered in `context_past`. Every function is one transaction.

References
----------
ETSI GS CIM 009 v1.8.1, 5.6.11 to 5.6.16.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction

from amb247.context.documents.parse import Parsed
from amb247.context.documents.temporal import INSTANCE_ID
from amb247.context.documents.times import time_text
from amb247.context.domain.partitions import ensure_partitions
from amb247.context.domain.places import box_of, cell_of
from amb247.context.domain.queries import evolution
from amb247.context.domain.writing import HISTORY_COPY, history_line, mark_hours
from amb247.context.ngsi_errors import BadRequestData, Forbidden, ResourceNotFound
from amb247.context.querying.query import Query, Restriction
from amb247.context.stored import Instance

EARLIEST = "1900-01-01"
AHEAD = timedelta(days=366)  # predictions are welcome, a partition for each day of the millennium is not
NUMBERED = re.compile(rf"{INSTANCE_ID}([1-9][0-9]{{0,17}})\Z")

# Says whether the caller may make an entity of these types with these attributes (of which `location` matters). What
# exists already may be written by whoever may see it: `restriction`.
Guard = Callable[[Sequence[str], Mapping[str, Any]], bool]


def anyone(_types: Sequence[str], _attributes: Mapping[str, Any]) -> bool:
    return True


def upsert_evolution(
    parsed: Parsed, *, restriction: Restriction | None = None, guard: Guard = anyone
) -> bool:
    """5.6.11: make the temporal evolution of an entity, or add instances to it; whether it is new.

    Raises
    ------
    BadRequestData
        It is new and has no type, or a time is out of reach.
    Forbidden
        The writer's token does not reach there.
    """
    assert parsed.id is not None
    with transaction.atomic():
        if _head(parsed.id, restriction) is not None:
            _add(parsed.id, parsed)
            return False
        if not parsed.types:
            raise BadRequestData("type: is missing; a new entity has at least one.")
        if not guard(parsed.types, parsed.attributes):
            raise Forbidden("This token may not write an entity of this type at this place.")
        now = datetime.now(UTC)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO context_past (id, type, scope, created_at, modified_at, bbox, cell)"
                " VALUES (%s, %s, %s, %s, %s, box(point(%s, %s), point(%s, %s)), %s) ON CONFLICT (id) DO NOTHING",
                [parsed.id, parsed.types, _scope_of(parsed), now, now, *_place_of(parsed.attributes)],
            )
            if not cursor.rowcount:
                # Made by another meanwhile, or not to be seen by this writer.
                if _head(parsed.id, restriction) is None:
                    raise Forbidden(f"This token may not write to {parsed.id}.")
                _add(parsed.id, parsed)
                return False
            cursor.execute("SELECT EXISTS (SELECT FROM context_entity WHERE id = %s)", [parsed.id])
            if cursor.fetchone()[0]:
                raise Forbidden(f"This token may not write to {parsed.id}.")
        _write(parsed.id, parsed.attributes, now)
    return True


def add_instances(entity_id: str, parsed: Parsed, *, restriction: Restriction | None = None) -> None:
    """5.6.12: add instances to an evolution that exists.

    Raises
    ------
    ResourceNotFound, BadRequestData
    """
    with transaction.atomic():
        _known(entity_id, restriction)
        _add(entity_id, parsed)


def delete_attribute(
    entity_id: str,
    name: str,
    *,
    dataset_id: str | None = None,
    every: bool = False,
    restriction: Restriction | None = None,
) -> None:
    """5.6.13: remove an attribute's instances of one datasetId (None: the default ones), or of every one.

    The current value, if the entity has a state, stays in the state.

    Raises
    ------
    ResourceNotFound
        No such entity, attribute or datasetId.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        _known(entity_id, restriction)
        condition = "" if every else " AND dataset_id = %s"
        values = [entity_id, name] if every else [entity_id, name, dataset_id or ""]
        cursor.execute(
            f"DELETE FROM context_history WHERE entity_id = %s AND attribute = %s{condition} RETURNING at",
            values,
        )
        hours = {_hour(at) for (at,) in cursor.fetchall()}
        if not hours and not _is_in_state(entity_id, name, None if every else dataset_id or ""):
            named = "" if every or dataset_id is None else f" with datasetId {dataset_id}"
            raise ResourceNotFound(f"The temporal evolution of {entity_id} has no attribute {name}{named}.")
        _forget_hours(cursor, entity_id, name, hours)


def replace_instance(
    entity_id: str,
    name: str,
    instance: str,
    given: Instance,
    *,
    restriction: Restriction | None = None,
) -> None:
    """5.6.14: put another instance in the place of one; it keeps its id and createdAt.

    Raises
    ------
    ResourceNotFound, BadRequestData
    """
    with transaction.atomic(), connection.cursor() as cursor:
        _known(entity_id, restriction)
        seq = _number(instance)
        cursor.execute(
            "DELETE FROM context_history WHERE entity_id = %s AND attribute = %s AND seq = %s"
            " RETURNING at, coalesce(created_at, modified_at)",
            [entity_id, name, seq],
        )
        row = cursor.fetchone()
        if row is None:
            raise _no_instance(entity_id, name, instance)
        now = datetime.now(UTC)
        created = time_text(row[1])
        # `history_line` takes the moment of an instance that was not observed for its time.
        line = history_line(entity_id, name, given, created)
        at = line.split("\t", 3)[2]
        _check_times([at], now)
        ensure_partitions(history=[date.fromisoformat(at[:10])])
        with cursor.copy(HISTORY_COPY.replace("deleted)", "deleted, seq, created_at)")) as copy:
            columns = line.rstrip("\n").split("\t")
            columns[3] = time_text(now)
            copy.write("\t".join([*columns, str(seq), created]) + "\n")
        _forget_hours(cursor, entity_id, name, {_hour(row[0]), at[:13]})


def delete_instance(
    entity_id: str,
    name: str,
    instance: str,
    *,
    restriction: Restriction | None = None,
) -> None:
    """5.6.15: remove one instance.

    Raises
    ------
    ResourceNotFound
    """
    with transaction.atomic(), connection.cursor() as cursor:
        _known(entity_id, restriction)
        cursor.execute(
            "DELETE FROM context_history WHERE entity_id = %s AND attribute = %s AND seq = %s RETURNING at",
            [entity_id, name, _number(instance)],
        )
        row = cursor.fetchone()
        if row is None:
            raise _no_instance(entity_id, name, instance)
        _forget_hours(cursor, entity_id, name, {_hour(row[0])})


def delete_evolution(entity_id: str, *, restriction: Restriction | None = None) -> None:
    """5.6.16: remove all that is remembered of an entity; its current state, if it has one, stays.

    Raises
    ------
    ResourceNotFound
    """
    with transaction.atomic(), connection.cursor() as cursor:
        _known(entity_id, restriction)
        cursor.execute("DELETE FROM context_past WHERE id = %s", [entity_id])
        cursor.execute("DELETE FROM context_history WHERE entity_id = %s", [entity_id])
        cursor.execute("DELETE FROM context_hour WHERE entity_id = %s", [entity_id])


def _head(entity_id: str, restriction: Restriction | None) -> evolution.Head | None:
    return evolution.head_of(entity_id, Query(restriction=restriction))


def _known(entity_id: str, restriction: Restriction | None) -> evolution.Head:
    head = _head(entity_id, restriction)
    if head is None:
        raise ResourceNotFound(f"There is no temporal evolution of {entity_id}.")
    return head


def _add(entity_id: str, parsed: Parsed) -> None:
    now = datetime.now(UTC)
    _write(entity_id, parsed.attributes, now)
    with connection.cursor() as cursor:
        # A thing of the state keeps its types, scope and place: those are state.
        cursor.execute(
            "UPDATE context_past SET modified_at = %s,"
            " type = type || ARRAY(SELECT t FROM unnest(%s::text[]) t WHERE t <> ALL (type)),"
            " scope = CASE WHEN %s THEN %s::text[] ELSE scope END,"
            " bbox = coalesce(box(point(%s, %s), point(%s, %s)), bbox), cell = coalesce(%s, cell)"
            " WHERE id = %s AND NOT EXISTS (SELECT FROM context_entity e WHERE e.id = context_past.id)",
            [
                now,
                parsed.types or [],
                isinstance(parsed.scope, list),
                _scope_of(parsed),
                *_place_of(parsed.attributes),
                entity_id,
            ],
        )


def _write(entity_id: str, attributes: Mapping[str, Any], now: datetime) -> None:
    stamp = time_text(now)
    lines = [
        history_line(entity_id, name, one, stamp)
        for name, instances in attributes.items()
        for one in (instances if isinstance(instances, list) else [instances])
    ]
    times = {line.split("\t", 3)[2] for line in lines}
    _check_times(times, now)
    ensure_partitions(history=sorted({date.fromisoformat(at[:10]) for at in times}))
    with connection.cursor() as cursor:
        with cursor.copy(HISTORY_COPY) as copy:
            copy.write("".join(lines))
        mark_hours(cursor, {at[:13] for at in times}, now)


def _check_times(times: Iterable[str], now: datetime) -> None:
    latest = time_text(now + AHEAD)
    for at in times:
        if not EARLIEST <= at <= latest:
            raise BadRequestData(f"observedAt: {at} is out of reach; use times from 1900 to a year ahead.")


def _forget_hours(cursor: Any, entity_id: str, name: str, hours: set[str]) -> None:
    """Drop the figures of hours that lost an instance; the marks see to it that they are made again."""
    if hours:
        cursor.execute(
            "DELETE FROM context_hour WHERE entity_id = %s AND attribute = %s AND hour = ANY(%s::timestamptz[])",
            [entity_id, name, [f"{hour}:00:00Z" for hour in sorted(hours)]],
        )
        mark_hours(cursor, hours, datetime.now(UTC))


def _hour(at: datetime) -> str:
    return time_text(at)[:13]


def _scope_of(parsed: Parsed) -> list[str]:
    return parsed.scope if isinstance(parsed.scope, list) else []


def _place_of(attributes: Mapping[str, Any]) -> tuple[Any, ...]:
    """West, south, east, north and cell of the newest location among the given."""
    given = attributes.get("location") or []
    places = [
        one for one in (given if isinstance(given, list) else [given]) if one.get("type") == "GeoProperty"
    ]
    if not places:
        return (None,) * 5
    newest = max(places, key=lambda one: one.get("observedAt", ""))
    box = box_of(newest["value"])
    return (*box, cell_of(*box))


def _is_in_state(entity_id: str, name: str, dataset_id: str | None) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT (doc -> %s)::text FROM context_entity WHERE id = %s", [name, entity_id])
        row = cursor.fetchone()
    if row is None or row[0] is None:
        return False
    stored = orjson.loads(row[0])
    return dataset_id is None or any(
        one.get("datasetId", "") == dataset_id for one in (stored if isinstance(stored, list) else [stored])
    )


def _number(instance: str) -> int:
    found = NUMBERED.match(instance)
    return int(found[1]) if found else 0


def _no_instance(entity_id: str, name: str, instance: str) -> ResourceNotFound:
    return ResourceNotFound(f"The attribute {name} of {entity_id} has no instance {instance}.")
