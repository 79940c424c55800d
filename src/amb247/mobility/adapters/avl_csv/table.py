"""Rows of a CSV as vehicle fixes."""

from __future__ import annotations

import csv
import io
import math
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Literal

from amb247.mobility.adapters.avl_csv.columns import Columns
from amb247.mobility.adapters.refusals import (
    FUTURE,
    Refused,
    Tally,
    check_place,
    moment_of,
    plausible_bearing,
    plausible_speed,
)  # fmt: skip
from amb247.mobility.data import Reading, VehicleFix
from amb247.mobility.errors import UnreadableTable

SpeedUnit = Literal["kmh", "mph", "ms", "knots"]
KMH_OF: Mapping[SpeedUnit, float] = {"kmh": 1.0, "mph": 1.609344, "ms": 3.6, "knots": 1.852}
AUSTIN_HEADER = "vehicle_id,timestamp,speed,route_id,trip_id,latitude,longitude"
MOST_BYTES = 400_000_000
FOREIGN_SEPARATORS = {";": ";", "\t": "tabulador", "|": "|"}
csv.field_size_limit(1_000_000)


def read_positions(
    content: bytes, *, mapping: Mapping[str, str] | None = None, separator: str = ",", speed_unit: SpeedUnit | None = None,
    zone: tzinfo = UTC, now: datetime | None = None,
) -> Reading:  # fmt: skip
    """Read a table of vehicle positions, gzipped or not.

    Parameters
    ----------
    content : bytes
        CSV with a header, UTF-8 or Latin-1.
    mapping : Mapping[str, str], optional
        Field (`vehicle_id`, `timestamp`, `latitude`, `longitude`, `speed`, ...) -> column; what it does not name is
        found by known names.
    separator : str
        One character. A header that has another one is refused by name.
    speed_unit : {"kmh", "mph", "ms", "knots"}
        Of the speed column. Without it: mph for a header like Austin's (there the way between fixes is 1.59 times
        what the column says in km/h; a mile is 1.609), else km/h.
    zone : tzinfo
        Of times that say none.
    now : datetime, optional
        Aware. Fixes more than five minutes later are refused; the clock's time without it.

    Returns
    -------
    Reading     fixes in the order of the file; refused rows are named by line

    Raises
    ------
    UnreadableTable    empty, cut gzip, too large, another separator, a required column is missing
    """
    text = _text(content)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    columns = _columns(rows, text, mapping=mapping, separator=separator)
    latest = (now or datetime.now(UTC)) + FUTURE
    unit = speed_unit or ("mph" if text.startswith(AUSTIN_HEADER) else "kmh")
    row_reader = _RowReader(columns, factor=KMH_OF[unit], zone=zone, latest=latest)
    tally = Tally()
    fixes: list[VehicleFix] = []
    seen = 0
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows, None)
            if row is None:
                break
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            seen += 1
            fixes.append(row_reader.fix(row))
        except Refused as refused:
            tally.add(f"{line}", refused.reason, refused.value)
        except csv.Error as error:
            seen += 1
            tally.add(f"{line}", "unclosed_quote", str(error))
    return Reading(fixes=tuple(fixes), seen=seen, refused=dict(tally.counts), samples=tally.samples)


def is_table(path: Path, content: bytes) -> bool:
    """Whether a recording is a table rather than messages: by its name, else by its first line."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".csv", ".txt", ".tsv")):
        return True
    if name.endswith((".pb", ".json", ".bin")):
        return False
    first = content[:2000].split(b"\n", 1)[0]
    return all(32 <= byte < 127 or byte in b"\t\r" for byte in first) and any(
        mark in first for mark in b",;\t|"
    )


def _text(content: bytes) -> str:
    if content.startswith(b"\x1f\x8b"):
        content = _unzipped(content)
    if len(content) > MOST_BYTES:
        raise UnreadableTable(f"{len(content)} bytes, the limit is {MOST_BYTES}", reason="too_large")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if not text.strip():
        raise UnreadableTable("no rows", reason="empty_table")
    return text.replace("\x00", "")


def _unzipped(content: bytes) -> bytes:
    machine = zlib.decompressobj(wbits=31)
    try:
        plain = machine.decompress(content, MOST_BYTES + 1)
    except zlib.error as error:
        raise UnreadableTable(f"gzip: {error}", reason="truncated_gzip") from error
    if not machine.eof and len(plain) <= MOST_BYTES:
        raise UnreadableTable(f"gzip ends after {len(plain)} bytes of text", reason="truncated_gzip")
    return plain


def _columns(rows: object, text: str, *, mapping: Mapping[str, str] | None, separator: str) -> Columns:
    first_line = text.split("\n", 1)[0].strip("\r")
    for mark, name in FOREIGN_SEPARATORS.items():
        if mark != separator and mark in first_line and separator not in first_line:
            raise UnreadableTable(name, reason="wrong_separator")
    try:
        header = next(rows)  # type: ignore[call-overload]  # csv's reader type has no public name
    except (csv.Error, StopIteration) as error:
        raise UnreadableTable(first_line[:120], reason="bad_header") from error
    return Columns.found(header, mapping)


class _RowReader:
    """One row at a time; built once, so that the columns are looked up once."""

    def __init__(self, columns: Columns, *, factor: float, zone: tzinfo, latest: datetime) -> None:
        self._places = columns.places
        self._width = max(columns.places.values()) + 1
        self._required_width = 1 + max(
            columns.places[f] for f in ("vehicle_id", "timestamp", "latitude", "longitude")
        )
        self._factor, self._zone, self._latest = factor, zone, latest

    def fix(self, row: list[str]) -> VehicleFix:
        if len(row) < self._required_width:
            raise Refused("missing_fields", len(row))
        text = {
            field: row[place].strip() if place < len(row) else "" for field, place in self._places.items()
        }
        if not text["vehicle_id"]:
            raise Refused("no_vehicle_id")
        at = self._time(text["timestamp"])
        lat, lon = _number(text["latitude"]), _number(text["longitude"])
        if lat is None or lon is None:
            raise Refused("bad_position", f"{text['latitude']}, {text['longitude']}")
        check_place(lon, lat)
        speed, bearing = _number(text.get("speed", "")), _number(text.get("bearing", ""))
        sequence = text.get("stop_sequence", "")
        return VehicleFix(
            vehicle_id=text["vehicle_id"][:200], at=at, lon=round(lon, 6), lat=round(lat, 6),
            speed_kmh=plausible_speed(speed * self._factor) if speed is not None else None,
            bearing=plausible_bearing(bearing) if bearing is not None else None,
            trip_id=text.get("trip_id", "")[:200], route_id=text.get("route_id", "")[:200],
            start_time=text.get("start_time", "")[:20], start_date=text.get("start_date", "")[:20],
            headsign=text.get("trip_headsign", "")[:200], label=text.get("label", "")[:200],
            license_plate=text.get("license_plate", "")[:40], occupancy_status=text.get("occupancy_status", "")[:60],
            stop_sequence=int(sequence) if sequence.isascii() and sequence.isdigit() and len(sequence) < 9 else None,
        )  # fmt: skip

    def _time(self, text: str) -> datetime:
        if not text:
            raise Refused("no_timestamp")
        number = _number(text)
        if number is not None:
            at = moment_of(number)
        else:
            try:
                at = datetime.fromisoformat(text)
                at = (at.replace(tzinfo=self._zone) if at.tzinfo is None else at).astimezone(UTC)
            except (ValueError, OverflowError) as error:
                raise Refused("bad_timestamp", text) from error
        if at > self._latest:
            raise Refused("future_timestamp", text)
        return moment_of(at.timestamp())


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
