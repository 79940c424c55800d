"""What happens in the demo city every half hour, each told by exactly one alert.

| kind | raised | cleared | what |
| --- | --- | --- | --- |
| rain | xx:01 | xx:13 | rain over a part of the city; its weather stations get wet |
| feederTrip | xx:03 | xx:15 | one lighting feeder trips: its luminaires fall silent (and dark at night) |
| noSignal | xx:08 | xx:10 | one bus sends nothing from xx:06 to xx:10 |
| cameraNode | xx:12 | xx:22 | one camera node goes down with all its cameras |
| bunching | xx:14 | xx:22 | a bus falls back on the one behind it |
| pm25 | xx:18 | xx:28 | PM2.5 rises at one station |

and the same 30 minutes later with other subjects. Who is struck is a pure function of seed and half hour.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from amb247.site.demo.city import FEED, SOURCE, City
from amb247.site.demo.entities import date_time, entity, geo_point, prop, relationship, urn
from amb247.site.demo.motion import Delay, Motion
from amb247.site.demo.plane import Floats, hashed
from amb247.site.demo.sky import iso
from amb247.site.demo.timetable import (
    BUNCH_AHEAD_S,
    BUNCH_BEHIND_S,
    BUNCH_RAMP_S,
    bunched_patterns,
    plan,
)

SLOT = timedelta(minutes=30)
SCRIPT = {
    # kind: raised, cleared (minutes of the half hour), category, severity
    "rain": (1, 13, "environment", "informational"),
    "feederTrip": (3, 15, "lighting", "high"),
    "noSignal": (8, 10, "traffic", "low"),
    "cameraNode": (12, 22, "security", "medium"),
    "bunching": (14, 22, "traffic", "medium"),
    "pm25": (18, 28, "environment", "medium"),
}
SILENT_FROM_MIN = 6
RAIN_RADIUS_M = 3600.0
BUNCH_HOLD_S = 480.0
BUNCH_RECOVERY = 2.0
"""Recovering takes this many times the delay: half as fast again as the timetable."""
LOOK_BACK_SLOTS = 3


@dataclass(frozen=True)
class Episode:
    """One occurrence in one half hour."""

    kind: str
    slot: datetime
    subject: int
    """Number of the feeder, camera node, station or commune; for buses the vehicle."""
    subject_urn: str
    xy: tuple[float, float]
    affected: int
    description: str
    delays: tuple[Delay, ...] = ()

    @property
    def raised(self) -> datetime:
        return self.slot + timedelta(minutes=SCRIPT[self.kind][0])

    @property
    def cleared(self) -> datetime:
        return self.slot + timedelta(minutes=SCRIPT[self.kind][1])

    def is_active(self, now: datetime) -> bool:
        return self.raised <= now < self.cleared

    @property
    def key(self) -> str:
        return f"{self.kind}-{self.slot:%Y%m%dT%H%M}"


def slot_of(now: datetime) -> datetime:
    utc = now.astimezone(UTC)
    return utc.replace(minute=utc.minute // 30 * 30, second=0, microsecond=0)


def slots_until(now: datetime) -> list[datetime]:
    """The current half hour and the ones whose effects may still be felt, oldest first."""
    return [slot_of(now) - SLOT * back for back in range(LOOK_BACK_SLOTS - 1, -1, -1)]


def episodes_of(city: City, motion: Motion, slot: datetime) -> tuple[Episode, ...]:
    """The script of one half hour. Left out are a silent bus when none is on the road, and a bunching in a day without one."""
    return _episodes(_Stage(city, motion), slot)


@dataclass(frozen=True)
class _Stage:
    """Hashable by identity of its parts, for the cache."""

    city: City
    motion: Motion


@lru_cache(maxsize=16)
def _episodes(stage: _Stage, slot: datetime) -> tuple[Episode, ...]:
    makers = (_rain, _feeder_trip, _no_signal, _camera_node, _bunching, _pm25)
    made = (make(stage.city, stage.motion, slot) for make in makers)
    return tuple(episode for episode in made if episode is not None)


def _draw(city: City, slot: datetime, salt: int, count: int) -> int:
    return int(hashed(city.seed, salt, int(slot.timestamp()) // 1800) * count)


def _rain(city: City, _motion: Motion, slot: datetime) -> Episode:
    station = _draw(city, slot, 81, len(city.assets.weather_xy))
    centre = city.assets.weather_xy[station]
    wet = int((np.hypot(*(city.assets.weather_xy - centre).T) < RAIN_RADIUS_M).sum())
    return Episode(
        "rain", slot, station, urn("WeatherObserved", f"{station + 1:03d}"), _pair(centre), wet,
        f"Lluvia sobre {_place(city.assets.weather_names[station])}: "
        + (f"{wet} estaciones la registran" if wet > 1 else "una estación la registra"),
    )  # fmt: skip


def _feeder_trip(city: City, _motion: Motion, slot: datetime) -> Episode:
    feeder = _draw(city, slot, 82, len(city.assets.feeder_xy))
    lamps = int((city.assets.lamp_feeder == feeder).sum())
    commune = city.territory.communes[city.assets.cabinet_commune[city.assets.feeder_cabinet[feeder]]]
    return Episode(
        "feederTrip", slot, feeder, urn("StreetlightFeeder", f"A{feeder + 1:04d}"),
        _pair(city.assets.feeder_xy[feeder]), lamps,
        f"Disparo del alimentador A{feeder + 1:04d} en {_commune_name(city, commune.code)}: "
        f"{lamps} luminarias sin servicio",
    )  # fmt: skip


def _no_signal(city: City, motion: Motion, slot: datetime) -> Episode | None:
    since = slot + timedelta(minutes=SILENT_FROM_MIN)
    trips = motion.trips(since, [])
    if not len(trips.vehicle):
        return None
    pick = _draw(city, slot, 83, len(trips.vehicle))
    vehicle = int(trips.vehicle[pick])
    xy = motion.fixes(trips).xy[pick]
    return Episode(
        "noSignal", slot, vehicle, urn("Vehicle", vehicle_id(city, vehicle)), _pair(xy), 1,
        f"Bus {vehicle_id(city, vehicle)} sin señal de posición",
    )  # fmt: skip


def _camera_node(city: City, _motion: Motion, slot: datetime) -> Episode:
    node = _draw(city, slot, 84, len(city.assets.node_xy))
    cameras = int((city.assets.camera_node == node).sum())
    return Episode(
        "cameraNode", slot, node, urn("Device", f"nodo-{node + 1:02d}"), _pair(city.assets.node_xy[node]), cameras,
        f"{city.assets.node_names[node]} sin comunicación: {cameras} cámaras fuera de línea",
    )  # fmt: skip


def _pm25(city: City, _motion: Motion, slot: datetime) -> Episode:
    station = _draw(city, slot, 86, len(city.assets.air_xy))
    return Episode(
        "pm25", slot, station, urn("AirQualityObserved", f"{station + 1:03d}"), _pair(city.assets.air_xy[station]), 1,
        f"PM2,5 por encima de 55 µg/m³ en {_place(city.assets.air_names[station])}",
    )  # fmt: skip


def _bunching(city: City, motion: Motion, slot: datetime) -> Episode | None:
    """The pair that the timetable sent close together: the first falls back until the second is behind it."""
    raised = slot + timedelta(minutes=SCRIPT["bunching"][0])
    begins = raised - timedelta(seconds=BUNCH_RAMP_S)
    pair = _sent_together(motion, begins)
    if pair is None:
        return None
    day, leader, gap_s, vehicle = pair
    behind = max(30.0, gap_s - 25.0)
    delay = Delay((day, leader), begins, BUNCH_RAMP_S, BUNCH_HOLD_S, BUNCH_RECOVERY * behind, behind)
    trips = motion.trips(raised, [delay])
    where = np.flatnonzero(trips.vehicle == vehicle)
    xy = motion.fixes(trips).xy[where[0]] if len(where) else np.zeros(2)
    code = city.transit.routes[vehicle // 1000].code
    return Episode(
        "bunching", slot, vehicle, urn("GtfsRoute", code), _pair(xy), 2,
        f"Ruta {code}: dos buses circulan juntos (intervalo menor de un minuto)", (delay,),
    )  # fmt: skip


def _sent_together(motion: Motion, begins: datetime) -> tuple[date, int, float, int] | None:
    """(service day, leader's row, seconds to lose, leader's vehicle); today's plan before yesterday's night."""
    for day in reversed(motion.service_days(begins)):
        second = round(motion.service_second(day, begins))
        pattern = bunched_patterns(motion.key, day).get(second)
        if pattern is None:
            continue
        whole = plan(motion.key, day)
        ours = whole.pattern == pattern
        leader = np.flatnonzero(ours & (whole.depart == second - BUNCH_AHEAD_S))
        follower = np.flatnonzero(ours & (whole.depart == second + BUNCH_BEHIND_S))
        if len(leader) and len(follower):
            row, behind = int(leader[0]), int(follower[0])
            meeting = second + BUNCH_RAMP_S + BUNCH_HOLD_S / 2
            ahead = (meeting - whole.depart[row]) / whole.pace[row]
            after = (meeting - whole.depart[behind]) / whole.pace[behind]
            return day, row, float((ahead - after) * whole.pace[row]), int(whole.vehicle[row])
    return None


def vehicle_id(city: City, vehicle: int) -> str:
    """Route code and number within its fleet: 27-05; night vehicles count from 501."""
    return f"{city.transit.routes[vehicle // 1000].code}-{vehicle % 1000:02d}"


def _pair(xy: Floats) -> tuple[float, float]:
    return float(xy[0]), float(xy[1])


def _place(name: str) -> str:
    return name.rsplit(" · ", 1)[-1]


def _commune_name(city: City, code: str) -> str:
    commune = next(area for area in city.territory.communes if area.code == code)
    municipality = next(area for area in city.territory.municipalities if area.code == commune.parent)
    return f"{commune.name}, {municipality.name}"


def alert_of(episode: Episode, now: datetime) -> dict[str, Any]:
    """The episode as an Alert entity, as it stands at an instant; cleared once it is over."""
    _, _, category, severity = SCRIPT[episode.kind]
    over = now >= episode.cleared
    at = iso(episode.cleared if over else episode.raised)
    attributes = {
        "category": prop(category),
        "subCategory": prop(episode.kind),
        "severity": prop(severity),
        "description": prop(episode.description),
        "alertSource": relationship(episode.subject_urn),
        "dateIssued": date_time(iso(episode.raised)),
        "validFrom": date_time(iso(episode.raised)),
        "location": geo_point(episode.xy),
        "status": prop("cleared" if over else "active", at),
        "affected": prop(episode.affected),
        "source": prop(SOURCE),
        "synthetic": prop(True),
    }
    if over:
        attributes["validTo"] = date_time(iso(episode.cleared))
    return entity("Alert", f"urn:ngsi-ld:Alert:{FEED}:{episode.key}", attributes)
