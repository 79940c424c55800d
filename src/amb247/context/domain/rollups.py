"""Hourly figures, made when an hour has closed and again when late data touched it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from amb247.kernel.sql import statement

GRACE = timedelta(minutes=2)  # transactions that began within the hour may still be committing


def roll_up(*, now: datetime | None = None, limit: int = 48) -> list[datetime]:
    """Make the figures of closed, touched hours, each in its own transaction; the hours done. Idempotent."""
    closed = (now or datetime.now(UTC)) - timedelta(hours=1) - GRACE
    done: list[datetime] = []
    while len(done) < limit:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM context_dirty_hour WHERE hour = (SELECT hour FROM context_dirty_hour WHERE hour <= %s "
                "ORDER BY hour LIMIT 1) RETURNING hour",
                [closed],
            )
            row = cursor.fetchone()
            if row is None:
                break
            cursor.execute(statement("amb247.context", "roll_up_hour"), {"hour": row[0]})
            done.append(row[0])
    return done
