"""Aggregated temporal evolution: counts, sums, means, extremes and deviations of attributes by periods of time.

Numbers come from the hourly figures wherever a period is made of whole hours; hours that are still open, were touched since,
or hold anything but plain observed numbers are read from the history in the same statement, and so is everything that hourly
figures cannot give. Exact either way.

References
----------
ETSI GS CIM 009 v1.8.1, 4.5.19.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from django.db import connection

from amb247.context.documents.temporal import Aggregated, Series
from amb247.context.domain.queries import aggregation_sql as sql
from amb247.context.domain.queries.evolution import Head
from amb247.context.domain.queries.evolution_sql import has_hours, moment_of
from amb247.context.ngsi_errors import InvalidRequest, TooComplexQuery, TooManyResults
from amb247.context.querying.temporal import Method, Period, TemporalQuery, step

MAX_BUCKETS = 200_000  # in one answer, over all entities and attributes
MAX_EDGES = 5_000
MONTH_DAYS = 30.436875
HOUR = timedelta(hours=1)
MONDAY = datetime(2001, 1, 1, tzinfo=UTC)  # periods of a query without any interval count from here
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
# Periods of months in an open interval go so far; what lies beyond belongs to none.
AHEAD = timedelta(days=400)

COUNTS = frozenset({"totalCount", "distinctCount"})
EVERY = COUNTS | {"sum", "avg", "min", "max", "stddev", "sumsq"}
SIZES = EVERY - {"stddev", "sumsq"}
# Tables 4.5.19.1-1 to -3, by the codes of `aggregation_sql.CODE`.
ELIGIBLE = {
    1: EVERY,  # numbers
    2: EVERY,  # flags: true is 1, false 0
    3: SIZES,  # arrays, by their size
    4: COUNTS | {"min", "max"},  # texts
    5: COUNTS | {"min", "max"},  # DateTime, Date
    6: COUNTS | {"min", "max", "avg"},  # Time
    12: SIZES,  # ListProperty
}
KINDS = {
    8: "Relationship",
    9: "GeoProperty",
    10: "LanguageProperty",
    11: "VocabProperty",
    12: "ListProperty",
    13: "ListRelationship",
    14: "JsonProperty",
}
TEXTUAL = frozenset({4, 5, 6})


@dataclass(frozen=True, slots=True)
class Periods:
    """How the interval is cut. `edges`: starts of the periods where months make them unequal, else None."""

    origin: datetime
    edges: tuple[datetime, ...] | None = None


def periods_of(temporal: TemporalQuery, *, now: datetime) -> Periods:
    """The periods count from the start of the query's interval; where that is open, back from its end.

    Calendar periods are spelled out, so an interval of more than `MAX_EDGES` of them is cut to the years that things are
    observed in: "since the year 1, by the month" is what clients send who mean everything.

    Raises
    ------
    TooComplexQuery
        More than `MAX_EDGES` calendar periods of other years.
    """
    origin = temporal.start or temporal.end or MONDAY
    if not temporal.period.months:
        return Periods(origin)
    first = temporal.start or EARLIEST
    last = temporal.end or max(now + AHEAD, origin)
    length = timedelta(days=temporal.period.months * MONTH_DAYS, microseconds=temporal.period.microseconds)
    if (last - first) / length > MAX_EDGES:
        first, last = max(first, EARLIEST), min(last, now + AHEAD)
        if first >= last:
            raise TooComplexQuery(
                f"aggrPeriodDuration: the interval has more than {MAX_EDGES:,} periods; ask for longer ones."
            )
    number = int((first - origin) / length)
    while _step(origin, temporal.period, number) > first:
        number -= 1
    while _step(origin, temporal.period, number + 1) <= first:
        number += 1
    edges = [_step(origin, temporal.period, number)]
    while edges[-1] < last:
        number += 1
        edges.append(_step(origin, temporal.period, number))
    return Periods(origin, tuple(edges))


def _step(origin: datetime, period: Period, number: int) -> datetime:
    """Kept within the years that there are."""
    try:
        return step(origin, period, number)
    except (OverflowError, ValueError):
        return (datetime.min if number < 0 else datetime.max).replace(tzinfo=UTC)


def aggregate(
    heads: Sequence[Head],
    temporal: TemporalQuery,
    *,
    attributes: Sequence[str] | None = None,
    dataset_ids: Sequence[str] = (),
    now: datetime | None = None,
    is_strict: bool = False,
) -> list[Aggregated]:
    """The figures of these entities' attributes by period; periods without instances are left out (as in annex C.5.14).

    Parameters
    ----------
    attributes, dataset_ids
        As of `evolution.evolve`.
    is_strict : bool
        Refuse attributes for which none of the methods is defined, instead of leaving them out: they were asked for by name.

    Raises
    ------
    InvalidRequest
        See `is_strict`.
    TooManyResults
        More than 200,000 periods.
    """
    found = {head.id: Aggregated(*head) for head in heads}
    if not heads:
        return []
    periods = periods_of(temporal, now=now or datetime.now(UTC))
    rows = _rows(heads, temporal, periods, attributes, dataset_ids)
    if len(rows) > MAX_BUCKETS:
        raise TooManyResults(
            f"There are more than {MAX_BUCKETS:,} periods with data; ask for longer ones (aggrPeriodDuration), or for "
            "fewer entities (limit) or attributes (attrs)."
        )
    if is_strict:
        _require_eligible(rows, temporal.methods)
    ends = _Ends(temporal, periods)
    for (entity_id, name, dataset_id), several in itertools.groupby(rows, key=itemgetter(0, 1, 2)):
        taken = list(several)
        figures = _figures(taken, temporal.methods)
        if figures:
            spans = [ends.of(row[3], row[-2], row[-1]) for row in taken]
            series = Series(KINDS.get(taken[0][FIRST], "Property"), dataset_id, spans, figures)
            found[entity_id].attributes.setdefault(name, []).append(series)
    return list(found.values())


def stream(
    chunks: Iterable[list[Head]],
    temporal: TemporalQuery,
    *,
    attributes: Sequence[str] | None = None,
    dataset_ids: Sequence[str] = (),
    at_once: int = 50,
) -> Iterator[Aggregated]:
    """The figures of many entities, read as they are asked for."""
    now = datetime.now(UTC)
    for chunk in chunks:
        for first in range(0, len(chunk), at_once):
            yield from aggregate(
                chunk[first : first + at_once],
                temporal,
                attributes=attributes,
                dataset_ids=dataset_ids,
                now=now,
            )


class _Ends:
    """Start and end of a period by what SQL groups by."""

    def __init__(self, temporal: TemporalQuery, periods: Periods) -> None:
        self.temporal = temporal
        self.length = timedelta(microseconds=temporal.period.microseconds)
        edges = periods.edges
        self.known: dict[str, tuple[datetime, datetime]] = {}
        self.next = None if edges is None else dict(itertools.pairwise(edges))

    def of(
        self, bucket: str | None, first: datetime | None, last: datetime | None
    ) -> tuple[datetime, datetime]:
        if bucket is None:  # the whole interval; where it is open, its first and last instance close it
            start = self.temporal.start or first or self.temporal.end
            end = self.temporal.end or last or start
            assert start is not None
            assert end is not None
            return start.astimezone(UTC), end.astimezone(UTC)
        found = self.known.get(bucket)
        if found is None:
            start = _kept(lambda: moment_of(bucket), is_late=not bucket.endswith(" BC"))
            end = self.next[start] if self.next else _kept(lambda: start + self.length)
            found = self.known[bucket] = (start, end)
        return found


def _kept(moment: Callable[[], datetime], *, is_late: bool = True) -> datetime:
    """A moment within the years that there are; a period of the first or the last of them may begin or end outside."""
    try:
        return moment()
    except (ValueError, OverflowError):
        return (datetime.max if is_late else datetime.min).replace(tzinfo=UTC)


def _require_eligible(rows: Sequence[Any], methods: Sequence[Method]) -> None:
    codes: dict[str, set[int]] = {}
    for row in rows:
        codes.setdefault(row[1], set()).add(row[4])
    for name, seen in codes.items():
        if not any(ELIGIBLE.get(code, COUNTS).intersection(methods) for code in seen):
            raise InvalidRequest(
                f"aggrMethods: none of {', '.join(methods)} is defined for the values of {name}; "
                "totalCount and distinctCount always are."
            )


def _getters(code: int, methods: Sequence[Method]) -> dict[str, Callable[[Any], Any]]:
    """How the figures of values of one kind are taken from a row."""
    eligible = ELIGIBLE.get(code, COUNTS)
    extremes = ("low_text", "high_text") if code in TEXTUAL else ("low", "high")
    getters: dict[str, Callable[[Any], Any]] = {
        "totalCount": _column("c"),
        "distinctCount": _column("distinct_n"),
        "sum": _column("total"),
        "avg": _mean_clock if code == 6 else _mean,
        "min": _column(extremes[0]),
        "max": _column(extremes[1]),
        "stddev": _deviation,
        "sumsq": _column("squares"),
    }
    return {method: getters[method] for method in methods if method in eligible}


FIRST = 4  # of the measures in a row, after entity, attribute, datasetId and period
N, TOTAL, SPREAD = (FIRST + sql.COLUMNS.index(name) for name in ("n", "total", "spread"))


def _column(name: str) -> Callable[[Any], Any]:
    return itemgetter(FIRST + sql.COLUMNS.index(name))


def _mean(row: Any) -> float | None:
    return row[TOTAL] / row[N] if row[N] else None


def _mean_clock(row: Any) -> str | None:
    mean = _mean(row)
    return None if mean is None else _clock(mean)


def _deviation(row: Any) -> float | None:
    """Of a sample (n - 1), as the databases of other brokers have it; of a single value 0."""
    if row[N] > 1:
        return math.sqrt(max(row[SPREAD], 0.0) / (row[N] - 1))
    return 0.0 if row[N] else None


def _figures(rows: Sequence[Any], methods: Sequence[Method]) -> dict[str, list[Any]]:
    """Method -> a value for each row; methods that fit none of the values are left out."""
    by_code = {code: _getters(code, methods) for code in {row[FIRST] for row in rows}}
    figures: dict[str, list[Any]] = {}
    for method in methods:
        getters = {code: found[method] for code, found in by_code.items() if method in found}
        if len(by_code) == 1 and getters:
            (getter,) = getters.values()
            values = [_whole(getter(row)) for row in rows]
        else:
            values = [_whole(getters[row[FIRST]](row)) if row[FIRST] in getters else None for row in rows]
        if any(value is not None for value in values):
            figures[method] = values
    return figures


def _whole(value: Any) -> Any:
    """A number that is whole without a fraction, as clients write it."""
    if type(value) is float and value.is_integer() and -WHOLE < value < WHOLE:
        return int(value)
    return value


WHOLE = 2**53


def _clock(seconds: float) -> str:
    whole = round(seconds, 6)
    text = (datetime.min + timedelta(seconds=whole)).time().isoformat()
    return f"{text}Z"


def _rows(
    heads: Sequence[Head],
    temporal: TemporalQuery,
    periods: Periods,
    attributes: Sequence[str] | None,
    dataset_ids: Sequence[str],
) -> list[Any]:
    if periods.edges is not None:
        least, most = periods.edges[0], periods.edges[-1]
        start, end = max(temporal.start or least, least), min(temporal.end or most, most)
        temporal = replace(temporal, start=start, end=end)
    extra = _uneven_hours(temporal, periods)
    text = sql.aggregates(
        temporal,
        attributes,
        dataset_ids,
        has_edges=periods.edges is not None,
        from_hours=extra is not None and not dataset_ids,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            text,
            {
                "ids": [head.id for head in heads],
                "attributes": None if attributes is None else list(attributes),
                "datasets": ["" if one == "@none" else one for one in dataset_ids],
                "start": temporal.start,
                "end": temporal.end,
                "period": f"{temporal.period.microseconds} microseconds",
                "origin": periods.origin,
                "edges": None if periods.edges is None else list(periods.edges),
                "first_hour": None if temporal.start is None else _hour_up(temporal.start),
                "end_hour": None if temporal.end is None else _hour_down(temporal.end),
                "extra": extra or [],
                "limit": MAX_BUCKETS + 1,
            },
        )
        return list(cursor.fetchall())


def _uneven_hours(temporal: TemporalQuery, periods: Periods) -> list[datetime] | None:
    """Hours of the interval that no period holds whole; None when hourly figures are of no use."""
    start, end, length = temporal.start, temporal.end, temporal.period.microseconds
    if not has_hours(temporal):
        return None
    if start is not None and end is not None and _hour_down(end) - _hour_up(start) < HOUR:
        return None
    # An interval from within an hour on, or up to within one, has that hour for the history to answer.
    hours = {
        _hour_down(moment) for moment in (start, end) if moment is not None and _hour_down(moment) != moment
    }
    if periods.edges is not None:
        hours |= {_hour_down(edge) for edge in periods.edges if _hour_down(edge) != edge}
    elif length:
        is_even = length % 3_600_000_000 == 0 and _hour_down(periods.origin) == periods.origin
        if not is_even:
            if length < 6 * 3_600_000_000 or start is None or end is None:
                return None
            period = timedelta(microseconds=length)
            count = math.ceil((end - start) / period)
            if count > MAX_EDGES:
                return None
            hours |= {_hour_down(start + period * number) for number in range(count)}
    return sorted(hours)


def _hour_down(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _hour_up(moment: datetime) -> datetime:
    down = _hour_down(moment)
    return down if down == moment else down + HOUR
