import csv
import io
import zipfile

import gtfs_guru
import pytest

from amb247.site.demo.city import build_city
from amb247.site.demo.gtfs import clock, write_gtfs

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def feed(full, tmp_path_factory):
    return write_gtfs(full, tmp_path_factory.mktemp("gtfs") / "demo.zip")


def rows(feed, name):
    with zipfile.ZipFile(feed.path) as archive:
        return list(csv.DictReader(io.StringIO(archive.read(name).decode("utf-8"))))


def test_validator_finds_no_error_and_no_warning(feed):
    report = gtfs_guru.validate(str(feed.path))

    assert report.error_count == 0
    assert report.warning_count == 0


def test_small_feed_is_valid_too(small, tmp_path):
    report = gtfs_guru.validate(str(write_gtfs(small, tmp_path / "small.zip").path))

    assert report.error_count == 0


def test_same_city_gives_the_same_bytes(small, tmp_path):
    one = write_gtfs(small, tmp_path / "one.zip").path.read_bytes()
    two = write_gtfs(build_city(seed=7, scale=0.02), tmp_path / "two.zip").path.read_bytes()

    assert one == two


def test_all_51_routes_run_both_ways_on_three_kinds_of_day(feed):
    trips = [row for row in rows(feed, "trips.txt") if not row["trip_id"].endswith("-N")]

    assert len({row["route_id"] for row in trips}) == 51
    assert len(trips) == 51 * 2 * 3
    assert feed.route_km > 1000


def test_headways_are_the_real_ones(feed):
    weekday = [row for row in rows(feed, "frequencies.txt") if row["trip_id"] == "27-0-LAB"]
    peak = next(
        row
        for row in rows(feed, "frequencies.txt")
        if row["trip_id"] == "5-0-LAB" and row["start_time"] == "05:30:00"
    )

    assert {row["headway_secs"] for row in weekday} == {"360"}
    assert (peak["end_time"], peak["headway_secs"], peak["exact_times"]) == ("08:30:00", "420", "0")


def test_stops_are_shared_between_routes(feed):
    routes = {row["trip_id"]: row["route_id"] for row in rows(feed, "trips.txt")}
    at_stop = {}
    for row in rows(feed, "stop_times.txt"):
        at_stop.setdefault(row["stop_id"], set()).add(routes[row["trip_id"]])

    assert max(len(found) for found in at_stop.values()) >= 10
    assert set(at_stop) == {row["stop_id"] for row in rows(feed, "stops.txt")}


def test_some_service_runs_at_every_hour(feed):
    hours = set()
    for row in rows(feed, "frequencies.txt"):
        start, end = (int(row[key][:2]) for key in ("start_time", "end_time"))
        hours |= {hour % 24 for hour in range(start, end)}

    assert hours == set(range(24))


def test_feed_says_that_it_is_synthetic(feed):
    assert "sintética" in rows(feed, "feed_info.txt")[0]["feed_publisher_name"]
    assert all("sintética" in row["route_desc"] for row in rows(feed, "routes.txt"))


def test_clock_goes_past_midnight():
    assert clock(25 * 3600 + 61) == "25:01:01"
