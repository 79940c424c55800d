"""Recordings played back through the same door as live data, at any speed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from amb247.context import api as context
from amb247.mobility.data import AsOf, Reading, Refusal, ReplayReport
from amb247.mobility.domain.ingest import Origin, Taken, examples_of, take
from amb247.mobility.domain.recording import Moment, Recording, TableOptions, expand, open_recording
from amb247.mobility.domain.static import StaticNames, static_names
from amb247.mobility.errors import UnreadableMessage

Progress = Callable[[ReplayReport], None]
TICK_S = 0.5  # of the wall: what a fast replay sends at once
UNPACED_SLICE_S = 600.0
PROGRESS_S = 2.0
SAMPLES_OF_A_REASON = 3


def replay(
    files: Sequence[str | Path], *, feed: str, name: str, speed: float, loop: bool, as_of: AsOf, keep_good: bool,
    table: TableOptions, on_progress: Progress | None, stop: threading.Event | None,
) -> ReplayReport:  # fmt: skip
    """Play files back; see `api.replay`."""
    paths = expand(files)
    slice_s = max(speed * TICK_S, 1.0) if speed > 0 else UNPACED_SLICE_S
    recording = open_recording(paths, slice_s=slice_s, table=table, keep_good=keep_good)
    label = name or _label(paths)
    handle = context.feed(f"replay-{feed}", name=label, kind="replay", expected_every_s=300)
    origin = Origin(feed=feed, label=label, handle=handle)
    player = _Player(recording, origin, speed=speed, as_of=as_of, keep_good=keep_good, on_progress=on_progress,
                     stop=stop or threading.Event())  # fmt: skip
    player.count_before()
    while True:
        player.play()
        if not loop or player.is_stopped or not recording.moments:
            return player.report()


def _label(paths: Sequence[Path]) -> str:
    first = paths[0].name
    return f"Grabación {first}" if len(paths) == 1 else f"Grabación {first} y {len(paths) - 1} más"


class _Player:
    """One run through a recording: its clock and its counts."""

    def __init__(
        self, recording: Recording, origin: Origin, *, speed: float, as_of: AsOf, keep_good: bool,
        on_progress: Progress | None, stop: threading.Event,
    ) -> None:  # fmt: skip
        self._recording, self._origin = recording, origin
        self._speed, self._as_of, self._keep_good = speed, as_of, keep_good
        self._on_progress, self._stop = on_progress, stop
        self._began = self._told = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._names = static_names(origin.feed)
        self._messages = self._seen = self._taken = self._late = self._unchanged = 0
        self._trip_updates = self._alerts = 0
        self._refused: Counter[str] = Counter()
        self._samples: list[Refusal] = []
        self._shown: Counter[str] = Counter()
        self._vehicles: set[str] = set()
        self._clock: datetime | None = None
        self._is_finished = False

    @property
    def is_stopped(self) -> bool:
        return self._stop.is_set()

    def count_before(self) -> None:
        """What was refused while reading the files, before anything is played."""
        before = self._recording.refused_before
        if before.seen:
            self._count(before, Taken(0, 0, 0, {}, (), None))
            self._origin.handle.record(
                taken=0,
                refused=before.refused,
                messages=0,
                examples=examples_of(before.samples),
            )

    def play(self) -> None:
        """All moments in order, each when its time has come; stops between two when asked to."""
        self._is_finished = False
        self._started_at = datetime.now(UTC)
        start = time.monotonic()
        self._names = static_names(self._origin.feed)
        first = self._recording.first
        for moment in self._recording.moments:
            if self._speed > 0 and first is not None:
                due = start + (moment.at - first).total_seconds() / self._speed
                if self._wait_until(due):
                    return
            if self._stop.is_set():
                return
            self._send(moment, self._names)
            self._tell()
        self._is_finished = True

    def _wait_until(self, due: float) -> bool:
        """Wait in short steps, so that progress is told and a stop is heard; True when stopped."""
        while (left := due - time.monotonic()) > 0:
            if self._stop.wait(min(left, PROGRESS_S)):
                return True
            self._tell()
        return False

    def _send(self, moment: Moment, names: StaticNames) -> None:
        size = moment.path.stat().st_size if moment.reading is None else 0
        try:
            reading = moment.read(stops=names.stops, keep_good=self._keep_good)
        except UnreadableMessage as error:  # readable at the start, not any more: the file changed under us
            reading = Reading(
                (), 1, {error.reason: 1}, (Refusal(moment.path.name, error.reason, str(error)),)
            )
        reading = replace(
            reading,
            samples=tuple(replace(one, where=f"{moment.path.name}:{one.where}") for one in reading.samples),
        )
        taken = take(reading.fixes, self._origin, names=names, shown_at=self._shown_at)
        self._clock = moment.at
        self._messages += 1
        self._vehicles.update(fix.vehicle_id for fix in reading.fixes)
        self._count(reading, taken)
        refused = Counter(reading.refused) + Counter(taken.refused)
        self._origin.handle.record(
            taken=taken.taken, refused=refused, newest=taken.newest, received_bytes=size,
            examples=examples_of((*reading.samples, *taken.samples)),
        )  # fmt: skip

    def _shown_at(self, at: datetime) -> datetime:
        """The time under which a fix is stored.

        As of now and paced, the recording's clock is laid on the wall's: what is due now is stored as of now, and a
        fast replay is as dense in the history as it is on the map. Not paced, the recording is shifted whole so that
        its end is now.
        """
        first, last = self._recording.first, self._recording.last
        if self._as_of == "recorded" or first is None or last is None:
            return at
        if self._speed <= 0:
            return min(at + (self._started_at - last), self._started_at)
        return min(self._started_at + (at - first) / self._speed, datetime.now(UTC))

    def _count(self, reading: Reading, taken: Taken) -> None:
        self._seen += reading.seen
        self._taken += taken.taken
        self._late += taken.late
        self._unchanged += taken.unchanged
        self._trip_updates += reading.trip_updates
        self._alerts += reading.alerts
        self._refused.update(reading.refused)
        self._refused.update(taken.refused)
        for sample in (*reading.samples, *taken.samples):
            if self._shown[sample.reason] < SAMPLES_OF_A_REASON:
                self._shown[sample.reason] += 1
                self._samples.append(sample)

    def _tell(self) -> None:
        if self._on_progress is not None and time.monotonic() - self._told >= PROGRESS_S:
            self._told = time.monotonic()
            self._on_progress(self.report())

    def report(self) -> ReplayReport:
        return ReplayReport(
            files=self._recording.files, messages=self._messages, seen=self._seen, taken=self._taken, late=self._late,
            unchanged=self._unchanged, refused=dict(self._refused), samples=tuple(self._samples),
            trip_updates=self._trip_updates, alerts=self._alerts, vehicles=len(self._vehicles), clock=self._clock,
            elapsed_s=time.monotonic() - self._began, finished=self._is_finished,
        )  # fmt: skip
