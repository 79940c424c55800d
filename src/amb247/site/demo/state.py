"""State of every thing at an instant, as arrays: a pure function of the seed and the time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from amb247.site.demo.city import City
from amb247.site.demo.episodes import RAIN_RADIUS_M, Episode
from amb247.site.demo.plane import Floats, Ints, hashed
from amb247.site.demo.sky import local, sun_hours

STATUSES = ("ok", "defectiveLamp", "columnIssue", "brokenLantern")
FAULTY, SILENT = 0.025, 0.015
SWITCHING_S = 300.0
CHURN_S, CHURN_BUCKETS, CHURN_SHARE = 600, 3, 6000
CAMERA_OFF, WIFI_DOWN = 0.04, 0.05
STATION_PERIOD_S, WIFI_PERIOD_S, FEEDER_PERIOD_S, CABINET_PERIOD_S = 300, 120, 900, 3600
PM25_ALERT = 55.0


@dataclass(frozen=True)
class LampState:
    status: Ints
    """Index into STATUSES."""
    silent: np.ndarray
    lit: np.ndarray


def dark_feeders(city: City, now: datetime) -> np.ndarray:
    """Which feeders' photocells see night; they differ by up to five minutes."""
    here = local(now)
    hour = here.hour + here.minute / 60 + here.second / 3600
    sunrise, sunset = sun_hours(here.timetuple().tm_yday)
    offset = hashed(city.seed, 91, np.arange(len(city.assets.feeder_xy))) * SWITCHING_S / 3600
    return np.asarray((hour >= sunset + offset) | (hour < sunrise + offset))


def lamp_state(
    city: City, now: datetime, happening: list[Episode], *, dark_at: datetime | None = None
) -> LampState:
    """Every luminaire at an instant; `dark_at` takes day or night from another one."""
    assets = city.assets
    number = np.arange(len(assets.lamp_xy))
    draw = hashed(city.seed, 92, number)
    status = np.where(draw < FAULTY * 0.7, 1, np.where(draw < FAULTY * 0.8, 2, np.where(draw < FAULTY, 3, 0)))
    silent = (draw > 0.5) & (draw < 0.5 + SILENT)
    _churn(city, now, status, silent)
    lit = dark_feeders(city, dark_at or now)[assets.lamp_feeder] & (status != 1) & (status != 3)
    for episode in happening:
        if episode.kind == "feederTrip":
            struck = assets.lamp_feeder == episode.subject
            silent |= struck
            lit &= ~struck
    return LampState(status, silent, lit)


def _churn(city: City, now: datetime, status: Ints, silent: np.ndarray) -> None:
    """A few single faults that come and are repaired half an hour later, one at a time."""
    count = len(status)
    each = max(1, count // CHURN_SHARE)
    second = now.timestamp()
    bucket = int(second // CHURN_S)
    for back in range(CHURN_BUCKETS + 1):
        key = bucket - back
        start = key * CHURN_S + hashed(city.seed, 93, key, np.arange(each)) * CHURN_S
        lamps = (hashed(city.seed, 94, key, np.arange(each)) * count).astype(np.int64)
        struck = lamps[(start <= second) & (second < start + CHURN_BUCKETS * CHURN_S)]
        quiet = struck % 3 == 0
        silent[struck[quiet]] = True
        status[struck[~quiet]] = np.maximum(status[struck[~quiet]], 1)


def lamp_watts(city: City, state: LampState) -> Floats:
    number = np.arange(len(state.lit))
    tolerance = 0.95 + 0.08 * hashed(city.seed, 95, number)
    return np.asarray(np.round(np.where(state.lit, city.assets.lamp_power_w * tolerance, 0.0), 1))


def feeder_power_kw(city: City, state: LampState) -> Floats:
    watts = np.bincount(city.assets.lamp_feeder, lamp_watts(city, state), len(city.assets.feeder_xy))
    return np.asarray(np.round(watts / 1000, 3))


def tripped_feeders(city: City, happening: list[Episode]) -> np.ndarray:
    tripped = np.zeros(len(city.assets.feeder_xy), dtype=bool)
    tripped[[episode.subject for episode in happening if episode.kind == "feederTrip"]] = True
    return tripped


def nodes_down(city: City, happening: list[Episode]) -> np.ndarray:
    down = np.zeros(len(city.assets.node_xy), dtype=bool)
    down[[episode.subject for episode in happening if episode.kind == "cameraNode"]] = True
    return down


def cameras_on(city: City, happening: list[Episode]) -> np.ndarray:
    working = hashed(city.seed, 96, np.arange(len(city.assets.camera_xy))) >= CAMERA_OFF
    return np.asarray(working & ~nodes_down(city, happening)[city.assets.camera_node])


def report_numbers(city: City, now: datetime, salt: int, count: int, period_s: int) -> Ints:
    """How many times each of `count` devices has reported since 1970; they take turns within the period."""
    offset = hashed(city.seed, salt, np.arange(count)) * period_s
    return np.floor((now.timestamp() - offset) / period_s).astype(np.int64)


def report_time(city: City, salt: int, device: int, number: int, period_s: int) -> datetime:
    offset = float(hashed(city.seed, salt, device)) * period_s
    return datetime.fromtimestamp(int(number * period_s + offset + 1), tz=UTC)


def wifi_clients(city: City, device: int, at: datetime) -> tuple[bool, int]:
    """(up, clients): few before dawn, most in the early evening."""
    if float(hashed(city.seed, 97, device)) < WIFI_DOWN:
        return False, 0
    here = local(at)
    hour = here.hour + here.minute / 60
    size = 8 + 60 * float(hashed(city.seed, 98, device)) ** 2
    daily = 0.08 + 0.55 * np.exp(-(((hour - 12.5) / 3.5) ** 2)) + 0.8 * np.exp(-(((hour - 18.0) / 2.2) ** 2))
    noise = 0.75 + 0.5 * float(hashed(city.seed, 99, device, int(at.timestamp()) // WIFI_PERIOD_S))
    return True, round(size * float(daily) * noise)


def air(city: City, station: int, at: datetime, episodes: list[Episode]) -> dict[str, float]:
    """pm25, pm10 (µg/m³), temperature (°C), humidity (0-1) of an air station."""
    hour, wobble = _hour_and_wobble(city, 101, station, at)
    traffic = float(np.exp(-(((hour - 7.5) / 1.6) ** 2)) + 0.8 * np.exp(-(((hour - 18.5) / 2.0) ** 2)))
    pm25 = 8 + 9 * float(hashed(city.seed, 102, station)) + 9 * traffic + 3 * wobble
    for episode in episodes:
        if episode.kind == "pm25" and episode.subject == station and episode.is_active(at):
            pm25 = max(pm25, PM25_ALERT + 6 + 14 * _swell(episode, at))
    temperature, humidity = _climate(hour, wobble, 0.0)
    return {"pm25": round(pm25, 1), "pm10": round(pm25 * 1.75 + 4 * abs(wobble), 1),
            "temperature": temperature, "relativeHumidity": humidity}  # fmt: skip


def weather(city: City, station: int, at: datetime, episodes: list[Episode]) -> dict[str, float]:
    """precipitation (mm in the last period), temperature, windSpeed (m/s), humidity of a weather station."""
    hour, wobble = _hour_and_wobble(city, 103, station, at)
    rain = 0.0
    for episode in episodes:
        if episode.kind == "rain" and episode.is_active(at):
            xy = city.assets.weather_xy
            away = float(np.hypot(*(xy[station] - xy[episode.subject])))
            if away < RAIN_RADIUS_M:
                rain = max(rain, (1.2 + 3.0 * _swell(episode, at)) * (1 - 0.6 * away / RAIN_RADIUS_M))
    temperature, humidity = _climate(hour, wobble, rain)
    wind = 1.2 + 2.2 * float(np.exp(-(((hour - 14) / 4) ** 2))) + 0.6 * wobble + 0.4 * rain
    return {"precipitation": round(rain, 1), "temperature": temperature,
            "windSpeed": round(max(0.1, wind), 1), "relativeHumidity": humidity}  # fmt: skip


def _hour_and_wobble(city: City, salt: int, station: int, at: datetime) -> tuple[float, float]:
    """Local hour, and smooth noise in [-1, 1] that drifts over some 20 minutes."""
    here = local(at)
    place = at.timestamp() / 1200
    step = int(place)
    ends = hashed(city.seed, salt, station, np.array((step, step + 1))) * 2 - 1
    return here.hour + here.minute / 60, float(ends[0] + (ends[1] - ends[0]) * (place - step))


def _climate(hour: float, wobble: float, rain: float) -> tuple[float, float]:
    temperature = 23.5 + 3.8 * float(np.cos((hour - 14) / 24 * 2 * np.pi)) + 0.5 * wobble - 0.6 * rain
    humidity = 0.74 - 0.13 * float(np.cos((hour - 14) / 24 * 2 * np.pi)) - 0.03 * wobble + 0.05 * rain
    return round(temperature, 1), round(min(0.98, humidity), 2)


def _swell(episode: Episode, at: datetime) -> float:
    """0 at both ends of an episode, 1 in its middle."""
    share = (at - episode.raised) / (episode.cleared - episode.raised)
    return float(np.sin(np.pi * min(max(share, 0.0), 1.0)))


def energy_kwh(cabinet_kw: Floats, at: datetime) -> Floats:
    """Meter reading of each cabinet since 2026 began, from twelve burning hours a night."""
    nights = (at - datetime(2026, 1, 1, tzinfo=UTC)) / timedelta(days=1)
    return np.asarray(np.round(cabinet_kw * 12.0 * nights, 1))
