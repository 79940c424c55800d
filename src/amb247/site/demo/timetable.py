"""Departures and vehicles of one service day: what the controllers of the demo city dispatch."""

import itertools
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
BUNCH_RAMP_S, BUNCH_MINUTE = 480, 6
"""Every half hour one line sends two buses close together; from this minute on the first loses time."""
BUNCH_AHEAD_S, BUNCH_BEHIND_S = 120, 100
BUNCH_NEEDS_S = 1750
"""Off-peak length of a trip in which two buses can meet, stay together and part again."""


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
    for start, end in itertools.pairwise(cuts):
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
    transit, stretch = transit_key.transit, transit_key.stretch
    service = service_of(day)
    bunches = bunched_patterns(transit_key, day)
    rows = []
    for route in range(len(transit.routes)):
        spans = windows(transit, route, service, stretch=stretch)
        for night in (False, True):
            chosen = [span for span in spans if span.night == night]
            if chosen:
                rows.append(_route_rows(transit_key, day, route, spans=chosen, bunches=bunches))
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


@lru_cache(maxsize=8)
def bunched_patterns(transit_key: TransitKey, day: date) -> dict[int, int]:
    """Second of the service day at which a bunching begins, to the pattern it happens on."""
    transit, service = transit_key.transit, service_of(day)
    eligible = [
        (pattern, span)
        for pattern, shape in enumerate(transit.patterns)
        if shape.duration_s >= BUNCH_NEEDS_S
        for span in _spells(windows(transit, shape.route, service, stretch=transit_key.stretch))
    ]
    found = {}
    for begins in range(BUNCH_MINUTE * 60, 30 * HOUR, HOUR // 2):
        running = [
            pattern for pattern, (start, end) in eligible if start <= begins - 600 and begins + 1200 <= end
        ]
        if running:
            draw = float(hashed(transit_key.seed, 45, day.toordinal(), begins))
            found[begins] = running[int(draw * len(running))]
    return found


def _spells(spans: list[Window]) -> list[tuple[int, int]]:
    """The day's windows as one span, the night's as another: they are different trips."""
    spells = []
    for night in (False, True):
        chosen = [span for span in spans if span.night == night]
        if chosen:
            spells.append((chosen[0].start, chosen[-1].end))
    return spells


def _route_rows(
    transit_key: TransitKey, day: date, route: int, *, spans: list[Window], bunches: dict[int, int]
) -> np.ndarray:
    transit, seed = transit_key.transit, transit_key.seed
    departures = []
    for direction in (0, 1):
        times = _departures(seed, day, route, direction, spans)
        inside = [b for b, pattern in bunches.items() if pattern == 2 * route + direction]
        for begins in inside:
            if spans[0].start <= begins - 600 and begins + 1200 <= spans[-1].end:
                times = _drawn_together(times, begins)
        departures += [(second, direction) for second in times.tolist()]
    departures.sort()
    seconds = np.array([second for second, _ in departures], dtype=float)
    noise = hashed(seed, 43, day.toordinal(), route, np.arange(len(seconds)))
    pace = congestion(seconds, service_of(day)) * (0.94 + 0.12 * noise)
    return _with_vehicles(transit, route, departures, pace, night=spans[0].night)


def _drawn_together(times: Ints, begins: int) -> Ints:
    """The two departures around a moment move towards it, one just before and one just after."""
    first = int(np.searchsorted(times, begins - BUNCH_RAMP_S))
    moved = times.copy()
    pair = (begins - BUNCH_AHEAD_S, begins + BUNCH_BEHIND_S)
    if first + 1 >= len(moved):
        return np.unique(np.concatenate((moved[:first], pair)))
    moved[first : first + 2] = pair
    return np.unique(moved)


def _departures(seed: int, day: date, route: int, direction: int, spans: list[Window]) -> Ints:
    """Start times: the headway with noise of a part of it, so that order is kept and gaps differ."""
    times = []
    for number, span in enumerate(spans):
        count = max(1, (span.end - span.start) // span.headway_s)
        noise = hashed(seed, 41, day.toordinal(), route, direction, number, np.arange(count))
        ideal = span.start + np.arange(count) * span.headway_s + direction * span.headway_s * 0.3
        times.append(ideal + (noise - 0.3) * (0.8 if span.night else 0.5) * span.headway_s)
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
