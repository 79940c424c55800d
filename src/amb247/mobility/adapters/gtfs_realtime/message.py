"""Vehicle positions of a GTFS-Realtime message."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from google.transit import gtfs_realtime_pb2

from amb247.mobility.adapters.gtfs_realtime.envelope import open_message
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

VehiclePosition = gtfs_realtime_pb2.VehiclePosition


def read_message(
    content: bytes, *, now: datetime | None = None, stops: Mapping[str, tuple[float, float]] | None = None,
    keep_good: bool = False,
) -> Reading:  # fmt: skip
    """Read one GTFS-Realtime message, protobuf or JSON, gzipped or not.

    Parameters
    ----------
    content : bytes
    now : datetime, optional
        Aware. Fixes more than five minutes later are refused. Without it the message's own time is used, which is
        right for recordings.
    stops : Mapping[str, (lon, lat)], optional
        Places of the static feed's stops, degrees: a vehicle without position that names its stop is put there.
    keep_good : bool
        Take the whole entities of a message that is cut short.

    Returns
    -------
    Reading
        Speeds in km/h (the message has m/s; impossible ones are left out), one fix per vehicle (the newest).
        A vehicle without id goes by its label, else by its trip.

    Raises
    ------
    UnreadableMessage
        Not a message, or only part of one.

    References
    ----------
    GTFS Realtime Reference 2.0, https://gtfs.org/documentation/realtime/reference/
    """
    tally = Tally()
    message = open_message(content, keep_good=keep_good, tally=tally)
    header_at = _header_time(message)
    latest = (now or header_at or datetime.now(UTC)) + FUTURE
    fixes: dict[str, VehicleFix] = {}
    seen = sum(tally.counts.values())
    trip_updates = alerts = 0
    for entity in message.entity:
        trip_updates += entity.HasField("trip_update")
        alerts += entity.HasField("alert")
        if not entity.HasField("vehicle"):
            if entity.is_deleted or not (entity.HasField("trip_update") or entity.HasField("alert")):
                seen += 1
                tally.add(entity.id, "deleted_entity" if entity.is_deleted else "empty_entity")
            continue
        seen += 1
        if entity.is_deleted:
            tally.add(entity.id, "deleted_entity")
            continue
        try:
            fix = _fix(entity.vehicle, header_at=header_at, latest=latest, stops=stops or {})
        except Refused as refused:
            tally.add(entity.id, refused.reason, refused.value)
            continue
        known = fixes.get(fix.vehicle_id)
        if known is not None:
            tally.add(entity.id, "duplicate_vehicle", fix.vehicle_id)
        if known is None or fix.at > known.at:
            fixes[fix.vehicle_id] = fix
    return Reading(
        fixes=tuple(fixes.values()), seen=seen, refused=dict(tally.counts), samples=tally.samples,
        trip_updates=trip_updates, alerts=alerts, header_at=header_at,
    )  # fmt: skip


def header_time(content: bytes, *, keep_good: bool = False) -> datetime | None:
    """The message's own time, UTC; None when it says none. Raises UnreadableMessage."""
    return _header_time(open_message(content, keep_good=keep_good, tally=Tally()))


def _header_time(message: Any) -> datetime | None:
    if not message.header.timestamp:
        return None
    try:
        return moment_of(message.header.timestamp)
    except Refused:
        return None


def _fix(
    vehicle: Any, *, header_at: datetime | None, latest: datetime, stops: Mapping[str, tuple[float, float]]
) -> VehicleFix:
    trip, descriptor = vehicle.trip, vehicle.vehicle
    vehicle_id = descriptor.id.strip() or descriptor.label.strip() or _trip_name(trip)
    if not vehicle_id:
        raise Refused("no_vehicle_id")
    at = moment_of(vehicle.timestamp) if vehicle.timestamp else header_at
    if at is None:
        raise Refused("no_timestamp")
    if at > latest:
        raise Refused("future_timestamp", at.isoformat())
    lon, lat, is_at_stop = _place(vehicle, stops)
    position = vehicle.position
    has_speed = not is_at_stop and position.HasField("speed") and math.isfinite(position.speed)
    has_bearing = not is_at_stop and position.HasField("bearing") and math.isfinite(position.bearing)
    return VehicleFix(
        vehicle_id=vehicle_id[:200], at=at, lon=lon, lat=lat,
        speed_kmh=plausible_speed(position.speed * 3.6) if has_speed else None,
        bearing=plausible_bearing(position.bearing) if has_bearing else None,
        trip_id=trip.trip_id.strip()[:200], route_id=trip.route_id.strip()[:200],
        start_time=trip.start_time[:20], start_date=trip.start_date[:20],
        label=_label(descriptor, trip)[:200], license_plate=descriptor.license_plate.strip()[:40],
        occupancy_status=_enum(vehicle, "occupancy_status", VehiclePosition.OccupancyStatus),
        congestion_level=_enum(vehicle, "congestion_level", VehiclePosition.CongestionLevel),
        stop_sequence=vehicle.current_stop_sequence if vehicle.HasField("current_stop_sequence") else None,
        current_status=_enum(vehicle, "current_status", VehiclePosition.VehicleStopStatus),
        at_stop=is_at_stop,
    )  # fmt: skip


def _trip_name(trip: Any) -> str:
    """Trips that repeat (frequencies) differ by their start; without a trip id nothing tells two vehicles apart."""
    if not trip.trip_id:
        return ""
    return ":".join(part for part in (trip.trip_id.strip(), trip.start_date, trip.start_time) if part)


def _label(descriptor: Any, trip: Any) -> str:
    """What people call the vehicle; one that goes by its trip is called by line and start."""
    if descriptor.label.strip() or descriptor.id.strip():
        return str(descriptor.label.strip())
    return " ".join(part for part in (trip.route_id, trip.start_time or trip.trip_id) if part)


def _place(vehicle: Any, stops: Mapping[str, tuple[float, float]]) -> tuple[float, float, bool]:
    """Longitude, latitude, and whether it is the stop's place because the message has none."""
    if vehicle.HasField("position"):
        position = vehicle.position
        if not (position.HasField("latitude") and position.HasField("longitude")):
            raise Refused("bad_position", "incomplete")
        lon, lat = _as_written(position.longitude), _as_written(position.latitude)
        check_place(lon, lat)
        return lon, lat, False
    if not vehicle.stop_id or not stops:
        raise Refused("no_position", vehicle.stop_id)
    place = stops.get(vehicle.stop_id.strip())
    if place is None:
        raise Refused("unknown_stop", vehicle.stop_id)
    return place[0], place[1], True


def _as_written(degrees: float) -> float:
    """The shortest decimal that gives this float32: what the publisher wrote, without the noise of the format."""
    return float(str(np.float32(degrees)))


def _enum(vehicle: Any, field: str, names: Any) -> str:
    return str(names.Name(getattr(vehicle, field))) if vehicle.HasField(field) else ""
