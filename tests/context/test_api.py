"""The one door: state, history and change feed of what goes through it."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from factories.context import streetlight, vehicle

from amb247.context import api
from amb247.context.data import Cursor
from amb247.context.domain.queries import changes as feed_queries
from amb247.context.errors import BadQuery, BatchRefused, CursorTooOld

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
BUS = "urn:ngsi-ld:Vehicle:test:0001"


def changes(count, since=None):
    """The feed, once it shows so many: another worker's transaction on the same server may hold it back a while."""
    for _ in range(600):
        found = api.changes(since)
        if len(found) >= count:
            return found
        time.sleep(0.05)
    return found


def feed(since=None):
    """All changes, whatever transactions run elsewhere on this server."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT op, entity_id, attributes FROM context_change ORDER BY tx, seq")
        return cursor.fetchall()


def test_new_entity_is_stored_whole(now):
    report = api.upsert([vehicle(at=now, speed=31.5, name="0417")], source="t")
    assert (report.taken, report.created, report.updated, report.unchanged, report.refused) == (
        1,
        1,
        0,
        0,
        (),
    )
    found = api.get(BUS)
    assert found["type"] == "Vehicle"
    assert found["speed"]["value"] == 31.5
    assert found["speed"]["unitCode"] == "KMH"
    assert found["createdAt"] == found["modifiedAt"] == found["name"]["createdAt"]
    assert [row[:2] for row in feed()] == [("created", BUS)]


def test_merge_keeps_what_is_not_given(now):
    api.upsert([vehicle(at=now, speed=31.5, name="0417")])
    report = api.upsert([vehicle(at=now + timedelta(seconds=1), speed=20.0)])
    assert (report.created, report.updated) == (0, 1)
    found = api.get(BUS)
    assert (found["name"]["value"], found["speed"]["value"]) == ("0417", 20.0)


def test_same_again_writes_nothing(now):
    batch = [vehicle(at=now, speed=31.5, name="0417"), streetlight(at=now)]
    api.upsert(batch)
    before = feed()
    report = api.upsert(batch)
    assert (report.taken, report.unchanged, report.updated, report.created) == (2, 2, 0, 0)
    assert feed() == before
    assert len(api.history(BUS, "speed", now - timedelta(hours=1), now + timedelta(hours=1))) == 1


def test_older_observation_reaches_the_history_only(now):
    api.upsert([vehicle(at=now, speed=30.0)])
    report = api.upsert([vehicle(at=now - timedelta(minutes=2), speed=10.0, lon=-73.2)])
    assert report.late == 1
    assert api.get(BUS)["speed"]["value"] == 30.0
    seen = api.history(BUS, "speed", now - timedelta(hours=1), now + timedelta(minutes=1))
    assert [one.value for one in seen] == [10.0, 30.0]
    overruled = api.upsert([vehicle(at=now - timedelta(minutes=1), speed=11.0)], newest_wins=False)
    assert overruled.late == 0
    assert api.get(BUS)["speed"]["value"] == 11.0


def test_bad_entity_refuses_the_batch_and_writes_nothing(now):
    with pytest.raises(BatchRefused) as caught:
        api.upsert(
            [
                vehicle(1, at=now),
                {"type": "Vehicle"},
                vehicle(2, at=now, speed=1) | {"speed": {"type": "Property", "value": "x"}},
            ]
        )
    assert [(one.index, one.field) for one in caught.value.refusals] == [(1, "id"), (2, "speed")]
    assert "entity 1" in str(caught.value)
    assert api.count("Vehicle") == 0
    assert feed() == []


def test_good_ones_are_kept_on_request(now):
    report = api.upsert([vehicle(1, at=now), {"type": "Vehicle"}, vehicle(3, at=now)], keep_good=True)
    assert (report.taken, len(report.refused), report.reasons) == (2, 1, {"no_id": 1})
    assert api.count("Vehicle") == 2


def test_new_entity_needs_what_its_type_requires():
    report = api.upsert(
        [{"id": "urn:ngsi-ld:Vehicle:t:9", "type": "Vehicle", "speed": {"type": "Property", "value": 1}}],
        keep_good=True,
    )
    assert [(one.index, one.field, one.code) for one in report.refused] == [
        (0, "location", "missing_attribute")
    ]


def test_same_entity_twice_in_a_batch_applies_in_order(now):
    later = now + timedelta(seconds=2)
    report = api.upsert([vehicle(at=now, speed=1.0), vehicle(at=later, speed=2.0)])
    assert (report.taken, report.created) == (2, 1)
    assert api.get(BUS)["speed"]["value"] == 2.0
    assert [one.value for one in api.history(BUS, "speed", now, later + timedelta(seconds=1))] == [1.0, 2.0]


def test_several_instances_live_beside_each_other(now):
    def speeds(*pairs):
        return vehicle(at=now) | {
            "speed": [{"type": "Property", "value": v, "datasetId": f"urn:ds:{d}"} for d, v in pairs]
        }

    api.upsert([speeds(("gps", 30), ("can", 31))])
    api.upsert([speeds(("can", 33))])
    assert {one["datasetId"]: one["value"] for one in api.get(BUS)["speed"]} == {
        "urn:ds:gps": 30,
        "urn:ds:can": 33,
    }


def test_a_second_type_is_added_not_replaced(now):
    api.upsert([vehicle(at=now)])
    api.upsert([vehicle(at=now) | {"type": ["Vehicle", "Sensor"]}])
    assert api.get(BUS)["type"] == ["Vehicle", "Sensor"]
    assert api.count("Sensor") == 1


def test_unobserved_attribute_is_its_own_history_until_it_changes(now):
    start, end = now - timedelta(hours=1), now + timedelta(hours=1)
    api.upsert([vehicle(at=now) | {"name": {"type": "Property", "value": "old"}}])
    assert [one.value for one in api.history(BUS, "name", start, end)] == ["old"]
    api.upsert([vehicle(at=now) | {"name": {"type": "Property", "value": "new"}}])
    assert [one.value for one in api.history(BUS, "name", start, end)] == ["old", "new"]


def test_delete_is_remembered_and_told(now):
    api.upsert([vehicle(at=now, speed=5.0) | {"name": {"type": "Property", "value": "0417"}}])
    assert api.delete([BUS, "urn:ngsi-ld:Vehicle:none:1"]) == 1
    assert api.get(BUS) is None
    last = api.history(BUS, "speed", now - timedelta(hours=1), now + timedelta(hours=1))[-1]
    assert last.deleted
    names = api.history(BUS, "name", now - timedelta(hours=1), now + timedelta(hours=1))
    assert [(one.value, one.deleted) for one in names] == [("0417", False), (None, True)]
    assert feed()[-1][:2] == ("deleted", BUS)
    assert api.delete([BUS]) == 0


def test_backslashes_tabs_and_newlines_survive(now):
    odd = 'a\\b\tc\nd"e\u2028ñ'
    api.upsert(
        [vehicle(at=now) | {"name": {"type": "Property", "value": odd, "observedAt": now.isoformat()}}]
    )
    assert api.get(BUS)["name"]["value"] == odd
    assert api.history(BUS, "name", now, now + timedelta(seconds=1))[0].value == odd
    with connection.cursor() as cursor:
        cursor.execute("SELECT attributes->'name'->>'value' FROM context_change")
        assert cursor.fetchone()[0] == odd


def test_query_by_condition_order_and_page(now):
    api.upsert([vehicle(i, at=now, speed=float(i)) for i in range(1, 8)])
    found = api.query(
        "Vehicle", where=[("speed", ">", 2), ("speed", "<=", 6)], order_by="-speed", limit=2, offset=1
    )
    assert [one["speed"]["value"] for one in found] == [5.0, 4.0]
    assert api.query("Vehicle", where=[("name", "exists", True)]) == []
    assert len(api.query("Vehicle", where=[("name", "exists", False)])) == 7


def test_query_near_is_sorted_and_exact(now):
    api.upsert([vehicle(i, at=now, lon=-73.12 + i / 1000) for i in range(5)])
    found = api.query("Vehicle", near=(-73.12, 7.12, 250))
    assert [one["id"][-4:] for one in found] == ["0000", "0001", "0002"]


def test_query_within_polygon(now):
    api.upsert([vehicle(i, at=now, lon=-73.12 + i / 100) for i in range(5)])
    box = {
        "type": "Polygon",
        "coordinates": [[[-73.115, 7.1], [-73.095, 7.1], [-73.095, 7.2], [-73.115, 7.2], [-73.115, 7.1]]],
    }
    assert [one["id"][-1] for one in api.query("Vehicle", within=box)] == ["1", "2"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 10**6},
        {"offset": -1},
        {"where": [("speed", "~", 1)]},
        {"within": {"type": "Point", "coordinates": [0, 0]}},
        {"within": {"type": "Nonsense"}},
        {"near": (200, 0, 10)},
        {"near": (0, 0, -1)},
    ],
)
def test_bad_query_is_refused(wrong):
    with pytest.raises(BadQuery):
        api.query("Vehicle", **wrong)


def test_query_values_never_become_sql(now):
    api.upsert([vehicle(at=now)])
    nasty = "'; DROP TABLE context_entity; --"
    assert api.query("Vehicle", where=[(nasty, "=", nasty)], order_by=nasty) == []
    assert api.count("Vehicle") == 1


def test_state_at_an_earlier_moment(now):
    before = now - timedelta(minutes=10)
    api.upsert([streetlight(1, at=before), streetlight(2, at=before)])
    api.upsert([streetlight(1, at=now, status="defectiveLamp")])
    changed = api.changed_after(["status"], before + timedelta(minutes=1))
    assert changed == [("urn:ngsi-ld:Streetlight:test:000001", "status")]
    then = api.values_at(changed, before + timedelta(minutes=1))
    assert then[changed[0]].value == "ok"
    places = api.last_before(
        "Streetlight", "location", before + timedelta(minutes=1), window=timedelta(minutes=5)
    )
    assert len(places) == 2


def test_hourly_figures_from_history_and_rollup_agree(now):
    hour = now.replace(minute=0, second=0) - timedelta(hours=3)
    for minute, value in ((1, 10.0), (20, 20.0), (59, 60.0)):
        api.upsert([vehicle(at=hour + timedelta(minutes=minute), speed=value)])
    raw = api.hourly(BUS, "speed", hour, hour + timedelta(hours=2))
    assert [(one.start, one.count, one.mean, one.minimum, one.maximum) for one in raw] == [
        (hour, 3, 30.0, 10.0, 60.0)
    ]
    assert hour in api.roll_up()
    assert api.hourly(BUS, "speed", hour, hour + timedelta(hours=2)) == raw
    api.upsert([vehicle(at=hour + timedelta(minutes=30), speed=30.0)])  # late: the hour is made again
    assert api.hourly(BUS, "speed", hour, hour + timedelta(hours=1))[0].count == 4
    assert api.roll_up() == [hour]
    assert api.hourly(BUS, "speed", hour, hour + timedelta(hours=1))[0].count == 4
    assert api.roll_up() == []


def test_retention_forgets_by_type_and_keeps_figures(now):
    old = now - timedelta(days=60)  # vehicles are kept 45 days, lamps 90
    api.upsert([vehicle(at=old, speed=10.0), streetlight(at=old, powerConsumption=70.0)])
    api.roll_up()
    deleted = api.apply_retention()
    assert deleted["Vehicle"] == 2
    assert api.history(BUS, "speed", old - timedelta(hours=1), now) == []
    assert api.hourly(BUS, "speed", old - timedelta(hours=1), now)[0].count == 1
    assert (
        len(
            api.history(
                "urn:ngsi-ld:Streetlight:test:000001", "powerConsumption", old - timedelta(hours=1), now
            )
        )
        == 1
    )


def test_recording_of_another_decade_finds_its_partition(now):
    old = now.replace(year=2015)
    api.upsert([vehicle(at=old, speed=10.0)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM context_history LIMIT 1")
        assert cursor.fetchone()[0] == "context_history_y2015"


def test_feed_counts_add_up(now):
    handle = api.feed("t", name="Prueba", kind="test")
    handle.record(taken=3, refused={"no_id": 2}, newest=now, received_bytes=10, examples={"no_id": "line 4"})
    handle.record(taken=1, refused={"no_id": 1})
    status = api.feed_statuses()[0]
    assert (status.messages, status.taken, status.refused, dict(status.reasons)) == (2, 4, 3, {"no_id": 3})
    assert status.state == "live"
    assert status.latency_s is not None
    assert api.feed_refusals("t")[0].example == "line 4"
    assert sum(row.taken for row in api.feed_minutes("t", since=now - timedelta(hours=1))) == 4


@pytest.mark.django_db(transaction=True)
def test_changes_are_read_in_order_and_resume(now):
    api.upsert([vehicle(i, at=now) for i in range(5)])
    api.upsert([vehicle(1, at=now + timedelta(seconds=1))])
    everything = changes(6)
    assert [one.op for one in everything] == ["created"] * 5 + ["updated"]
    assert everything == sorted(everything, key=lambda one: one.cursor)
    assert api.changes(everything[3].cursor) == everything[4:]
    assert Cursor.parse(str(everything[3].cursor)) == everything[3].cursor
    assert api.changes(api.newest_cursor()) == []


@pytest.mark.django_db(transaction=True)
def test_a_slow_writer_is_never_skipped(now):
    """A transaction that began earlier and commits later holds back what came after it, so that no reader passes it."""
    import threading

    api.prepare_ahead()  # else the second writer waits for the partitions that the first one makes
    written, go_on = threading.Event(), threading.Event()

    def slow():
        try:
            with transaction.atomic():
                api.upsert([vehicle(1, at=now)])
                written.set()
                go_on.wait(10)
        finally:
            connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(10)
    api.upsert([vehicle(2, at=now)])
    assert api.changes(None) == []
    go_on.set()
    thread.join()
    assert [one.entity_id[-1] for one in changes(2)] == ["1", "2"]


@pytest.mark.django_db(transaction=True)
def test_writers_of_the_same_entities_lose_nothing(now):
    import threading

    problems = []

    def write(attribute, order):
        try:
            for step in range(8):
                api.upsert(
                    [
                        vehicle(i, at=now) | {attribute: {"type": "Property", "value": f"{step}"}}
                        for i in order
                    ]
                )
        except Exception as problem:
            problems.append(problem)
        finally:
            connection.close()

    orders = (list(range(30)), list(range(29, -1, -1)), list(range(30)))
    names = ("name", "routeShortName", "headingTo")
    threads = [threading.Thread(target=write, args=pair) for pair in zip(names, orders, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    for i in range(30):
        found = api.get(f"urn:ngsi-ld:Vehicle:test:{i:04d}")
        assert [found[name]["value"] for name in names] == ["7", "7", "7"]


@pytest.mark.django_db(transaction=True)
def test_cursor_older_than_the_feed_says_so(now):
    api.upsert([vehicle(at=now)])
    cursor = changes(1)[0].cursor
    with connection.cursor() as sql:
        sql.execute("INSERT INTO context_feed_floor (dropped_tx) VALUES (%s)", [cursor.tx + 1])
    with pytest.raises(CursorTooOld):
        api.changes(cursor)


def test_joins_the_callers_transaction(now):
    class Undo(Exception):
        pass

    with pytest.raises(Undo), transaction.atomic():
        api.upsert([vehicle(at=now)])
        raise Undo
    assert api.get(BUS) is None
    assert feed() == []


def test_who_asks_for_some_types_passes_the_others_by(now):
    api.upsert([vehicle(at=now, speed=1.0), streetlight(at=now)])
    api.upsert([streetlight(at=now + timedelta(seconds=1))])
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE context_change SET tx = '3'"
        )  # as if long committed: this transaction is open still
        every = feed_queries.read(cursor, Cursor(0, 0), limit=10)
        some = feed_queries.read(cursor, Cursor(0, 0), limit=10, types=["Vehicle"])
        first = feed_queries.read(cursor, Cursor(0, 0), limit=1, types=["Nothing"])
        rest = feed_queries.read(cursor, first.position, limit=10, types=["Vehicle", "Streetlight"])
        end = feed_queries.read(cursor, every.position, limit=10, types=["Vehicle"])
    assert [one.entity_id for one in some.changes] == [BUS]
    assert (some.position, some.is_full) == (every.position, False)
    assert (first.changes, first.is_full, first.position) == ([], True, every.changes[0].cursor)
    assert rest.changes == every.changes[1:]
    assert end == ([], every.position, False)
