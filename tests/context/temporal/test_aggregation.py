from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from context.temporal.conftest import FIRST, between, evolution_of, instance, remember
from context.temporal.naive import Fact, aggregated
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amb247.context import api
from amb247.context.domain.queries.aggregation import aggregate
from amb247.context.domain.queries.evolution import Head, find_heads, head_of
from amb247.context.domain.rollups import roll_up
from amb247.context.ngsi_errors import InvalidRequest
from amb247.context.querying.query import Query
from amb247.context.querying.temporal import METHODS, Period, TemporalQuery, parse_period

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PROBE = "urn:ngsi-ld:Probe:1"
HOUR = timedelta(hours=1)
NO_DISTINCT = tuple(name for name in METHODS if name != "distinctCount")


def heads(*ids: str) -> list[Head]:
    return [head_of(one, Query()) for one in ids]


def flat(answer) -> dict:
    return {
        (one.id, name, series.dataset_id, bucket.start, bucket.end): bucket.figures
        for one in answer
        for name, several in one.attributes.items()
        for series in several
        for bucket in series.buckets
    }


def assert_same(ours: dict, expected: dict, methods) -> None:
    expected = {
        key: {name: value for name, value in values.items() if name in methods}
        for key, values in expected.items()
    }
    expected = {key: values for key, values in expected.items() if values}
    assert ours.keys() == expected.keys()
    for key, values in expected.items():
        assert ours[key].keys() == values.keys(), key
        for name, value in values.items():
            if isinstance(value, float):
                assert math.isclose(ours[key][name], value, rel_tol=1e-9, abs_tol=1e-7), (key, name)
            else:
                assert ours[key][name] == value, (key, name)


def origin_of(query: TemporalQuery) -> datetime:
    return query.start or query.end or datetime(2001, 1, 1, tzinfo=UTC)


def both_ways(facts: list[Fact], query: TemporalQuery, ids: list[str]) -> None:
    """From the history alone, and again from hourly figures."""
    expected = aggregated(facts, query, origin_of(query))
    assert_same(flat(aggregate(heads(*ids), query)), expected, query.methods)
    roll_up(limit=10_000)
    assert_same(flat(aggregate(heads(*ids), query)), expected, query.methods)


moments = st.integers(0, 40 * 24 * 3_600).map(
    lambda s: FIRST + timedelta(seconds=s, microseconds=s % 7 * 1000)
)
values = st.one_of(
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 3)), st.integers(-5, 5), st.just(1e9 + 0.5)
)
plain = st.builds(
    Fact,
    st.sampled_from([PROBE, "urn:ngsi-ld:Probe:2"]),
    st.sampled_from(["speed", "level"]),
    moments,
    values,
    st.sampled_from(["", "", "", "urn:ngsi-ld:Dataset:1"]),
)
periods = st.sampled_from(["PT0S", "PT1H", "PT3H", "P1D", "PT90M", "PT9H30M", "P1M", "P1Y", "P1MT12H", "P1W"])


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    facts=st.lists(plain, min_size=1, max_size=40),
    text=periods,
    start=st.one_of(st.none(), st.integers(-30, 20 * 24 * 60).map(lambda m: FIRST + timedelta(minutes=m))),
    whole_hours=st.booleans(),
    length=st.one_of(st.none(), st.integers(1, 50 * 24 * 60)),
    has_distinct=st.booleans(),
)
def test_numbers_as_the_naive_twin_has_them(db, facts, text, start, whole_hours, length, has_distinct):
    if start is not None and whole_hours:
        start = start.replace(minute=0)
    end = None if length is None else (start or FIRST) + timedelta(minutes=length)
    query = TemporalQuery(
        None, start, end, "observedAt", None, METHODS if has_distinct else NO_DISTINCT, parse_period(text)
    )
    with transaction.atomic():
        remember(facts)
        both_ways(facts, query, sorted({fact.entity_id for fact in facts}))
        transaction.set_rollback(True)


mixed = st.builds(
    Fact,
    st.just(PROBE),
    st.sampled_from(["name", "isOpen", "list"]),
    moments,
    st.just(None),
    st.just(""),
).flatmap(
    lambda fact: {
        "name": st.text("abcÁñ -", max_size=6).map(lambda v: v + "x"),
        "isOpen": st.booleans(),
        "list": st.lists(st.integers(0, 3), min_size=1, max_size=4),
    }[fact.attribute].map(lambda value: fact._replace(value=value))
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=st.lists(mixed, min_size=1, max_size=20), text=periods)
def test_other_values_as_the_naive_twin_has_them(db, facts, text):
    query = between(FIRST, FIRST + timedelta(days=50), methods=METHODS, period=parse_period(text))
    expected = {
        key: {
            name: value
            for name, value in figures.items()
            # Sizes have no deviation in the standard's table; flags do.
            if not (key[1] == "list" and name in {"stddev", "sumsq"})
        }
        for key, figures in aggregated(facts, query, FIRST).items()
    }
    with transaction.atomic():
        remember(facts)
        assert_same(flat(aggregate(heads(PROBE), query)), expected, METHODS)
        roll_up(limit=10_000)
        assert_same(flat(aggregate(heads(PROBE), query)), expected, METHODS)
        transaction.set_rollback(True)


def test_a_series_of_numbers_and_texts_counts_both_after_rolling_up():
    facts = [
        Fact(PROBE, "speed", FIRST, 10),
        Fact(PROBE, "speed", FIRST + HOUR, "fast"),
        Fact(PROBE, "speed", FIRST + 2 * HOUR, 30),
    ]
    remember(facts)
    roll_up(limit=1_000)
    query = between(FIRST, FIRST + 3 * HOUR, methods=("totalCount", "avg"))
    assert flat(aggregate(heads(PROBE), query)) == {
        (PROBE, "speed", "", FIRST, FIRST + 3 * HOUR): {"totalCount": 3, "avg": 20}
    }


def test_hours_from_before_the_spread_was_kept_still_serve():
    remember([Fact(PROBE, "speed", FIRST + timedelta(minutes=m), m) for m in range(0, 120, 10)])
    roll_up(limit=1_000)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE context_hour SET spread = NULL, plain = NULL")
        cursor.execute("DELETE FROM context_history WHERE at < %s", [FIRST + HOUR])
    kept = between(FIRST, FIRST + 2 * HOUR, methods=("avg", "totalCount"), period=Period(0, 3_600_000_000))
    assert [bucket.figures for bucket in aggregate(heads(PROBE), kept)[0].attributes["speed"][0].buckets] == [
        {"avg": 25, "totalCount": 6},
        {"avg": 85, "totalCount": 6},
    ]
    deviating = between(FIRST, FIRST + 2 * HOUR, methods=("sumsq",), period=Period(0, 3_600_000_000))
    assert len(aggregate(heads(PROBE), deviating)[0].attributes["speed"][0].buckets) == 1


def test_hourly_figures_are_found_after_the_instances_are_forgotten():
    remember([Fact(PROBE, name, FIRST + timedelta(minutes=m), m) for name in ("a", "b") for m in range(90)])
    roll_up(limit=1_000)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM context_history")
    query = between(FIRST, FIRST + 2 * HOUR, methods=("sum",), period=Period(0, 3_600_000_000))
    found = find_heads(Query(), query)
    assert [head.id for head in found] == [PROBE]
    assert {
        name: [bucket.figures["sum"] for bucket in several[0].buckets]
        for name, several in aggregate(found, query)[0].attributes.items()
    } == {name: [sum(range(60)), sum(range(60, 90))] for name in ("a", "b")}
    assert find_heads(Query(), query, attributes=["c"]) == []
    assert find_heads(Query(), between(FIRST, FIRST + HOUR)) == []


def test_hourly_means_do_not_see_hours_without_numbers():
    remember([Fact(PROBE, "name", FIRST, "a"), Fact(PROBE, "speed", FIRST, 4)])
    roll_up(limit=1_000)
    assert api.hourly(PROBE, "name", FIRST, FIRST + HOUR) == []
    assert [hour.mean for hour in api.hourly(PROBE, "speed", FIRST, FIRST + HOUR)] == [4]


def test_periods_without_instances_are_left_out_and_ends_are_whole_periods():
    remember([Fact(PROBE, "speed", FIRST, 120), Fact(PROBE, "speed", FIRST + timedelta(minutes=9), 80)])
    query = between(FIRST, FIRST + timedelta(minutes=10), methods=("max",), period=parse_period("PT4M"))
    buckets = aggregate(heads(PROBE), query)[0].attributes["speed"][0].buckets
    assert [(b.start - FIRST, b.end - FIRST, b.figures) for b in buckets] == [
        (timedelta(0), timedelta(minutes=4), {"max": 120}),
        (timedelta(minutes=8), timedelta(minutes=12), {"max": 80}),
    ]


def test_calendar_months_are_those_of_utc_without_daylight_saving():
    start = datetime(2026, 1, 31, tzinfo=UTC)
    days = [start + timedelta(days=n) for n in range(100)]
    remember([Fact(PROBE, "speed", day, 1) for day in days])
    query = between(start, datetime(2026, 5, 1, tzinfo=UTC), methods=("totalCount",), period=Period(1))
    buckets = aggregate(heads(PROBE), query)[0].attributes["speed"][0].buckets
    assert [(b.start.date().isoformat(), b.figures["totalCount"]) for b in buckets] == [
        ("2026-01-31", 28),
        ("2026-02-28", 31),
        ("2026-03-31", 30),
        ("2026-04-30", 1),
    ]


def test_large_numbers_keep_their_deviation_across_hours():
    remember([Fact(PROBE, "speed", FIRST + n * timedelta(minutes=30), 1e9 + n) for n in range(8)])
    roll_up(limit=1_000)
    query = between(FIRST, FIRST + 4 * HOUR, methods=("stddev",))
    found = aggregate(heads(PROBE), query)[0].attributes["speed"][0].buckets[0].figures["stddev"]
    assert math.isclose(found, math.sqrt(6.0), rel_tol=1e-9)


def test_one_value_has_no_deviation():
    remember([Fact(PROBE, "speed", FIRST, 3)])
    query = between(FIRST, FIRST + HOUR, methods=("stddev",))
    assert aggregate(heads(PROBE), query)[0].attributes["speed"][0].buckets[0].figures == {"stddev": 0}


def test_times_of_day_have_a_mean_and_dates_an_order():
    def typed(kind: str, text: str) -> dict:
        return {"@type": kind, "@value": text}

    evolution_of(
        PROBE,
        opens=[
            instance(typed("Time", "08:00:00Z"), FIRST),
            instance(typed("Time", "09:00:01Z"), FIRST + HOUR),
        ],
        due=[
            instance(typed("DateTime", "2026-01-01T00:00:00Z"), FIRST),
            instance(typed("DateTime", "2025-01-01T00:00:00Z"), FIRST + HOUR),
        ],
    )
    query = between(FIRST, FIRST + 2 * HOUR, methods=METHODS)
    found = aggregate(heads(PROBE), query)[0].attributes
    assert found["opens"][0].buckets[0].figures == {
        "totalCount": 2, "distinctCount": 2, "avg": "08:30:00.500000Z", "min": "08:00:00Z", "max": "09:00:01Z"
    }  # fmt: skip
    assert found["due"][0].buckets[0].figures == {
        "totalCount": 2, "distinctCount": 2, "min": "2025-01-01T00:00:00Z", "max": "2026-01-01T00:00:00Z"
    }  # fmt: skip


def test_other_kinds_are_counted_and_keep_their_kind():
    evolution_of(
        PROBE,
        owner=[
            {
                "type": "Relationship",
                "object": f"urn:ngsi-ld:P:{n % 2}",
                "observedAt": f"2026-08-01T12:0{n}:00Z",
            }
            for n in range(3)
        ],
        place=[
            {
                "type": "GeoProperty",
                "value": {"type": "Point", "coordinates": [-73.1, 7.1]},
                "observedAt": "2026-08-01T12:00:00Z",
            }
        ],
        marks=[{"type": "ListProperty", "valueList": [1, 2, 3], "observedAt": "2026-08-01T12:00:00Z"}],
    )
    query = between(FIRST, FIRST + HOUR, methods=METHODS)
    found = aggregate(heads(PROBE), query)[0].attributes
    assert {name: (several[0].kind, several[0].buckets[0].figures) for name, several in found.items()} == {
        "owner": ("Relationship", {"totalCount": 3, "distinctCount": 2}),
        "place": ("GeoProperty", {"totalCount": 1, "distinctCount": 1}),
        "marks": (
            "ListProperty",
            {"totalCount": 1, "distinctCount": 1, "sum": 3, "avg": 3, "min": 3, "max": 3},
        ),
    }


def test_what_no_method_fits_is_refused_only_when_named():
    evolution_of(PROBE, name=[instance("a", FIRST)], speed=[instance(1, FIRST)])
    query = between(FIRST, FIRST + HOUR, methods=("sum", "stddev"))
    assert list(aggregate(heads(PROBE), query)[0].attributes) == ["speed"]
    with pytest.raises(InvalidRequest) as refused:
        aggregate(heads(PROBE), query, attributes=["name"], is_strict=True)
    assert "name" in refused.value.detail


def test_state_counts_by_its_creation(now):
    api.upsert([{"id": PROBE, "type": "Probe", "height": {"type": "Property", "value": 3}}])
    query = TemporalQuery("after", now - HOUR, None, "createdAt", methods=("sum", "totalCount"))
    buckets = aggregate(heads(PROBE), query)[0].attributes["height"][0].buckets
    assert [bucket.figures for bucket in buckets] == [{"sum": 3, "totalCount": 1}]
    assert (
        aggregate(heads(PROBE), TemporalQuery("after", now - HOUR, None, "observedAt", methods=("sum",)))[
            0
        ].attributes
        == {}
    )
