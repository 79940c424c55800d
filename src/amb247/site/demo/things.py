"""The city's things as NGSI-LD entities, in the state they have at an instant."""

from collections.abc import Iterator
from datetime import datetime

import numpy as np

from amb247.site.demo import state
from amb247.site.demo.city import City
from amb247.site.demo.entities import Entity, entity, geo_point, geo_points, origin, prop, relationship, urn
from amb247.site.demo.episodes import Episode, episodes_of, slots_until
from amb247.site.demo.geography import map_features, roads
from amb247.site.demo.motion import Motion
from amb247.site.demo.plane import hashed
from amb247.site.demo.sky import iso
from amb247.site.demo.state import STATUSES, LampState
from amb247.site.demo.streets import ROAD_CLASSES

CATEGORY = {"arterial": "centralIsland", "secondary": "sidewalk", "street": "facade"}


def all_things(city: City, now: datetime, *, observed_at: datetime | None = None) -> Iterator[Entity]:
    """Everything but buses, stops and routes (they come by GTFS): map, lighting, WiFi, cameras, stations.

    `observed_at` dates the observations earlier than `now`, for loading before a warm-up of some hours.
    """
    yield from map_features(city)
    yield from roads(city)
    happening = happening_at(city, now)
    at = iso(observed_at or now)
    yield from lighting(city, now, at, happening)
    yield from access_points(city, now, at)
    yield from cameras(city, at, happening)
    yield from stations(city, now, happening)


def happening_at(city: City, now: datetime) -> list[Episode]:
    motion = Motion(city.transit_key)
    return [e for slot in slots_until(now) for e in episodes_of(city, motion, slot) if e.is_active(now)]


def lighting(city: City, now: datetime, at: str, happening: list[Episode]) -> Iterator[Entity]:
    """Cabinets, then feeders, then luminaires."""
    lamps = state.lamp_state(city, now, happening)
    yield from cabinets(city, now, at)
    yield from feeders(city, lamps, at, happening)
    yield from streetlights(city, lamps, at)


def cabinet_urn(number: int) -> str:
    return urn("StreetlightControlCabinet", f"T{number + 1:03d}")


def feeder_code(number: int) -> str:
    return f"A{number + 1:04d}"


def feeder_urn(number: int) -> str:
    return urn("StreetlightFeeder", feeder_code(number))


def lamp_urn(number: int) -> str:
    return urn("Streetlight", f"L{number + 1:06d}")


def access_point_urn(number: int) -> str:
    return urn("AccessPoint", f"wifi-{number + 1:03d}")


def node_urn(number: int) -> str:
    return urn("Device", f"nodo-{number + 1:02d}")


def camera_urn(number: int) -> str:
    return urn("Camera", f"C{number + 1:04d}")


def air_urn(number: int) -> str:
    return urn("AirQualityObserved", f"{number + 1:03d}")


def weather_urn(number: int) -> str:
    return urn("WeatherObserved", f"{number + 1:03d}")


def cabinet_kw(city: City) -> np.ndarray:
    """Rated power of each cabinet."""
    cabinet = city.assets.feeder_cabinet[city.assets.lamp_feeder]
    return np.bincount(cabinet, city.assets.lamp_power_w, len(city.assets.cabinet_xy)) / 1000


def cabinets(city: City, now: datetime, at: str) -> Iterator[Entity]:
    energy = state.energy_kwh(cabinet_kw(city), now).tolist()
    for number, xy in enumerate(city.assets.cabinet_xy):
        commune = city.territory.communes[int(city.assets.cabinet_commune[number])]
        yield entity("StreetlightControlCabinet", cabinet_urn(number), {
            "location": geo_point(xy),
            "name": prop(f"Tablero T{number + 1:03d} · {commune.name}"),
            "workingMode": prop("automatic"),
            "energyConsumed": prop(energy[number], at, "KWH"),
            **origin(),
        })  # fmt: skip


def feeders(city: City, lamps: LampState, at: str, happening: list[Episode]) -> Iterator[Entity]:
    assets = city.assets
    count = np.bincount(assets.lamp_feeder, minlength=len(assets.feeder_xy)).tolist()
    power = state.feeder_power_kw(city, lamps).tolist()
    tripped = state.tripped_feeders(city, happening).tolist()
    for number, xy in enumerate(assets.feeder_xy):
        yield entity("StreetlightFeeder", feeder_urn(number), {
            "location": geo_point(xy),
            "name": prop(f"Alimentador {feeder_code(number)}"),
            "powerState": prop("OFF" if tripped[number] else "ON", at),
            "numStreetlight": prop(count[number]),
            "totalActivePower": prop(power[number], at, "KWT"),
            "refStreetlightControlCabinet": relationship(cabinet_urn(int(assets.feeder_cabinet[number]))),
            **origin(),
        })  # fmt: skip


def streetlights(city: City, lamps: LampState, at: str) -> Iterator[Entity]:
    assets = city.assets
    cabinet = assets.feeder_cabinet.tolist()
    columns = zip(
        geo_points(assets.lamp_xy), lamps.status.tolist(), lamps.lit.tolist(), lamps.silent.tolist(),
        state.lamp_watts(city, lamps).tolist(), assets.lamp_feeder.tolist(), assets.lamp_class.tolist(),
        assets.lamp_power_w.tolist(), strict=True,
    )  # fmt: skip
    for number, (place, status, lit, silent, watts, feeder, road_class, power) in enumerate(columns):
        yield entity("Streetlight", lamp_urn(number), {
            "location": place,
            "status": prop(STATUSES[status], at),
            "powerState": prop("on" if lit else "off", at),
            "communicationState": prop("down" if silent else "up", at),
            "powerConsumption": prop(watts, at, "WTT"),
            "illuminanceLevel": prop(1.0 if lit else 0.0, at),
            "circuit": prop(feeder_code(feeder)),
            "feederID": relationship(feeder_urn(feeder)),
            "refStreetlightControlCabinet": relationship(cabinet_urn(cabinet[feeder])),
            "powerRating": prop(power, unit="WTT"),
            "lanternHeight": prop((12.0, 9.0, 7.0)[road_class], unit="MTR"),
            "locationCategory": prop(CATEGORY[ROAD_CLASSES[road_class]]),
            "controllingMethod": prop("individual"),
            **origin(),
        })  # fmt: skip


def access_points(city: City, now: datetime, at: str) -> Iterator[Entity]:
    for number, name in enumerate(city.assets.wifi_names):
        up, clients = state.wifi_clients(city, number, now)
        commune = city.territory.communes[int(city.assets.wifi_commune[number])]
        yield entity("AccessPoint", access_point_urn(number), {
            "location": geo_point(city.assets.wifi_xy[number]),
            "name": prop(name),
            "apState": prop("up" if up else "down", at),
            "clientsConnected": prop(clients, at),
            "ssid": prop("AMB_24-7_demo"),
            "description": prop(f"Zona WiFi pública · {commune.name}"),
            **origin(),
        })  # fmt: skip


def cameras(city: City, at: str, happening: list[Episode]) -> Iterator[Entity]:
    """Camera nodes as Device, then the cameras wired to them."""
    down = state.nodes_down(city, happening).tolist()
    for number, name in enumerate(city.assets.node_names):
        yield entity("Device", node_urn(number), {
            "location": geo_point(city.assets.node_xy[number]),
            "name": prop(name),
            "deviceState": prop("fault" if down[number] else "ok", at),
            "deviceCategory": prop(["network"]),
            **origin(),
        })  # fmt: skip
    working = state.cameras_on(city, happening).tolist()
    dome = hashed(city.seed, 111, np.arange(len(working))).tolist()
    for number, xy in enumerate(city.assets.camera_xy):
        yield entity("Camera", camera_urn(number), {
            "location": geo_point(xy),
            "cameraName": prop(f"Cámara C{number + 1:04d}"),
            "cameraNum": prop(number + 1),
            "cameraType": prop("PTZ" if dome[number] < 0.7 else "FIXED"),
            "cameraUsage": prop("SURVEILLANCE" if dome[number] > 0.15 else "TRAFFIC"),
            "on": prop(working[number], at),
            "refNode": relationship(node_urn(int(city.assets.camera_node[number]))),
            **origin(),
        })  # fmt: skip


def stations(city: City, now: datetime, episodes: list[Episode]) -> Iterator[Entity]:
    """Each station with its place, name and last report."""
    for number, name in enumerate(city.assets.air_names):
        fixed = {"location": geo_point(city.assets.air_xy[number]), "name": prop(name), **origin()}
        report = air_report(
            city, number, last_report(city, 104, number, len(city.assets.air_xy), now), episodes
        )
        yield {**report, **fixed}
    for number, name in enumerate(city.assets.weather_names):
        fixed = {"location": geo_point(city.assets.weather_xy[number]), "name": prop(name), **origin()}
        at = last_report(city, 105, number, len(city.assets.weather_xy), now)
        yield {**weather_report(city, number, at, episodes), **fixed}


def last_report(city: City, salt: int, device: int, count: int, now: datetime) -> datetime:
    number = int(state.report_numbers(city, now, salt, count, state.STATION_PERIOD_S)[device])
    return state.report_time(city, salt, device, number, state.STATION_PERIOD_S)


def air_report(city: City, number: int, at: datetime, episodes: list[Episode]) -> Entity:
    values, when = state.air(city, number, at, episodes), iso(at)
    return entity("AirQualityObserved", air_urn(number), {
        "pm25": prop(values["pm25"], when, "GQ"),
        "pm10": prop(values["pm10"], when, "GQ"),
        "temperature": prop(values["temperature"], when, "CEL"),
        "relativeHumidity": prop(values["relativeHumidity"], when),
    })  # fmt: skip


def weather_report(city: City, number: int, at: datetime, episodes: list[Episode]) -> Entity:
    values, when = state.weather(city, number, at, episodes), iso(at)
    return entity("WeatherObserved", weather_urn(number), {
        "precipitation": prop(values["precipitation"], when, "MMT"),
        "temperature": prop(values["temperature"], when, "CEL"),
        "windSpeed": prop(values["windSpeed"], when, "MTS"),
        "relativeHumidity": prop(values["relativeHumidity"], when),
    })  # fmt: skip
