"""Entities that end by themselves: at their `expiresAt` they are deleted like by anybody, so that subscribers are told."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connection

from amb247.context.domain.writing import Writing, finish, remove_entity, write

PORTION = 1_000


def remove_expired(*, now: datetime | None = None) -> int:
    """Delete every entity of the present tenant whose end has come; how many they were. Idempotent.

    References
    ----------
    ETSI GS CIM 009 v1.8.1, 4.5.2 and 5.2.4 (`expiresAt`).
    """
    moment = now or datetime.now(UTC)
    removed = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM context_entity WHERE expires_at <= %s ORDER BY expires_at LIMIT %s",
                [moment, PORTION],
            )
            ids = [entity_id for (entity_id,) in cursor.fetchall()]
        if not ids:
            return removed
        removed += write(ids, lambda writing: _remove(writing, moment), source="expiresAt")


def _remove(writing: Writing, moment: datetime) -> int:
    count = 0
    for pending in writing.pending.values():
        if (
            pending.expires is not None and pending.expires <= moment.timestamp() * 1e6
        ):  # not put off meanwhile
            remove_entity(writing, pending)
            finish(writing, pending)
            count += 1
    return count
