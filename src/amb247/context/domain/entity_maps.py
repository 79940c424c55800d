"""Entity maps: which entities a query found and where, kept for a while so that all its pages are of the same entities.

Works in the present tenant. What a map names is only ever read with the reader's own reach and the query's own filters.

References
----------
ETSI GS CIM 009 v1.9.1, 5.2.39 (data type), 5.5.9.3 (pagination), 5.5.14, 5.14.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from django.db import connection, transaction

from amb247.context.documents.registration import duration_s
from amb247.context.documents.times import time_text
from amb247.context.ngsi_errors import BadRequestData, ResourceNotFound

Json = Any
Kind = Literal["entities", "temporal"]

HERE: Final = "@none"  # an entity, or part of it, that is in the own store
DEFAULT_LIFETIME: Final = timedelta(minutes=10)
LONGEST_LIFETIME: Final = timedelta(days=1)
MOST_OF_ONE: Final = 100  # maps of one owner; the oldest give way
ALL: Final = "(%s::text IS NULL OR owner = %s)"


@dataclass(frozen=True, slots=True)
class EntityMap:
    """Ids of entities, in the order of the query, each with the registrations whose sources have it (`HERE`: we do)."""

    id: str
    kind: Kind
    expires_at: datetime
    entries: Mapping[str, Sequence[str]]


def lifetime_of(text: str | None) -> timedelta:
    """The life that is wished for (ISO 8601), as far as we allow it.

    Raises
    ------
    BadRequestData
    """
    if text is None:
        return DEFAULT_LIFETIME
    wished_s = duration_s(text)
    if not wished_s > 0:
        raise BadRequestData("entityMapLifetime: send a duration such as PT10M.")
    return timedelta(seconds=min(wished_s, LONGEST_LIFETIME.total_seconds()))


def create(entries: Mapping[str, Sequence[str]], *, kind: Kind, owner: str, lifetime: timedelta) -> EntityMap:
    now = datetime.now(UTC)
    made = EntityMap(f"urn:ngsi-ld:EntityMap:{uuid.uuid4()}", kind, now + lifetime, dict(entries))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO context_entity_map (id, owner, kind, created_at, expires_at) VALUES (%s, %s, %s, %s, %s)",
            [made.id, owner, kind, now, made.expires_at],
        )
        cursor.executemany(
            "INSERT INTO context_entity_map_entry (map_id, place, entity_id, sources) VALUES (%s, %s, %s, %s)",
            [(made.id, place, *entry) for place, entry in enumerate(_rows(entries))],
        )
        cursor.execute(
            "DELETE FROM context_entity_map WHERE id IN (SELECT id FROM context_entity_map WHERE owner = %s "
            "ORDER BY created_at DESC, id OFFSET %s)",
            [owner, MOST_OF_ONE],
        )
    return made


def _rows(entries: Mapping[str, Sequence[str]]) -> list[tuple[str, list[str]]]:
    return [(entity_id, list(sources)) for entity_id, sources in entries.items()]


def get(map_id: str, *, owner: str | None) -> EntityMap:
    """A map that has not ended. With `owner` those of others are as if they were not there.

    Raises
    ------
    ResourceNotFound
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, kind, expires_at FROM context_entity_map WHERE id = %s AND expires_at > now() AND {ALL}",
            [map_id, owner, owner],
        )
        row = cursor.fetchone()
        if row is None:
            raise ResourceNotFound(f"There is no entity map {map_id}.")
        cursor.execute(
            "SELECT entity_id, sources FROM context_entity_map_entry WHERE map_id = %s ORDER BY place",
            [map_id],
        )
        return EntityMap(row[0], row[1], row[2], dict(cursor.fetchall()))


def change(map_id: str, raw: Json, *, owner: str | None) -> None:
    """Put off its end, or bring it forward; all else that a client may send is ours to say (5.5.14).

    Raises
    ------
    BadRequestData, ResourceNotFound
    """
    if not isinstance(raw, dict):
        raise BadRequestData("An entity map is a JSON object.")
    if raw.get("type", "EntityMap") != "EntityMap":
        raise BadRequestData('type: must be "EntityMap".')
    if raw.get("id", map_id) != map_id:
        raise BadRequestData("id: cannot be changed.")
    until = raw.get("expiresAt")
    get(map_id, owner=owner)
    if until is None:
        return
    moment = _moment(until)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE context_entity_map SET expires_at = %s WHERE id = %s",
            [min(moment, datetime.now(UTC) + LONGEST_LIFETIME), map_id],
        )


def _moment(text: Json) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment > datetime.now(UTC):
            return moment
    except (TypeError, ValueError):  # also of a moment without time zone
        pass
    raise BadRequestData("expiresAt: send a date and time to come, such as 2030-01-01T00:00:00Z.")


def delete(map_id: str, *, owner: str | None) -> None:
    get(map_id, owner=owner)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM context_entity_map WHERE id = %s", [map_id])


def remove(map_id: str, entity_ids: Sequence[str]) -> None:
    """Take out entities that no longer fit the query (5.5.9.3)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM context_entity_map_entry WHERE map_id = %s AND entity_id = ANY(%s)",
            [map_id, list(entity_ids)],
        )


def forget_ended() -> int:
    """Delete the maps of the present tenant that have ended; how many they were."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM context_entity_map WHERE expires_at <= now()")
        return int(cursor.rowcount)


def represent(one: EntityMap) -> Json:
    """5.2.39. `linkedMaps` is empty: sources are asked by ids, no maps are made at them."""
    return {
        "id": one.id,
        "type": "EntityMap",
        "expiresAt": time_text(one.expires_at),
        "entityMap": {entity_id: list(sources) for entity_id, sources in one.entries.items()},
        "linkedMaps": {},
    }
