"""Slow, obvious twins: the evolution and its aggregates from a plain list of what was taken."""

from __future__ import annotations

import math
import statistics
from datetime import datetime, timedelta
from typing import NamedTuple

from amb247.context.querying.temporal import TemporalQuery


class Fact(NamedTuple):
    entity_id: str
    attribute: str
    at: datetime
    value: object
    dataset_id: str = ""


def chosen(facts: list[Fact], query: TemporalQuery) -> list[Fact]:
    return [
        fact
        for fact in facts
        if (query.start is None or fact.at >= query.start) and (query.end is None or fact.at < query.end)
    ]


def later(moment: datetime, months: int, microseconds: int, times: int) -> datetime:
    """So many periods later; calendar arithmetic by counting months one by one."""
    year, month = moment.year, moment.month
    for _ in range(abs(months * times)):
        month += 1 if months * times > 0 else -1
        if month == 13:
            year, month = year + 1, 1
        if month == 0:
            year, month = year - 1, 12
    day = moment.day
    while True:
        try:
            found = moment.replace(year=year, month=month, day=day)
            break
        except ValueError:
            day -= 1
    return found + timedelta(microseconds=microseconds * times)


def period_of(at: datetime, origin: datetime, months: int, microseconds: int) -> tuple[datetime, datetime]:
    number = 0
    while later(origin, months, microseconds, number) > at:
        number -= 1
    while later(origin, months, microseconds, number + 1) <= at:
        number += 1
    return later(origin, months, microseconds, number), later(origin, months, microseconds, number + 1)


def aggregated(facts: list[Fact], query: TemporalQuery, origin: datetime):
    """(entity, attribute, dataset, start, end) -> method -> value."""
    groups: dict[tuple, list[object]] = {}
    for fact in chosen(facts, query):
        series = fact.entity_id, fact.attribute, fact.dataset_id
        if query.period.is_whole:
            same = [
                one.at
                for one in chosen(facts, query)
                if (one.entity_id, one.attribute, one.dataset_id) == series
            ]
            span = query.start or min(same), query.end or max(same)
        else:
            span = period_of(fact.at, origin, query.period.months, query.period.microseconds)
        groups.setdefault((*series, *span), []).append(fact.value)
    return {key: figures(values) for key, values in groups.items()}


def figures(values: list[object]) -> dict[str, object]:
    counts: dict[str, object] = {
        "totalCount": len(values),
        "distinctCount": len({repr(v) if isinstance(v, list) else v for v in values}),
    }
    if all(isinstance(v, str) for v in values):
        return counts | {"min": min(values), "max": max(values)}
    if all(isinstance(v, list) for v in values):
        sizes = [len(v) for v in values]
        return counts | {
            "sum": sum(sizes),
            "avg": sum(sizes) / len(sizes),
            "min": min(sizes),
            "max": max(sizes),
        }
    if not all(isinstance(v, (int, float)) for v in values):
        return counts
    numbers = [float(v) for v in values]
    return counts | {
        "sum": math.fsum(numbers),
        "avg": math.fsum(numbers) / len(numbers),
        "min": min(numbers),
        "max": max(numbers),
        "stddev": statistics.stdev(numbers) if len(numbers) > 1 else 0,
        "sumsq": math.fsum(v * v for v in numbers),
    }
