"""A subscription as a stream of server-sent events: the same matching, the same documents, no endpoint to be called.

Each process has one tail per tenant that somebody watches: it reads the feed once and keeps the last changes, and every
stream goes through them with a place of its own. One that resumes from further back reads the feed itself until it
has caught up. A stream holds no queue: a slow client costs nobody anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg

from amb247.context.data import Cursor
from amb247.context.delivery import feed, store
from amb247.context.delivery.compiled import Compiled, body_of, stream_form_of
from amb247.context.delivery.feed import Notable, Order
from amb247.context.delivery.lanes import Item
from amb247.context.delivery.tenant import PORTION, notification_id
from amb247.context.documents.times import time_text
from amb247.context.domain.subscriptions import CHANNEL as DELIVERY_CHANNEL
from amb247.context.domain.tenants import DEFAULT, schema_of
from amb247.context.domain.writing import CHANNEL as CHANGE_CHANNEL

log = logging.getLogger(__name__)

RING = 2_000  # changes
EVERYTHING = frozenset({"*"})
BEAT_S = 15.0
IDLE_S = 1.0
COMING_S = 0.02
LINGER_S = 10.0  # a tail that nobody watches any more stays so long


class Portion(NamedTuple):
    """Changes in the order in which to tell them, and the place behind all of them."""

    changes: list[Notable]
    end: Cursor


class Tail:
    """The last changes of one tenant's feed. Lives on the server's event loop."""

    def __init__(self, url: str, tenant: str) -> None:
        self.url, self.tenant = url, tenant
        self.portions: deque[Portion] = deque()
        self.size = 0
        self.start = self.position = Cursor(0, 0)  # the portions hold what lies between
        self.order = Order()
        self.revision = -1
        self.watchers = 0
        self.news = asyncio.Condition()
        self.is_ready = asyncio.Event()
        self.reading = asyncio.Lock()
        self.task: asyncio.Task[None] | None = None
        self.reader: Any = None

    async def run(self) -> None:
        wait_s = 0.2
        unwatched = 0.0
        while unwatched < LINGER_S:
            try:
                async with (
                    await psycopg.AsyncConnection.connect(self.url, autocommit=True) as reader,
                    await psycopg.AsyncConnection.connect(self.url, autocommit=True) as listener,
                ):
                    await listener.execute(f"LISTEN {CHANGE_CHANNEL}")
                    await listener.execute(f"LISTEN {DELIVERY_CHANNEL}")
                    if self.tenant != DEFAULT:
                        await reader.execute(f'SET search_path TO "{schema_of(self.tenant)}"')
                    self.reader = reader
                    if not self.is_ready.is_set():
                        async with reader.cursor() as cursor:
                            self.start = self.position = await store.newest(cursor)
                        self.is_ready.set()
                    unwatched = await self._follow(reader, listener)
            except (psycopg.Error, OSError) as problem:
                log.warning("stream of the feed interrupted", extra={"problem": str(problem)[:300]})
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 10.0)
            finally:
                self.reader = None

    async def _follow(self, reader: Any, listener: Any) -> float:
        since = time.monotonic()
        while True:
            if self.watchers:
                since = time.monotonic()
            elif time.monotonic() - since > LINGER_S:
                return time.monotonic() - since
            async with self.reading, reader.cursor() as cursor:
                changes, end, is_full = await read(cursor, self.position, self.order)
                looked = await store.look(cursor, end)
            if changes or looked.revision != self.revision:
                self.revision = looked.revision
                self._keep(changes, end)
                async with self.news:
                    self.news.notify_all()
            if not is_full:
                wait_s = COMING_S if looked.is_coming else IDLE_S
                async for _ in listener.notifies(timeout=wait_s, stop_after=1):
                    pass

    def _keep(self, changes: list[Notable], end: Cursor) -> None:
        self.position = end
        if not changes:
            return
        self.portions.append(Portion(self.order.sort(changes), end))
        self.size += len(self.portions[-1].changes)
        while self.size > RING and len(self.portions) > 1:
            gone = self.portions.popleft()
            self.start = gone.end
            self.size -= len(gone.changes)

    async def after(self, place: Cursor, order: Order, wait_s: float) -> Portion:
        """A portion behind a place; empty when there is none for so long."""
        if place < self.start:
            if self.reader is None:
                raise psycopg.OperationalError("the feed is out of reach")
            async with self.reading, self.reader.cursor() as cursor:
                changes, end, _ = await read(cursor, place, order)
            return Portion(order.sort(changes), end)
        if place >= self.position:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s), self.news:
                    await self.news.wait()
        for portion in self.portions:
            if portion.end > place:
                changes = portion.changes
                if feed.is_straight(changes):
                    changes = [change for change in changes if change.position > place]
                return Portion(order.sort(changes), portion.end)
        return Portion([], place)


async def read(cursor: Any, place: Cursor, order: Order) -> tuple[list[Notable], Cursor, bool]:
    """A portion of the feed with states."""
    changes, end, is_full = await feed.read(cursor, place, EVERYTHING, order, limit=PORTION)
    lacking = sorted({one.entity_id for one in changes if one.lacks_state and one.op != "deleted"})
    if lacking:
        states = await store.states(cursor, lacking)
        for change in changes:
            if change.lacks_state and change.entity_id in states:
                change.take_state(states[change.entity_id])
    return changes, end, is_full


class Streams:
    """All streams of one process."""

    def __init__(self) -> None:
        self.tails: dict[tuple[str, str], Tail] = {}

    async def _tail(self, url: str, tenant: str) -> Tail:
        key = (url, tenant)
        tail = self.tails.get(key)
        if (
            tail is None
            or tail.task is None
            or tail.task.done()
            or tail.task.get_loop() is not asyncio.get_running_loop()
        ):
            tail = self.tails[key] = Tail(url, tenant)
            tail.task = asyncio.create_task(tail.run(), name="stream-tail")
        tail.watchers += 1
        try:
            await asyncio.wait_for(tail.is_ready.wait(), 10)
        except BaseException:
            tail.watchers -= 1
            raise
        return tail

    async def events(
        self, url: str, tenant: str, subscription_id: str, last: Cursor | None
    ) -> AsyncGenerator[bytes, None]:
        """Events of one subscription after `last`, or from now on. Ends when the subscription is deleted."""
        tail = await self._tail(url, tenant)
        try:
            yield b"retry: 2000\n\n"
            place = tail.position if last is None else last
            if last is not None and await self._is_gone(tail, last):
                yield b'event: gap\ndata: {"reason":"the feed does not reach back so far"}\n\n'
            one = await _load(tail, subscription_id)
            revision = tail.revision
            spoke = time.monotonic()
            next_at, held, order = 0.0, dict[str, tuple[Notable, bytes]](), Order()
            while one is not None:
                now = time.monotonic()
                if held and now >= next_at:
                    yield _together(one, tenant, held, place)
                    held, next_at, spoke = {}, now + one.throttling_s, now
                wait_s = max(0.0, next_at - now) if held else BEAT_S
                changes, place = await tail.after(place, order, min(wait_s, BEAT_S))
                if tail.revision != revision:
                    revision = tail.revision
                    one = await _load(tail, subscription_id)
                    if one is None:
                        break
                if changes:
                    for frame in await _frames(one, tenant, changes, place, held, next_at):
                        yield frame
                        spoke = time.monotonic()
                        next_at = spoke + one.throttling_s
                elif time.monotonic() - spoke >= BEAT_S:
                    spoke = time.monotonic()
                    yield b": beat\n\n"
            yield b'event: end\ndata: {"reason":"the subscription was deleted"}\n\n'
        finally:
            tail.watchers -= 1

    async def stop(self) -> None:
        """End the tails when the server ends."""
        tails, self.tails = self.tails, {}
        tasks = [tail.task for tail in tails.values() if tail.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _is_gone(self, tail: Tail, last: Cursor) -> bool:
        if tail.reader is None:
            return False
        async with tail.reading, tail.reader.cursor() as cursor:
            return await store.is_dropped(cursor, last)


async def _load(tail: Tail, subscription_id: str) -> Compiled | None:
    if tail.reader is None:
        raise psycopg.OperationalError("the database is out of reach")
    async with tail.reading, tail.reader.cursor() as cursor:
        rows = await store.subscription_rows(cursor, [subscription_id])
    compiled = await asyncio.to_thread(store.compile_all, rows, tail.tenant)
    return stream_form_of(compiled[0]) if compiled else None


async def _frames(
    one: Compiled,
    tenant: str,
    changes: list[Notable],
    place: Cursor,
    held: dict[str, tuple[Notable, bytes]],
    next_at: float,
) -> list[bytes]:
    """What a portion of the feed says to one subscription. Each event's id is where to go on after it; where changes of an
    entity were exchanged, only the portion's end is such a place."""
    is_straight = feed.is_straight(changes)
    frames: list[bytes] = []
    for change in changes:
        if not change.is_wanted or not one.fits(change.stored) or not one.concerns(change):
            continue
        text = await _text(one, tenant, change)
        if one.throttling_s and (held or frames or time.monotonic() < next_at):
            held.pop(change.entity_id, None)
            held[change.entity_id] = (change, text)
            continue
        at = change.position if is_straight else None
        frames.append(_frame(one, notification_id(tenant, one.id, change.position), text, at))
    if frames and not is_straight:
        frames[-1] = b"id: %b\n" % str(place).encode() + frames[-1]
    return frames


async def _text(one: Compiled, tenant: str, change: Notable) -> bytes:
    """The entity as it is told; with `join` together with what it points to, as that is now."""
    if one.join is None or change.op == "deleted":
        return one.entity_text(change)
    return await asyncio.to_thread(store.joined, one, one.told(change), tenant)


def _together(one: Compiled, tenant: str, held: dict[str, tuple[Notable, bytes]], place: Cursor) -> bytes:
    texts = b",".join(text for _, text in held.values())
    return _frame(one, notification_id(tenant, one.id, place), texts, place)


def _frame(one: Compiled, notification: str, entities: bytes, place: Cursor | None) -> bytes:
    item = Item(
        0, notification, one.id, "", "", time_text(datetime.now(UTC)), one.accept, entities, Cursor(0, 0), 0.0
    )  # fmt: skip
    head = b"" if place is None else b"id: %b\n" % str(place).encode()
    return head + b"event: notification\ndata: " + body_of(one, item) + b"\n\n"


streams = Streams()
