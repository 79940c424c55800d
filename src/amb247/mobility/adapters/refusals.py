"""Counting what an adapter refuses: how many of each reason, and the first few of each to look at."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from amb247.mobility.data import Refusal

SAMPLES = 3
FUTURE = timedelta(minutes=5)  # clocks of devices drift; the context refuses beyond this too
EARLIEST_S = 946_684_800  # 2000-01-01: before this a clock was never set
MOST_KMH = 400.0


class Refused(Exception):
    """This record is not taken, for that reason. It never leaves the adapter."""

    def __init__(self, reason: str, value: object = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = str(value)[:120]


class Tally:
    """Reasons with counts and samples."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._samples: list[Refusal] = []

    def add(self, where: str, reason: str, value: str = "") -> None:
        self.counts[reason] += 1
        if self.counts[reason] <= SAMPLES:
            self._samples.append(Refusal(where, reason, value))

    @property
    def samples(self) -> tuple[Refusal, ...]:
        return tuple(self._samples)


def moment_of(seconds: float) -> datetime:
    """UTC of POSIX seconds, or of milliseconds where it can be nothing else.

    Raises
    ------
    Refused    before 2000, or beyond what a calendar holds
    """
    value = seconds / 1000 if seconds >= 1e11 else seconds
    if not value >= EARLIEST_S:
        raise Refused("bad_timestamp", seconds)
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Refused("bad_timestamp", seconds) from error


def check_place(lon: float, lat: float) -> None:
    """Refuse what is nowhere: out of range, not a number, or 0, 0."""
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise Refused("bad_position", f"{lat}, {lon}")
    if abs(lon) < 0.001 and abs(lat) < 0.001:
        raise Refused("zero_position", f"{lat}, {lon}")


def plausible_speed(kmh: float) -> float | None:
    """The speed, or None where no vehicle has it: the position is still good."""
    return round(kmh, 2) if 0 <= kmh <= MOST_KMH else None


def plausible_bearing(degrees: float) -> float | None:
    """Degrees in [0, 360), or None."""
    return round(degrees % 360.0, 1) % 360.0 if -360 <= degrees <= 720 else None
