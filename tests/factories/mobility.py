"""GTFS feeds and GTFS-Realtime messages for tests, small enough to check by hand."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from google.transit import gtfs_realtime_pb2

NOON = 1_763_830_800  # 2025-11-22 17:00 UTC

TABLES: dict[str, str] = {
    "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\nM,Metrolínea,https://m.example,America/Bogota\n",
    "stops.txt": (
        "stop_id,stop_name,stop_lat,stop_lon,stop_code,wheelchair_boarding\n"
        "A,Quebradaseca,7.1254,-73.1198,001,1\n"
        "B,Provenza,7.0890,-73.1090,002,0\n"
        "C,Piedecuesta,6.9870,-73.0510,003,\n"
    ),
    "routes.txt": (
        "route_id,agency_id,route_short_name,route_long_name,route_type,route_color\n"
        "T1,M,T1,Piedecuesta - Quebradaseca,3,00A651\n"
        "P8,M,P8,Provenza,3,\n"
    ),
    "trips.txt": "route_id,service_id,trip_id,direction_id,shape_id\nT1,HABIL,t1-1,0,s1\nT1,HABIL,t1-2,0,s1\nP8,HABIL,p8-1,0,\n",
    "stop_times.txt": (
        "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
        "t1-1,06:00:00,06:00:00,A,1\nt1-1,06:20:00,06:21:00,B,2\nt1-1,06:50:00,06:50:00,C,3\n"
        "t1-2,06:30:00,06:30:00,A,1\nt1-2,07:20:00,07:20:00,C,2\n"
        "p8-1,25:10:00,25:10:00,B,1\np8-1,25:30:00,25:30:00,A,2\n"
    ),
    "calendar.txt": (
        "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
        "HABIL,1,1,1,1,1,0,0,20260101,20261231\n"
    ),
    "shapes.txt": (
        "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence\n"
        "s1,7.1254,-73.1198,1\ns1,7.0890,-73.1090,2\ns1,6.9870,-73.0510,3\n"
    ),
}


def gtfs_zip(
    path: Path, tables: Mapping[str, str | bytes | None] = {}, *, folder: str = "", **kinds: Any
) -> Path:
    """A feed of two routes; `tables` replaces files, None leaves one out."""
    with zipfile.ZipFile(path, "w", kinds.get("compression", zipfile.ZIP_DEFLATED)) as file:
        for name, text in (TABLES | dict(tables)).items():
            if text is not None:
                file.writestr(folder + name, text)
    return path


def changed(file: str, old: str, new: str) -> dict[str, str]:
    """One file of the feed with a text replaced."""
    assert old in TABLES[file]
    return {file: TABLES[file].replace(old, new)}


def message(
    *vehicles: Mapping[str, Any], at: int | None = NOON, trip_updates: int = 0, alerts: int = 0
) -> Any:
    """A FeedMessage; each vehicle is id, lat, lon, and what `vehicle_entity` takes."""
    made = gtfs_realtime_pb2.FeedMessage()
    made.header.gtfs_realtime_version = "2.0"
    if at is not None:
        made.header.timestamp = at
    for number, vehicle in enumerate(vehicles):
        add_vehicle(made, f"e{number}", **vehicle)
    for number in range(trip_updates):
        entity = made.entity.add()
        entity.id = f"tu{number}"
        entity.trip_update.trip.trip_id = f"t{number}"
    for number in range(alerts):
        entity = made.entity.add()
        entity.id = f"al{number}"
        entity.alert.header_text.translation.add().text = "Desvío"
    return made


def add_vehicle(
    made: Any, entity_id: str, *, id: str | None = "bus1", lat: float | None = 7.12, lon: float | None = -73.12,  # noqa: A002 - reads as the field it sets
    at: int | None = NOON, speed: float | None = None, bearing: float | None = None, trip: str = "", route: str = "",
    stop: str = "", label: str = "", is_deleted: bool = False, start_date: str = "", start_time: str = "",
) -> None:  # fmt: skip
    entity = made.entity.add()
    entity.id = entity_id
    if is_deleted:
        entity.is_deleted = True
    vehicle = entity.vehicle
    if id is not None:
        vehicle.vehicle.id = id
    if label:
        vehicle.vehicle.label = label
    if lat is not None and lon is not None:
        vehicle.position.latitude, vehicle.position.longitude = lat, lon
    if speed is not None:
        vehicle.position.speed = speed
    if bearing is not None:
        vehicle.position.bearing = bearing
    if at is not None:
        vehicle.timestamp = at
    if stop:
        vehicle.stop_id = stop
    vehicle.trip.trip_id, vehicle.trip.route_id = trip, route
    vehicle.trip.start_date, vehicle.trip.start_time = start_date, start_time


def shared_data(*parts: str) -> Path:
    """A file of the shared real data; skips loudly where it is absent."""
    given = os.environ.get("AMB_SHARED_DATA")
    checkout = Path(__file__).resolve().parents[2]
    root = Path(given) if given else checkout.parent / "shared" / "data"
    path = root.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"REAL DATA ABSENT: {'/'.join(parts)}; set AMB_SHARED_DATA to the folder that holds it")
    return path


def as_bytes(tables: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in tables.items():
            file.writestr(name, text)
    return buffer.getvalue()
