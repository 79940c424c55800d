from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amb247.context.ngsi_errors import BadRequestData
from amb247.context.querying.temporal import (
    METHODS,
    WHOLE,
    Period,
    TemporalQuery,
    add_months,
    parse_period,
    parse_temporal_query,
    step,
)

pytestmark = pytest.mark.unit

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
ONE = datetime(2026, 8, 1, 13, tzinfo=UTC)


def test_nothing_asked_is_every_instance():
    assert parse_temporal_query({}) == TemporalQuery()


def test_before_has_an_open_start():
    asked = parse_temporal_query({"timerel": "before", "timeAt": "2026-08-01T12:00:00Z"})
    assert asked == TemporalQuery("before", None, NOON, "observedAt")


def test_after_has_an_open_end():
    asked = parse_temporal_query({"timerel": "after", "timeAt": "2026-08-01T07:00:00-05:00"})
    assert asked == TemporalQuery("after", NOON, None, "observedAt")


def test_between_has_both_ends_and_any_time_property():
    asked = parse_temporal_query(
        {
            "timerel": "between",
            "timeAt": "2026-08-01T12:00:00Z",
            "endTimeAt": "2026-08-01T13:00:00.000Z",
            "timeproperty": "modifiedAt",
            "lastN": "5",
        }
    )
    assert asked == TemporalQuery("between", NOON, ONE, "modifiedAt", 5)


def test_a_plus_that_became_a_blank_is_a_plus():
    asked = parse_temporal_query({"timerel": "after", "timeAt": "2026-08-01T14:00:00 02:00"})
    assert asked.start == NOON


def test_aggregation_is_read_only_when_asked_for():
    given_ = {"aggrMethods": "sum,nonsense", "aggrPeriodDuration": "nonsense"}
    assert parse_temporal_query(given_).methods == ()


def test_aggregation():
    asked = parse_temporal_query(
        {"aggrMethods": "max,avg,max", "aggrPeriodDuration": "PT4M"}, is_aggregated=True
    )
    assert (asked.methods, asked.period) == (("max", "avg"), Period(0, 240_000_000))
    assert parse_temporal_query({"aggrMethods": list(METHODS)}, is_aggregated=True).period == WHOLE


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ({"timerel": "during", "timeAt": "2026-08-01T12:00:00Z"}, "timerel"),
        ({"timeAt": "2026-08-01T12:00:00Z"}, "timerel"),
        ({"timerel": "after"}, "timeAt"),
        ({"timerel": "after", "timeAt": "yesterday"}, "timeAt"),
        ({"timerel": "after", "timeAt": "2026-08-01"}, "timeAt"),
        ({"timerel": "after", "timeAt": "2026-08-01T12:00:00"}, "timeAt"),
        ({"timerel": "after", "timeAt": "2026-02-30T12:00:00Z"}, "timeAt"),
        ({"timerel": "after", "timeAt": "0001-01-01T00:00:00+14:00"}, "timeAt"),
        ({"timerel": "after", "timeAt": 7}, "timeAt"),
        ({"timerel": "between", "timeAt": "2026-08-01T12:00:00Z"}, "endTimeAt"),
        ({"timerel": "between", "timeAt": "2026-08-01T12:00:00Z", "endTimeAt": "x"}, "endTimeAt"),
        (
            {"timerel": "between", "timeAt": "2026-08-01T12:00:00Z", "endTimeAt": "2026-08-01T11:00:00Z"},
            "endTimeAt",
        ),
        ({"timeproperty": "expiresAt"}, "timeproperty"),
        ({"lastN": "0"}, "lastN"),
        ({"lastN": "-1"}, "lastN"),
        ({"lastN": "two"}, "lastN"),
        ({"lastN": "١"}, "lastN"),
        ({"lastN": True}, "lastN"),
        ({"lastN": "9" * 5000}, "lastN"),
    ],
)
def test_a_wrong_parameter_is_named(given_, named):
    with pytest.raises(BadRequestData) as refused:
        parse_temporal_query(given_)
    assert refused.value.detail.startswith(f"{named}:")


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ({}, "aggrMethods"),
        ({"aggrMethods": ""}, "aggrMethods"),
        ({"aggrMethods": "median"}, "aggrMethods"),
        ({"aggrMethods": {"a": 1}}, "aggrMethods"),
        ({"aggrMethods": "sum", "aggrPeriodDuration": "1 hour"}, "aggrPeriodDuration"),
        ({"aggrMethods": "sum", "aggrPeriodDuration": "P"}, "aggrPeriodDuration"),
        ({"aggrMethods": "sum", "aggrPeriodDuration": "PT"}, "aggrPeriodDuration"),
        ({"aggrMethods": "sum", "aggrPeriodDuration": "P1H"}, "aggrPeriodDuration"),
        ({"aggrMethods": "sum", "aggrPeriodDuration": "P99999999Y"}, "aggrPeriodDuration"),
        ({"aggrMethods": "sum", "aggrPeriodDuration": "P0003-06-04T12:30:05"}, "aggrPeriodDuration"),
    ],
)
def test_a_wrong_aggregation_is_named(given_, named):
    with pytest.raises(BadRequestData) as refused:
        parse_temporal_query(given_, is_aggregated=True)
    assert refused.value.detail.startswith(f"{named}:")


def test_an_interval_may_be_required():
    with pytest.raises(BadRequestData) as refused:
        parse_temporal_query({"lastN": "3"}, is_required=True)
    assert refused.value.detail.startswith("timerel:")


@pytest.mark.parametrize(
    ("text", "months", "seconds"),
    [
        ("PT0S", 0, 0),
        ("P0D", 0, 0),
        ("PT1H", 0, 3_600),
        ("P2W", 0, 14 * 86_400),
        ("P1M", 1, 0),
        ("PT1M", 0, 60),
        ("P1Y", 12, 0),
        ("P3Y6M4DT12H30M5S", 42, 4 * 86_400 + 45_005),
        ("PT0.5S", 0, 0.5),
        ("PT1,25S", 0, 1.25),
    ],
)
def test_durations(text, months, seconds):
    assert parse_period(text) == Period(months, round(seconds * 1_000_000))


def test_months_keep_the_day_or_end_with_the_month():
    january = datetime(2026, 1, 31, tzinfo=UTC)
    assert [step(january, Period(1), n).date().isoformat() for n in (-1, 0, 1, 2, 3)] == [
        "2025-12-31",
        "2026-01-31",
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
    ]
    assert add_months(datetime(2028, 2, 29, tzinfo=UTC), 12).date().isoformat() == "2029-02-28"


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    for parameters in (
        {"timerel": "after", "timeAt": text},
        {"aggrMethods": "sum", "aggrPeriodDuration": text},
    ):
        with suppress(BadRequestData):
            parse_temporal_query(parameters, is_aggregated="aggrMethods" in parameters)
