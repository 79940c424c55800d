"""The picture: every shown thing in columns, kept up to date from the change feed.

Map tiles, layers, list, figures and frames are all read from here under one lock, so they agree by construction.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from amb247.centre.live.layers import ALERT, BY_TYPE, LAYERS, OK, SEVERITIES, STALE, STATES, LayerSpec
from amb247.context.data import Change, Cursor
from amb247.context.vocabulary import usable

PREFIX = "urn:ngsi-ld:"
MANY_LAMPS = 3_000  # more changes than this in one frame: the browser reloads its tiles instead
NOWHERE = -1

AreaFinder = Callable[[npt.NDArray[np.float64], npt.NDArray[np.float64]], Sequence[str]]


def key_of(entity_id: str) -> int:
    """A number below 2**48 for a URN: the same in every process, small enough for JavaScript and tile ids."""
    return int.from_bytes(blake2b(entity_id.encode(), digest_size=6).digest(), "big")


def short(entity_id: str) -> str:
    return entity_id.removeprefix(PREFIX)


def is_inside(code: str, visible: Collection[str]) -> bool:
    """Whether an area is one of these or lies below one: codes say it (68001, 68001-01, 68001-01-003)."""
    return any(code == one or code.startswith(f"{one}-") for one in visible)


@dataclass
class Layer:
    """Columns of one kind of thing. A row is never moved: it is freed when its thing is deleted, then used again."""

    spec: LayerSpec
    ids: list[str] = field(default_factory=list)
    row_of: dict[str, int] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    size: int = 0
    key: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(64, np.int64))
    lon: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(64))
    lat: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(64))
    state: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(64, np.uint8))
    seen: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(64))
    power: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(64, np.uint8))
    alive: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(64, np.bool_))
    area: npt.NDArray[np.int32] = field(default_factory=lambda: np.full(64, NOWHERE, np.int32))
    touched: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    unplaced: set[int] = field(default_factory=set)

    def add(self, entity_id: str) -> int:
        if self.free:
            row = self.free.pop()
            self.ids[row], self.parts[row], self.labels[row] = entity_id, {}, ""
        else:
            row = self.size
            self.size += 1
            if row == len(self.key):
                self._grow()
            self.ids.append(entity_id)
            self.parts.append({})
            self.labels.append("")
        self.row_of[entity_id] = row
        self.key[row] = key_of(entity_id)
        self.alive[row] = True
        self.area[row] = NOWHERE
        self.gone.discard(int(self.key[row]))
        return row

    def remove(self, entity_id: str) -> None:
        row = self.row_of.pop(entity_id, None)
        if row is None:
            return
        self.alive[row] = False
        self.seen[row] = 0.0
        self.touched.discard(row)
        self.unplaced.discard(row)
        self.gone.add(int(self.key[row]))
        self.free.append(row)

    def take(self, entity_id: str, attributes: dict[str, Any]) -> None:
        """Apply changed attributes of one thing."""
        row = self.row_of.get(entity_id)
        location = attributes.get("location")
        if row is not None and "location" in attributes and location is None:
            self.remove(entity_id)  # it is nowhere now
            return
        if row is not None and not self.alive[row] and location is not None:
            self.alive[row] = True  # it speaks again
            self.gone.discard(int(self.key[row]))
        if row is None:
            if location is None:
                return  # a thing that is nowhere cannot be shown
            row = self.add(entity_id)
        if isinstance(location, dict):
            self._place(row, location)
        parts = self.parts[row]
        for name in self.spec.parts:
            if name not in attributes:
                continue
            instance = attributes[name]
            if instance is None:
                parts.pop(name, None)
            else:
                parts[name] = instance.get("value")
        state = self.spec.state(parts)
        if self.state[row] != STALE or location is not None or state != OK:
            self.state[row] = state
        self.power[row] = 1 if parts.get("powerState") != "off" else 0
        self.labels[row] = self.spec.label(parts)
        if self.alive[row]:
            self.touched.add(row)

    def age(self, now: float) -> None:
        """Mark as stale what has been silent for too long."""
        limit = self.spec.stale_after_s
        if limit is None:
            return
        silent = (
            self.alive[: self.size] & (self.state[: self.size] == OK) & (self.seen[: self.size] < now - limit)
        )
        for row in np.flatnonzero(silent):
            self.state[row] = STALE
            self.touched.add(int(row))
        if self.spec.forget_after_s is not None:
            self._put_away(now - self.spec.forget_after_s)

    def _put_away(self, before: float) -> None:
        """Take out of the picture what has been silent since before a time; it comes back with its next position."""
        for row in np.flatnonzero(self.alive[: self.size] & (self.seen[: self.size] < before)).tolist():
            self.alive[row] = False
            self.touched.discard(row)
            self.gone.add(int(self.key[row]))

    def counts(self, rows: npt.NDArray[np.bool_] | None = None) -> dict[str, int]:
        chosen = self.alive[: self.size] if rows is None else self.alive[: self.size] & rows
        found = np.bincount(self.state[: self.size][chosen], minlength=len(STATES))
        return {name: int(number) for name, number in zip(STATES, found, strict=False)}

    def row(self, row: int) -> list[Any]:
        """``[key, id, lon, lat, state, extra, label]`` as the front end takes it."""
        return [
            int(self.key[row]),
            short(self.ids[row]),
            round(float(self.lon[row]), 6),
            round(float(self.lat[row]), 6),
            STATES[self.state[row]],
            self.spec.extra(self.parts[row]),
            self.labels[row],
        ]

    def _place(self, row: int, location: dict[str, Any]) -> None:
        geometry = location["value"]
        if geometry["type"] != "Point":
            return
        lon, lat = geometry["coordinates"][:2]
        if lon != self.lon[row] or lat != self.lat[row] or self.area[row] == NOWHERE:
            self.lon[row], self.lat[row] = lon, lat
            self.unplaced.add(row)
        observed = location.get("observedAt")
        self.seen[row] = datetime.fromisoformat(observed).timestamp() if observed else time.time()

    def _grow(self) -> None:
        for name in ("key", "lon", "lat", "state", "seen", "power", "alive", "area"):
            column = getattr(self, name)
            fresh = (
                np.full(len(column) * 2, NOWHERE, np.int32)
                if name == "area"
                else np.zeros(len(column) * 2, column.dtype)
            )
            fresh[: len(column)] = column
            setattr(self, name, fresh)


@dataclass(frozen=True)
class FrameContent:
    """What changed between two publications, for those who may see all or only some areas."""

    vehicles: list[list[Any]]
    things: list[list[Any]]
    gone: list[int]
    alerts: list[dict[str, Any]]
    counts: dict[str, dict[str, int]]
    reload_tiles: bool
    newest: float


class Picture:
    """All layers and the active alerts. Written by the tail's thread, read by any."""

    def __init__(
        self,
        find_areas: AreaFinder | None = None,
        read_entity: Callable[[str], dict[str, Any] | None] | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.find_areas = find_areas
        self.read_entity = read_entity
        self.area_names: list[str] = []
        self._area_index: dict[str, int] = {}
        self.cursor = Cursor(0, 0)
        self.tiles_version = 0
        self.newest = 0.0
        self.is_ready = False
        self.clear()

    def clear(self) -> None:
        with self.lock:
            self.layers = {spec.key: Layer(spec) for spec in LAYERS}
            self.alerts: dict[str, dict[str, Any]] = {}
            self.changed_alerts: dict[str, dict[str, Any]] = {}

    def load(self, entities: Iterable[dict[str, Any]], cursor: Cursor) -> None:
        """Take the whole state anew; `cursor` is the feed position before it was read."""
        with self.lock:
            self.clear()
            for entity in entities:
                types = entity["type"] if isinstance(entity["type"], list) else [entity["type"]]
                self._take(entity["id"], types, entity)
            for layer in self.layers.values():
                layer.age(time.time())
            self._place_all()
            self._forget_touched()
            self.cursor = cursor
            self.tiles_version += 1
            self.is_ready = True

    def apply(self, changes: Sequence[Change], cursor: Cursor) -> None:
        with self.lock:
            for change in changes:
                if change.op == "deleted":
                    self._delete(change.entity_id, change.types)
                else:
                    self._take(change.entity_id, change.types, change.attributes)
                self.newest = change.at.timestamp()
            self.cursor = cursor
            now = time.time()
            for layer in self.layers.values():
                layer.age(now)
            self._place_all()

    def box(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north of all that is shown; None when nothing is."""
        with self.lock:
            shown = [(layer, layer.alive[: layer.size]) for layer in self.layers.values()]
            lons = np.concatenate([layer.lon[: layer.size][alive] for layer, alive in shown])
            lats = np.concatenate([layer.lat[: layer.size][alive] for layer, alive in shown])
        if not lons.size:
            return None
        return float(lons.min()), float(lats.min()), float(lons.max()), float(lats.max())

    def has_news(self) -> bool:
        with self.lock:
            return bool(self.changed_alerts) or any(
                layer.touched or layer.gone for layer in self.layers.values()
            )

    def take_news(self, areas: Sequence[frozenset[str] | None]) -> dict[frozenset[str] | None, FrameContent]:
        """What changed since the last call, for each set of areas (None is the whole city), and forget it."""
        with self.lock:
            lamps = self.layers["streetlight"]
            many = len(lamps.touched) > MANY_LAMPS
            if lamps.touched or lamps.gone:
                self.tiles_version += 1
            found = {visible: self._news(visible, many=many) for visible in areas}
            self._forget_touched()
            return found

    def snapshot(self, visible: frozenset[str] | None) -> dict[str, Any]:
        """Everything that moves, and the counts of everything."""
        with self.lock:
            vehicles = self.layers["vehicle"]
            rows = self.mask(vehicles, visible)
            return {
                "t": int(time.time() * 1000),
                "cursor": str(self.cursor),
                "vehicles": [vehicles.row(int(row)) for row in np.flatnonzero(rows)],
                "alerts": self.visible_alerts(visible),
                "counts": self.counts(visible),
            }

    def counts(self, visible: frozenset[str] | None) -> dict[str, dict[str, int]]:
        with self.lock:
            result = {key: layer.counts(self.mask(layer, visible)) for key, layer in self.layers.items()}
            result["alert"] = dict.fromkeys(SEVERITIES, 0)
            for alert in self.visible_alerts(visible):
                result["alert"][alert["severity"]] = result["alert"].get(alert["severity"], 0) + 1
            return result

    def visible_alerts(self, visible: frozenset[str] | None) -> list[dict[str, Any]]:
        """Active alerts, worst and newest first."""
        with self.lock:
            rank = {name: number for number, name in enumerate(SEVERITIES)}
            chosen = [
                alert
                for alert in self.alerts.values()
                if visible is None or is_inside(alert["area"], visible)
            ]
            chosen.sort(key=lambda alert: alert["issued"], reverse=True)
            return sorted(chosen, key=lambda alert: rank.get(alert["severity"], 9))

    def id_of(self, layer: str, key: int) -> str | None:
        """The short identifier of a layer's thing by its key; None when there is none."""
        with self.lock:
            columns = self.layers.get(layer)
            if columns is None:
                return None
            rows = np.flatnonzero(columns.alive[: columns.size] & (columns.key[: columns.size] == key))
            return short(columns.ids[rows[0]]) if len(rows) else None

    def mask(self, layer: Layer, visible: frozenset[str] | None) -> npt.NDArray[np.bool_]:
        """Which rows live in the visible areas; a copy that may be changed."""
        alive = layer.alive[: layer.size].copy()
        if visible is None:
            return alive
        allowed = np.array([is_inside(name, visible) for name in self.area_names] + [False], np.bool_)
        return alive & allowed[layer.area[: layer.size]]

    def area_mask(self, layer: Layer, code: str) -> npt.NDArray[np.bool_]:
        """Which rows lie in an area: a municipality, a commune of it, or a neighbourhood."""
        inside = np.array([is_inside(name, {code}) for name in self.area_names] + [False], np.bool_)
        return inside[layer.area[: layer.size]]

    def _news(self, visible: frozenset[str] | None, *, many: bool) -> FrameContent:
        vehicles: list[list[Any]] = []
        things: list[list[Any]] = []
        gone: list[int] = []
        for key, layer in self.layers.items():
            allowed = None if visible is None else self.mask(layer, visible)
            gone += layer.gone
            for row in layer.touched:
                if allowed is not None and not allowed[row]:
                    continue
                if key == "vehicle":
                    vehicles.append(layer.row(row))
                elif not (many and key == "streetlight"):
                    shown = layer.row(row)
                    shown[6] = key
                    things.append(shown)
        alerts = [a for a in self.changed_alerts.values() if visible is None or is_inside(a["area"], visible)]
        return FrameContent(vehicles, things, gone, alerts, self.counts(visible), many, self.newest)

    def _take(self, entity_id: str, types: Sequence[str], attributes: dict[str, Any]) -> None:
        for name in types:
            spec = BY_TYPE.get(name)
            if spec is not None:
                shown = {part: attributes[part] for part in ("location", *spec.parts) if part in attributes}
                self.layers[spec.key].take(entity_id, usable(name, shown))
            elif name == ALERT:
                self._take_alert(entity_id, usable(name, attributes))

    def _delete(self, entity_id: str, types: Sequence[str]) -> None:
        for name in types:
            spec = BY_TYPE.get(name)
            if spec is not None:
                self.layers[spec.key].remove(entity_id)
            elif name == ALERT and entity_id in self.alerts:
                self.changed_alerts[entity_id] = self.alerts.pop(entity_id) | {"status": "cleared"}

    def describe_alert(self, entity: dict[str, Any]) -> dict[str, Any]:
        """An Alert entity as the front end takes it."""
        return self._describe(entity["id"], usable(ALERT, entity), None)

    def _take_alert(self, entity_id: str, attributes: dict[str, Any]) -> None:
        known = self.alerts.get(entity_id)
        if known is None and "severity" not in attributes:
            # A change of an alert that was over when this picture was loaded: the change alone does not describe it.
            entity = self.read_entity(entity_id) if self.read_entity is not None else None
            attributes = usable(ALERT, entity) if entity else attributes
        alert = self._describe(entity_id, attributes, known)
        if alert["status"] == "active":
            self.alerts[entity_id] = alert
        else:
            self.alerts.pop(entity_id, None)
        self.changed_alerts[entity_id] = alert

    def _describe(
        self, entity_id: str, attributes: dict[str, Any], known: dict[str, Any] | None
    ) -> dict[str, Any]:
        known = known or {
            "id": short(entity_id),
            "severity": "informational",
            "category": "",
            "subCategory": "",
            "description": "",
            "status": "active",
            "issued": "",
            "lon": None,
            "lat": None,
            "source": None,
            "affected": None,
            "area": "",
        }
        alert = dict(known)
        for name in ("severity", "category", "subCategory", "description", "status", "affected"):
            if isinstance(attributes.get(name), dict):
                alert[name] = attributes[name].get("value")
        issued = attributes.get("dateIssued")
        if isinstance(issued, dict):
            value = issued.get("value")
            alert["issued"] = value.get("@value", "") if isinstance(value, dict) else str(value)
        if isinstance(attributes.get("alertSource"), dict):
            target = attributes["alertSource"].get("object")
            alert["source"] = short(target if isinstance(target, str) else next(iter(target), ""))
        location = attributes.get("location")
        if isinstance(location, dict) and location["value"]["type"] == "Point":
            alert["lon"], alert["lat"] = location["value"]["coordinates"][:2]
            alert["area"] = self._area_of_point(alert["lon"], alert["lat"])
        return alert

    def codes_of(self, places: Sequence[Sequence[float]]) -> Sequence[str]:
        """Area code of each (lon, lat); empty outside the territory."""
        if self.find_areas is None or not len(places):
            return [""] * len(places)
        columns = np.asarray(places, float)
        return self.find_areas(columns[:, 0], columns[:, 1])

    def _area_of_point(self, lon: float, lat: float) -> str:
        return self.codes_of([[lon, lat]])[0]

    def _place_all(self) -> None:
        """Find the area of everything that moved or is new."""
        if self.find_areas is None:
            return
        for layer in self.layers.values():
            if not layer.unplaced:
                continue
            rows = np.fromiter(layer.unplaced, np.int64, len(layer.unplaced))
            for row, code in zip(rows, self.find_areas(layer.lon[rows], layer.lat[rows]), strict=True):
                layer.area[row] = self._index_of(code)
            layer.unplaced.clear()

    def _index_of(self, code: str) -> int:
        found = self._area_index.get(code)
        if found is None:
            found = self._area_index[code] = len(self.area_names)
            self.area_names.append(code)
        return found

    def _forget_touched(self) -> None:
        for layer in self.layers.values():
            layer.touched.clear()
            layer.gone.clear()
        self.changed_alerts.clear()
