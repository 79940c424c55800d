"""This process's live picture and its event topics: one of each, started with the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import orjson
import psycopg

from amb247.centre.live.layers import ALERT, LAYERS
from amb247.centre.live.picture import AreaFinder, FrameContent, Picture
from amb247.context.api import get, stream
from amb247.context.data import Change, Cursor
from amb247.context.live import ChangeTail, Topic, event, newest_position
from amb247.context.vocabulary import usable

PUBLISH_EVERY_S = 0.25
SHOWN = (*(spec.entity_type for spec in LAYERS), ALERT)
Areas = frozenset[str] | None


class LiveCity:
    """Tail, picture and topics. A topic is what people with the same municipalities see; None sees all."""

    def __init__(self, url: str, find_areas: AreaFinder | None) -> None:
        self.picture = Picture(find_areas, get)
        self.topics: dict[Areas, Topic] = {}
        self.encoded = 0
        self._lock = threading.Lock()
        self._published = 0.0
        self._snapshots: dict[Areas, tuple[Cursor, float, bytes]] = {}
        self.tail = ChangeTail(url, start=self._read_state, sink=self._take, types=SHOWN)

    def start(self) -> None:
        self.tail.start()

    def stop(self) -> None:
        self.tail.stop()

    @property
    def is_ready(self) -> bool:
        return self.picture.is_ready

    @property
    def watchers(self) -> int:
        return sum(topic.watchers for topic in self.topics.values())

    def topic(self, visible: Areas) -> Topic:
        with self._lock:
            if visible not in self.topics:
                name = "city" if visible is None else "city:" + ",".join(sorted(visible))
                self.topics[visible] = Topic(name, lambda: self.snapshot(visible))
            return self.topics[visible]

    def snapshot(self, visible: Areas) -> tuple[Cursor, bytes]:
        """The `reset` event, encoded at most four times a second however many clients ask."""
        known = self._snapshots.get(visible)
        if known is not None and time.monotonic() - known[1] < PUBLISH_EVERY_S:
            return known[0], known[2]
        with self.picture.lock:
            cursor = self.picture.cursor
            payload = event("reset", orjson.dumps(self.picture.snapshot(visible)), cursor)
        self._snapshots[visible] = (cursor, time.monotonic(), payload)
        return cursor, payload

    def _read_state(self, cursor: psycopg.Cursor[Any]) -> Cursor:
        position = newest_position(cursor)
        self.picture.load(_shown(stream(SHOWN)), position)
        with self._lock:
            for topic in self.topics.values():
                topic.restart()
        return position

    def _take(self, changes: Sequence[Change], cursor: Cursor) -> bool:
        """Apply and, not more than four times a second, publish; whether something waits to be published."""
        self.picture.apply(changes, cursor)
        if not self.picture.has_news():
            return False
        now = time.monotonic()
        if now - self._published < PUBLISH_EVERY_S:
            return True
        self._published = now
        with self._lock:
            topics = dict(self.topics)
        for visible, news in self.picture.take_news(list(topics)).items():
            self.encoded += 1
            topics[visible].publish(
                cursor, event("frame", encode_frame(news, self.picture.tiles_version), cursor)
            )
        return False


def encode_frame(news: FrameContent, tiles_version: int) -> bytes:
    """The data of a `frame` event."""
    frame: dict[str, Any] = {
        "t": int(time.time() * 1000),
        "at": int(news.newest * 1000),
        "vehicles": news.vehicles,
        "gone": news.gone,
        "things": news.things,
        "alerts": news.alerts,
        "counts": news.counts,
    }
    if news.reload_tiles:
        frame["tiles"] = f"v{tiles_version}"
    return orjson.dumps(frame)


def _shown(entities: Any) -> Any:
    """Leave out alerts that are over: they are history."""
    for entity in entities:
        if entity["type"] == ALERT or (isinstance(entity["type"], list) and ALERT in entity["type"]):
            status = usable(ALERT, entity).get("status") or {}
            if status.get("value") == "cleared":
                continue
        yield entity


_live: LiveCity | None = None


def start(url: str, find_areas: AreaFinder | None) -> LiveCity:
    """Start this process's live city; a second call gives the same one."""
    global _live  # noqa: PLW0603 - one picture per process is the point
    if _live is None:
        _live = LiveCity(url, find_areas)
        _live.start()
    return _live


def current() -> LiveCity | None:
    """The live city of this process; None in processes that serve no pages (workers, commands)."""
    return _live


def stop() -> None:
    global _live  # noqa: PLW0603
    if _live is not None:
        _live.stop()
        _live = None
