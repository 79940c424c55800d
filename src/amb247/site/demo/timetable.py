"""Departures and vehicles of one service day: what the controllers of the demo city dispatch."""

from collections import deque
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from amb247.site.demo.plane import Floats, Ints, hashed
from amb247.site.demo.routes import BusRoute
from amb247.site.demo.transit import Transit

HOUR = 3600
PEAKS = ((int(5.5 * HOUR), int(8.5 * HOUR)), (int(16.5 * HOUR), int(19.5 * HOUR)))
DEFAULT_FIRST, DEFAULT_LAST = "05:00", "20:00"
DEFAULT_PEAK_MIN, DEFAULT_OFF_PEAK_MIN = 10, 15
NIGHT_HEADWAY_S = 15 * 60
NIGHT_EVERY = 3
SERVICES = ("LAB", "SAB", "DOM")
HOLIDAY_FACTOR = {"LAB": 1.0, "SAB": 1.2, "DOM": 1.6}
LAYOVER_S = 150
PARKED_AFTER_S = 9 * 60


@dataclass(frozen=True)
class Window:
    """A line of frequencies.txt: seconds of the service day and headway."""

    start: int
    end: int
    headway_s: int
    night: bool


@dataclass(frozen=True)
class Plan:
    """The trips of one service day, one element per trip, sorted by departure."""

    service: str
    pattern: Ints
    depart: Ints
    """Seconds after local midnight of the service day; may exceed 24 h."""
    pace: Floats
    """How many real seconds one off-peak second takes on this trip."""
    arrive: Floats
    present: Ints
    """From when the vehicle stands at the first stop."""
    vehicle: Ints
    """Route number * 1000 + vehicle; night vehicles from 500."""
    night: np.ndarray


def service_of(day: date) -> str:
    return SERVICES[max(0, day.weekday() - 4)]


def windows(transit: Transit, route: int, service: str, *, stretch: float) -> list[Window]:
    """When a route runs and how often; every third route goes on through the night."""
    fact = transit.routes[route]
    first, last = _seconds(fact.first or DEFAULT_FIRST), _seconds(fact.last or DEFAULT_LAST)
    peak, off_peak = headways(fact)
    factor = stretch * HOLIDAY_FACTOR[service]
    cuts = sorted({first, last, *(edge for span in PEAKS for edge in span if first < edge < last)})
    found = []
    for start, end in zip(cuts[:-1], cuts[1:], strict=True):
        is_peak = service == "LAB" and any(a <= start < b for a, b in PEAKS)
        found.append(Window(start, end, round((peak if is_peak else off_peak) * 60 * factor), night=False))
    if is_nocturnal(transit, route):
        headway = round(max(NIGHT_HEADWAY_S * stretch, off_peak * 60 * stretch))
        found.append(Window(last, first + 24 * HOUR, headway, night=True))
    return found


def is_nocturnal(transit: Transit, route: int) -> bool:
    return route % NIGHT_EVERY == 0 or len(transit.routes) <= 6


def headways(fact: BusRoute) -> tuple[int, int]:
    """Peak and off-peak headway in minutes, with the documented defaults where the source is silent."""
    peak = fact.peak_min or DEFAULT_PEAK_MIN
    return peak, fact.off_peak_min or max(peak, DEFAULT_OFF_PEAK_MIN)


def _seconds(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * HOUR + int(minutes) * 60


def congestion(seconds: Floats, service: str) -> Floats:
    """Pace of traffic through the day: slow in the two peaks, quick at night."""
    hour = np.mod(seconds / HOUR, 24)
    weight = {"LAB": 1.0, "SAB": 0.5, "DOM": 0.1}[service]
    peaks = np.exp(-(((hour - 7.0) / 1.3) ** 2)) + np.exp(-(((hour - 18.0) / 1.5) ** 2))
    night = np.where((hour > 20.5) | (hour < 5), 0.10, 0.0)
    return 0.98 + 0.14 * weight * peaks - night


@lru_cache(maxsize=8)
def plan(transit_key: "TransitKey", day: date) -> Plan:
    """The plan of one day: a pure function of the city and the date."""
    transit, seed, stretch = transit_key.transit, transit_key.seed, transit_key.stretch
    service = service_of(day)
    rows = []
    for route in range(len(transit.routes)):
        spans = windows(transit, route, service, stretch=stretch)
        for night in (False, True):
            chosen = [span for span in spans if span.night == night]
            if chosen:
                rows.append(_route_rows(transit, seed, day, route, chosen, service))
    table = np.concatenate(rows)
    table = table[np.argsort(table[:, 1], kind="stable")]
    return Plan(
        service=service,
        pattern=table[:, 0].astype(np.int64),
        depart=table[:, 1].astype(np.int64),
        pace=table[:, 2],
        arrive=table[:, 3],
        present=table[:, 4].astype(np.int64),
        vehicle=table[:, 5].astype(np.int64),
        night=table[:, 6] > 0,
    )


@dataclass(frozen=True, eq=False)
class TransitKey:
    """What a plan depends on besides the date; compared by identity."""

    transit: Transit
    seed: int
    stretch: float


def _route_rows(
    transit: Transit, seed: int, day: date, route: int, spans: list[Window], service: str
) -> np.ndarray:
    departures = [
        (second, direction)
        for direction in (0, 1)
        for second in _departures(seed, day, route, direction, spans).tolist()
    ]
    departures.sort()
    seconds = np.array([second for second, _ in departures], dtype=float)
    noise = hashed(seed, 43, day.toordinal(), route, np.arange(len(seconds)))
    pace = congestion(seconds, service) * (0.94 + 0.12 * noise)
    return _with_vehicles(transit, route, departures, pace, night=spans[0].night)


def _departures(seed: int, day: date, route: int, direction: int, spans: list[Window]) -> Ints:
    """Start times: the headway with a quarter of it as noise, so that order is kept and gaps differ."""
    times = []
    for number, span in enumerate(spans):
        count = max(1, (span.end - span.start) // span.headway_s)
        noise = hashed(seed, 41, day.toordinal(), route, direction, number, np.arange(count))
        ideal = span.start + np.arange(count) * span.headway_s + direction * span.headway_s * 0.3
        times.append(ideal + (noise - 0.3) * 0.5 * span.headway_s)
    merged = np.maximum(np.concatenate(times), spans[0].start)
    return np.unique(np.sort(merged).astype(np.int64))


def _with_vehicles(
    transit: Transit, route: int, departures: list[tuple[int, int]], pace: Floats, *, night: bool
) -> np.ndarray:
    """First in, first out at each end; a new vehicle when none has rested long enough."""
    waiting: tuple[deque[tuple[float, int]], ...] = (deque(), deque())
    fleet = 0
    rows = np.empty((len(departures), 7))
    for index, (second, direction) in enumerate(departures):
        pattern = 2 * route + direction
        arrive = second + transit.patterns[pattern].duration_s * pace[index]
        if waiting[direction] and waiting[direction][0][0] <= second - LAYOVER_S:
            since, vehicle = waiting[direction].popleft()
            present = since if second - since < PARKED_AFTER_S else second - LAYOVER_S
        else:
            fleet += 1
            vehicle, present = fleet, second - LAYOVER_S
        waiting[1 - direction].append((arrive, vehicle))
        number = route * 1000 + vehicle + (500 if night else 0)
        rows[index] = (pattern, second, pace[index], arrive, np.ceil(present), number, night)
    return rows
