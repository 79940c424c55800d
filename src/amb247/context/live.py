"""From the change feed to everybody who watches: one tail per process, one encoding per topic, no queue per client.

A topic keeps its last frames in a ring of bounded size. A client holds nothing but its place in the ring: one that is
slow simply takes several frames at once, one that fell out of the ring gets the topic's snapshot. So a stalled
browser costs the server neither memory nor anybody else's time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from amb247.context.data import Change, Cursor
from amb247.context.domain.queries import changes as change_queries
from amb247.context.domain.writing import CHANNEL
from amb247.context.errors import CursorTooOld

log = logging.getLogger(__name__)

RING_BYTES = 8_000_000
RING_FRAMES = 600
BATCH = 20_000
IDLE_S = 1.0  # look at the feed at least this often: a lost notification costs a second, not a screen


@dataclass
class Topic:
    """Encoded frames of one subject, shared by all its clients. Published from one thread, read on event loops."""

    name: str
    snapshot: Callable[[], tuple[Cursor, bytes]]
    frames: deque[tuple[int, Cursor, bytes]] = field(default_factory=deque)
    ring_bytes: int = 0
    number: int = 0
    watchers: int = 0
    _waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, cursor: Cursor, payload: bytes) -> None:
        """Append a frame (already encoded as an event) and wake the clients."""
        with self._lock:
            self.number += 1
            self.frames.append((self.number, cursor, payload))
            self.ring_bytes += len(payload)
            while self.frames and (self.ring_bytes > RING_BYTES or len(self.frames) > RING_FRAMES):
                self.ring_bytes -= len(self.frames.popleft()[2])
            waiting, self._waiting = self._waiting, []
        _wake(waiting)

    def after(self, number: int) -> list[tuple[int, Cursor, bytes]] | None:
        """Frames after a place in the ring; None when some of them are no longer kept."""
        with self._lock:
            if number == self.number:
                return []
            if not self.frames or self.frames[0][0] > number + 1:
                return None
            return [frame for frame in self.frames if frame[0] > number]

    def place_of(self, cursor: Cursor) -> int | None:
        """The place right behind `cursor`, when the ring reaches back that far."""
        with self._lock:
            if not self.frames or self.frames[0][1] > cursor:
                return None
            return max(number for number, seen, _ in self.frames if seen <= cursor)

    def restart(self) -> None:
        """Make every client take the snapshot: what the frames say no longer follows from what clients have."""
        with self._lock:
            self.frames.clear()
            self.ring_bytes = 0
            self.number += 1
            waiting, self._waiting = self._waiting, []
        _wake(waiting)

    async def wait(self, number: int, timeout_s: float) -> None:
        """Return when there is a frame after `number`, or after `timeout_s`."""
        event = asyncio.Event()
        entry = (asyncio.get_running_loop(), event)
        with self._lock:
            if self.number != number:
                return
            self._waiting.append(entry)
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            with self._lock:
                if entry in self._waiting:
                    self._waiting.remove(entry)

    async def follow(self, last: Cursor | None, *, beat_s: float) -> AsyncGenerator[bytes, None]:
        """What one client is sent: a snapshot or the frames it missed, then frames as they come, beats in between."""
        place = self.place_of(last) if last is not None else None
        self.watchers += 1
        try:
            while True:
                frames = self.after(place) if place is not None else None
                if frames is None:
                    place = self.number
                    _, payload = await asyncio.to_thread(self.snapshot)
                    yield payload
                    continue
                if frames:
                    place = frames[-1][0]
                    yield b"".join(payload for _, _, payload in frames)
                    continue
                assert place is not None
                await self.wait(place, beat_s)
                if self.number == place:
                    yield event("beat", b'{"t":%d}' % (time.time() * 1000))
        finally:
            self.watchers -= 1


def _wake(waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    for loop, waiter in waiting:
        try:
            loop.call_soon_threadsafe(waiter.set)
        except RuntimeError:  # that loop has closed
            continue


def newest_position(cursor: psycopg.Cursor[Any]) -> Cursor:
    """The feed position to go on from after the state has been read; see `context.api.newest_cursor`."""
    return change_queries.newest(cursor)


def event(name: str, data: bytes, cursor: Cursor | None = None) -> bytes:
    """One server-sent event. `data` is JSON without newlines.

    References
    ----------
    WHATWG HTML, section 9.2 (server-sent events).
    """
    head = f"id: {cursor}\n" if cursor is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"


class ChangeTail(threading.Thread):
    """Reads the change feed on a connection of its own and hands each portion to `sink`, in order.

    Parameters
    ----------
    url : str
        Database to read.
    start : Callable
        Called on this thread before reading, with the connection's cursor; does its own reading of the state and
        returns the position to go on from. Called again when the feed no longer reaches back far enough.
    sink : Callable
        Takes the changes, the position after them, and is called with an empty list when nothing happened for a
        while, so that it can notice the passing of time. Says whether it wants to be called again soon.
    types : sequence of str, optional
        Entity types whose changes are wanted; None means all.
    pause_s : float
        Least time between two portions: changes in between are handed over together.
    """

    def __init__(
        self,
        url: str,
        *,
        start: Callable[[psycopg.Cursor[Any]], Cursor],
        sink: Callable[[Sequence[Change], Cursor], bool],
        types: Sequence[str] | None = None,
        pause_s: float = 0.1,
    ) -> None:
        super().__init__(name="change-tail", daemon=True)
        self.url, self.start_reading, self.sink, self.types, self.pause_s = url, start, sink, types, pause_s
        self.is_ready = threading.Event()
        self.is_stopping = threading.Event()
        self.last_read = 0.0

    def run(self) -> None:
        wait_s = 0.5
        while not self.is_stopping.is_set():
            try:
                self._follow()
                wait_s = 0.5
            except (psycopg.OperationalError, CursorTooOld) as problem:
                log.warning("change feed interrupted", extra={"problem": str(problem)[:300]})
            except Exception:
                log.exception("change feed failed")
            self.is_stopping.wait(wait_s)
            wait_s = min(wait_s * 2, 10.0)

    def stop(self) -> None:
        self.is_stopping.set()

    def _follow(self) -> None:
        with psycopg.connect(self.url, autocommit=True, application_name="amb247 live") as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            with connection.cursor() as cursor:
                position = self.start_reading(cursor)
                self.is_ready.set()
                while not self.is_stopping.is_set():
                    portion = change_queries.read(cursor, position, limit=BATCH, types=self.types)
                    has_moved, position = portion.position != position, portion.position
                    self.last_read = time.monotonic()
                    is_pending = self.sink(portion.changes, position)
                    if portion.is_full:
                        continue
                    if has_moved:
                        self.is_stopping.wait(self.pause_s)  # what comes meanwhile is handed over together
                    else:
                        wait_s = self.pause_s if is_pending else IDLE_S
                        for _ in connection.notifies(timeout=wait_s, stop_after=1):
                            pass
