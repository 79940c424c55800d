"""Stops, lines and vehicles as NGSI-LD entities, after the Smart Data Models of transport."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl
import shapely

from amb247.context.vocabulary.mobility import GtfsRoute, PublicTransportStop, Vehicle
from amb247.mobility.data import VehicleFix

Entity = dict[str, Any]
SIMPLIFY_DEG = 0.00002  # about 2 m: below what a city map can show, and a tenth of the points
MAX_PATHS = 6
PEAK = (6 * 3600, 9 * 3600)


def urn(kind: str, feed: str, local_id: str) -> str:
    """urn:ngsi-ld:<kind>:<feed>:<id>; what a URN cannot carry in the publisher's id is percent-encoded."""
    return f"urn:ngsi-ld:{kind}:{feed}:{quote(local_id, safe='-._~:@!$()*+,;=')}"


def vehicle_entity(
    fix: VehicleFix,
    *,
    feed: str,
    source: str,
    synthetic: bool,
    route_names: Mapping[str, str],
    route_types: Mapping[str, int],
    observed_at: datetime | None = None,
) -> Entity:
    """One fix as a Vehicle.

    Parameters
    ----------
    fix : VehicleFix
    feed : str                   slug, part of the id
    source : str                 shown to people: who says so
    route_names : Mapping        route_id -> short name of the active static feed; else the id itself is shown
    route_types : Mapping        route_id -> GTFS route_type; unknown routes are taken for bus lines
    observed_at : datetime       instead of the fix's own time (a replay as if it were now)

    Returns
    -------
    dict     measured attributes carry `observedAt`; those that say who the vehicle is do not, so that they enter the
             history only when they change
    """
    entity = Vehicle.entity(
        urn("Vehicle", feed, fix.vehicle_id),
        observed_at=observed_at or fix.at,
        location=(fix.lon, fix.lat),
        speed=fix.speed_kmh,
        bearing=fix.bearing,
        occupancyStatus=fix.occupancy_status or None,
        congestionLevel=fix.congestion_level or None,
        currentStopSequence=fix.stop_sequence,
        currentStatus=fix.current_status or None,
    )
    is_running = bool(fix.trip_id or fix.route_id)
    entity |= {
        key: value
        for key, value in Vehicle.entity(
            "-",
            name=fix.label or fix.vehicle_id,
            vehicleType=_vehicle_type(route_types.get(fix.route_id, 3)),
            serviceStatus="onRoute" if is_running else "outOfService",
            license_plate=fix.license_plate or None,
            refRoute=urn("GtfsRoute", feed, fix.route_id) if fix.route_id else None,
            refTrip=urn("GtfsTrip", feed, fix.trip_id) if fix.trip_id else None,
            routeShortName=route_names.get(fix.route_id, fix.route_id) or None,
            headingTo=fix.headsign or None,
            tripStartTime=fix.start_time or None,
            tripStartDate=fix.start_date or None,
            source=source,
            synthetic=synthetic,
        ).items()
        if key not in {"id", "type"}
    }
    return entity


def stop_entities(
    frames: Mapping[str, pl.DataFrame], *, feed: str, source: str, synthetic: bool
) -> Iterator[Entity]:
    """Every stop or platform with a place as a PublicTransportStop; stations, entrances and nodes are left out."""
    stops = frames["stops"].filter(pl.col("stop_lat").is_not_null() & pl.col("stop_lon").is_not_null())
    if "location_type" in stops.columns:
        stops = stops.filter(pl.col("location_type").fill_null(0) == 0)
    kinds = _route_types_by_stop(frames)
    for row in stops.iter_rows(named=True):
        wheelchair = row.get("wheelchair_boarding")
        yield PublicTransportStop.entity(
            urn("PublicTransportStop", feed, row["stop_id"]),
            location=(round(row["stop_lon"], 7), round(row["stop_lat"], 7)),
            name=row.get("stop_name") or row["stop_id"],
            stopCode=row.get("stop_code"),
            wheelChairAccessible=str(wheelchair) if wheelchair in {0, 1, 2} else None,
            transportationType=kinds.get(row["stop_id"]),
            source=source,
            synthetic=synthetic,
        )


def route_entities(
    frames: Mapping[str, pl.DataFrame], *, feed: str, source: str, synthetic: bool
) -> Iterator[Entity]:
    """Every route as a GtfsRoute with its path (shapes, else the stops in order) and its headway at the morning peak."""
    paths = _paths(frames)
    headways = _headways(frames)
    agencies = _agency_names(frames)
    for row in frames["routes"].iter_rows(named=True):
        route_id = row["route_id"]
        yield GtfsRoute.entity(
            urn("GtfsRoute", feed, route_id),
            name=row.get("route_long_name") or row.get("route_short_name") or route_id,
            shortName=row.get("route_short_name") or row.get("route_long_name") or route_id,
            routeType=str(row["route_type"]),
            routeColor=_colour(row.get("route_color")),
            routeTextColor=_colour(row.get("route_text_color")),
            agencyName=agencies.get(row.get("agency_id") or "", agencies.get("")),
            path=paths.get(route_id),
            headwayPeak=headways.get(route_id),
            source=source,
            synthetic=synthetic,
        )


def _vehicle_type(route_type: int) -> str | None:
    """The data model's word for a GTFS route_type; it has none for trains and boats."""
    if route_type in {3, 11} or 200 <= route_type < 300 or 700 <= route_type < 900:
        return "bus"
    return "tram" if route_type in {0, 5} or 900 <= route_type < 1000 else None


def _colour(text: str | None) -> str | None:
    """Six hexadecimal digits, upper case; None for anything else."""
    if text is None or len(text) != 6:
        return None
    return text.upper() if all(mark in "0123456789abcdefABCDEF" for mark in text) else None


def _agency_names(frames: Mapping[str, pl.DataFrame]) -> dict[str, str]:
    agency = frames.get("agency")
    if agency is None or "agency_name" not in agency.columns:
        return {}
    names = agency["agency_name"].to_list()
    ids = agency["agency_id"].to_list() if "agency_id" in agency.columns else [""] * len(names)
    known = {str(key or ""): str(name) for key, name in zip(ids, names, strict=True) if name}
    if len(names) == 1 and names[0]:
        known[""] = names[0]
    return known


def _route_types_by_stop(frames: Mapping[str, pl.DataFrame]) -> dict[str, list[int]]:
    served = (
        frames["stop_times"].lazy().select("trip_id", "stop_id").drop_nulls()
        .join(frames["trips"].lazy().select("trip_id", "route_id"), on="trip_id")
        .select("stop_id", "route_id").unique()
        .join(frames["routes"].lazy().select("route_id", pl.col("route_type").cast(pl.Int64)), on="route_id")
        .group_by("stop_id").agg(pl.col("route_type").unique().sort())
        .collect()
    )  # fmt: skip
    return dict(served.iter_rows())


def _paths(frames: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, Any]]:
    """Route -> LineString or MultiLineString of its most used patterns."""
    trips = frames["trips"]
    lines: dict[str, list[list[list[float]]]] = {}
    with_shape = (
        trips.filter(pl.col("shape_id").is_not_null()) if "shape_id" in trips.columns else trips.clear()
    )
    if "shapes" in frames and with_shape.height:
        used = (
            with_shape.group_by("route_id", "shape_id")
            .len()
            .sort("len", "shape_id", descending=[True, False])
        )
        shapes = _shape_lines(frames["shapes"], used["shape_id"])
        for route_id, shape_id, _count in used.iter_rows():
            if shape_id in shapes and len(lines.setdefault(route_id, [])) < MAX_PATHS:
                lines[route_id].append(shapes[shape_id])
    bare = trips.filter(~pl.col("route_id").is_in([route for route, found in lines.items() if found]))
    lines |= _lines_by_stops(frames, bare)
    return {route_id: _geometry(found) for route_id, found in lines.items() if found}


def _geometry(lines: list[list[list[float]]]) -> dict[str, Any]:
    if len(lines) == 1:
        return {"type": "LineString", "coordinates": lines[0]}
    return {"type": "MultiLineString", "coordinates": lines}


def _shape_lines(shapes: pl.DataFrame, wanted: pl.Series) -> dict[str, list[list[float]]]:
    points = shapes.filter(pl.col("shape_id").is_in(wanted.unique().implode())).sort(
        "shape_id", "shape_pt_sequence"
    )
    names = points["shape_id"].to_numpy()
    if not len(names):
        return {}
    ids, counts = np.unique(names, return_counts=True)
    places = points.select("shape_pt_lon", "shape_pt_lat").to_numpy()
    long_enough = counts >= 2
    if not long_enough.any():
        return {}
    kept = np.repeat(long_enough, counts)
    indices = np.repeat(np.arange(long_enough.sum()), counts[long_enough])
    made: Any = shapely.simplify(shapely.linestrings(places[kept], indices=indices), SIMPLIFY_DEG)
    return {
        str(name): np.round(shapely.get_coordinates(line), 6).tolist()
        for name, line in zip(ids[long_enough], made, strict=True)
    }


def _lines_by_stops(
    frames: Mapping[str, pl.DataFrame], trips: pl.DataFrame
) -> dict[str, list[list[list[float]]]]:
    """For routes without shapes: the stops of the longest trip of each direction, in order."""
    if trips.is_empty():
        return {}
    direction = (
        pl.col("direction_id").fill_null(0)
        if "direction_id" in trips.columns
        else pl.lit(0).alias("direction_id")
    )
    calls = frames["stop_times"].select("trip_id", "stop_id", "stop_sequence").drop_nulls()
    longest = (
        trips.select("trip_id", "route_id", direction)
        .join(calls.group_by("trip_id").len(), on="trip_id")
        .sort("route_id", "direction_id", "len", "trip_id", descending=[False, False, True, False])
        .unique(["route_id", "direction_id"], keep="first", maintain_order=True)
    )
    places = frames["stops"].select("stop_id", "stop_lon", "stop_lat").drop_nulls()
    ordered = (
        longest.join(calls, on="trip_id").join(places, on="stop_id").sort("route_id", "direction_id", "stop_sequence")
        .group_by("route_id", "direction_id", maintain_order=True).agg(pl.col("stop_lon", "stop_lat").round(6))
    )  # fmt: skip
    lines: dict[str, list[list[list[float]]]] = {}
    for route_id, _direction, lons, lats in ordered.iter_rows():
        if len(lons) >= 2:
            lines.setdefault(route_id, []).append([list(place) for place in zip(lons, lats, strict=True)])
    return lines


def _headways(frames: Mapping[str, pl.DataFrame]) -> dict[str, float]:
    """Route -> minutes between departures of its busier direction in the morning peak (6 to 9 h), on its busiest
    service; from frequencies where the feed has them."""
    trips = frames["trips"]
    direction = (
        pl.col("direction_id").fill_null(0)
        if "direction_id" in trips.columns
        else pl.lit(0).alias("direction_id")
    )
    labels = trips.select("trip_id", "route_id", "service_id", direction)
    frequencies = frames.get("frequencies")
    headways: dict[str, float] = {}
    if frequencies is not None and not frequencies.is_empty():
        at_peak = frequencies.filter(
            (pl.col("start_time").dt.total_seconds() < PEAK[1])
            & (pl.col("end_time").dt.total_seconds() > PEAK[0])
        )
        shortest = at_peak.join(labels, on="trip_id").group_by("route_id").agg(pl.col("headway_secs").min())
        headways = {route_id: round(seconds / 60, 1) for route_id, seconds in shortest.iter_rows() if seconds}
        labels = labels.join(frequencies.select("trip_id").unique(), on="trip_id", how="anti")
    times = frames["stop_times"]
    if "departure_time" not in times.columns or labels.is_empty():
        return headways
    first = times.group_by("trip_id").agg(pl.col("departure_time").min().dt.total_seconds().alias("start"))
    peak = first.filter(pl.col("start").is_between(*PEAK, closed="left")).join(labels, on="trip_id")
    busiest = (
        peak.group_by("route_id", "service_id", "direction_id").len()
        .group_by("route_id").agg(pl.col("len").max())
    )  # fmt: skip
    minutes = (PEAK[1] - PEAK[0]) / 60
    return {
        route_id: round(minutes / count, 1) for route_id, count in busiest.iter_rows() if count >= 2
    } | headways
