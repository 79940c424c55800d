import csv
import io
import zipfile
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely
from google.transit import gtfs_realtime_pb2

from amb247.site.demo.city import build_city
from amb247.site.demo.episodes import SCRIPT
from amb247.site.demo.gtfs import write_gtfs
from amb247.site.demo.plane import to_plane
from amb247.site.demo.simulation import Simulation
from amb247.site.demo.sky import sun_hours
from amb247.site.demo.things import all_things

from .conftest import MORNING, NIGHT

pytestmark = pytest.mark.unit


def message(data):
    parsed = gtfs_realtime_pb2.FeedMessage()
    parsed.ParseFromString(data)
    return parsed


def merged(entities, into=None):
    """What a context would hold after taking the entities in order."""
    held = {} if into is None else into
    for entity in entities:
        held.setdefault(entity["id"], {}).update(entity)
    return held


def told(entities):
    """Id and attribute to value, for the attributes that are told by difference."""
    names = ("status", "powerState", "communicationState", "powerConsumption", "on", "deviceState")
    return {
        (identifier, name): entity[name]["value"]
        for identifier, entity in entities.items()
        for name in names
        if name in entity and entity["type"] != "Alert"
    }


def test_same_seed_and_time_give_the_same_bytes(small):
    again = Simulation(build_city(seed=7, scale=0.02))

    assert again.positions_message(MORNING) == Simulation(small).positions_message(MORNING)


def test_other_seed_gives_other_positions(small):
    other = Simulation(build_city(seed=8, scale=0.02))

    assert other.positions_message(MORNING) != Simulation(small).positions_message(MORNING)


def test_seed_of_another_city_is_refused(small):
    with pytest.raises(ValueError, match="seed"):
        Simulation(small, 8)


def test_time_without_zone_is_refused(small):
    with pytest.raises(ValueError, match="zone"):
        Simulation(small).step(datetime(2026, 11, 23, 7, 0))


def test_peak_has_about_500_buses_and_the_night_some(full):
    simulation = Simulation(full)

    assert 450 <= len(simulation.positions(MORNING + timedelta(minutes=30))[0].vehicle) <= 560
    assert 30 <= len(simulation.positions(NIGHT)[0].vehicle) <= 150


def test_some_bus_is_on_the_road_at_every_minute_of_the_week(small):
    simulation = Simulation(small)
    monday = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)

    fewest = min(len(simulation.positions(monday + timedelta(minutes=20 * i))[0].vehicle) for i in range(504))

    assert fewest >= 2


def test_a_vehicle_is_never_in_two_places(full):
    simulation = Simulation(full)

    for minutes in range(0, 24 * 60, 37):
        trips, _ = simulation.positions(MORNING + timedelta(minutes=minutes))
        assert len(np.unique(trips.vehicle)) == len(trips.vehicle)


def test_positions_lie_on_the_shape(full):
    simulation = Simulation(full)
    lines = [shapely.linestrings(pattern.line) for pattern in full.transit.patterns]

    for now in (MORNING, NIGHT, MORNING + timedelta(hours=11)):
        trips, fixes = simulation.positions(now)
        away = shapely.distance(shapely.points(fixes.xy), np.array(lines)[trips.pattern])
        assert away.max() < 60.0


def test_message_follows_the_rules_of_frequency_based_trips(full, tmp_path):
    feed = write_gtfs(full, tmp_path / "demo.zip")
    with zipfile.ZipFile(feed.path) as archive:
        tables = {
            name: list(csv.DictReader(io.StringIO(archive.read(f"{name}.txt").decode())))
            for name in ("trips", "frequencies", "stop_times")
        }
    trips = {row["trip_id"]: row for row in tables["trips"]}
    frequent = {row["trip_id"] for row in tables["frequencies"]}
    stop_at = {(row["trip_id"], int(row["stop_sequence"])): row["stop_id"] for row in tables["stop_times"]}

    for now in (MORNING, NIGHT):
        parsed = message(Simulation(full).positions_message(now))
        assert parsed.header.gtfs_realtime_version == "2.0"
        assert parsed.header.incrementality == gtfs_realtime_pb2.FeedHeader.FULL_DATASET
        assert len({entity.id for entity in parsed.entity}) == len(parsed.entity)
        for entity in parsed.entity:
            vehicle, trip = entity.vehicle, entity.vehicle.trip
            row = trips[trip.trip_id]
            assert trip.trip_id in frequent
            assert trip.HasField("start_time")  # E006
            assert trip.HasField("start_date")  # E006
            assert trip.schedule_relationship == gtfs_realtime_pb2.TripDescriptor.UNSCHEDULED  # E013
            assert (row["route_id"], int(row["direction_id"])) == (trip.route_id, trip.direction_id)
            assert stop_at[trip.trip_id, vehicle.current_stop_sequence] == vehicle.stop_id
            assert 0 <= vehicle.position.bearing <= 360
            assert 0 <= vehicle.position.speed < 34
            assert vehicle.timestamp <= parsed.header.timestamp
            assert vehicle.vehicle.license_plate


def test_licence_plates_are_unique(full):
    found = defaultdict(set)
    for now in (MORNING, NIGHT, MORNING + timedelta(hours=11)):
        for entity in message(Simulation(full).positions_message(now)).entity:
            found[entity.vehicle.vehicle.license_plate].add(entity.vehicle.vehicle.id)

    assert all(len(vehicles) == 1 for vehicles in found.values())


def test_no_bus_is_faster_than_120_km_h(full):
    simulation = Simulation(full)
    for start in (MORNING, NIGHT):
        last = {}
        for second in range(0, 2400, 10):
            parsed = message(simulation.positions_message(start + timedelta(seconds=second)))
            for entity in parsed.entity:
                position = entity.vehicle.position
                place = to_plane((position.longitude, position.latitude))
                at = entity.vehicle.timestamp
                before = last.get(entity.id)
                if before is None or at - before[1] >= 8:
                    if before is not None and at - before[1] < 700:
                        away = float(np.hypot(*(place - before[0])))
                        assert away < (at - before[1]) * 120 / 3.6 + 20, (entity.id, start, second)
                    last[entity.id] = (place, at)


def test_every_episode_raises_and_clears_exactly_one_alert(small):
    simulation = Simulation(small)
    start = datetime(2026, 11, 23, 14, 59, 55, tzinfo=UTC)
    simulation.step(start)
    statuses = defaultdict(list)
    for second in range(10, 3600 + 20, 10):
        for entity in simulation.step(start + timedelta(seconds=second), vehicles=False).entities:
            if entity["type"] == "Alert":
                statuses[entity["id"]].append(entity["status"]["value"])
                assert ("validTo" in entity) == (entity["status"]["value"] == "cleared")

    complete = [found for found in statuses.values() if found == ["active", "cleared"]]
    kinds = Counter(identifier.split(":")[-1].split("-")[0] for identifier in statuses)
    assert len(complete) == len(statuses)
    assert kinds == dict.fromkeys(SCRIPT, 2)


@pytest.mark.parametrize("now", [MORNING, NIGHT])
def test_an_alert_is_active_within_four_minutes_of_any_start(small, now):
    simulation = Simulation(small)

    for minute in range(60):
        moments = [now + timedelta(minutes=minute + wait) for wait in range(4)]
        assert any(episode.is_active(at) for at in moments for episode in simulation.episodes(at))


def test_tripped_feeder_silences_its_luminaires_and_gives_them_back(full):
    at = NIGHT.replace(minute=2, second=30)
    simulation = Simulation(full)
    simulation.step(at)
    during = simulation.step(at + timedelta(minutes=1), vehicles=False).entities
    after = simulation.step(at + timedelta(minutes=13), vehicles=False).entities
    alert = next(entity for entity in during if entity["type"] == "Alert")
    feeder = next(e for e in during if e["type"] == "StreetlightFeeder" and "powerState" in e)
    lamps = [e for e in during if e["type"] == "Streetlight" and "communicationState" in e]
    back = {e["id"] for e in after if e["type"] == "Streetlight" and "communicationState" in e}

    assert alert["category"]["value"] == "lighting"
    assert alert["alertSource"]["object"] == feeder["id"]
    assert alert["affected"]["value"] >= 41
    assert feeder["powerState"]["value"] == "OFF"
    assert abs(len(lamps) - alert["affected"]["value"]) <= 6
    assert {lamp["id"] for lamp in lamps} - back == set() or len({lamp["id"] for lamp in lamps} - back) <= 4
    assert sum(e.get("powerState", {}).get("value") == "off" for e in lamps) > 0.9 * len(lamps)


def test_silent_bus_keeps_its_last_fix_for_four_minutes(small):
    simulation = Simulation(small)
    episode = next(e for e in simulation.episodes(MORNING) if e.kind == "noSignal" and e.slot == MORNING)
    identifier = episode.subject_urn.rsplit(":", 1)[-1]

    def fix(minutes):
        parsed = message(simulation.positions_message(MORNING + timedelta(minutes=minutes)))
        vehicle = next(entity.vehicle for entity in parsed.entity if entity.id == identifier)
        return vehicle.position.latitude, vehicle.position.longitude, vehicle.timestamp

    assert fix(6.5) == fix(9.9)
    assert fix(10.1)[2] - fix(9.9)[2] > 200


def test_bunching_brings_two_buses_of_a_line_together(full):
    simulation = Simulation(full)
    episode = next(e for e in simulation.episodes(MORNING) if e.kind == "bunching" and e.slot == MORNING)
    closest = {}
    for minutes in (6, 18):
        trips, fixes = simulation.positions(MORNING + timedelta(minutes=minutes))
        leader = int(np.flatnonzero(trips.vehicle == episode.subject)[0])
        same = (trips.pattern == trips.pattern[leader]) & (trips.depart > trips.depart[leader])
        closest[minutes] = float((fixes.distance_m[leader] - fixes.distance_m[same]).min())

    assert -60 < closest[18] < 450


def test_steps_add_up_to_the_state_of_the_moment(small):
    """What a context holds after steps equals what a fresh load at that moment would hold."""
    start = datetime(2026, 11, 23, 22, 20, tzinfo=UTC)  # 17:20, dusk comes
    simulation = Simulation(small, since=start)
    held = merged(all_things(small, start))
    for step in range(1, 60):
        merged(simulation.step(start + timedelta(minutes=step), vehicles=False).entities, held)
    fresh = merged(all_things(small, start + timedelta(minutes=59)))

    assert told(held) == told(fresh)


def test_a_step_names_each_thing_once(full):
    simulation = Simulation(full, since=NIGHT)
    for minute in range(7, 60, 7):
        identifiers = [
            e["id"] for e in simulation.step(NIGHT + timedelta(minutes=minute), vehicles=False).entities
        ]
        assert len(set(identifiers)) == len(identifiers)


def test_restart_tells_all_that_changed_meanwhile(small):
    start, later = MORNING, MORNING + timedelta(hours=13, minutes=17)
    held = merged(all_things(small, start))
    merged(Simulation(small, since=start).step(later).entities, held)

    assert told(held) == told(merged(all_things(small, later)))


def test_dusk_switches_feeder_by_feeder(full):
    simulation = Simulation(full)
    _, sunset = sun_hours(327)
    dusk = datetime(2026, 11, 23, 5, 0, tzinfo=UTC) + timedelta(hours=sunset)
    simulation.step(dusk - timedelta(seconds=5))
    switched = [
        sum(
            "powerState" in e and e["type"] == "Streetlight"
            for e in simulation.step(dusk + timedelta(seconds=s)).entities
        )
        for s in range(0, 320, 5)
    ]

    assert sum(switched) > 58_000
    assert max(switched) < 3_000


def test_warm_up_fills_the_last_hours_modestly(full):
    now = MORNING + timedelta(hours=3)
    simulation = Simulation(full)
    steps = list(simulation.warm_up(now, hours=3))
    times = [at for at, _ in steps]
    attributes = sum(len(entity) - 2 for _, step in steps for entity in step.entities)

    assert times == sorted(times)
    assert times[-1] == now
    assert now - times[0] < timedelta(hours=3)
    assert sum(step.vehicle_positions is not None for _, step in steps) == 61
    assert 5_000 < attributes < 100_000
    assert not any(e["type"] == "Streetlight" for e in simulation.step(now).entities)


def test_rain_wets_a_part_of_the_stations(full):
    at = MORNING + timedelta(minutes=7)
    wet = [
        entity["precipitation"]["value"] > 0
        for entity in merged(
            e for m in range(1, 13) for e in Simulation(full).step(at.replace(minute=m)).entities
        ).values()
        if entity["type"] == "WeatherObserved"
    ]

    assert 0 < sum(wet) < len(wet)


@pytest.mark.parametrize(
    ("day", "sunrise", "sunset"), [(355, 6.0, 17 + 41 / 60), (171, 5 + 38 / 60, 18 + 10 / 60)]
)
def test_sun_matches_the_astronomical_tables(day, sunrise, sunset):
    found = sun_hours(day)

    assert found[0] == pytest.approx(sunrise, abs=0.05)
    assert found[1] == pytest.approx(sunset, abs=0.05)
