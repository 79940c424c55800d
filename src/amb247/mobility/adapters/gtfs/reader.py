"""One GTFS zip in, checked tables out: the only entrance to this folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from gtfs_parquet.schema import ALL_SCHEMAS

from amb247.mobility.adapters.gtfs.archive import TABLES, Archive, open_archive
from amb247.mobility.adapters.gtfs.checks import check, drop_orphans
from amb247.mobility.adapters.gtfs.notices import notices_of
from amb247.mobility.adapters.gtfs.text import ROW, NoTable, read_table
from amb247.mobility.adapters.gtfs.typed import BAD, NEEDED, Table, typed_table
from amb247.mobility.data import NEEDED_TABLES, Finding, Level, Notice
from amb247.mobility.errors import UnreadableArchive

REQUIRED_FILES = ("agency.txt", "stops.txt", "routes.txt", "trips.txt", "stop_times.txt")
CALENDARS = ("calendar.txt", "calendar_dates.txt")


@dataclass(frozen=True)
class GtfsContent:
    """What a zip holds after reading and checking.

    Attributes
    ----------
    frames : Mapping[str, DataFrame]    the good rows by table name; typed as gtfs-parquet types them, coordinates float64
    refused_rows : Mapping[str, int]    how many rows of each table are not in `frames`
    is_usable : bool                    False with a "fatal" finding, or with refused rows and no `keep_good`
    """

    sha256: str
    size_bytes: int
    frames: Mapping[str, pl.DataFrame]
    refused_rows: Mapping[str, int]
    findings: tuple[Finding, ...]
    notices: tuple[Notice, ...]
    is_usable: bool


def read_gtfs(path: Path, *, keep_good: bool = False) -> GtfsContent:
    """Read and check a GTFS zip.

    Parameters
    ----------
    path : Path         the zip
    keep_good : bool    use the good rows although others are refused

    Returns
    -------
    GtfsContent     never raises for what is in the file: the findings say what is wrong, where, and how much

    References
    ----------
    GTFS Schedule Reference, https://gtfs.org/documentation/schedule/reference/
    """
    try:
        archive = open_archive(path)
    except UnreadableArchive as error:
        finding = Finding(error.reason, "fatal", detail=str(error)[:300])
        return GtfsContent("", path.stat().st_size, {}, {}, (finding,), (), is_usable=False)
    # The validator releases the interpreter's lock, so it runs beside our own reading.
    with ThreadPoolExecutor(1) as pool, tempfile.TemporaryDirectory(prefix="amb-gtfs-") as folder:
        notices = pool.submit(notices_of, _for_validator(archive, path, Path(folder)))
        tables, unreadable = _tables(archive)
        findings = [*archive.findings, *_missing_files(archive), *unreadable, *_missing_columns(tables)]
        if not any(finding.level == "fatal" for finding in findings):
            check(tables)
            if keep_good:
                drop_orphans(tables)
            findings += _nothing_left(tables, is_final=keep_good)
        for table in tables.values():
            findings += table.findings
        return GtfsContent(
            sha256=archive.digest(),
            size_bytes=archive.size_bytes,
            frames={name: table.good.drop(ROW, BAD) for name, table in tables.items()},
            refused_rows=_refused_rows(tables),
            findings=tuple(sorted(findings, key=_importance)),
            notices=notices.result(),
            is_usable=not any(
                finding.level == "fatal" or (finding.level == "rows" and not keep_good)
                for finding in findings
            ),
        )


def service_days(frames: Mapping[str, pl.DataFrame]) -> tuple[date | None, date | None]:
    """First and last day on which the calendars say that something runs."""
    days: list[date] = []
    calendar = frames.get("calendar")
    if calendar is not None and {"start_date", "end_date"} <= set(calendar.columns):
        days += [
            day for column in ("start_date", "end_date") for day in calendar[column].drop_nulls().to_list()
        ]
    exceptions = frames.get("calendar_dates")
    if exceptions is not None and {"date", "exception_type"} <= set(exceptions.columns):
        days += exceptions.filter(pl.col("exception_type") == 1)["date"].drop_nulls().to_list()
    return (min(days), max(days)) if days else (None, None)


def bounding_box(frames: Mapping[str, pl.DataFrame]) -> tuple[float, float, float, float] | None:
    """West, south, east, north of the stops, degrees; None without any."""
    stops = frames.get("stops")
    if stops is None or not {"stop_lat", "stop_lon"} <= set(stops.columns):
        return None
    placed = stops.select("stop_lon", "stop_lat").drop_nulls()
    if placed.is_empty():
        return None
    west, east = placed["stop_lon"].min(), placed["stop_lon"].max()
    south, north = placed["stop_lat"].min(), placed["stop_lat"].max()
    return tuple(round(float(edge), 6) for edge in (west, south, east, north))  # type: ignore[arg-type, return-value]  # floats, four of them


def text_of_time(value: timedelta | None) -> str:
    """25:10:00 of a time since the service day's midnight; empty for none."""
    if value is None:
        return ""
    seconds = int(value.total_seconds())
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _importance(finding: Finding) -> tuple[int, int]:
    return ({"fatal": 0, "rows": 1, "note": 2}[finding.level], -finding.count)


def _for_validator(archive: Archive, path: Path, folder: Path) -> Path:
    """The zip itself, or its texts laid flat where they were packed one folder down."""
    if not archive.is_nested and path.suffix == ".zip":
        return path
    if archive.is_nested:
        for name, content in archive.members.items():
            (folder / name).write_bytes(content)
        return folder
    copy = folder / "feed.zip"
    shutil.copyfile(path, copy)
    return copy


def _tables(archive: Archive) -> tuple[dict[str, Table], list[Finding]]:
    tables, findings = {}, []
    for file, content in archive.members.items():
        name = TABLES[file]
        try:
            tables[name] = typed_table(name, read_table(file, content))
        except NoTable as error:
            is_needed = file in (*REQUIRED_FILES, *CALENDARS) or error.finding.code != "empty_file"
            level: Level = "fatal" if is_needed else "note"
            findings.append(
                Finding(
                    error.finding.code,
                    level,
                    file,
                    samples=error.finding.samples,
                    detail=error.finding.detail,
                )
            )
    return tables, findings


def _missing_files(archive: Archive) -> list[Finding]:
    missing = [
        Finding("missing_file", "fatal", file) for file in REQUIRED_FILES if file not in archive.members
    ]
    if not any(file in archive.members for file in CALENDARS):
        missing.append(Finding("missing_file", "fatal", " / ".join(CALENDARS)))
    return missing


def _missing_columns(tables: Mapping[str, Table]) -> list[Finding]:
    findings = []
    for name, table in tables.items():
        needed = NEEDED.get(name, ()) + (("stop_lat", "stop_lon") if name == "stops" else ())
        for column in needed:
            if column not in table.frame.columns:
                header = ", ".join(ALL_SCHEMAS[name].columns.keys() & set(table.frame.columns))
                findings.append(Finding("missing_column", "fatal", table.file, column, detail=header[:200]))
    return findings


def _nothing_left(tables: Mapping[str, Table], *, is_final: bool) -> list[Finding]:
    """A needed table without a good row; not said again where the rows' own findings already refuse the feed."""
    return [
        Finding("nothing_left", "fatal", table.file, detail=str(table.frame.height + table.raw.refused))
        for table in (tables[name] for name in NEEDED_TABLES)
        if table.good.is_empty()
        and (is_final or not any(finding.level == "rows" for finding in table.findings))
    ]


def _refused_rows(tables: Mapping[str, Table]) -> dict[str, int]:
    counts = {name: int(table.frame[BAD].sum()) + table.raw.refused for name, table in tables.items()}
    return {name: count for name, count in counts.items() if count}
