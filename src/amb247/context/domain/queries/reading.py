"""A read of the state with an end: no statement, and no loop around statements, goes on for longer than the limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction

from amb247.context.ngsi_errors import TooComplexQuery

TIME_LIMIT_S = 2.0


@dataclass(slots=True)
class Clock:
    deadline: float

    def check(self) -> None:
        if time.monotonic() > self.deadline:
            raise _too_slow()


def _too_slow() -> TooComplexQuery:
    return TooComplexQuery(
        f"The query took longer than {TIME_LIMIT_S:g} s; narrow it down, for instance by type or place"
    )


def limit_connection(limit_s: float) -> None:
    """End every statement of this thread's connection after so long; `reading` then needs no transaction for that."""
    raw = connection.connection
    if raw is not None and getattr(_here, "limited", None) is raw:
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {int(limit_s * 1000)}")
    _here.limited = connection.connection


@contextmanager
def reading(limit_s: float = TIME_LIMIT_S) -> Iterator[Clock]:
    """Statements in here end as TooComplexQuery when they take too long."""
    clock = Clock(time.monotonic() + limit_s)
    try:
        if connection.connection is not None and getattr(_here, "limited", None) is connection.connection:
            yield clock
            return
        is_inner = connection.in_atomic_block
        with transaction.atomic():
            before = fetch("SELECT current_setting('statement_timeout')", [])[0][0] if is_inner else None
            _set_limit(str(int(limit_s * 1000)))
            yield clock
            if before is not None:  # in somebody else's transaction the limit would outlive us
                _set_limit(before)
    except OperationalError as problem:
        if getattr(problem.__cause__, "sqlstate", "") == "57014":
            raise _too_slow() from None
        raise


def _set_limit(limit: str) -> None:
    fetch("SELECT set_config('statement_timeout', %s, true)", [limit])


_here = threading.local()


def fetch(sql: str, params: Sequence[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[Any] = cursor.fetchall()
        return rows
