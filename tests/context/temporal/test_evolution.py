from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import shapely
from context.temporal.conftest import FIRST, between, evolution_of, instance, remember
from context.temporal.naive import Fact, chosen
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amb247.context import api
from amb247.context.domain.queries.evolution import (
    TICK,
    count_heads,
    every_head,
    evolve,
    find_heads,
    head_of,
    rest_of,
    stream,
)
from amb247.context.jsonld.context import CORE
from amb247.context.ngsi_errors import BadRequestData
from amb247.context.querying.query import Query, Restriction
from amb247.context.querying.syntax import parse_geo, parse_q, parse_scope, parse_types
from amb247.context.querying.temporal import TemporalQuery

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PROBE = "urn:ngsi-ld:Probe:1"
OTHER = "urn:ngsi-ld:Probe:2"
HOUR = timedelta(hours=1)
EVER = TemporalQuery()
NIGHT = between(FIRST, FIRST + HOUR)


def values(entity_id: str, query: TemporalQuery = EVER, **more) -> dict[str, list]:
    head = head_of(entity_id, Query())
    part = evolve([head], query, **more)
    return {
        name: [t.instance.get("value") for t in several]
        for name, several in part.evolutions[0].attributes.items()
    }


def found(query: Query, temporal: TemporalQuery = NIGHT, attributes=None) -> list[str]:
    ids = [head.id for head in find_heads(query, temporal, attributes=attributes)]
    assert count_heads(query, temporal, attributes=attributes) >= len(ids)
    assert [head.id for chunk in every_head(query, temporal, attributes=attributes) for head in chunk][
        query.offset : query.offset + query.limit
    ] == ids
    return ids


def q(text: str) -> Query:
    return Query(q=parse_q(text, CORE))


# --- which instances --------------------------------------------------------------------------------------------


def test_intervals_hold_their_start_and_not_their_end():
    evolution_of(PROBE, speed=[instance(n, FIRST + n * HOUR) for n in range(4)])
    assert values(PROBE, TemporalQuery("before", None, FIRST + HOUR, "observedAt")) == {"speed": [0]}
    assert values(PROBE, TemporalQuery("after", FIRST + 2 * HOUR, None, "observedAt")) == {"speed": [2, 3]}
    assert values(PROBE, between(FIRST + HOUR, FIRST + 3 * HOUR)) == {"speed": [1, 2]}


def test_instances_come_in_the_order_of_time_and_the_last_ones_newest_first():
    evolution_of(
        PROBE, speed=[instance(n, FIRST + n * HOUR) for n in (2, 0, 3, 1)], name=[instance("a", FIRST)]
    )
    assert values(PROBE) == {"speed": [0, 1, 2, 3], "name": ["a"]}
    assert values(PROBE, replace(EVER, last_n=2)) == {"speed": [3, 2], "name": ["a"]}
    last = TemporalQuery("before", None, FIRST + 2 * HOUR, "observedAt", last_n=1)
    assert values(PROBE, last) == {"speed": [1], "name": ["a"]}


def test_datasets_are_chosen():
    evolution_of(
        PROBE,
        speed=[
            instance(1, FIRST),
            instance(2, FIRST, datasetId="urn:a:b"),
            instance(3, FIRST, datasetId="urn:a:c"),
        ],
    )
    assert values(PROBE, dataset_ids=["@none"]) == {"speed": [1]}
    assert sorted(values(PROBE, dataset_ids=["urn:a:b", "urn:a:c"])["speed"]) == [2, 3]
    taken = (
        evolve([head_of(PROBE, Query())], EVER, dataset_ids=["urn:a:b"]).evolutions[0].attributes["speed"][0]
    )
    assert taken.instance["datasetId"] == "urn:a:b"


def test_only_the_attributes_that_are_asked_for():
    evolution_of(PROBE, speed=[instance(1, FIRST)], name=[instance("a", FIRST)])
    assert values(PROBE, attributes=["name", "unknown"]) == {"name": ["a"]}


def test_instances_keep_all_that_they_carried():
    given_ = instance(
        {"a": [1, {"b": None}]}, FIRST, unitCode="KMH", source={"type": "Property", "value": "gps"}
    )
    evolution_of(
        PROBE, speed=[given_, instance(7, FIRST + HOUR, unitCode="KMH"), instance(0.5, FIRST + 2 * HOUR)]
    )
    taken = evolve([head_of(PROBE, Query())], EVER).evolutions[0].attributes["speed"]
    assert [one.instance for one in taken] == [
        given_ | {"observedAt": "2026-08-01T12:00:00Z"},
        {"type": "Property", "value": 7, "unitCode": "KMH", "observedAt": "2026-08-01T13:00:00Z"},
        {"type": "Property", "value": 0.5, "observedAt": "2026-08-01T14:00:00Z"},
    ]
    assert len({one.seq for one in taken}) == 3


def test_what_was_not_observed_is_found_by_when_it_was_taken(now):
    evolution_of(PROBE, speed=[instance(1)], name=[instance("a", FIRST)])
    assert values(PROBE, TemporalQuery("after", FIRST, None, "observedAt")) == {"name": ["a"]}
    for timeproperty in ("createdAt", "modifiedAt"):
        query = TemporalQuery("after", now, None, timeproperty)
        assert values(PROBE, query) == {"name": ["a"], "speed": [1]}
        assert values(PROBE, TemporalQuery("before", None, now, timeproperty)) == {}


def test_what_lives_in_the_state_alone_is_part_of_the_evolution(now):
    api.upsert(
        [
            {
                "id": PROBE,
                "type": "Probe",
                "height": {"type": "Property", "value": 3, "unitCode": "MTR"},
                "speed": {"type": "Property", "value": 4, "observedAt": "2026-08-01T12:00:00Z"},
            }
        ]
    )
    assert values(PROBE) == {"height": [3], "speed": [4]}
    assert values(PROBE, NIGHT) == {"speed": [4]}
    assert values(PROBE, TemporalQuery("after", now, None, "modifiedAt")) == {"height": [3], "speed": [4]}
    assert values(PROBE, TemporalQuery("after", now, None, "createdAt"), attributes=["height"]) == {
        "height": [3]
    }
    api.upsert([{"id": PROBE, "type": "Probe", "height": {"type": "Property", "value": 5}}])
    assert values(PROBE)["height"] == [3, 5]


def test_deletions_are_remembered(now):
    api.upsert(
        [
            {
                "id": PROBE,
                "type": "Probe",
                "owner": {"type": "Relationship", "object": "urn:a:b"},
                "speed": {"type": "Property", "value": 4, "observedAt": "2026-08-01T12:00:00Z"},
            }
        ]
    )
    api.delete([PROBE])
    head = head_of(PROBE, Query())
    assert head.deleted_at >= now
    part = evolve([head], TemporalQuery("after", now, None, "deletedAt"))
    assert {
        name: [(one.instance, one.deleted) for one in several]
        for name, several in part.evolutions[0].attributes.items()
    } == {
        "owner": [({"type": "Relationship", "object": "urn:ngsi-ld:null"}, True)],
        "speed": [({"type": "Property", "value": "urn:ngsi-ld:null"}, True)],
    }
    assert values(PROBE, NIGHT) == {"speed": [4]}
    assert values(PROBE)["speed"] == [4, "urn:ngsi-ld:null"]
    deleted = TemporalQuery("after", now, None, "deletedAt")
    assert found(Query(types=parse_types("Probe", CORE)), deleted) == [PROBE]
    assert found(Query(), NIGHT) == [PROBE]


def test_an_unknown_entity_has_no_head():
    assert head_of(PROBE, Query()) is None


# --- a page at a time -------------------------------------------------------------------------------------------

facts_of = st.lists(
    st.builds(
        Fact,
        st.sampled_from([PROBE, OTHER]),
        st.sampled_from(["speed", "level", "name"]),
        st.integers(0, 12).map(lambda n: FIRST + n * timedelta(minutes=5)),
        st.integers(0, 10_000),
        st.just(""),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    facts=facts_of,
    limit=st.integers(1, 9),
    query=st.sampled_from(
        [
            NIGHT,
            TemporalQuery("after", FIRST + timedelta(minutes=20), None, "observedAt"),
            TemporalQuery("before", None, FIRST + timedelta(minutes=40), "observedAt"),
            EVER,
        ]
    ),
    backwards=st.booleans(),
)
def test_pages_lose_and_repeat_nothing(db, monkeypatch, facts, limit, query, backwards):
    monkeypatch.setattr("amb247.context.domain.queries.evolution.LEAST_OF_SERIES", 2)
    with transaction.atomic():
        remember(facts)
        expected = sorted((f.entity_id, f.attribute, f.at, f.value) for f in chosen(facts, query))
        heads = [head for one in (PROBE, OTHER) if (head := head_of(one, Query()))]
        rest: TemporalQuery | None = replace(query, last_n=1_000) if backwards else query
        got: list = []
        before = None
        while rest is not None:
            part = evolve(heads, rest, limit=limit)
            taken = [
                (one.id, name, datetime.fromisoformat(t.time), t.instance["value"])
                for one in part.evolutions
                for name, several in one.attributes.items()
                for t in several
            ]
            if before is not None and taken:
                assert part.last < before[0] if backwards else part.first > before[1]
            before = (part.first, part.last) if taken else before
            assert len(taken) <= limit or part.first == part.last
            got += taken
            rest = rest_of(rest, part)
        assert sorted(got) == expected
        transaction.set_rollback(True)


def test_a_moment_with_more_than_the_limit_is_given_whole():
    evolution_of(PROBE, speed=[instance(n, FIRST) for n in range(5)] + [instance(9, FIRST + HOUR)])
    head = head_of(PROBE, Query())
    part = evolve([head], EVER, limit=3)
    assert (len(part.evolutions[0].attributes["speed"]), part.is_partial) == (5, True)
    rest = rest_of(EVER, part)
    assert rest.start == FIRST + TICK
    assert len(evolve([head], rest, limit=3).evolutions[0].attributes["speed"]) == 1


def test_a_stream_gives_every_instance(monkeypatch):
    remember(
        [Fact(f"urn:ngsi-ld:Probe:{n % 3}", "speed", FIRST + n * timedelta(minutes=1), n) for n in range(30)]
    )
    heads = every_head(Query(), NIGHT)
    got = sorted(t.instance["value"] for one in stream(heads, NIGHT) for t in one.attributes.get("speed", []))
    assert got == list(range(30))


def test_one_statement_reads_a_page_however_many_entities():
    remember([Fact(f"urn:ngsi-ld:Probe:{n}", f"a{n % 4}", FIRST, n) for n in range(20)])
    for limit in (1, 20):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            heads = find_heads(Query(limit=limit), NIGHT)
            evolve(heads, NIGHT)
        assert len([one for one in queries if "FROM" in one["sql"]]) == 2


# --- which entities ---------------------------------------------------------------------------------------------


@pytest.fixture
def three(db):
    evolution_of(PROBE, speed=[instance(10, FIRST), instance(50, FIRST + HOUR)], name=[instance("a", FIRST)])
    evolution_of(OTHER, type="Gauge", level=[instance(1, FIRST)], scope="/Norte/Uno")
    evolution_of(
        "urn:ngsi-ld:Probe:3", speed=[instance(90, FIRST - 9 * HOUR)], brand=[instance("b", FIRST - HOUR)]
    )


@pytest.mark.usefixtures("three")
def test_entities_with_data_in_the_interval():
    assert found(Query()) == [PROBE, OTHER]
    assert found(Query(), attributes=["level"]) == [OTHER]
    assert found(Query(), between(FIRST - 10 * HOUR, FIRST)) == ["urn:ngsi-ld:Probe:3"]
    assert found(Query(types=parse_types("Probe", CORE))) == [PROBE]
    assert found(Query(ids=(OTHER, "urn:ngsi-ld:Probe:3"))) == [OTHER]
    assert found(Query(id_pattern=".*Probe:[12]$")) == [PROBE, OTHER]
    assert found(Query(id_pattern="Probe:1")) == [PROBE]
    assert found(Query(scope=parse_scope("/Norte/#"))) == [OTHER]
    assert found(Query(limit=1, offset=1)) == [OTHER]
    assert count_heads(Query(limit=1), NIGHT) == 2


@pytest.mark.usefixtures("three")
def test_q_looks_at_the_instances_of_the_interval():
    assert found(q("speed==10")) == [PROBE]
    assert found(q("speed==50")) == []
    assert found(q("speed==50"), between(FIRST, FIRST + 2 * HOUR)) == [PROBE]
    assert found(q("speed>5;name==%22a%22".replace("%22", '"'))) == [PROBE]
    assert found(q("level<2|speed>80")) == [OTHER]
    assert found(q("speed")) == [PROBE]


def test_q_looks_at_what_was_valid_when_an_attribute_has_nothing_in_the_interval():
    evolution_of(
        PROBE,
        brand=[instance("x", FIRST - 3 * HOUR), instance("y", FIRST - HOUR)],
        speed=[instance(1, FIRST)],
    )
    evolution_of(OTHER, brand=[instance("y", FIRST - HOUR), instance("x", FIRST)])
    assert found(q('brand=="y"')) == [PROBE]
    assert found(q('brand=="x"')) == [OTHER]
    assert found(q('brand!="x"')) == [PROBE]


def test_q_looks_at_what_lives_in_the_state_alone():
    api.upsert(
        [
            {
                "id": one,
                "type": "Probe",
                "brand": {"type": "Property", "value": brand},
                "speed": {"type": "Property", "value": 4, "observedAt": "2026-08-01T12:00:00Z"},
            }
            for one, brand in ((PROBE, "x"), (OTHER, "y"))
        ]
    )
    assert found(q('brand=="y"')) == [OTHER]
    evolution_of(PROBE, brand=[instance("y", FIRST)])
    assert found(q('brand=="y"')) == [PROBE, OTHER]


def place(lon: float, lat: float, when: datetime | None = None) -> dict:
    made = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, lat]}}
    return made | {"observedAt": when.isoformat()} if when else made


def near(lon: float, lat: float, metres: int = 300) -> Query:
    return Query(geo=parse_geo(f"near;maxDistance=={metres}", "Point", f"[{lon},{lat}]", None, CORE))


def test_geo_queries_look_at_the_places_of_the_interval():
    evolution_of(PROBE, location=[place(-73.1, 7.1, FIRST), place(-73.2, 7.2, FIRST + 2 * HOUR)])
    assert found(near(-73.1, 7.1)) == [PROBE]
    assert found(near(-73.2, 7.2)) == []
    assert found(near(-73.2, 7.2), between(FIRST, FIRST + 3 * HOUR)) == [PROBE]


def test_a_lamp_that_never_moved_is_found_where_it_stands():
    api.upsert(
        [
            {
                "id": one,
                "type": "Lamp",
                "location": place(lon, 7.1),
                "power": {"type": "Property", "value": "off", "observedAt": "2026-08-01T12:10:00Z"},
            }
            for one, lon in ((PROBE, -73.1), (OTHER, -73.5))
        ]
    )
    query = replace(near(-73.1, 7.1), q=parse_q('power=="off"', CORE), types=parse_types("Lamp", CORE))
    assert found(query) == [PROBE]
    assert found(replace(query, q=parse_q('power=="on"', CORE))) == []


def test_a_thing_that_moved_since_is_found_where_it_was():
    api.upsert([{"id": PROBE, "type": "Bus", "location": place(-73.1, 7.1, FIRST - HOUR)}])
    api.upsert([{"id": PROBE, "type": "Bus", "location": place(-73.9, 7.9, FIRST + 5 * HOUR)}])
    evolution_of(PROBE, speed=[instance(1, FIRST)])
    assert found(near(-73.1, 7.1)) == [PROBE]
    assert found(near(-73.9, 7.9)) == []


def test_linked_entities_are_refused():
    with pytest.raises(BadRequestData):
        find_heads(q("owner{Person}.name=='x'".replace("'", '"')), NIGHT)


# --- who may see it ---------------------------------------------------------------------------------------------

NORTH = Restriction(areas=(shapely.box(-73.2, 7.0, -73.0, 7.2),))


def test_a_restricted_reader_sees_and_counts_only_what_it_may():
    api.upsert([{"id": PROBE, "type": "Lamp", "location": place(-73.1, 7.1), "speed": instance(1, FIRST)}])
    api.upsert([{"id": OTHER, "type": "Lamp", "location": place(-74.1, 7.1), "speed": instance(1, FIRST)}])
    api.upsert([{"id": "urn:ngsi-ld:Probe:3", "type": "Lamp", "speed": instance(1, FIRST)}])
    for _ in range(2):  # as things of the state, then as things of the past
        assert found(Query(restriction=NORTH)) == [PROBE]
        assert count_heads(Query(restriction=NORTH), NIGHT) == 1
        assert head_of(PROBE, Query(restriction=NORTH)) is not None
        assert head_of(OTHER, Query(restriction=NORTH)) is None
        assert head_of("urn:ngsi-ld:Probe:3", Query(restriction=NORTH)) is None
        assert found(Query(restriction=Restriction(types=frozenset({"Lamp"})))) == [
            PROBE,
            OTHER,
            "urn:ngsi-ld:Probe:3",
        ]
        assert found(Query(restriction=Restriction(types=frozenset({"Bus"})))) == []
        api.delete([PROBE, OTHER, "urn:ngsi-ld:Probe:3"])


def test_a_temporal_entity_lies_where_its_newest_location_says():
    evolution_of(PROBE, location=[place(-73.1, 7.1, FIRST), place(-74.1, 7.1, FIRST + HOUR)])
    assert found(Query(restriction=NORTH)) == []
    evolution_of(PROBE, location=[place(-73.1, 7.1, FIRST + 2 * HOUR)])
    assert found(Query(restriction=NORTH)) == [PROBE]
    assert datetime.now(UTC) > FIRST


@given(
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)).map(
        lambda d: d.replace(tzinfo=UTC)
    )
)
def test_times_are_written_as_everywhere_else(moment):
    from amb247.context.documents.temporal import brief
    from amb247.context.domain.queries.evolution_sql import moment_of, written

    text = str(moment).removesuffix("+00:00")
    raw = (text.rstrip("0") if "." in text else text) + "+00"  # as PostgreSQL has it
    assert (written(raw), moment_of(raw)) == (brief(moment), moment)
