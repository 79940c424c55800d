"""What happens in the demo city every half hour, each told by exactly one alert.

| kind | raised | cleared | what |
| --- | --- | --- | --- |
| rain | xx:01 | xx:13 | rain over a part of the city; its weather stations get wet |
| feederTrip | xx:03 | xx:15 | one lighting feeder trips: its luminaires fall silent (and dark at night) |
| noSignal | xx:08 | xx:10 | one bus sends nothing from xx:06 to xx:10 |
| cameraNode | xx:12 | xx:22 | one camera node goes down with all its cameras |
| bunching | xx:14 | xx:24 | a bus falls back on the one behind it |
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

SLOT = timedelta(minutes=30)
SCRIPT = {
    # kind: raised, cleared (minutes of the half hour), category, severity
    "rain": (1, 13, "environment", "informational"),
    "feederTrip": (3, 15, "lighting", "high"),
    "noSignal": (8, 10, "traffic", "low"),
    "cameraNode": (12, 22, "security", "medium"),
    "bunching": (14, 24, "traffic", "medium"),
    "pm25": (18, 28, "environment", "medium"),
}
SILENT_FROM_MIN = 6
RAIN_RADIUS_M = 3600.0
RECOVER_S = 600.0
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
    """The script of one half hour. Bunching is left out when no two buses are near enough to meet."""
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
        f"Lluvia sobre {_place(city.assets.weather_names[station])}: {wet} estaciones la registran",
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
    """The two following buses of one line with the smallest gap that can close before the alert."""
    raised = slot + timedelta(minutes=SCRIPT["bunching"][0])
    for ramp_s in (480.0, 840.0):
        begins = raised - timedelta(seconds=ramp_s)
        found = _closest_pair(motion, begins, ramp_s)
        if found is not None:
            return _bunch(city, motion, slot, begins, ramp_s, found)
    return None


def _closest_pair(motion: Motion, begins: datetime, ramp_s: float) -> tuple[date, int, int, float, int] | None:
    """(service day, leader's row, follower's row, gap in s, vehicle) or None."""
    trips = motion.trips(begins, [])
    duration = motion.duration[trips.pattern]
    left = (duration - trips.progress) / trips.rate
    order = np.lexsort((-trips.depart, trips.which, trips.pattern))
    lead, follow = order[1:], order[:-1]  # within a pattern the earlier departure comes later in this order
    same = (trips.pattern[lead] == trips.pattern[follow]) & (trips.which[lead] == trips.which[follow])
    gap = trips.progress[lead] - np.maximum(trips.progress[follow], 0)
    total = ramp_s + 600 + RECOVER_S * 1.2 + 120
    fits = same & (left[lead] > total) & (trips.progress[follow] > 90) & (gap > 60)
    fits &= gap < 0.90 * ramp_s + 0.4 * ramp_s
    if not fits.any():
        return None
    best = int(np.flatnonzero(fits)[np.argmin(gap[fits])])
    leader, follower = int(lead[best]), int(follow[best])
    day = trips.day[int(trips.which[leader])]
    return day, int(trips.row[leader]), int(trips.row[follower]), float(gap[best]), int(trips.vehicle[leader])


def _bunch(
    city: City,
    motion: Motion,
    slot: datetime,
    begins: datetime,
    ramp_s: float,
    pair: tuple[date, int, int, float, int],
) -> Episode:
    day, leader, follower, gap, vehicle = pair
    closing = max(30.0, gap - 25.0)
    behind = min(closing, 0.90 * ramp_s)
    hurried = closing - behind
    recover = max(RECOVER_S, behind * 1.4)
    delays = [Delay((day, leader), begins, ramp_s, 600.0, recover, behind)]
    if hurried > 0:
        delays.append(Delay((day, follower), begins, ramp_s, 600.0, RECOVER_S, -hurried))
    route = city.transit.routes[vehicle // 1000]
    trips = motion.trips(slot + timedelta(minutes=SCRIPT["bunching"][0]), delays)
    where = np.flatnonzero(trips.vehicle == vehicle)
    xy = motion.fixes(trips).xy[where[0]] if len(where) else np.zeros(2)
    return Episode(
        "bunching", slot, vehicle, urn("GtfsRoute", route.code), _pair(xy), 2,
        f"Ruta {route.code}: dos buses circulan juntos (intervalo menor de un minuto)", tuple(delays),
    )  # fmt: skip


def vehicle_id(city: City, vehicle: int) -> str:
    """Route code and number within its fleet: 27-05; night vehicles count from 501."""
    return f"{city.transit.routes[vehicle // 1000].code}-{vehicle % 1000:02d}"


def _pair(xy: Floats) -> tuple[float, float]:
    return float(xy[0]), float(xy[1])


def _place(name: str) -> str:
    return name.split(" · ")[-1]


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
