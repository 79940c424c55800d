from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta, timezone

import pytest
from factories.mobility import shared_data
from hypothesis import given, settings
from hypothesis import strategies as st

from amb247.mobility.adapters.avl_csv import read_positions
from amb247.mobility.adapters.avl_csv.table import is_table
from amb247.mobility.errors import UnreadableTable

pytestmark = pytest.mark.unit
AUSTIN = "vehicle_id,timestamp,speed,route_id,trip_id,latitude,longitude,trip_headsign\n"
ROW = "2010,2015-03-07T10:03:34-06:00,10.0,320,1388007,30.231535,-97.73347,NORTHBOUND\n"


def read(text: str | bytes, **options):
    reading = read_positions(text.encode() if isinstance(text, str) else text, **options)
    assert reading.seen == len(reading.fixes) + sum(reading.refused.values())
    return reading


def problem(text: str | bytes, **options) -> UnreadableTable:
    with pytest.raises(UnreadableTable) as caught:
        read(text, **options)
    return caught.value


def test_austin_works_without_saying_anything():
    (fix,) = read(AUSTIN + ROW).fixes
    assert (fix.vehicle_id, fix.route_id, fix.trip_id, fix.headsign) == (
        "2010",
        "320",
        "1388007",
        "NORTHBOUND",
    )
    assert fix.at == datetime(2015, 3, 7, 16, 3, 34, tzinfo=UTC)
    assert (fix.lon, fix.lat, fix.speed_kmh) == (-97.73347, 30.231535, 16.09)


def test_gzip_and_bom_and_latin1_and_crlf():
    expected = read(AUSTIN + ROW).fixes
    assert read(gzip.compress((AUSTIN + ROW).encode())).fixes == expected
    assert read("\ufeff" + AUSTIN + ROW).fixes == expected
    assert read((AUSTIN + ROW).replace("\n", "\r\n")).fixes == expected
    assert read((AUSTIN + ROW.replace("NORTH", "PEÑA")).encode("latin-1")).fixes[0].headsign == "PEÑABOUND"


def test_other_names_are_found_or_mapped():
    text = "bus,fecha_hora,lat,lng,velocidad\n17,2026-11-22 08:00:00,7.12,-73.12,30\n"
    zone = timezone(timedelta(hours=-5))
    (fix,) = read(text, zone=zone).fixes
    assert (fix.vehicle_id, fix.at, fix.speed_kmh) == ("17", datetime(2026, 11, 22, 13, tzinfo=UTC), 30.0)
    mapped = read(text.replace("bus", "interno"), zone=zone, mapping={"vehicle_id": "Interno"})
    assert mapped.fixes == (fix,)


@pytest.mark.parametrize(("unit", "kmh"), [("kmh", 10.0), ("mph", 16.09), ("ms", 36.0), ("knots", 18.52)])
def test_speed_units(unit, kmh):
    assert read(AUSTIN + ROW, speed_unit=unit).fixes[0].speed_kmh == kmh


@pytest.mark.parametrize(
    "stamp", ["1425744214", "1425744214000", "2015-03-07T16:03:34Z", "2015-03-07 16:03:34+00:00"]
)
def test_times_in_several_forms(stamp):
    text = AUSTIN + ROW.replace("2015-03-07T10:03:34-06:00", stamp)
    assert read(text).fixes[0].at == datetime(2015, 3, 7, 16, 3, 34, tzinfo=UTC)


@pytest.mark.parametrize(("mark", "name"), [(";", ";"), ("\t", "tabulador"), ("|", "|")])
def test_wrong_separator_is_named(mark, name):
    error = problem((AUSTIN + ROW).replace(",", mark))
    assert (error.reason, str(error)) == ("wrong_separator", name)
    assert len(read((AUSTIN + ROW).replace(",", mark), separator=mark).fixes) == 1


def test_missing_columns_are_named_with_those_there():
    error = problem("vehicle_id,hour,latitude\n1,2,3\n")
    assert error.reason == "missing_columns"
    assert str(error).startswith("timestamp, longitude; columns: vehicle_id, hour")


def test_mapping_to_nothing_is_refused():
    assert problem(AUSTIN + ROW, mapping={"vehicle_id": "nave"}).reason == "bad_mapping"
    assert problem(AUSTIN + ROW, mapping={"colour": "speed"}).reason == "bad_mapping"


def test_empty_and_cut_files_are_named():
    assert problem("").reason == "empty_table"
    assert problem(gzip.compress((AUSTIN + ROW * 500).encode())[:-30]).reason == "truncated_gzip"
    assert problem(b"\x1f\x8b\x08broken").reason == "truncated_gzip"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("2010", "", "no_vehicle_id"),
        ("2015-03-07T10:03:34-06:00", "", "no_timestamp"),
        ("2015-03-07T10:03:34-06:00", "yesterday", "bad_timestamp"),
        ("2015-03-07T10:03:34-06:00", "1969-01-01T00:00:00Z", "bad_timestamp"),
        ("2015-03-07T10:03:34-06:00", "2999-01-01T00:00:00Z", "future_timestamp"),
        ("30.231535", "north", "bad_position"),
        ("30.231535", "130.2", "bad_position"),
        ("30.231535,-97.73347", "0,0", "zero_position"),
        ("30.231535,-97.73347,NORTHBOUND", "30.2", "missing_fields"),
    ],
)
def test_bad_rows_are_named_by_line(old, new, why):
    reading = read(AUSTIN + ROW + ROW.replace(old, new) + "\n" + ROW)
    assert (reading.seen, len(reading.fixes), reading.refused) == (3, 2, {why: 1})
    assert (reading.samples[0].where, reading.samples[0].reason) == ("3", why)


def test_unreadable_speed_leaves_the_position():
    assert read(AUSTIN + ROW.replace("10.0", "fast")).fixes[0].speed_kmh is None


def test_tables_are_told_from_messages(tmp_path):
    assert is_table(tmp_path / "a.csv.gz", b"\x1f\x8b")
    assert not is_table(tmp_path / "a.pb", b"a,b\n")
    assert is_table(tmp_path / "unknown", b"vehicle_id,lat\n")
    assert not is_table(tmp_path / "unknown", b"\n\x0f\n\x032.0")


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_unreadable(content):
    try:
        read(content)
    except UnreadableTable:
        return


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.lists(st.text(max_size=12), max_size=10), max_size=8), as_bytes=st.booleans())
def test_random_rows_are_taken_or_counted(rows, as_bytes):
    text = AUSTIN + ROW + "\n".join(",".join(row) for row in rows)
    reading = read(text.encode("utf-8", "surrogatepass" if as_bytes else "replace"))
    assert len(reading.fixes) >= 1


@pytest.mark.data
@pytest.mark.parametrize(
    ("day", "fixes", "vehicles"),
    [("2015-03-07", 44_564, 158), ("2015-03-08", 12_354, 140), ("2015-06-07", 45_134, 146)],
)
def test_austin_days_are_read_whole(day, fixes, vehicles):
    content = shared_data("mobility", "austin-avl", "vehicle_positions", f"{day}.csv.gz").read_bytes()
    reading = read(content)
    assert (len(reading.fixes), reading.refused) == (fixes, {})
    assert len({fix.vehicle_id for fix in reading.fixes}) == vehicles
