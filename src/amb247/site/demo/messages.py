"""Bus positions as a GTFS-Realtime 2.0 message, as a producer of frequency-based service must write it."""

from datetime import datetime

from google.transit import gtfs_realtime_pb2

from amb247.site.demo.city import City
from amb247.site.demo.episodes import vehicle_id
from amb247.site.demo.gtfs import clock, trip_id
from amb247.site.demo.motion import Fixes, Trips, occupancy_of
from amb247.site.demo.plane import Floats, to_degrees
from amb247.site.demo.sky import local
from amb247.site.demo.timetable import service_of

FULL_DATASET = gtfs_realtime_pb2.FeedHeader.FULL_DATASET
UNSCHEDULED = gtfs_realtime_pb2.TripDescriptor.UNSCHEDULED


def vehicle_positions(city: City, now: datetime, trips: Trips, fixes: Fixes, *, duration: Floats) -> bytes:
    """A full dataset of all buses in service, serialized. Timestamps are the fixes', a few seconds old."""
    message = gtfs_realtime_pb2.FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.incrementality = FULL_DATASET
    message.header.timestamp = int(now.timestamp())
    hour = local(now).hour + local(now).minute / 60
    occupancy = occupancy_of(city.seed, trips, hour, duration=duration).tolist()
    places = to_degrees(fixes.xy).tolist()
    dates = [day.strftime("%Y%m%d") for day in trips.day]
    services = [service_of(day) for day in trips.day]
    stop_ids = [stop.stop_id for stop in city.transit.stops]
    columns = zip(
        trips.which.tolist(), trips.pattern.tolist(), trips.depart.tolist(), trips.vehicle.tolist(),
        trips.night.tolist(), trips.age_s.tolist(), places, fixes.bearing.round(1).tolist(),
        fixes.speed_m_s.round(2).tolist(), fixes.next_stop.tolist(), fixes.status.tolist(), occupancy,
        strict=True,
    )  # fmt: skip
    second = int(now.timestamp())
    for which, number, depart, vehicle, night, age, (lon, lat), bearing, speed, stop, status, load in columns:
        pattern = city.transit.patterns[number]
        code = city.transit.routes[pattern.route].code
        name = vehicle_id(city, vehicle)
        entity = message.entity.add(id=name)
        position = entity.vehicle
        position.trip.trip_id = trip_id(code, pattern.direction, services[which], night=night)
        position.trip.start_time = clock(depart)
        position.trip.start_date = dates[which]
        position.trip.schedule_relationship = UNSCHEDULED
        position.trip.route_id = code
        position.trip.direction_id = pattern.direction
        position.vehicle.id = name
        position.vehicle.label = f"Bus {name}"
        position.vehicle.license_plate = licence_plate(vehicle)
        position.position.latitude = lat
        position.position.longitude = lon
        position.position.bearing = bearing
        position.position.speed = speed
        position.current_stop_sequence = stop + 1
        position.stop_id = stop_ids[pattern.stops[stop]]
        position.current_status = status
        position.timestamp = second - age
        position.occupancy_status = load
    return message.SerializeToString()


def licence_plate(vehicle: int) -> str:
    """DMA001 to DMZ999: a series that says demonstration and belongs to nobody."""
    route, number = divmod(vehicle, 1000)
    return f"DM{chr(65 + route % 26)}{(route // 26) * 300 + number % 500 + (150 if number > 500 else 0):03d}"
