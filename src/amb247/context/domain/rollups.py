"""Hourly figures, made when an hour has closed and again when late data touched it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from amb247.kernel.sql import statement

AHEAD = 48


def mark_ahead() -> None:
    """Mark the hours to come, so that the first writer of an hour holds no lock that others wait for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO context_dirty_hour (hour, touched) SELECT date_trunc('hour', now()) + h * interval '1 hour', "
            "now() FROM generate_series(0, %s) h ON CONFLICT (hour) DO NOTHING",
            [AHEAD],
        )


def _oldest_writer() -> datetime:
    """When the oldest transaction began that has written something; now when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(min(xact_start), clock_timestamp()) FROM pg_stat_activity "
            "WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()"
        )
        oldest: datetime = cursor.fetchone()[0]
    return oldest


def roll_up(*, now: datetime | None = None, limit: int = 48) -> list[datetime]:
    """Make the figures of closed, touched hours, each in its own transaction; the hours done. Idempotent.

    An hour waits until every transaction that began before its end is over: it may still be writing into it.
    """
    closed = min(now or datetime.now(UTC), _oldest_writer()) - timedelta(hours=1)
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
