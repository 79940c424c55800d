"""What a temporal query asks for: which time property, which interval, how many instances, which aggregates.

References
----------
ETSI GS CIM 009 v1.8.1, 4.11 (temporal query language), 4.5.19.1 (aggregation), 5.2.21 (TemporalQuery).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast

from amb247.context.ngsi_errors import BadRequestData

TimeProperty = Literal["observedAt", "createdAt", "modifiedAt", "deletedAt"]
Relation = Literal["before", "after", "between"]
Method = Literal["totalCount", "distinctCount", "sum", "avg", "min", "max", "stddev", "sumsq"]

TIME_PROPERTIES: Final = ("observedAt", "createdAt", "modifiedAt", "deletedAt")
RELATIONS: Final = ("before", "after", "between")
METHODS: Final = ("totalCount", "distinctCount", "sum", "avg", "min", "max", "stddev", "sumsq")

MAX_LAST = 10_000_000
MAX_MONTHS = 12 * 1_000
MAX_MICROSECONDS = 366 * 86_400 * 1_000_000 * 1_000
DATE_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})\Z", re.ASCII
)
DURATION = re.compile(
    r"P(?=.)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:[.,]\d{1,6})?)S)?)?\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Period:
    """A duration of ISO 8601: calendar months, and a fixed length beside them. Both 0: the whole range of the query."""

    months: int = 0
    microseconds: int = 0

    @property
    def is_whole(self) -> bool:
        return not self.months and not self.microseconds


WHOLE: Final = Period()


@dataclass(frozen=True, slots=True)
class TemporalQuery:
    """A checked temporal query.

    Attributes
    ----------
    relation : str or None
        None: no interval was asked for, every instance counts.
    start, end : datetime or None
        The interval `[start, end)`, aware, UTC; None is open. 4.11: `timeAt` is part of `after` and `between`, not of
        `before`; `endTimeAt` is no part of `between`.
    timeproperty : str or None
        The property that the interval is about. None: no temporal query at all, so that instances need not convey any.
    last_n : int or None
        Only the last so many instances of each attribute.
    methods, period
        Of the aggregated representation; no method: instances are asked for.
    """

    relation: Relation | None = None
    start: datetime | None = None
    end: datetime | None = None
    timeproperty: TimeProperty | None = None
    last_n: int | None = None
    methods: tuple[Method, ...] = ()
    period: Period = WHOLE


def parse_temporal_query(
    given: Mapping[str, Any], *, is_required: bool = False, is_aggregated: bool = False
) -> TemporalQuery:
    """The temporal query in URL parameters or in the member `temporalQ` of a Query.

    Parameters
    ----------
    given : mapping
        `timerel`, `timeAt`, `endTimeAt`, `timeproperty`, `lastN`, `aggrMethods`, `aggrPeriodDuration`; others are ignored.
    is_required : bool
        Whether an interval must be given (5.7.4.4).
    is_aggregated : bool
        Whether the aggregated representation was asked for; without it its two parameters are ignored (6.18.3.2).

    Raises
    ------
    BadRequestData
        A parameter is missing or wrong; the detail begins with its name.
    """
    relation, start, end = _interval(given, is_required=is_required)
    asked = given.get("timeproperty")
    if asked is not None and asked not in TIME_PROPERTIES:
        raise _bad("timeproperty", f"is {_shown(asked)}", f"use {', '.join(TIME_PROPERTIES)}")
    timeproperty = asked or ("observedAt" if relation is not None else None)
    methods: tuple[Method, ...] = ()
    period = WHOLE
    if is_aggregated:
        methods = _methods(given.get("aggrMethods"))
        if given.get("aggrPeriodDuration") is not None:
            period = parse_period(given["aggrPeriodDuration"])
    return TemporalQuery(
        relation,
        start,
        end,
        cast("TimeProperty | None", timeproperty),
        _last_n(given.get("lastN")),
        methods,
        period,
    )


def parse_period(text: Any) -> Period:
    """A duration such as P1D, PT15M, P1M, P3Y6M4DT12H30M5S; P0D and PT0S are the whole range.

    Raises
    ------
    BadRequestData
    """
    found = DURATION.match(text) if isinstance(text, str) and len(text) <= 80 else None
    if found is None:
        raise _bad(
            "aggrPeriodDuration", f"is {_shown(text)}", "use an ISO 8601 duration such as PT1H, P1D or P1M"
        )
    part = {name: value or "0" for name, value in found.groupdict().items()}
    months = int(part["years"]) * 12 + int(part["months"])
    whole, _, fraction = part["seconds"].replace(",", ".").partition(".")
    seconds = (
        (int(part["weeks"]) * 7 + int(part["days"])) * 86_400
        + int(part["hours"]) * 3_600
        + int(part["minutes"]) * 60
        + int(whole)
    )
    microseconds = seconds * 1_000_000 + int(fraction.ljust(6, "0") or "0")
    if months > MAX_MONTHS or microseconds > MAX_MICROSECONDS:
        raise _bad("aggrPeriodDuration", f"is {_shown(text)}", "use at most a thousand years")
    return Period(months, microseconds)


def add_months(moment: datetime, months: int) -> datetime:
    """The same day so many months later (earlier when negative), or the last day of a shorter month."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, _days(year, month + 1)))


def _days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in {4, 6, 9, 11} else 31


def step(origin: datetime, period: Period, count: int) -> datetime:
    """The start of period number `count`, counted from `origin` (not from the one before: 31 January, 28 February, 31 March).

    Raises
    ------
    OverflowError, ValueError
        Outside the years 1 to 9999.
    """
    return add_months(origin, period.months * count) + timedelta(microseconds=period.microseconds * count)


def _interval(
    given: Mapping[str, Any], *, is_required: bool
) -> tuple[Relation | None, datetime | None, datetime | None]:
    relation = given.get("timerel")
    if relation is None:
        if given.get("timeAt") is not None:
            raise _bad("timerel", "is missing beside timeAt", f"use {', '.join(RELATIONS)}")
        if is_required:
            raise _bad(
                "timerel", "is missing", f"a temporal query needs it, with timeAt; use {', '.join(RELATIONS)}"
            )
        return None, None, None
    if relation not in RELATIONS:
        raise _bad("timerel", f"is {_shown(relation)}", f"use {', '.join(RELATIONS)}")
    at = _moment("timeAt", given.get("timeAt"), f"timerel={relation} needs it")
    if relation == "before":
        return relation, None, at
    if relation == "after":
        return relation, at, None
    end = _moment("endTimeAt", given.get("endTimeAt"), "timerel=between needs it")
    if end <= at:
        raise _bad("endTimeAt", "is not later than timeAt", "send the earlier moment as timeAt")
    return relation, at, end


def _moment(name: str, text: Any, need: str) -> datetime:
    if text is None:
        raise _bad(name, "is missing", need)
    # An unescaped "+" of a time zone reaches us as a blank.
    written = text.replace(" ", "+") if isinstance(text, str) else ""
    if DATE_TIME.match(written):
        try:
            return datetime.fromisoformat(written).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise _bad(name, f"is {_shown(text)}", "use a DateTime such as 2026-11-22T14:03:00Z")


def _last_n(given: Any) -> int | None:
    if given is None:
        return None
    number = given
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= 12:
        number = int(given)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= MAX_LAST:
        raise _bad("lastN", f"is {_shown(given)}", f"use a number from 1 to {MAX_LAST}")
    return number


def _methods(given: Any) -> tuple[Method, ...]:
    if given is None or given in ("", []):
        raise _bad("aggrMethods", "is missing", f"aggregatedValues needs it; use {', '.join(METHODS)}")
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list):
        raise _bad("aggrMethods", f"is {_shown(given)}", f"use {', '.join(METHODS)}")
    for name in names:
        if name not in METHODS:
            raise _bad("aggrMethods", f"contains {_shown(name)}", f"use {', '.join(METHODS)}")
    return tuple(dict.fromkeys(names))


def _shown(value: Any) -> str:
    return repr(value)[:60]


def _bad(name: str, reason: str, remedy: str) -> BadRequestData:
    return BadRequestData(f"{name}: {reason}; {remedy}.")
