"""A day of the demo city: bus positions and changed things, step by step, from nothing but the clock."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from amb247.site.demo import state, things
from amb247.site.demo.city import City
from amb247.site.demo.entities import Entity, entity, prop
from amb247.site.demo.episodes import (
    SCRIPT,
    SILENT_FROM_MIN,
    Episode,
    alert_of,
    episodes_of,
    slots_until,
)
from amb247.site.demo.messages import vehicle_positions
from amb247.site.demo.motion import Delay, Fixes, Motion, Trips
from amb247.site.demo.plane import Floats, Ints
from amb247.site.demo.sky import iso
from amb247.site.demo.state import STATUSES, LampState

AIR_SALT, WEATHER_SALT, WIFI_SALT, FEEDER_SALT, CABINET_SALT = 104, 105, 106, 107, 108


@dataclass(frozen=True)
class Step:
    """What arrives at one moment: a GTFS-Realtime message and the entities that changed."""

    vehicle_positions: bytes | None
    entities: list[Entity] = field(default_factory=list)


@dataclass(frozen=True)
class _Snapshot:
    """The state of everything that is told by difference."""

    at: datetime
    lamps: LampState
    tripped: np.ndarray
    power_kw: Floats
    nodes_down: np.ndarray
    cameras_on: np.ndarray
    alerts: dict[str, bool]
    """Alert key to whether it is over."""
    reports: dict[int, Ints]


class Simulation:
    """Steps through time. Its only memory is when it last stepped: state is a function of seed and time.

    Parameters
    ----------
    city : City
    seed : int or None      must be the city's own; kept for callers that pass both
    since : datetime or None
        The last instant whose changes the receiver has. With it the first step tells all that changed
        since then; without, the first step tells alerts of the last hour and the newest reports only.
    """

    def __init__(self, city: City, seed: int | None = None, *, since: datetime | None = None) -> None:
        if seed is not None and seed != city.seed:
            message = f"the simulation's seed {seed} is not the city's {city.seed}"
            raise ValueError(message)
        self.city = city
        self.motion = Motion(city.transit_key)
        self._frozen_dark: datetime | None = None
        self._last = None if since is None else self._snapshot(since)

    def step(self, now: datetime, *, vehicles: bool = True) -> Step:
        """Everything that changed since the last step, and the position of every bus in service.

        Times must be aware and not run backwards; an equal time gives no entities.
        """
        if now.tzinfo is None:
            raise ValueError("now must carry a time zone")
        current = self._snapshot(now)
        entities = self._changes(self._last, current)
        self._last = current
        return Step(self.positions_message(now) if vehicles else None, entities)

    def warm_up(
        self, now: datetime, hours: float = 3, *, buses_hours: float = 2, bus_period_s: int = 120
    ) -> Iterator[tuple[datetime, Step]]:
        """Coarse steps over the hours before `now`, oldest first; the simulation then stands at `now`.

        Buses are sampled only in the last `buses_hours`. Streetlights keep the day or night of `now` all
        along: a dusk inside the window would mean 60,000 changes of no interest.
        """
        step = timedelta(seconds=bus_period_s)
        count = int(hours * 3600 // bus_period_s)
        self._frozen_dark = now
        try:
            self._last = self._snapshot(now - step * count)
            for back in range(count - 1, -1, -1):
                at = now - step * back
                with_buses = (now - at) <= timedelta(hours=buses_hours)
                yield at, self.step(at, vehicles=with_buses)
        finally:
            self._frozen_dark = None

    def positions(self, now: datetime) -> tuple[Trips, Fixes]:
        """All trips on the road at an instant and where their buses are; no side effect."""
        trips = self.motion.trips(now, self._delays(now))
        return trips, self.motion.fixes(trips)

    def positions_message(self, now: datetime) -> bytes:
        trips, fixes = self.positions(now)
        trips, fixes = self._with_silence(now, trips, fixes)
        return vehicle_positions(self.city, now, trips, fixes, duration=self.motion.duration)

    def episodes(self, now: datetime) -> list[Episode]:
        """The script of the half hours that may still be felt at an instant."""
        return [e for slot in slots_until(now) for e in episodes_of(self.city, self.motion, slot)]

    def _delays(self, now: datetime) -> list[Delay]:
        return [delay for episode in self.episodes(now) for delay in episode.delays]

    def _with_silence(self, now: datetime, trips: Trips, fixes: Fixes) -> tuple[Trips, Fixes]:
        """The silent bus keeps its last known position and time stamp, as a real feed does."""
        for episode in self.episodes(now):
            since = episode.slot + timedelta(minutes=SILENT_FROM_MIN)
            if episode.kind != "noSignal" or not since <= now < episode.cleared:
                continue
            index = np.flatnonzero(trips.vehicle == episode.subject)
            then_trips, then = self.positions(since)
            known = np.flatnonzero(then_trips.vehicle == episode.subject)
            if not len(index) or not len(known):
                continue
            here, there = int(index[0]), int(known[0])
            trips.age_s[here] = then_trips.age_s[there] + int((now - since).total_seconds())
            for now_values, then_values in (
                (fixes.xy, then.xy), (fixes.bearing, then.bearing), (fixes.speed_m_s, then.speed_m_s),
                (fixes.next_stop, then.next_stop), (fixes.status, then.status),
                (trips.pattern, then_trips.pattern), (trips.depart, then_trips.depart),
                (trips.which, then_trips.which), (trips.night, then_trips.night),
            ):  # fmt: skip
                now_values[here] = then_values[there]
        return trips, fixes

    def _snapshot(self, now: datetime) -> _Snapshot:
        city = self.city
        recent = [episode for episode in self.episodes(now) if episode.raised <= now]
        happening = [episode for episode in recent if episode.is_active(now)]
        lamps = state.lamp_state(city, now, happening, dark_at=self._frozen_dark)
        fresh = now - timedelta(hours=1)
        periods = {
            AIR_SALT: (len(city.assets.air_xy), state.STATION_PERIOD_S),
            WEATHER_SALT: (len(city.assets.weather_xy), state.STATION_PERIOD_S),
            WIFI_SALT: (len(city.assets.wifi_xy), state.WIFI_PERIOD_S),
            FEEDER_SALT: (len(city.assets.feeder_xy), state.FEEDER_PERIOD_S),
            CABINET_SALT: (len(city.assets.cabinet_xy), state.CABINET_PERIOD_S),
        }
        return _Snapshot(
            at=now,
            lamps=lamps,
            tripped=state.tripped_feeders(city, happening),
            power_kw=state.feeder_power_kw(city, lamps),
            nodes_down=state.nodes_down(city, happening),
            cameras_on=state.cameras_on(city, happening),
            alerts={e.key: now >= e.cleared for e in recent if e.cleared > fresh},
            reports={
                salt: state.report_numbers(city, now, salt, count, period)
                for salt, (count, period) in periods.items()
            },
        )

    def _changes(self, last: _Snapshot | None, current: _Snapshot) -> list[Entity]:
        told = list(self._alerts(last, current))
        told += self._reports(last, current)
        if last is not None:
            told += self._lamps(last, current)
            told += self._feeders(last, current)
            told += self._cameras(last, current)
        return _once_each(told)

    def _alerts(self, last: _Snapshot | None, current: _Snapshot) -> Iterator[Entity]:
        known = {} if last is None else last.alerts
        for episode in self.episodes(current.at):
            over = current.alerts.get(episode.key)
            if (
                over is not None
                and known.get(episode.key) != over
                and not (over and self._forgot(last, episode))
            ):
                yield alert_of(episode, current.at)

    @staticmethod
    def _forgot(last: _Snapshot | None, episode: Episode) -> bool:
        """Cleared before the last step, so told long ago."""
        return last is not None and last.at >= episode.cleared

    def _reports(self, last: _Snapshot | None, current: _Snapshot) -> Iterator[Entity]:
        """Devices whose turn to report came since the last step; only their newest report."""
        episodes = self.episodes(current.at)
        for salt, numbers in current.reports.items():
            before = None if last is None else last.reports[salt]
            if before is None and salt in (FEEDER_SALT, CABINET_SALT):
                continue
            due = np.arange(len(numbers)) if before is None else np.flatnonzero(numbers > before)
            for device in due.tolist():
                made = self._report(salt, device, int(numbers[device]), current=current, episodes=episodes)
                if made is not None:
                    yield made

    def _report(
        self, salt: int, device: int, number: int, *, current: _Snapshot, episodes: list[Episode]
    ) -> Entity | None:
        city = self.city
        if salt == AIR_SALT:
            at = state.report_time(city, salt, device, number, state.STATION_PERIOD_S)
            return things.air_report(city, device, at, episodes)
        if salt == WEATHER_SALT:
            at = state.report_time(city, salt, device, number, state.STATION_PERIOD_S)
            return things.weather_report(city, device, at, episodes)
        if salt == WIFI_SALT:
            at = state.report_time(city, salt, device, number, state.WIFI_PERIOD_S)
            return self._wifi(device, at)
        if salt == CABINET_SALT:
            at = state.report_time(city, salt, device, number, state.CABINET_PERIOD_S)
            energy = state.energy_kwh(things.cabinet_kw(city)[device : device + 1], at)[0]
            attributes = {"energyConsumed": prop(float(energy), iso(at), "KWH")}
            return entity("StreetlightControlCabinet", things.cabinet_urn(device), attributes)
        if current.power_kw[device] <= 0:  # by day a feeder has nothing to say
            return None
        power = prop(float(current.power_kw[device]), iso(current.at), "KWT")
        return entity("StreetlightFeeder", things.feeder_urn(device), {"totalActivePower": power})

    def _wifi(self, device: int, at: datetime) -> Entity:
        up, clients = state.wifi_clients(self.city, device, at)
        attributes = {
            "apState": prop("up" if up else "down", iso(at)),
            "clientsConnected": prop(clients, iso(at)),
        }
        return entity("AccessPoint", things.access_point_urn(device), attributes)

    def _lamps(self, last: _Snapshot, current: _Snapshot) -> Iterator[Entity]:
        at, old, new = iso(current.at), last.lamps, current.lamps
        switched = old.lit != new.lit
        restated = old.status != new.status
        silenced = old.silent != new.silent
        changed = np.flatnonzero(switched | restated | silenced)
        if not len(changed):
            return
        watts = state.lamp_watts(self.city, new)
        for number in changed.tolist():
            attributes: Entity = {}
            if restated[number]:
                attributes["status"] = prop(STATUSES[int(new.status[number])], at)
            if silenced[number]:
                attributes["communicationState"] = prop("down" if new.silent[number] else "up", at)
            if switched[number]:
                lit = bool(new.lit[number])
                attributes["powerState"] = prop("on" if lit else "off", at)
                attributes["powerConsumption"] = prop(float(watts[number]), at, "WTT")
                attributes["illuminanceLevel"] = prop(1.0 if lit else 0.0, at)
            yield entity("Streetlight", things.lamp_urn(number), attributes)

    def _feeders(self, last: _Snapshot, current: _Snapshot) -> Iterator[Entity]:
        """Feeders that tripped, came back, or were switched; small drifts wait for their report."""
        at = iso(current.at)
        flipped = last.tripped != current.tripped
        switched = (last.power_kw > 0.1) != (current.power_kw > 0.1)
        reported = current.reports[FEEDER_SALT] > last.reports[FEEDER_SALT]
        reported &= current.power_kw > 0
        for number in np.flatnonzero(flipped | (switched & ~reported)).tolist():
            attributes: Entity = {"totalActivePower": prop(float(current.power_kw[number]), at, "KWT")}
            if flipped[number]:
                attributes["powerState"] = prop("OFF" if current.tripped[number] else "ON", at)
            yield entity("StreetlightFeeder", things.feeder_urn(number), attributes)

    def _cameras(self, last: _Snapshot, current: _Snapshot) -> Iterator[Entity]:
        at = iso(current.at)
        for number in np.flatnonzero(last.nodes_down != current.nodes_down).tolist():
            value = "fault" if current.nodes_down[number] else "ok"
            yield entity("Device", things.node_urn(number), {"deviceState": prop(value, at)})
        for number in np.flatnonzero(last.cameras_on != current.cameras_on).tolist():
            yield entity(
                "Camera", things.camera_urn(number), {"on": prop(bool(current.cameras_on[number]), at)}
            )


def _once_each(told: list[Entity]) -> list[Entity]:
    """One entity per id: what a report and a change say of the same thing is said together."""
    merged: dict[str, Entity] = {}
    for found in told:
        merged.setdefault(found["id"], {}).update(found)
    return list(merged.values())


def cycle() -> list[tuple[str, int, int]]:
    """(kind, minute raised, minute cleared) of the half-hourly script, for pages that explain the demo."""
    return [(kind, raised, cleared) for kind, (raised, cleared, _, _) in SCRIPT.items()]
