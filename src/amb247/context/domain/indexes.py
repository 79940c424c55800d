"""Indexes on attributes' values, made where clients keep asking slowly and dropped when they stop.

Any such index has a price that all writers pay: its expression reads `doc`, and PostgreSQL updates a row in place (HOT) only
when no indexed column changed, whatever the expression gives. With one of them no update of an attribute is HOT any more (measured:
0 of 12,000, before 6,900 of 11,000), each step of each bus then enters every index of the table anew, and vacuum has more to
do; a batch of 1,000 lamps took 5 to 30 % longer. The first costs most, each further one little. So none is made beforehand:
only conditions that were asked `WORTH_MS` long within days earn one, there are at most `MAX_INDEXES`, and a week of silence
ends it. The columns that are indexed from the start (id, type, scope, cell, expires_at) do not change with attributes.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError, connection, transaction

from amb247.context.domain.tenants import DEFAULT, current_tenant, schema_of
from amb247.context.querying.compile import IndexKey, index_expression

log = logging.getLogger(__name__)

MAX_INDEXES = 12
SLOW_S = 0.03  # a query that takes less is well served
WORTH_MS = 3_000
UNUSED_DAYS = 7
REMEMBER_S = 30.0  # how long a process goes on with what it knows of the table
TELL_S = 15.0
BUILD_LIMIT_S = 600
MAX_SEEN = 500  # between two tellings, so that invented names fill no memory


@dataclass(slots=True)
class _Notes:
    """What one process knows and has seen of one tenant."""

    ready: frozenset[IndexKey] = frozenset()
    read_at: float = float("-inf")
    told_at: float = field(default_factory=time.monotonic)
    seen: dict[IndexKey, list[float]] = field(default_factory=dict)  # times asked, slow milliseconds


_notes: dict[str, _Notes] = {}
_lock = threading.Lock()


def indexed() -> frozenset[IndexKey]:
    """The indexes there are in the current tenant."""
    notes = _of_tenant()
    if time.monotonic() - notes.read_at > REMEMBER_S:
        with connection.cursor() as cursor:
            cursor.execute("SELECT attribute, kind FROM context_index WHERE state = 'ready'")
            notes.ready = frozenset(IndexKey(*row) for row in cursor.fetchall())
        notes.read_at = time.monotonic()
    return notes.ready


def note(keys: Sequence[IndexKey], seconds: float) -> None:
    """`remember`, and every `TELL_S` tell the table."""
    if remember(keys, seconds):
        tell()


def remember(keys: Sequence[IndexKey], seconds: float) -> bool:
    """Keep in mind that conditions were asked together and how long that took; whether it is time to tell."""
    if not keys:
        return False
    notes = _of_tenant()
    slow_ms = seconds * 1000 / len(keys) if seconds > SLOW_S else 0.0
    with _lock:
        for key in keys:
            if key in notes.ready or (slow_ms and len(notes.seen) < MAX_SEEN):
                counts = notes.seen.setdefault(key, [0, 0.0])
                counts[0] += 1
                counts[1] += slow_ms
        return bool(notes.seen) and time.monotonic() - notes.told_at > TELL_S


def tell() -> None:
    """Write what was noted into the table; a reader that may not write keeps silent."""
    notes = _of_tenant()
    with _lock:
        seen, notes.seen, notes.told_at = notes.seen, {}, time.monotonic()
    if not seen:
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO context_index AS i (attribute, kind, asked, slow_ms) "
                "SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[]) t ORDER BY 1, 2 "
                "ON CONFLICT (attribute, kind) DO UPDATE SET asked = i.asked + EXCLUDED.asked, "
                "slow_ms = i.slow_ms + EXCLUDED.slow_ms, last_at = now()",
                [
                    [key.attribute for key in seen],
                    [key.kind for key in seen],
                    [int(counts[0]) for counts in seen.values()],
                    [int(counts[1]) for counts in seen.values()],
                ],
            )
    except DatabaseError:
        log.warning("what was asked could not be noted", exc_info=True)


def tend(tenant: str = DEFAULT) -> tuple[list[str], list[str]]:
    """Drop what nobody asked for in a week, build what is worth it; the attributes built and dropped.

    Runs outside of any transaction, since it builds beside the writers (`CONCURRENTLY`), and may be stopped and run again at
    any time.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [f"context_index {tenant}"])
        if not cursor.fetchone()[0]:
            return [], []
        try:
            if tenant:
                cursor.execute(f'SET search_path TO "{schema_of(tenant)}"')
            cursor.execute(f"SET statement_timeout = {BUILD_LIMIT_S * 1000}")
            dropped = [_drop(key) for key in _unused()]
            built = [key.attribute for key in _wanted() if _build(key)]
        finally:
            cursor.execute("RESET search_path")
            cursor.execute("RESET statement_timeout")
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [f"context_index {tenant}"])
    forget()
    return built, dropped


def forget() -> None:
    """After the table was changed, or the database was swapped under the process (tests, restore)."""
    with _lock:
        _notes.clear()


def _of_tenant() -> _Notes:
    with _lock:
        return _notes.setdefault(current_tenant(), _Notes())


def _keys(sql: str) -> list[IndexKey]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [IndexKey(*row) for row in cursor.fetchall()]


def _unused() -> list[IndexKey]:
    # What was noticed but never worth an index is forgotten sooner.
    return _keys(
        f"SELECT attribute, kind FROM context_index WHERE last_at < now() - interval '1 day' "
        f"AND (state <> 'ready' OR last_at < now() - interval '{UNUSED_DAYS} days')"
    )


def _wanted() -> list[IndexKey]:
    return _keys(
        "SELECT attribute, kind FROM context_index i WHERE state <> 'ready' "
        f"AND (slow_ms >= {WORTH_MS} OR state = 'building') "
        "ORDER BY state = 'building' DESC, slow_ms DESC "
        f"LIMIT greatest(0, {MAX_INDEXES} - (SELECT count(*) FROM context_index WHERE state = 'ready'))"
    )


def name_of(key: IndexKey) -> str:
    return f"context_value_{key.kind}_{hashlib.sha256(key.attribute.encode()).hexdigest()[:16]}"


def _drop(key: IndexKey) -> str:
    with connection.cursor() as cursor:
        # First nobody counts on it any more, then it goes.
        cursor.execute(
            "DELETE FROM context_index WHERE attribute = %s AND kind = %s", [key.attribute, key.kind]
        )
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name_of(key)}")
        cursor.execute(f"DROP STATISTICS IF EXISTS {name_of(key)}_values")
    return key.attribute


def _build(key: IndexKey) -> bool:
    name, expression = name_of(key), index_expression(key).text
    with connection.cursor() as cursor:
        _set_state(key, "building")
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # of an attempt that was stopped
        try:
            cursor.execute(
                f"CREATE INDEX CONCURRENTLY {name} ON context_entity ({expression}) WHERE {expression} IS NOT NULL"
            )
            # The planner does not look at the statistics of a partial index; without any it would guess a third.
            cursor.execute(
                f"CREATE STATISTICS IF NOT EXISTS {name}_values ON ({expression}) FROM context_entity"
            )
            cursor.execute("ANALYZE context_entity")
        except DatabaseError:
            log.exception("an index could not be built", extra={"attribute": key.attribute, "kind": key.kind})
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            cursor.execute(
                "UPDATE context_index SET state = 'noticed', slow_ms = 0 WHERE attribute = %s AND kind = %s",
                [key.attribute, key.kind],
            )
            return False
        _set_state(key, "ready")
    log.info("index built", extra={"attribute": key.attribute, "kind": key.kind})
    return True


def _set_state(key: IndexKey, state: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE context_index SET state = %s, ready_at = CASE WHEN %s = 'ready' THEN now() END "
            "WHERE attribute = %s AND kind = %s",
            [state, state, key.attribute, key.kind],
        )
