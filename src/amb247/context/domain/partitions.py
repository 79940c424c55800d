"""Partitions of history and change feed, made as time passes and dropped as it goes.

History from 2025 to the end of next year lies in days, what is older (recordings of other years) or later in years, and what lies
centuries away in centuries: no client can make more than some hundred partitions by the times it sends, and none overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction

from amb247.context.domain.tenants import current_tenant

FIRST_DAILY_YEAR = 2025
FIRST_YEARLY_YEAR, END_OF_YEARLY = 1900, 2100
LOCK = 247_001  # advisory: one maker of partitions at a time

_known: set[tuple[str, str]] = set()


def history_partition(day: date, *, this_year: int) -> tuple[str, str, str]:
    """Name, first moment and end of the history partition that holds `day`."""
    if FIRST_DAILY_YEAR <= day.year <= this_year + 1:
        return (f"context_history_d{day:%Y%m%d}", f"{day} 00:00+00", f"{day + timedelta(days=1)} 00:00+00")
    if FIRST_YEARLY_YEAR <= day.year < END_OF_YEARLY:
        return yearly_partition(day.year)
    century = day.year // 100
    return (
        f"context_history_c{century:02}",
        f"{max(century * 100, 1):04}-01-01 00:00+00",
        f"{century * 100 + 100:04}-01-01 00:00+00",
    )


def yearly_partition(year: int) -> tuple[str, str, str]:
    return (f"context_history_y{year}", f"{year}-01-01 00:00+00", f"{year + 1}-01-01 00:00+00")


def change_partition(day: date) -> tuple[str, str, str]:
    return (f"context_change_d{day:%Y%m%d}", f"{day} 00:00+00", f"{day + timedelta(days=1)} 00:00+00")


def ensure_partitions(*, history: Iterable[date] = (), changes: Iterable[date] = ()) -> None:
    """Make the partitions that these days need, inside the caller's transaction if there is one."""
    this_year = datetime.now(UTC).year
    wanted = [("context_history", *history_partition(day, this_year=this_year)) for day in history]
    wanted += [("context_change", *change_partition(day)) for day in changes]
    tenant = current_tenant()
    missing = [item for item in wanted if (tenant, item[1]) not in _known]
    if not missing:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for parent, name, start, end in dict.fromkeys(missing):
            # What was far away when it was written lies in its year, and what comes to be near goes there too.
            year = yearly_partition(int(start[:4]))[0] if parent == "context_history" else name
            cursor.execute(  # looks in the tenant's schema alone
                "SELECT to_regclass(%s) IS NOT NULL OR to_regclass(%s) IS NOT NULL", [name, year]
            )
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
