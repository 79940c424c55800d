"""Reads of the change feed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any, NamedTuple

import orjson

from amb247.context.data import Change, Cursor
from amb247.context.errors import CursorTooOld
from amb247.kernel.sql import statement


def newest(cursor: Any) -> Cursor:
    """The position behind all that is visible now: read the state after this, then the changes since."""
    cursor.execute("SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::bigint) - 1")
    return Cursor(int(cursor.fetchone()[0]), 2**63 - 1)


class Portion(NamedTuple):
    """Some of the feed: the changes asked for, the position behind all that was looked at, whether there may be more."""

    changes: list[Change]
    position: Cursor
    is_full: bool


def read(cursor: Any, since: Cursor, *, limit: int, types: Sequence[str] | None = None) -> Portion:
    """What follows a position, in order: `limit` changes are looked at, those of the types given (None: of all) come back.

    `cursor` is any psycopg cursor (Django's, or the live hub's own).
    """
    cursor.execute(
        statement("amb247.context", "read_changes"),
        {
            "tx": str(since.tx),
            "seq": since.seq,
            "limit": limit,
            "types": None if types is None else list(types),
        },
    )
    rows = cursor.fetchall()
    if not rows:
        return Portion([], since, is_full=False)
    found = [
        Change(Cursor(tx, seq), at.astimezone(UTC), op, entity_id, names, orjson.loads(attributes), source)
        for tx, seq, at, op, entity_id, names, attributes, source, _size in rows
        if attributes is not None
    ]
    *_, size = rows[-1]
    return Portion(found, Cursor(*rows[-1][:2]), is_full=size == limit)


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
