from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from factories.mobility import TABLES, as_bytes, changed, gtfs_zip, shared_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amb247.mobility import phrases
from amb247.mobility.adapters.gtfs import read_gtfs
from amb247.mobility.adapters.gtfs.reader import bounding_box, service_days, text_of_time
from amb247.mobility.data import Finding

pytestmark = pytest.mark.unit


def read(tmp_path: Path, tables: dict | None = None, **options):
    return read_gtfs(gtfs_zip(tmp_path / "feed.zip", tables or {}), **options)


def only(content, code: str) -> Finding:
    found = [finding for finding in content.findings if finding.code == code]
    assert len(found) == 1, content.findings
    return found[0]


def test_good_feed_has_no_findings(tmp_path):
    content = read(tmp_path)
    assert content.is_usable
    assert content.findings == ()
    assert {name: frame.height for name, frame in content.frames.items()} == {
        "agency": 1, "stops": 3, "routes": 2, "trips": 3, "stop_times": 7, "calendar": 1, "shapes": 3,
    }  # fmt: skip


def test_times_after_midnight_stay_on_their_service_day(tmp_path):
    times = read(tmp_path).frames["stop_times"]
    assert times["departure_time"].max() == timedelta(hours=25, minutes=30)
    assert text_of_time(timedelta(hours=25, minutes=30)) == "25:30:00"
    assert text_of_time(None) == ""


def test_service_days_and_box(tmp_path):
    frames = read(tmp_path).frames
    assert service_days(frames) == (date(2026, 1, 1), date(2026, 12, 31))
    assert bounding_box(frames) == (-73.1198, 6.987, -73.051, 7.1254)


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace("stop_id", " Stop_ID "),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.rstrip("\n"),
    ],
    ids=["bom", "crlf", "cr", "blanks", "header case", "blank lines", "no last line end"],
)
def test_sloppy_files_read_the_same(tmp_path, rewrite):
    expected = read(tmp_path).frames["stops"]
    content = read(tmp_path, {"stops.txt": rewrite(TABLES["stops.txt"])})
    assert content.is_usable, content.findings
    assert content.frames["stops"].equals(expected)


@pytest.mark.parametrize(("encoding", "name"), [("latin-1", "Latin-1"), ("utf-16", "UTF-16")])
def test_other_encodings_are_read_and_noted(tmp_path, encoding, name):
    content = read(tmp_path, {"agency.txt": TABLES["agency.txt"].encode(encoding)})
    assert content.frames["agency"]["agency_name"][0] == "Metrolínea"
    assert only(content, "other_encoding").detail == name


@pytest.mark.parametrize("file", ["agency.txt", "stops.txt", "routes.txt", "trips.txt", "stop_times.txt"])
def test_missing_file_refuses_by_name(tmp_path, file):
    content = read(tmp_path, {file: None}, keep_good=True)
    assert not content.is_usable
    finding = only(content, "missing_file")
    assert finding.file == file
    assert file in phrases.explain(finding)[1]


def test_a_calendar_of_either_kind_is_needed(tmp_path):
    assert (
        only(read(tmp_path, {"calendar.txt": None}), "missing_file").file
        == "calendar.txt / calendar_dates.txt"
    )
    dates = "service_id,date,exception_type\nHABIL,20260105,1\n"
    assert read(tmp_path, {"calendar.txt": None, "calendar_dates.txt": dates}).is_usable


def test_missing_column_refuses_by_name(tmp_path):
    finding = only(read(tmp_path, changed("stops.txt", "stop_lat", "latitude")), "missing_column")
    assert (finding.file, finding.field, finding.level) == ("stops.txt", "stop_lat", "fatal")


def test_bad_time_names_file_line_field_value_and_remedy(tmp_path):
    content = read(tmp_path, changed("stop_times.txt", "06:20:00,06:21:00", "25:61:00,06:21:00"))
    assert not content.is_usable
    finding = only(content, "bad_time")
    assert (finding.file, finding.field, finding.count) == ("stop_times.txt", "arrival_time", 1)
    assert (finding.samples[0].line, finding.samples[0].value) == (3, "25:61:00")
    assert "HH:MM:SS" in phrases.explain(finding)[1]


@pytest.mark.parametrize("value", ["08:00.0:00", "8h", "24:00", "-1:00:00", "1:2:3", "06:00:60", "::"])
def test_what_is_no_time_is_refused(tmp_path, value):
    content = read(tmp_path, changed("stop_times.txt", "06:20:00,", f"{value},"))
    assert only(content, "bad_time").samples[0].value == value


def test_empty_times_between_timepoints_are_fine(tmp_path):
    assert read(tmp_path, changed("stop_times.txt", "06:20:00,06:21:00", ",")).is_usable


def test_keep_good_takes_the_rest(tmp_path):
    content = read(
        tmp_path, changed("stop_times.txt", "06:20:00,06:21:00", "25:61:00,06:21:00"), keep_good=True
    )
    assert content.is_usable
    assert content.refused_rows == {"stop_times": 1}
    assert content.frames["stop_times"].height == 6


def test_keep_good_refuses_what_hangs_on_refused_rows(tmp_path):
    content = read(tmp_path, changed("routes.txt", "Quebradaseca,3", "Quebradaseca,bus"), keep_good=True)
    assert content.is_usable
    assert content.refused_rows == {"routes": 1, "trips": 2, "stop_times": 5}
    assert content.frames["trips"]["trip_id"].to_list() == ["p8-1"]
    hanging = [finding for finding in content.findings if finding.code == "hangs_on_refused"]
    assert {(finding.file, finding.count) for finding in hanging} == {("trips.txt", 2), ("stop_times.txt", 5)}


def test_without_keep_good_only_the_root_is_named(tmp_path):
    content = read(tmp_path, changed("routes.txt", "Quebradaseca,3", "Quebradaseca,bus"))
    assert [finding.code for finding in content.findings] == ["bad_number"]


def swapped(text: str, first: int) -> str:
    lines = [line.split(",") for line in text.splitlines()]
    for line in lines[1:]:
        line[first], line[first + 1] = line[first + 1], line[first]
    return "\n".join(",".join(line) for line in lines) + "\n"


@pytest.mark.parametrize("with_shapes", [True, False])
def test_swapped_coordinates_are_named_as_such(tmp_path, with_shapes):
    tables = {"stops.txt": swapped(TABLES["stops.txt"], 2)}
    if not with_shapes:
        tables["shapes.txt"] = None
    content = read(tmp_path, tables)
    finding = only(content, "swapped_coordinates")
    assert (finding.field, finding.count) == ("stop_lat, stop_lon", 3)
    assert finding.samples[0].line == 2
    assert phrases.explain(finding)[0] == "stop_lat, stop_lon parecen intercambiadas."


def test_stops_and_shapes_swapped_together_are_found_by_the_time_zone(tmp_path):
    tables = {"stops.txt": swapped(TABLES["stops.txt"], 2), "shapes.txt": swapped(TABLES["shapes.txt"], 1)}
    content = read(tmp_path, tables)
    files = {finding.file for finding in content.findings if finding.code == "swapped_coordinates"}
    assert files == {"stops.txt", "shapes.txt"}


def test_one_swapped_stop_among_good_ones_is_found(tmp_path):
    content = read(tmp_path, changed("stops.txt", "7.0890,-73.1090", "-73.1090,7.0890"))
    assert [sample.line for sample in only(content, "swapped_coordinates").samples] == [3]


def test_longitude_beyond_ninety_in_the_latitude_is_swapped(tmp_path):
    content = read(tmp_path, changed("stops.txt", "7.0890,-73.1090", "-122.3,7.0890"))
    assert only(content, "swapped_coordinates").count == 1


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("0,0", "zero_coordinates"),
        ("7.1,-200", "bad_coordinates"),
        (",", "missing_value"),
        ("norte,-73", "bad_number"),
    ],
)
def test_useless_places_are_refused(tmp_path, place, code):
    content = read(tmp_path, changed("stops.txt", "7.0890,-73.1090", place))
    assert not content.is_usable
    assert code in {finding.code for finding in content.findings}


def test_repeated_key_with_other_data_is_refused(tmp_path):
    content = read(tmp_path, {"stops.txt": TABLES["stops.txt"] + "A,Otra,7.2,-73.1,009,\n"})
    finding = only(content, "repeated_key")
    assert (finding.samples[0].line, finding.samples[0].value) == (5, "A")


def test_identical_row_is_only_noted(tmp_path):
    content = read(tmp_path, {"stops.txt": TABLES["stops.txt"] + "A,Quebradaseca,7.1254,-73.1198,001,1\n"})
    assert content.is_usable
    assert only(content, "identical_row").level == "note"
    assert content.frames["stops"].height == 3


def test_unknown_reference_names_where_it_should_be(tmp_path):
    finding = only(read(tmp_path, changed("trips.txt", "P8,HABIL", "P9,HABIL")), "unknown_reference")
    assert (finding.file, finding.field, finding.detail) == ("trips.txt", "route_id", "routes.txt")
    assert finding.samples[0].value == "P9"


def test_unknown_shape_and_bad_optional_values_do_not_refuse(tmp_path):
    content = read(tmp_path, changed("trips.txt", "t1-1,0,s1", "t1-1,north,s9"))
    assert content.is_usable
    assert {finding.code for finding in content.findings} == {"unknown_shape", "value_ignored"}


def test_unclosed_quote_names_its_line(tmp_path):
    content = read(tmp_path, changed("stops.txt", "B,Provenza", 'B,"Provenza'), keep_good=True)
    finding = only(content, "unclosed_quote")
    assert finding.samples[0].line == 3
    assert content.frames["stops"]["stop_id"].to_list() == ["A", "C"]


def test_unquoted_comma_names_its_line(tmp_path):
    finding = only(read(tmp_path, changed("stops.txt", "B,Provenza", "B,Provenza, norte")), "too_many_fields")
    assert finding.samples[0].line == 3


def test_lines_are_right_after_quoted_line_ends_and_blank_lines(tmp_path):
    text = TABLES["stops.txt"].replace("A,Quebradaseca", '\nA,"Quebrada\nseca"').replace("7.0890,", "norte,")
    finding = only(read(tmp_path, {"stops.txt": text}), "bad_number")
    assert finding.samples[0].line == 5


def test_wrong_separator_is_named(tmp_path):
    content = read(tmp_path, {"stops.txt": TABLES["stops.txt"].replace(",", ";")})
    finding = only(content, "wrong_separator")
    assert finding.detail == ";"
    assert "«;»" in phrases.explain(finding)[0]


def test_numbers_as_a_spreadsheet_writes_them(tmp_path):
    text = TABLES["stop_times.txt"].replace(",1\n", ",1.0\n").replace(",2\n", ",2.0\n")
    content = read(tmp_path, {"stop_times.txt": text})
    assert content.is_usable, content.findings
    assert content.frames["stop_times"]["stop_sequence"].to_list() == [1, 2, 3, 1, 2, 1, 2]


def test_empty_tables_leave_nothing(tmp_path):
    content = read(tmp_path, {"trips.txt": TABLES["trips.txt"].splitlines()[0] + "\n", "stop_times.txt": ""})
    assert {finding.code for finding in content.findings} == {"empty_file"}
    assert not content.is_usable
    header_only = read(tmp_path, {"stops.txt": TABLES["stops.txt"].splitlines()[0] + "\n"}, keep_good=True)
    assert "nothing_left" in {finding.code for finding in header_only.findings}


def test_unknown_time_zone_is_refused(tmp_path):
    assert (
        only(read(tmp_path, changed("agency.txt", "America/Bogota", "Colombia/AMB")), "bad_time_zone").count
        == 1
    )


def test_notices_of_the_validator_do_not_refuse(tmp_path):
    content = read(tmp_path, changed("routes.txt", "00A651", "verde"))
    assert content.is_usable
    assert "invalid_color" in {notice.code for notice in content.notices}


def test_unreadable_archive_is_one_fatal_finding(tmp_path):
    path = tmp_path / "feed.zip"
    path.write_bytes(b"\x00" * 100)
    content = read_gtfs(path)
    assert [(finding.code, finding.level) for finding in content.findings] == [("not_a_zip", "fatal")]


def test_every_finding_has_words(tmp_path):
    for code in phrases.FINDINGS:
        reason, remedy = phrases.explain(Finding(code, "rows", "stops.txt", "stop_id", detail="x"))
        assert reason
        assert remedy
        assert "%(" not in reason + remedy


def mutated(seed: int) -> dict[str, bytes]:
    """The good feed with a few bytes changed, removed or doubled somewhere."""
    source = random.Random(seed)
    tables = {name: bytearray(text.encode()) for name, text in TABLES.items()}
    for _ in range(source.randint(1, 6)):
        table = tables[source.choice(sorted(tables))]
        if not table:
            continue
        at = source.randrange(len(table))
        kind = source.randrange(4)
        if kind == 0:
            table[at] = source.randrange(256)
        elif kind == 1:
            del table[at : at + source.randint(1, 30)]
        elif kind == 2:
            table[at:at] = table[at : at + source.randint(1, 30)]
        else:
            table[at:at] = source.choice(
                [b'"', b",", b"\n", b"\x00", b"\xff\xfe", b"'", b";", b"-", b"9" * 30]
            )
    return {name: bytes(table) for name, table in tables.items()}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), keep_good=st.booleans())
def test_mutated_feeds_are_read_or_refused_never_raised(seed, keep_good):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "feed.zip"
        path.write_bytes(as_bytes(mutated(seed)))
        content = read_gtfs(path, keep_good=keep_good)
    assert content.is_usable or any(finding.level in {"fatal", "rows"} for finding in content.findings)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(garbage=st.binary(max_size=400), file=st.sampled_from(sorted(TABLES)))
def test_garbage_in_a_table_is_refused_never_raised(garbage, file):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "feed.zip"
        path.write_bytes(as_bytes(TABLES | {file: garbage}))
        content = read_gtfs(path)
    assert file == "shapes.txt" or not content.is_usable


@settings(max_examples=60, deadline=None)
@given(
    garbage=st.binary(max_size=300), start=st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06" + b"\x00" * 18])
)
def test_garbage_for_a_zip_is_refused_never_raised(garbage, start):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "feed.zip"
        path.write_bytes(start + garbage)
        assert not read_gtfs(path).is_usable


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("cairns", (22, 416, 1339, 37_790)),
        ("kuopio", (46, 1355, 2149, 79_123)),
        ("sacramento_rt", (66, 2839, 5008, 192_572)),
        ("saopaulo_sptrans_sample", (72, 3039, 92, 3639)),
        ("saskatoon", (54, 1375, 6277, 129_039)),
    ],
)
def test_real_feeds_are_read_whole(name, counts):
    content = read_gtfs(shared_data("mobility", "gtfs", f"{name}.zip"))
    assert content.is_usable
    assert content.refused_rows == {}
    assert (
        tuple(content.frames[table].height for table in ("routes", "stops", "trips", "stop_times")) == counts
    )


@pytest.mark.data
def test_dirty_bogota_is_refused_with_a_short_list():
    path = shared_data("mobility", "gtfs", "dirty_bogota.zip")
    content = read_gtfs(path)
    assert not content.is_usable
    assert [(finding.code, finding.file, finding.count) for finding in content.findings] == [
        ("bad_time", "stop_times.txt", 81_084),
        ("bad_time", "stop_times.txt", 81_084),
        ("swapped_coordinates", "stops.txt", 3_464),
        ("unknown_reference", "trips.txt", 120),
    ]
    kept = read_gtfs(path, keep_good=True)
    assert not kept.is_usable
    assert {finding.file for finding in kept.findings if finding.code == "nothing_left"} == {
        "stops.txt",
        "stop_times.txt",
    }
