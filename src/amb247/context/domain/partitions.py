"""Partitions of history and change feed, made as time passes and dropped as it goes.

History from 2025 on lies in days, what is older (recordings of other years) in years: few partitions, no overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction

from amb247.context.domain.tenants import current_tenant

FIRST_DAILY_YEAR = 2025
LOCK = 247_001  # advisory: one maker of partitions at a time

_known: set[tuple[str, str]] = set()


def history_partition(day: date) -> tuple[str, str, str]:
    """Name, first moment and end of the history partition that holds `day`."""
    if day.year < FIRST_DAILY_YEAR:
        return (
            f"context_history_y{day.year}",
            f"{day.year}-01-01 00:00+00",
            f"{day.year + 1}-01-01 00:00+00",
        )
    return (f"context_history_d{day:%Y%m%d}", f"{day} 00:00+00", f"{day + timedelta(days=1)} 00:00+00")


def change_partition(day: date) -> tuple[str, str, str]:
    return (f"context_change_d{day:%Y%m%d}", f"{day} 00:00+00", f"{day + timedelta(days=1)} 00:00+00")


def ensure_partitions(*, history: Iterable[date] = (), changes: Iterable[date] = ()) -> None:
    """Make the partitions that these days need, inside the caller's transaction if there is one."""
    wanted = [("context_history", *history_partition(day)) for day in history]
    wanted += [("context_change", *change_partition(day)) for day in changes]
    tenant = current_tenant()
    missing = [item for item in wanted if (tenant, item[1]) not in _known]
    if not missing:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for parent, name, start, end in dict.fromkeys(missing):
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])  # looks in the tenant's schema alone
            if not cursor.fetchone()[0]:
                # Attaching takes a lighter lock on the parent than CREATE ... PARTITION OF: writers go on.
                cursor.execute(
                    f"CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
                )
                cursor.execute(
                    f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')"
                )
                if parent == "context_history":
                    cursor.execute(f"CREATE INDEX ON {name} USING brin (at)")
        names = {(tenant, item[1]) for item in missing}
        transaction.on_commit(lambda: _known.update(names))


def prepare_ahead(*, days: int = 3) -> None:
    """Make the partitions of today and the days to come, so that no writer has to."""
    today = datetime.now(UTC).date()
    ahead = [today + timedelta(days=offset) for offset in range(-1, days)]
    ensure_partitions(history=ahead, changes=ahead)


def forget_known() -> None:
    """Forget which partitions exist: after they were dropped, or the database was swapped (tests, restore)."""
    _known.clear()


def drop_partitions_before(parent: str, day: date) -> list[str]:
    """Drop whole daily partitions of `parent` that end on or before `day`; names of those dropped."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass AND c.relname ~ '_d[0-9]{8}$'",
            [parent],
        )
        old = [name for (name,) in cursor.fetchall() if name[-8:] < f"{day:%Y%m%d}"]
        for name in old:
            cursor.execute(f"DROP TABLE {name}")
    tenant = current_tenant()
    _known.difference_update((tenant, name) for name in old)
    return old
