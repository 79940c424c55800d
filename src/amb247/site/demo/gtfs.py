"""The demo city's schedule as a GTFS feed with frequencies (gtfs.org reference, `exact_times` 0)."""

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from amb247.site.demo.city import City
from amb247.site.demo.plane import to_degrees
from amb247.site.demo.routes import COLOURS, OPERATORS
from amb247.site.demo.timetable import SERVICES, Window, windows
from amb247.site.demo.transit import Pattern

Rows = Iterable[Sequence[object]]
NOTICE = "Ciudad sintética de demostración: no es la oferta real de transporte"
NIGHT_NOTICE = "servicio nocturno de demostración"
BASE_S = 5 * 3600
"""Where stop_times start counting; frequencies shift it, so any hour does."""
FEED_INFO = "feed_publisher_name,feed_publisher_url,feed_lang,feed_start_date,feed_end_date,feed_version,feed_contact_url"
URL = "https://example.org/amb247-demo"


@dataclass(frozen=True)
class GtfsSummary:
    path: Path
    routes: int
    stops: int
    trips: int
    stop_times: int
    route_km: float
    """Length of all patterns, both directions."""
    size_bytes: int


def trip_id(code: str, direction: int, service: str, *, night: bool) -> str:
    return f"{code}-{direction}-{service}" + ("-N" if night else "")


def write_gtfs(
    city: City, path: str | Path, *, start: date = date(2026, 1, 1), end: date = date(2030, 12, 31)
) -> GtfsSummary:
    """Write the feed as a zip; the same city and dates give the same bytes."""
    target = Path(path)
    tables = _tables(city, start, end)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, (header, rows) in tables.items():
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\r\n")
            writer.writerow(header.split(","))
            writer.writerows(rows)
            archive.writestr(
                zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text.getvalue(), zipfile.ZIP_DEFLATED
            )
    return GtfsSummary(
        path=target,
        routes=len(city.transit.routes),
        stops=len(city.transit.stops),
        trips=len(tables["trips.txt"][1]),
        stop_times=len(tables["stop_times.txt"][1]),
        route_km=sum(pattern.length_m for pattern in city.transit.patterns) / 1000,
        size_bytes=target.stat().st_size,
    )


def _tables(city: City, start: date, end: date) -> dict[str, tuple[str, list[Sequence[object]]]]:
    trips = _trips(city)
    return {
        "agency.txt": ("agency_id,agency_name,agency_url,agency_timezone,agency_lang", list(_agencies(city))),
        "feed_info.txt": (
            FEED_INFO,
            [(f"AMB 24/7 · {NOTICE}", URL, "es", _day(start), _day(end), f"sintetica-{city.seed}", URL)],
        ),
        "routes.txt": (
            "route_id,agency_id,route_short_name,route_long_name,route_desc,route_type,route_color,route_text_color",
            list(_routes(city)),
        ),
        "stops.txt": (
            "stop_id,stop_code,stop_name,stop_lat,stop_lon,wheelchair_boarding",
            list(_stops(city)),
        ),
        "calendar.txt": (
            "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date",
            [(service, *_week(service), _day(start), _day(end)) for service in SERVICES],
        ),
        "trips.txt": (
            "route_id,service_id,trip_id,trip_headsign,direction_id,shape_id,wheelchair_accessible",
            [row[:7] for row in trips],
        ),
        "stop_times.txt": (
            "trip_id,arrival_time,departure_time,stop_id,stop_sequence,shape_dist_traveled,timepoint",
            list(_stop_times(city, trips)),
        ),
        "frequencies.txt": (
            "trip_id,start_time,end_time,headway_secs,exact_times",
            list(_frequencies(trips)),
        ),
        "shapes.txt": (
            "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence,shape_dist_traveled",
            list(_shapes(city)),
        ),
    }


def _agencies(city: City) -> Rows:
    for key in sorted({route.operator for route in city.transit.routes}):
        yield key, OPERATORS[key], URL, "America/Bogota", "es"


def _routes(city: City) -> Rows:
    for route in city.transit.routes:
        colour = COLOURS[route.operator]
        yield route.code, route.operator, route.code, route.name, NOTICE, 3, colour, "FFFFFF"


def _stops(city: City) -> Rows:
    for stop in city.transit.stops:
        lon, lat = to_degrees((stop.x, stop.y))
        yield stop.stop_id, stop.code, stop.name, f"{lat:.6f}", f"{lon:.6f}", stop.wheelchair


def _week(service: str) -> tuple[int, ...]:
    return {"LAB": (1, 1, 1, 1, 1, 0, 0), "SAB": (0, 0, 0, 0, 0, 1, 0), "DOM": (0, 0, 0, 0, 0, 0, 1)}[service]


def _trips(city: City) -> list[tuple[object, ...]]:
    """The seven columns of trips.txt, then the pattern and its windows for the other tables."""
    rows: list[tuple[object, ...]] = []
    for pattern in city.transit.patterns:
        route = city.transit.routes[pattern.route]
        for service in SERVICES:
            spans = windows(city.transit, pattern.route, service, stretch=city.transit_key.stretch)
            for night in (False, True):
                chosen = [span for span in spans if span.night == night]
                if not chosen:
                    continue
                headsign = f"{pattern.headsign} · {NIGHT_NOTICE}" if night else pattern.headsign
                trip = trip_id(route.code, pattern.direction, service, night=night)
                shape = f"{route.code}-{pattern.direction}"
                rows.append(
                    (route.code, service, trip, headsign, pattern.direction, shape, 0, pattern, chosen)
                )
    return rows


def _stop_times(city: City, trips: list[tuple[object, ...]]) -> Rows:
    stop_ids = [stop.stop_id for stop in city.transit.stops]
    for row in trips:
        pattern = row[7]
        assert isinstance(pattern, Pattern)
        arrive, depart = pattern.arrive.astype(int).tolist(), pattern.depart.astype(int).tolist()
        for number, stop in enumerate(pattern.stops):
            yield (
                row[2], clock(BASE_S + arrive[number]), clock(BASE_S + depart[number]), stop_ids[stop],
                number + 1, f"{pattern.stop_at[number] / 1000:.4f}", 0,
            )  # fmt: skip


def _frequencies(trips: list[tuple[object, ...]]) -> Rows:
    for row in trips:
        spans = row[8]
        assert isinstance(spans, list)
        for span in spans:
            assert isinstance(span, Window)
            yield row[2], clock(span.start), clock(span.end), span.headway_s, 0


def _shapes(city: City) -> Rows:
    for pattern in city.transit.patterns:
        shape = f"{city.transit.routes[pattern.route].code}-{pattern.direction}"
        points = to_degrees(pattern.line)
        fresh = np.concatenate(([True], np.diff(pattern.along) > 0.3))
        for number, index in enumerate(np.flatnonzero(fresh).tolist()):
            lon, lat = points[index]
            yield shape, f"{lat:.6f}", f"{lon:.6f}", number + 1, f"{pattern.along[index] / 1000:.4f}"


def clock(seconds: int) -> str:
    """HH:MM:SS of a service day; 25:10:00 is ten past one of the next morning."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _day(day: date) -> str:
    return day.strftime("%Y%m%d")
