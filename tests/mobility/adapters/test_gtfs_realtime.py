from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from factories.mobility import NOON, message, shared_data
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st

from amb247.mobility import phrases
from amb247.mobility.adapters.gtfs import read_gtfs
from amb247.mobility.adapters.gtfs_realtime import header_time, read_message
from amb247.mobility.data import Reading
from amb247.mobility.errors import UnreadableMessage

pytestmark = pytest.mark.unit
AT = datetime.fromtimestamp(NOON, UTC)


def read(*vehicles, stops=None, now=None, **header) -> Reading:
    reading = read_message(message(*vehicles, **header).SerializeToString(), stops=stops, now=now)
    assert reading.seen == len(reading.fixes) + sum(reading.refused.values())
    return reading


def reason(content: bytes, **options) -> str:
    with pytest.raises(UnreadableMessage) as caught:
        read_message(content, **options)
    return caught.value.reason


def test_position_with_all_it_says():
    reading = read(
        {"id": "0417", "lat": 7.1254, "lon": -73.1198, "speed": 10.0, "bearing": -90.0, "trip": "t1-1", "route": "T1",
         "label": "Bus 417", "start_date": "20251122", "start_time": "12:00:00"},
        trip_updates=2, alerts=1,
    )  # fmt: skip
    (fix,) = reading.fixes
    assert (fix.vehicle_id, fix.at, fix.lon, fix.lat) == ("0417", AT, -73.1198, 7.1254)
    assert (fix.speed_kmh, fix.bearing) == (36.0, 270.0)
    assert (fix.trip_id, fix.route_id, fix.label) == ("t1-1", "T1", "Bus 417")
    assert (reading.seen, reading.trip_updates, reading.alerts, reading.header_at) == (1, 2, 1, AT)


@pytest.mark.parametrize(
    ("vehicle", "why"),
    [
        ({"lat": 0.0, "lon": 0.0}, "zero_position"),
        ({"lat": 91.0}, "bad_position"),
        ({"lon": 200.0}, "bad_position"),
        ({"lat": float("nan")}, "bad_position"),
        ({"lat": None}, "no_position"),
        ({"at": NOON + 301}, "future_timestamp"),
        ({"at": 12}, "bad_timestamp"),
        ({"id": None}, "no_vehicle_id"),
        ({"is_deleted": True}, "deleted_entity"),
    ],
)
def test_each_refusal_has_its_reason(vehicle, why):
    reading = read(vehicle, {"id": "good"})
    assert reading.refused == {why: 1}
    assert [fix.vehicle_id for fix in reading.fixes] == ["good"]
    assert reading.samples[0].reason == why
    assert phrases.refusal(why) != why


def test_speed_that_no_bus_has_is_left_out():
    assert read({"speed": 200.0}).fixes[0].speed_kmh is None
    assert read({"speed": -1.0}).fixes[0].speed_kmh is None


def test_a_few_minutes_ahead_are_the_clock_not_the_future():
    assert len(read({"at": NOON + 290}).fixes) == 1
    assert read({"at": NOON}, now=AT - timedelta(minutes=6)).refused == {"future_timestamp": 1}


def test_without_a_time_of_its_own_the_header_counts():
    assert read({"at": None}).fixes[0].at == AT
    assert read({"at": 0}).fixes[0].at == AT
    assert read({"at": None}, at=None).refused == {"no_timestamp": 1}


def test_milliseconds_are_understood():
    assert read({"at": NOON * 1000}).fixes[0].at == AT


def test_newest_of_a_repeated_vehicle_is_taken():
    reading = read({"at": NOON - 5, "lat": 7.0}, {"at": NOON, "lat": 7.1}, {"at": NOON - 9, "lat": 7.2})
    assert [fix.lat for fix in reading.fixes] == [7.1]
    assert reading.refused == {"duplicate_vehicle": 2}


def test_vehicle_without_position_stands_at_its_stop():
    reading = read({"lat": None, "stop": "A"}, stops={"A": (-73.12, 7.12)})
    (fix,) = reading.fixes
    assert (fix.lon, fix.lat, fix.at_stop) == (-73.12, 7.12, True)
    assert read({"lat": None, "stop": "Z"}, stops={"A": (-73.12, 7.12)}).refused == {"unknown_stop": 1}
    assert read({"lat": None, "stop": "A"}).refused == {"no_position": 1}


def test_vehicle_without_id_goes_by_its_trip():
    vehicle = {"id": None, "trip": "t1", "route": "T1", "start_date": "20251122", "start_time": "12:00:00"}
    (fix,) = read(vehicle).fixes
    assert (fix.vehicle_id, fix.label) == ("t1:20251122:12:00:00", "T1 12:00:00")


def test_entity_without_content_is_counted():
    made = message({"id": "good"})
    made.entity.add().id = "nothing"
    reading = read_message(made.SerializeToString())
    assert (reading.seen, reading.refused) == (2, {"empty_entity": 1})


def whole(count: int = 20) -> bytes:
    return message(*({"id": f"bus{number}"} for number in range(count))).SerializeToString()


def test_message_cut_in_half_says_so():
    content = whole()
    assert reason(content[: len(content) // 2]) == "truncated_message"


def test_keep_good_takes_the_whole_entities_of_a_cut_message():
    content = whole()
    reading = read_message(content[: len(content) // 2], keep_good=True)
    assert 8 <= len(reading.fixes) <= 10
    assert reading.refused == {"truncated_message": 1}
    assert reading.seen == len(reading.fixes) + 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty_message"),
        (b"<!doctype html><title>503</title>", "not_gtfs_realtime"),
        (b"\x00" * 30, "not_gtfs_realtime"),
        (b"PK\x03\x04whatever", "not_gtfs_realtime"),
        (b'{"header": {"timestamp": 1', "truncated_message"),
        (b'{"error": "no key"}', "not_gtfs_realtime"),
        (b"[1, 2]", "not_gtfs_realtime"),
        (b"\x1f\x8b\x08\x00broken", "truncated_message"),
        (b"\n\x05\x08\x01\x10\x01\x18", "not_gtfs_realtime"),
    ],
)
def test_other_things_are_named(content, why):
    assert reason(content) == why
    assert reason(content, keep_good=True) == why


def test_gzipped_message_is_read_and_a_cut_one_named():
    packed = gzip.compress(whole())
    assert len(read_message(packed).fixes) == 20
    assert reason(packed[:-20]) == "truncated_message"


def test_too_large_is_refused():
    assert reason(b"\n" * 20_000_001) == "too_large"
    assert reason(gzip.compress(b"\n" * 100_000_100)) == "too_large"


def test_json_says_the_same_as_protobuf():
    made = message({"id": "0417", "speed": 10.0, "trip": "t1"}, {"id": "0418", "lat": 0.0, "lon": 0.0})
    snake = json.dumps(MessageToDict(made, preserving_proto_field_name=True)).encode()
    camel = json.dumps(MessageToDict(made)).encode()
    expected = read_message(made.SerializeToString())
    for content in (snake, camel, b"\xef\xbb\xbf" + snake):
        reading = read_message(content)
        assert (reading.fixes, reading.refused) == (expected.fixes, expected.refused)


def test_json_entity_that_makes_no_sense_is_counted():
    document = MessageToDict(message({"id": "good"}), preserving_proto_field_name=True)
    document["entity"] += [
        "text",
        {"id": "x", "vehicle": 3},
        {"id": "y", "vehicle": {"position": {"latitude": "north"}}},
    ]
    reading = read_message(json.dumps(document).encode())
    assert (reading.seen, len(reading.fixes), reading.refused) == (4, 1, {"malformed_entity": 3})


def test_header_time():
    assert header_time(whole()) == AT
    assert header_time(message({}, at=None).SerializeToString()) is None


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=300), keep_good=st.booleans())
def test_random_bytes_raise_nothing_but_unreadable(content, keep_good):
    try:
        reading = read_message(content, keep_good=keep_good)
    except UnreadableMessage:
        return
    assert reading.seen == len(reading.fixes) + sum(reading.refused.values())


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 10_000),
    keep_good=st.booleans(),
    as_json=st.booleans(),
)
def test_mutated_messages_raise_nothing_but_unreadable(changes, cut, keep_good, as_json):
    made = message(
        {"id": "a", "speed": 3.0, "trip": "t", "route": "r"}, {"id": "b", "at": None}, trip_updates=1
    )
    content = bytearray(json.dumps(MessageToDict(made)).encode() if as_json else made.SerializeToString())
    for at, value in changes:
        content[at % len(content)] = value
    try:
        reading = read_message(bytes(content[: cut % len(content) + 1]), keep_good=keep_good)
    except UnreadableMessage:
        return
    assert reading.seen == len(reading.fixes) + sum(reading.refused.values())


@pytest.mark.data
def test_nyct_sequence_is_placed_at_its_stops():
    folder = shared_data("mobility", "gtfs-rt-recorded", "nyct_multi_trips")
    frames = read_gtfs(folder / "MTASBWY" / "cut.zip", keep_good=True).frames
    stops = {
        row[0]: (row[1], row[2])
        for row in frames["stops"].select("stop_id", "stop_lon", "stop_lat").iter_rows()
    }
    seen, taken, refused = 0, 0, Counter()
    for path in sorted(folder.glob("*.ace.pb")):
        reading = read_message(path.read_bytes(), stops=stops)
        seen, taken = seen + reading.seen, taken + len(reading.fixes)
        refused.update(reading.refused)
    assert (seen, taken) == (12_428, 6_248)
    assert refused == {"future_timestamp": 5_357, "unknown_stop": 781, "duplicate_vehicle": 42}


@pytest.mark.data
def test_wmata_and_soundtransit_are_read():
    recorded = shared_data("mobility", "gtfs-rt-recorded")
    wmata = read_message((recorded / "wmata_service_day_4" / "00-04.wmata.pb").read_bytes())
    assert (wmata.seen, wmata.trip_updates) == (0, 281)
    train = read_message((recorded / "st_duplicated_trips" / "vehicle_position_1683740698.json").read_bytes())
    assert (train.seen, len(train.fixes)) == (14, 14)
