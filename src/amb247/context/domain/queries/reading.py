"""A read of the state with an end: no statement, and no loop around statements, goes on for longer than the limit."""

from __future__ import annotations

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


@contextmanager
def reading(limit_s: float = TIME_LIMIT_S) -> Iterator[Clock]:
    """A transaction in which a statement that takes too long ends as TooComplexQuery."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {int(limit_s * 1000)}")
            yield Clock(time.monotonic() + limit_s)
            if connection.savepoint_ids:  # in somebody else's transaction the limit would outlive us
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    except OperationalError as problem:
        if getattr(problem.__cause__, "sqlstate", "") == "57014":
            raise _too_slow() from None
        raise


def fetch(sql: str, params: Sequence[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[Any] = cursor.fetchall()
        return rows
