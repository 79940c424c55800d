"""A read of the state with an end: no statement, and no loop around statements, goes on for longer than the limit."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction

from amb247.context.ngsi_errors import TooComplexQuery

TIME_LIMIT_S = 1.8  # what is told, and the way there and back, fit into two seconds besides


@dataclass(slots=True)
class Clock:
    deadline: float

    def check(self) -> None:
        """Refuse to go on when the time is over; let the next statement take no more than what is left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _too_slow()
        if left < TIME_LIMIT_S / 2 and _is_limited():
            with connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = {max(int(left * 1000), 1)}")
            _here.is_tight = True


@contextmanager
def until(limit_s: float = TIME_LIMIT_S) -> Iterator[None]:
    """All that is read in here, one after the other, has so long together."""
    outer = getattr(_here, "deadline", None)
    _here.deadline = min(time.monotonic() + limit_s, outer or math.inf)
    try:
        yield
    finally:
        _here.deadline = outer


def time_is_over_at(limit_s: float = TIME_LIMIT_S) -> float:
    """When a loop that begins now must end, in seconds of `time.monotonic`."""
    return min(time.monotonic() + limit_s, getattr(_here, "deadline", None) or math.inf)


def _too_slow() -> TooComplexQuery:
    return TooComplexQuery(
        f"The query took longer than {TIME_LIMIT_S:g} s; narrow it down, for instance by type or place"
    )


def limit_connection(limit_s: float) -> None:
    """End every statement of this thread's connection after so long; `reading` then needs no transaction for that."""
    if _is_limited() and not getattr(_here, "is_tight", False):
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {int(limit_s * 1000)}")
    _here.limited, _here.is_tight = connection.connection, False


def _is_limited() -> bool:
    """Whether this thread's connection ends statements by itself."""
    return connection.connection is not None and getattr(_here, "limited", None) is connection.connection


@contextmanager
def reading(limit_s: float = TIME_LIMIT_S) -> Iterator[Clock]:
    """Statements in here end as TooComplexQuery when they take too long."""
    clock = Clock(time_is_over_at(limit_s))
    try:
        if _is_limited():
            clock.check()
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
