"""Where every bus is at an instant: a pure function of the plans, computed for all trips at once."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from amb247.site.demo.plane import Floats, Ints, hashed
from amb247.site.demo.sky import BOGOTA, local
from amb247.site.demo.timetable import Plan, TransitKey, plan

ACCELERATING = 0.25
"""Share of a leg's time spent speeding up, and again slowing down."""
LANE_M = 2.5
ARRIVING_M = 45.0
IN_TRANSIT_TO, STOPPED_AT, INCOMING_AT = 2, 1, 0


@dataclass(frozen=True)
class Delay:
    """A bus held back (or hurried) for a while: seconds behind its pace as a trapezoid over time."""

    trip: tuple[date, int]
    """Service day and row of its plan."""
    begins: datetime
    ramp_s: float
    hold_s: float
    recover_s: float
    seconds: float


@dataclass(frozen=True)
class Trips:
    """The trips on the road at an instant, gathered from today's plan and yesterday's night."""

    day: list[date]
    """Service days, indexed by `which`."""
    which: Ints
    row: Ints
    pattern: Ints
    depart: Ints
    vehicle: Ints
    night: np.ndarray
    progress: Floats
    """Off-peak seconds since departure; negative while waiting at the first stop."""
    rate: Floats
    """Off-peak seconds passing per real second."""
    age_s: Ints
    """How old the position is: vehicles report in turn."""


@dataclass(frozen=True)
class Fixes:
    """Position of each trip's vehicle, parallel to Trips."""

    xy: Floats
    bearing: Floats
    speed_m_s: Floats
    next_stop: Ints
    """Index into the pattern's stops: the one it stands at or drives to."""
    status: Ints
    """GTFS-Realtime VehicleStopStatus."""
    distance_m: Floats


class Motion:
    """The patterns of the network as flat arrays, so that one search serves all buses."""

    def __init__(self, key: TransitKey) -> None:
        self.key = key
        patterns = key.transit.patterns
        self.duration = np.array([pattern.duration_s for pattern in patterns])
        self._time_gap = float(self.duration.max()) + 10.0
        self._way_gap = max(pattern.length_m for pattern in patterns) + 10.0
        self._depart = np.concatenate([p.depart[:-1] + i * self._time_gap for i, p in enumerate(patterns)])
        self._leg_s = np.concatenate([p.arrive[1:] - p.depart[:-1] for p in patterns])
        self._leg_start_s = np.concatenate([p.depart[:-1] for p in patterns])
        self._leg_from = np.concatenate([p.stop_at[:-1] for p in patterns])
        self._leg_m = np.concatenate([np.diff(p.stop_at) for p in patterns])
        self._first_leg = np.concatenate(([0], np.cumsum([len(p.stops) - 1 for p in patterns])))
        self._along = np.concatenate([p.along + i * self._way_gap for i, p in enumerate(patterns)])
        self._line = np.concatenate([p.line for p in patterns])

    def trips(self, now: datetime, delays: list[Delay]) -> Trips:
        """Every trip whose vehicle is in service at an instant."""
        days = self.service_days(now)
        parts = [
            self._of_day(number, day, self.service_second(day, now), now, delays)
            for number, day in enumerate(days)
        ]
        joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        which, row, pattern, depart, vehicle, night, progress, rate, age = joined
        return Trips(
            days, which.astype(np.int64), row.astype(np.int64), pattern.astype(np.int64), depart.astype(np.int64),
            vehicle.astype(np.int64), night > 0, progress, rate, age.astype(np.int64),
        )  # fmt: skip

    @staticmethod
    def service_days(now: datetime) -> list[date]:
        """Yesterday, whose night may still run, and today."""
        today = local(now).date()
        return [today - timedelta(days=1), today]

    @staticmethod
    def service_second(day: date, now: datetime) -> float:
        """Seconds since local midnight of a service day."""
        return (local(now) - datetime(day.year, day.month, day.day, tzinfo=BOGOTA)).total_seconds()

    def _of_day(
        self, number: int, day: date, second: float, now: datetime, delays: list[Delay]
    ) -> tuple[np.ndarray, ...]:
        whole = plan(self.key, day)
        age = 1 + (hashed(self.key.seed, 71, whole.vehicle) * 9).astype(np.int64)
        on = np.flatnonzero((whole.present <= second - age) & (whole.arrive > second - age))
        at = second - age[on]
        progress = (at - whole.depart[on]) / whole.pace[on]
        rate = 1 / whole.pace[on]
        ours = [delay for delay in delays if delay.trip[0] == day]
        self._apply(ours, whole, now, rows=on, age=age[on], progress=progress, rate=rate)
        return (
            np.full(len(on), number), on, whole.pattern[on], whole.depart[on], whole.vehicle[on],
            whole.night[on], progress, rate, age[on],
        )  # fmt: skip

    def _apply(
        self,
        delays: list[Delay],
        whole: Plan,
        now: datetime,
        *,
        rows: Ints,
        age: Ints,
        progress: Floats,
        rate: Floats,
    ) -> None:
        """Hold back the delayed trips, in place."""
        for delay in delays:
            index = int(np.searchsorted(rows, delay.trip[1]))
            if index < len(rows) and rows[index] == delay.trip[1]:
                since = (now - delay.begins).total_seconds() - float(age[index])
                behind, growing = _trapezoid(delay, since)
                pace = whole.pace[rows[index]]
                progress[index] -= behind / pace
                rate[index] -= growing / pace

    def fixes(self, trips: Trips) -> Fixes:
        """Positions on the shape: along legs with smooth starts and stops, standing between them."""
        limited = np.clip(trips.progress, 0.0, self.duration[trips.pattern])
        key = limited + trips.pattern * self._time_gap
        leg = np.searchsorted(self._depart, key, side="right") - 1
        share = np.clip((limited - self._leg_start_s[leg]) / self._leg_s[leg], 0.0, 1.0)
        waiting = trips.progress <= 0
        share[waiting] = 0.0
        distance = self._leg_from[leg] + self._leg_m[leg] * _eased(share)
        speed = self._leg_m[leg] / self._leg_s[leg] * _eased_rate(share) * np.maximum(trips.rate, 0.0)
        standing = (share >= 1.0) | waiting
        speed[standing] = 0.0
        local_leg = leg - self._first_leg[trips.pattern]
        left = self._leg_from[leg] + self._leg_m[leg] - distance
        status = np.where(standing, STOPPED_AT, np.where(left < ARRIVING_M, INCOMING_AT, IN_TRANSIT_TO))
        xy, bearing = self._place(trips.pattern, distance)
        return Fixes(xy, bearing, speed, np.where(waiting, 0, local_leg + 1), status, distance)

    def _place(self, pattern: Ints, distance: Floats) -> tuple[Floats, Floats]:
        key = distance + pattern * self._way_gap
        after = np.searchsorted(self._along, key, side="right")
        before = np.maximum(after - 1, 0)
        # at the end of a shape, or on a doubled vertex, look back along the last real segment
        last = (after >= len(self._along)) | (
            self._along[np.minimum(after, len(self._along) - 1)] - key > self._way_gap / 2
        )
        before = np.where(last, before - 1, before)
        after = before + 1
        for _ in range(3):
            flat = self._along[after] - self._along[before] < 0.05
            before = np.where(flat, before - 1, before)
        span = np.maximum(self._along[after] - self._along[before], 0.05)
        share = np.clip((key - self._along[before]) / span, 0.0, 1.0)[:, None]
        way = self._line[after] - self._line[before]
        bearing = np.degrees(np.arctan2(way[:, 0], way[:, 1])) % 360
        unit = way / np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-6)[:, None]
        right = np.c_[unit[:, 1], -unit[:, 0]] * LANE_M
        return self._line[before] + way * share + right, bearing


def _trapezoid(delay: Delay, since: float) -> tuple[float, float]:
    """Seconds behind and how fast that grows, at a time since the delay begins."""
    if since <= 0:
        return 0.0, 0.0
    if since < delay.ramp_s:
        return delay.seconds * since / delay.ramp_s, delay.seconds / delay.ramp_s
    left = delay.ramp_s + delay.hold_s + delay.recover_s - since
    if left >= delay.recover_s:
        return delay.seconds, 0.0
    if left > 0:
        return delay.seconds * left / delay.recover_s, -delay.seconds / delay.recover_s
    return 0.0, 0.0


def _eased(share: Floats) -> Floats:
    """Distance share after a time share: constant acceleration, cruise, constant braking."""
    a = ACCELERATING
    rising = share**2 / (2 * a * (1 - a))
    cruising = (share - a / 2) / (1 - a)
    braking = 1 - (1 - share) ** 2 / (2 * a * (1 - a))
    return np.where(share < a, rising, np.where(share > 1 - a, braking, cruising))


def _eased_rate(share: Floats) -> Floats:
    a = ACCELERATING
    return np.minimum(np.minimum(share / a, (1 - share) / a), 1.0) / (1 - a)


def occupancy_of(seed: int, trips: Trips, hour: float, *, duration: Floats) -> Ints:
    """GTFS-Realtime OccupancyStatus (0 empty to 5 full), fuller in the peaks and mid-route."""
    through = np.clip(trips.progress / duration[trips.pattern], 0, 1)
    peak = float(np.exp(-(((hour - 7.0) / 1.2) ** 2)) + np.exp(-(((hour - 17.8) / 1.4) ** 2)))
    load = 0.18 + 0.5 * peak + 0.55 * np.sin(np.pi * through) - 0.25 * trips.night
    load += 0.5 * (hashed(seed, 73, trips.vehicle, trips.depart) - 0.5)
    return np.asarray(np.digitize(load, (0.12, 0.5, 0.85, 1.1, 1.3)), dtype=np.int64)
