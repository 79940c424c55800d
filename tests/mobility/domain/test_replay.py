from __future__ import annotations

import gzip
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from factories.mobility import NOON, changed, gtfs_zip, message, shared_data

from amb247.context import api as context
from amb247.mobility import api
from amb247.mobility.errors import FeedUnknown, UnreadableMessage, UnreadableRecording, UnreadableTable

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
HEADER = "vehicle_id,timestamp,speed,route_id,trip_id,latitude,longitude,trip_headsign\n"
AT = datetime.fromtimestamp(NOON, UTC)


def write_messages(folder, count=3, every_s=60):
    """`count` messages of two buses; the second never moves."""
    for number in range(count):
        at = NOON + number * every_s
        content = message(
            {"id": "a", "at": at, "lat": 7.10 + number / 100, "route": "T1", "trip": "t1-1", "speed": 10.0},
            {"id": "b", "at": NOON, "lat": 7.2},
            {"id": "c", "at": at + 900},
            at=at, trip_updates=1,
        )  # fmt: skip
        (folder / f"{9 - number}.pb").write_bytes(content.SerializeToString())


def row(vehicle, minute, lat=7.1, route="T1"):
    return f"{vehicle},2026-01-05T10:{minute:02d}:00-05:00,10,{route},t1-1,{lat},-73.12,SUR\n"


def vehicle(name, feed="amb"):
    return context.get(f"urn:ngsi-ld:Vehicle:{feed}:{name}")


def test_messages_are_played_in_the_order_of_their_own_time(tmp_path):
    write_messages(tmp_path)
    report = api.replay([tmp_path / "*.pb"], feed="amb", speed=0, as_of="recorded")
    assert (report.files, report.messages, report.seen, report.taken, report.vehicles) == (3, 3, 9, 6, 2)
    assert (report.refused, report.unchanged, report.late) == ({"future_timestamp": 3}, 2, 0)
    assert (report.trip_updates, report.finished) == (3, True)
    assert report.clock == AT + timedelta(minutes=2)
    bus = vehicle("a")
    assert bus["location"]["value"]["coordinates"] == [-73.12, 7.12]
    assert bus["location"]["observedAt"] == "2025-11-22T17:02:00.000Z"
    assert (bus["speed"]["value"], bus["synthetic"]["value"]) == (36.0, False)
    assert bus["source"]["value"] == "Grabación 7.pb y 2 más"
    assert bus["refTrip"]["object"] == "urn:ngsi-ld:GtfsTrip:amb:t1-1"


def test_counts_reach_the_feed(tmp_path):
    write_messages(tmp_path)
    api.replay([tmp_path], feed="amb", speed=0)
    (status,) = context.feed_statuses()
    assert (status.slug, status.messages, status.taken, status.refused) == ("replay-amb", 3, 6, 3)
    assert status.reasons == {"future_timestamp": 3}


def test_as_of_now_unpaced_ends_now(tmp_path):
    write_messages(tmp_path)
    api.replay([tmp_path], feed="amb", speed=0)
    seen = datetime.fromisoformat(vehicle("a")["location"]["observedAt"])
    assert abs((datetime.now(UTC) - seen).total_seconds()) < 30


def test_as_of_now_paced_is_live_and_in_order(tmp_path):
    write_messages(tmp_path)
    started = datetime.now(UTC)
    report = api.replay([tmp_path], feed="amb", speed=240)
    assert 0.45 <= report.elapsed_s < 5
    history = context.history(
        "urn:ngsi-ld:Vehicle:amb:a", "location", started, datetime.now(UTC) + timedelta(seconds=1)
    )
    gaps = [(later.at - former.at).total_seconds() for former, later in pairwise(history)]
    assert gaps == pytest.approx([0.25, 0.25], abs=0.02)


def test_tables_and_messages_are_mixed_by_time(tmp_path):
    write_messages(tmp_path, count=1)
    (tmp_path / "day.csv").write_text(
        HEADER + row("late", 30) + row("early", 10) + row("late", 20) + row("bad", 10, lat=95)
    )
    (tmp_path / "night.csv.gz").write_bytes(gzip.compress((HEADER + row("zipped", 40)).encode()))
    report = api.replay([tmp_path], feed="amb", speed=0, as_of="recorded")
    assert (report.seen, report.taken) == (8, 6)
    assert report.refused == {"bad_position": 1, "future_timestamp": 1}
    assert {one.where for one in report.samples if one.reason == "bad_position"} == {"day.csv:5"}
    assert vehicle("late")["location"]["observedAt"] == "2026-01-05T15:30:00.000Z"
    assert vehicle("zipped") is not None


def test_who_the_vehicle_is_enters_history_only_when_it_changes(tmp_path):
    (tmp_path / "day.csv").write_text(
        HEADER + "".join(row("a", minute, lat=7 + minute / 100) for minute in range(10))
    )
    api.replay([tmp_path / "day.csv"], feed="amb", speed=0, as_of="recorded")
    span = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(minutes=1)
    assert len(context.history("urn:ngsi-ld:Vehicle:amb:a", "location", *span)) == 10
    assert len(context.history("urn:ngsi-ld:Vehicle:amb:a", "refTrip", *span)) == 1


def test_static_feed_gives_names_and_places(tmp_path):
    feed = gtfs_zip(tmp_path / "amb.zip", changed("routes.txt", "T1,M,T1", "T1,M,Troncal 1"))
    api.import_gtfs(feed, feed="amb", activate=True)
    content = message(
        {"id": "a", "lat": None, "stop": "B", "route": "T1"}, {"id": "b", "lat": None, "stop": "Z"}
    )
    (tmp_path / "1.pb").write_bytes(content.SerializeToString())
    report = api.replay([tmp_path / "1.pb"], feed="amb", speed=0)
    assert report.refused == {"unknown_stop": 1}
    bus = vehicle("a")
    assert bus["location"]["value"]["coordinates"] == [-73.109, 7.089]
    assert bus["routeShortName"]["value"] == "Troncal 1"


def test_unreadable_file_stops_before_anything_is_sent(tmp_path):
    write_messages(tmp_path)
    content = (tmp_path / "7.pb").read_bytes()
    (tmp_path / "7.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableMessage, match=r"7\.pb") as caught:
        api.replay([tmp_path], feed="amb", speed=0)
    assert caught.value.reason == "truncated_message"
    assert context.count("Vehicle") == 0


def test_keep_good_takes_what_is_whole_and_counts_the_rest(tmp_path):
    write_messages(tmp_path)
    content = (tmp_path / "7.pb").read_bytes()
    (tmp_path / "7.pb").write_bytes(content[:-12])
    (tmp_path / "page.pb").write_bytes(b"<html>")
    report = api.replay([tmp_path], feed="amb", speed=0, keep_good=True)
    assert report.finished
    assert report.refused["truncated_message"] == 1
    assert report.refused["not_gtfs_realtime"] == 1
    assert report.seen == report.taken + sum(report.refused.values())


def test_wrong_separator_and_absent_files_are_named(tmp_path):
    (tmp_path / "day.csv").write_text((HEADER + row("a", 1)).replace(",", ";"))
    with pytest.raises(UnreadableTable) as caught:
        api.replay([tmp_path / "day.csv"], feed="amb", speed=0)
    assert caught.value.reason == "wrong_separator"
    with pytest.raises(UnreadableRecording) as absent:
        api.replay([tmp_path / "*.nothing"], feed="amb")
    assert absent.value.reason == "no_such_file"


def test_stop_ends_a_paced_replay_between_two_messages(tmp_path):
    write_messages(tmp_path, every_s=3600)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    report = api.replay([tmp_path], feed="amb", speed=1, stop=stop)
    assert time.monotonic() - started < 5
    assert (report.messages, report.finished) == (1, False)


def test_loop_begins_again_until_stopped(tmp_path):
    write_messages(tmp_path, count=2, every_s=1)
    stop = threading.Event()
    threading.Timer(1.5, stop.set).start()
    report = api.replay([tmp_path], feed="amb", speed=10, loop=True, stop=stop)
    assert report.messages > 2
    assert report.seen == report.taken + sum(report.refused.values())


def test_message_without_time_arrives_when_its_file_was_written(tmp_path):
    path = tmp_path / "1.pb"
    path.write_bytes(message({"id": "a"}, at=None).SerializeToString())
    os.utime(path, (NOON, NOON))
    assert api.replay([path], feed="amb", speed=0).clock == AT


def test_pushed_message_is_taken_and_counted(tmp_path):
    api.import_gtfs(gtfs_zip(tmp_path / "amb.zip"), feed="amb", name="Demo", synthetic=True, activate=True)
    content = message({"id": "a"}, {"id": "z", "lat": 0.0, "lon": 0.0}).SerializeToString()
    result = api.take_message(content, feed="amb", received_at=AT)
    assert (result.status, result.seen, result.taken, result.refused) == ("taken", 2, 1, {"zero_position": 1})
    assert vehicle("a")["synthetic"]["value"] is True
    cut = api.take_message(content[:30], feed="amb", received_at=AT)
    assert (cut.status, cut.seen, cut.refused) == ("unreadable", 1, {"truncated_message": 1})
    (status,) = context.feed_statuses()
    assert (status.slug, status.messages, status.taken, status.refused, status.synthetic) == (
        "amb-rt",
        2,
        1,
        2,
        True,
    )
    with pytest.raises(FeedUnknown):
        api.take_message(content, feed="nobody")


@pytest.mark.data
def test_nyct_messages_run_to_the_end():
    folder = shared_data("mobility", "gtfs-rt-recorded", "nyct_multi_trips")
    api.import_gtfs(folder / "MTASBWY" / "cut.zip", feed="nyct", keep_good=True, activate=True)
    report = api.replay([str(folder / "*.ace.pb")], feed="nyct", speed=0)
    assert (report.finished, report.messages, report.seen, report.taken) == (True, 80, 12_428, 6_248)
    assert report.refused == {"future_timestamp": 5_357, "unknown_stop": 781, "duplicate_vehicle": 42}
    assert context.count("Vehicle") == 236


@pytest.mark.data
def test_an_austin_day_runs_to_the_end():
    path = shared_data("mobility", "austin-avl", "vehicle_positions", "2015-03-08.csv.gz")
    report = api.replay([path], feed="capmetro", speed=0, as_of="recorded")
    assert (report.finished, report.seen, report.taken, report.refused) == (True, 12_354, 12_354, {})
    assert context.count("Vehicle") == report.vehicles == 140
