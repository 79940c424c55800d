"""Recorded files put in the order of time: messages by their own time, tables cut into slices of time."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from amb247.mobility.adapters.avl_csv import SpeedUnit, read_positions
from amb247.mobility.adapters.avl_csv.table import is_table
from amb247.mobility.adapters.gtfs_realtime import header_time, read_message
from amb247.mobility.data import Reading, Refusal, VehicleFix
from amb247.mobility.errors import UnreadableRecording

MOST_FILE_BYTES = 500_000_000


@dataclass(frozen=True)
class TableOptions:
    """How to read tables of positions; see `adapters.avl_csv.read_positions`."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    separator: str = ","
    speed_unit: SpeedUnit | None = None
    zone: tzinfo = UTC


@dataclass(frozen=True)
class Moment:
    """Something that arrives at a time of the recording: a message still to be read, or a slice of a table."""

    at: datetime
    path: Path
    reading: Reading | None = None

    def read(self, *, stops: Mapping[str, tuple[float, float]], keep_good: bool) -> Reading:
        if self.reading is not None:
            return self.reading
        return read_message(self.path.read_bytes(), stops=stops, keep_good=keep_good)


@dataclass(frozen=True)
class Recording:
    """All moments in order, and what was refused before any (rows of tables, unreadable files)."""

    moments: tuple[Moment, ...]
    files: int
    refused_before: Reading

    @property
    def first(self) -> datetime | None:
        return self.moments[0].at if self.moments else None

    @property
    def last(self) -> datetime | None:
        return self.moments[-1].at if self.moments else None


def expand(patterns: Sequence[str | Path]) -> list[Path]:
    """Files of paths, folders and patterns such as `*.pb`, each once, in the order given then by name.

    Raises
    ------
    UnreadableRecording    one matches nothing
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            matches = sorted(child for child in path.iterdir() if child.is_file())
        elif path.exists():
            matches = [path]
        else:
            matches = sorted(Path(match) for match in glob.glob(str(pattern), recursive=True))  # noqa: PTH207  absolute patterns too
            matches = [match for match in matches if match.is_file()]
        if not matches:
            raise UnreadableRecording(str(pattern), reason="no_such_file")
        found.update(dict.fromkeys(matches))
    return list(found)


def open_recording(
    paths: Sequence[Path], *, slice_s: float, table: TableOptions, keep_good: bool
) -> Recording:
    """Put files in order.

    Parameters
    ----------
    slice_s : float     length of a table's slices, seconds of the recording
    keep_good : bool    pass over files that cannot be read, counting them

    Raises
    ------
    UnreadableRecording    the first unreadable file, its name in front, unless `keep_good`
    """
    moments: list[Moment] = []
    refused: dict[str, int] = {}
    samples: list[Refusal] = []
    for path in paths:
        try:
            found, before = _moments(path, slice_s=slice_s, table=table, keep_good=keep_good)
        except UnreadableRecording as error:
            if not keep_good:
                raise type(error)(f"{path.name}: {error}", reason=error.reason) from error
            found, before = (
                [],
                Reading((), 1, {error.reason: 1}, (Refusal(path.name, error.reason, str(error)),)),
            )
        moments += found
        for reason, count in before.refused.items():
            refused[reason] = refused.get(reason, 0) + count
        samples += [Refusal(f"{path.name}:{one.where}", one.reason, one.value) for one in before.samples]
    moments.sort(key=lambda moment: (moment.at, moment.path.name))
    return Recording(tuple(moments), len(paths), Reading((), sum(refused.values()), refused, tuple(samples)))


def _moments(
    path: Path, *, slice_s: float, table: TableOptions, keep_good: bool
) -> tuple[list[Moment], Reading]:
    if path.stat().st_size > MOST_FILE_BYTES:
        raise UnreadableRecording(f"{path.stat().st_size} bytes", reason="too_large")
    content = path.read_bytes()
    if is_table(path, content):
        reading = read_positions(
            content,
            mapping=table.mapping,
            separator=table.separator,
            speed_unit=table.speed_unit,
            zone=table.zone,
        )
        refused = Reading((), sum(reading.refused.values()), reading.refused, reading.samples)
        return list(_slices(path, reading.fixes, slice_s)), refused
    at = header_time(content, keep_good=keep_good)
    if at is None:  # a message without a time arrives when its file was written
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return [Moment(at, path)], Reading((), 0)


def _slices(path: Path, fixes: Sequence[VehicleFix], slice_s: float) -> Iterator[Moment]:
    """Fixes in order of time, cut where `slice_s` has passed; a slice arrives at its last fix."""
    ordered = sorted(fixes, key=lambda fix: fix.at)
    length = timedelta(seconds=slice_s)
    start = 0
    for index, fix in enumerate(ordered):
        if fix.at - ordered[start].at > length:
            yield _slice(path, ordered[start:index])
            start = index
    if ordered:
        yield _slice(path, ordered[start:])


def _slice(path: Path, fixes: list[VehicleFix]) -> Moment:
    return Moment(fixes[-1].at, path, Reading(tuple(fixes), len(fixes)))
