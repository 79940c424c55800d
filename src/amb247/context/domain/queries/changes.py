"""Reads of the change feed."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import orjson

from amb247.context.data import Change, Cursor
from amb247.context.errors import CursorTooOld
from amb247.kernel.sql import statement


def newest(cursor: Any) -> Cursor:
    """The position behind all that is visible now: read the state after this, then the changes since."""
    cursor.execute("SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::bigint) - 1")
    return Cursor(int(cursor.fetchone()[0]), 2**63 - 1)


def read(cursor: Any, since: Cursor, *, limit: int) -> list[Change]:
    """Changes after a position, in order; `cursor` is any psycopg cursor (Django's, or the live hub's own)."""
    cursor.execute(
        statement("amb247.context", "read_changes"), {"tx": str(since.tx), "seq": since.seq, "limit": limit}
    )
    return [
        Change(Cursor(tx, seq), at.astimezone(UTC), op, entity_id, types, orjson.loads(attributes), source)
        for tx, seq, at, op, entity_id, types, attributes, source in cursor.fetchall()
    ]


def require_kept(cursor: Any, since: Cursor) -> None:
    """Refuse a position older than what the feed still keeps.

    Raises
    ------
    CursorTooOld
        Partitions after this position were dropped.
    """
    cursor.execute("SELECT dropped_tx FROM context_feed_floor")
    row = cursor.fetchone()
    if row is not None and since.tx < row[0]:
        raise CursorTooOld(f"the feed keeps nothing before transaction {row[0]}; position {since} is older")
