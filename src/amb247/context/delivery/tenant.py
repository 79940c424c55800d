"""One tenant's delivery: its subscriptions, its place in the feed, its endpoints, and what is written down of all that.

What is written down, always in one transaction: how far the feed is delivered (`context_delivery`), and the notifications
from before that place which their receivers have not acknowledged (`context_notification`). A notification that is
acknowledged within `Policy.late_s`, which nearly all are, is never written: its place in the feed stands for it. After a
crash delivery goes on from the written place; what was acknowledged but not yet written down is sent twice, with the
same id. These transactions do not wait for the disk: what they lose in a crash of the database is done again likewise.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import orjson
import psycopg
from django.db import DatabaseError

from amb247.context.data import Cursor
from amb247.context.delivery import feed, store
from amb247.context.delivery.compiled import Compiled, body_of
from amb247.context.delivery.feed import Notable, Order
from amb247.context.delivery.http import HttpSender
from amb247.context.delivery.index import Index
from amb247.context.delivery.lanes import Endpoint, Item
from amb247.context.delivery.mqtt import Broker
from amb247.context.delivery.outcome import Outcome
from amb247.context.delivery.policy import Policy
from amb247.context.documents.times import time_text
from amb247.context.domain.endpoints import STREAM

log = logging.getLogger(__name__)

PORTION = 500
GONE = Outcome("withdrawn", "the subscription is gone")
MOVED = Outcome("withdrawn", "the subscription has another endpoint")
PAUSED = Outcome("withdrawn", "the subscription was paused before this was delivered")


@dataclass(slots=True)
class Health:
    """What to add to a subscription's counters."""

    sent: int = 0
    failed: int = 0
    last_notification: str | None = None
    last_success: str | None = None
    last_failure: str | None = None
    last_error: str | None = None


@dataclass(slots=True, eq=False)
class Throttle:
    """What a throttled subscription holds back: the last state of each entity, and when it may speak again."""

    next_at: float = 0.0
    held: dict[str, Item] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None


class TenantDelivery:
    """All of one tenant. Lives on the engine's loop; its methods are called by the engine only."""

    def __init__(
        self,
        name: str,
        policy: Policy,
        wake_flush: Callable[[], None],
        wake_read: Callable[[], None],
        brokers: dict[Any, Broker],
    ) -> None:
        self.name, self.policy, self.brokers = name, policy, brokers
        self.wake_flush, self.wake_read = wake_flush, wake_read
        self.loop = asyncio.get_running_loop()
        self.position = Cursor(0, 0)
        self.number = 0
        self.revision = -1
        self.subscriptions: dict[str, Compiled] = {}
        self.index = Index(())
        self.interest: frozenset[str] = frozenset()
        self.order = Order()
        self.endpoints: dict[str, Endpoint] = {}
        self.senders: dict[str, HttpSender] = {}
        self.throttles: dict[str, Throttle] = {}
        self.next_due: dict[str, float] = {}
        self.window: deque[Item] = deque()  # not yet covered by the written place, in the order of matching
        self.spilled = 0  # of those: how many are only to be written
        self.written_position = Cursor(0, 0)
        # For the next flush:
        self.deleted: list[int] = []
        self.buried: dict[int, tuple[int, str]] = {}
        self.tried: dict[int, int] = {}
        self.moved: dict[int, str] = {}
        self.health: dict[str, Health] = {}
        self.due_changed: dict[str, datetime | None] = {}
        self.wants_load: set[str] = set()
        # What the last look at the tables said:
        self.is_coming = self.has_replays = self.is_behind = False
        self.is_closed = False
        self.is_broken = False  # what was to be written was not: only a new turn knows what to write

    @property
    def is_quiet(self) -> bool:
        """Whether nothing here wants anything of the feed, the clock or the table."""
        return not (self.interest or self.next_due or self.wants_load or self.window or self.has_news)

    # --- start and end -------------------------------------------------------------------------------------------

    async def start(self, cursor: Any) -> None:
        """Take up what was written down."""
        self.position = self.written_position = await store.position(cursor)
        self.number = await store.last_number(cursor) + 1
        await self.refresh(cursor)
        for uri, first, last in await store.waiting(cursor):
            endpoint = self.endpoint(uri)
            endpoint.loaded_to, endpoint.spilled_to = first - 1, last
            self.wants_load.add(uri)

    async def close(self) -> None:
        self.is_closed = True
        for throttle in self.throttles.values():
            if throttle.timer is not None:
                throttle.timer.cancel()
        await asyncio.gather(*(endpoint.close() for endpoint in self.endpoints.values()))
        for sender in self.senders.values():
            await sender.close()

    async def refresh(self, cursor: Any, *, behind: Cursor | None = None) -> bool:
        """Take in subscriptions that were made, changed or deleted; whether there were any."""
        looked = await store.look(cursor, behind or self.position)
        self.is_coming, self.has_replays = looked.is_coming, looked.has_replays
        revision = looked.revision
        if revision == self.revision:
            return False
        rows = await store.changed_subscriptions(
            cursor, {key: one.row.revision for key, one in self.subscriptions.items()}
        )
        compiled = await asyncio.to_thread(store.compile_all, rows.changed, self.name)
        for gone in rows.gone:
            self.subscriptions.pop(gone, None)
            self.next_due.pop(gone, None)
            self._forget_throttle(gone)
        for one in compiled:
            before = self.subscriptions.get(one.id)
            self.subscriptions[one.id] = one
            self._schedule(one)
            if before is not None and before.endpoint != one.endpoint:
                self._move(before.endpoint, one)
        self.index = Index(one for one in self.subscriptions.values() if one.address.scheme != STREAM)
        self.interest = frozenset(
            name for one in self.subscriptions.values() if not one.interval_s for name in store.interest(one)
        )
        self.revision = revision
        return True

    # --- from the feed to the lanes ------------------------------------------------------------------------------

    async def read(self, cursor: Any) -> Literal["idle", "coming", "more"]:
        """One portion of the feed; whether more is there, or waits for an earlier transaction to end."""
        if not self.interest:
            # Nobody asks. First the place, then the subscriptions: what commits in between comes after the place.
            newest = await store.newest(cursor)
            await self.refresh(cursor)
            if not self.interest:
                self._jump(newest)
                return "idle"
        limit = PORTION * 4 if self.is_behind else PORTION
        while True:
            changes, last, self.is_behind = await feed.read(
                cursor, self.position, self.interest, self.order, limit=limit
            )
            # After the feed, so that a subscription made before one of these changes is known when they are matched.
            if not await self.refresh(cursor, behind=last):
                break
        if not changes:
            return "coming" if self.is_coming else "idle"
        await self._add_missing_states(cursor, changes)
        await self._tell(self.order.sort(changes))
        self.position = last
        if self.window or self.position != self.written_position:
            self.wake_flush()
        return "more" if self.is_behind else "coming" if self.is_coming else "idle"

    def _jump(self, newest: Cursor) -> None:
        if newest > self.position:
            self.position = newest
            self.order = Order()  # what was passed over was not seen

    async def _add_missing_states(self, cursor: Any, changes: Sequence[Notable]) -> None:
        """For changes written before their writer saw the subscription: the present state is the best there is."""
        lacking = [change for change in changes if change.lacks_state and change.op != "deleted"]
        if lacking:
            states = await store.states(cursor, sorted({change.entity_id for change in lacking}))
            for change in lacking:
                stored = states.get(change.entity_id)
                if stored is not None:
                    change.take_state(stored)

    async def _tell(self, changes: Sequence[Notable]) -> None:
        safe = self.position
        now_text = time_text(datetime.now(UTC))
        now = self.loop.time()
        is_straight = feed.is_straight(changes)
        for change in changes:
            if change.is_wanted:
                for one in self._candidates(change):
                    problem = ""
                    try:
                        if not one.concerns(change):
                            continue
                        text = await self._text(one, change)
                    except (DatabaseError, psycopg.Error):
                        raise
                    except Exception as fault:  # one subscription's fault must not stop the others'
                        log.exception("a change could not be told", extra={"id": one.id})
                        text = orjson.dumps({"id": change.entity_id, "type": change.types})
                        problem = f"the notification could not be made: {fault}"
                    self._notify(one, change, text, safe, now, now_text, problem)
            if is_straight:  # else the place before all of them is the only one that is safe for each
                safe = change.position

    def _candidates(self, change: Notable) -> Sequence[Compiled]:
        try:
            return self.index.candidates(change.stored)
        except Exception:  # a change that cannot be read: the feed goes on behind it
            log.exception("a change could not be read", extra={"entity": change.entity_id})
            return ()

    async def _text(self, one: Compiled, change: Notable) -> bytes:
        if one.join is None or change.op == "deleted":
            return one.entity_text(change)
        return await asyncio.to_thread(store.joined, one, one.told(change), self.name)

    def _notify(
        self,
        one: Compiled,
        change: Notable,
        text: bytes,
        safe: Cursor,
        now: float,
        now_text: str,
        problem: str,
    ) -> None:
        self.number += 1
        item = Item(
            number=self.number,
            id=notification_id(self.name, one.id, change.position),
            subscription_id=one.id,
            endpoint=one.endpoint,
            entity_id=change.entity_id,
            notified_at=now_text,
            accept=one.accept,
            entities=text,
            safe=safe,
            born=now,
            made_at=time.time(),
        )
        self.window.append(item)
        if problem:
            self._bury(item, problem)
        elif not one.throttling_s or not self._hold(one, item):
            self._put(item)

    def _put(self, item: Item) -> None:
        endpoint = self.endpoint(item.endpoint)
        if not item.is_written and (endpoint.has_spilled or endpoint.size >= self.policy.memory):
            item.is_spilled = True
            self.spilled += 1
            endpoint.unwritten += 1
            if not endpoint.has_spilled:
                endpoint.loaded_to = item.number - 1
            endpoint.spilled_to = item.number
        else:
            endpoint.put(item)

    def endpoint(self, uri: str) -> Endpoint:
        found = self.endpoints.get(uri)
        if found is None:
            found = self.endpoints[uri] = Endpoint(
                uri, self.policy, self._send, self._settle, self._cooldown_s
            )
        return found

    # --- throttling ----------------------------------------------------------------------------------------------

    def _hold(self, one: Compiled, item: Item, *, was_held: bool = False) -> bool:
        """Keep an item back while its subscription is throttled: of each entity only the last state is told."""
        throttle = self.throttles.setdefault(one.id, Throttle(next_at=self._throttled_until(one)))
        now = self.loop.time()
        if now >= throttle.next_at and not throttle.held and not was_held:
            throttle.next_at = now + one.throttling_s
            return False
        item.is_held = True
        older = throttle.held.pop(item.entity_id, None)
        if older is not None:
            self._done(older)
        throttle.held[item.entity_id] = item
        if throttle.timer is None:
            throttle.timer = self.loop.call_later(max(0.0, throttle.next_at - now), self._release, one.id)
        return True

    def _throttled_until(self, one: Compiled) -> float:
        """After a restart: counted from the last notification that was written down."""
        last = one.row.last_notification
        if last is None:
            return 0.0
        return self.loop.time() + one.throttling_s - (datetime.now(UTC) - last).total_seconds()

    def _release(self, subscription_id: str) -> None:
        """The throttling has elapsed: what was held back goes out together."""
        throttle = self.throttles.get(subscription_id)
        if throttle is None:
            return
        throttle.timer = None
        one = self.subscriptions.get(subscription_id)
        parts = tuple(throttle.held.values())
        throttle.held = {}
        if not parts or one is None:
            for part in parts:
                self._done(part)
            return
        throttle.next_at = self.loop.time() + one.throttling_s
        first = parts[0]
        together = replace(
            parts[-1],
            id=first.id if len(parts) == 1 else notification_id(self.name, *(part.id for part in parts)),
            entity_id=first.entity_id if len(parts) == 1 else one.id,
            entities=b",".join(part.entities for part in parts),
            notified_at=time_text(datetime.now(UTC)),
            is_held=False,
            is_written=True,  # its parts are, or will be
            parts=parts,
        )
        self._put(together)

    def _forget_throttle(self, subscription_id: str) -> None:
        throttle = self.throttles.pop(subscription_id, None)
        if throttle is not None:
            if throttle.timer is not None:
                throttle.timer.cancel()
            for item in throttle.held.values():
                self._done(item)

    # --- sending -------------------------------------------------------------------------------------------------

    async def _send(self, item: Item) -> Outcome:
        one = self.subscriptions.get(item.subscription_id)
        if one is None:
            return GONE
        if one.endpoint != item.endpoint:
            return MOVED
        if not one.row.is_active:
            return PAUSED
        timeout_s = min(one.timeout_s or self.policy.timeout_s, self.policy.longest_timeout_s)
        body = body_of(one, item)
        if one.address.is_mqtt:
            return await self._broker(one).publish(one.address.path, body, one.mqtt_qos, timeout_s)
        sender = self.senders.get(one.endpoint)
        if sender is None:
            sender = self.senders[one.endpoint] = HttpSender(one.address)
        return await sender.send(one.http_head, body, timeout_s)

    def _broker(self, one: Compiled) -> Broker:
        address = replace(one.address, path="")
        key = (address, one.mqtt_version)
        broker = self.brokers.get(key)
        if broker is None:
            broker = self.brokers[key] = Broker(address, one.mqtt_version)
        return broker

    def _cooldown_s(self, item: Item) -> float:
        one = self.subscriptions.get(item.subscription_id)
        return one.cooldown_s if one is not None else 0.0

    def _settle(self, item: Item, outcome: Outcome) -> bool:
        """Take down what became of an attempt; whether the item has left its lane."""
        if outcome is GONE:
            self._done(item)
            return True
        if outcome is MOVED:
            one = self.subscriptions[item.subscription_id]
            item.endpoint = one.endpoint
            for part in item.parts or (item,):
                part.endpoint = one.endpoint
                if part.is_written:
                    self.moved[part.number] = one.endpoint
            self._put(item)
            return True
        if outcome is PAUSED:
            self._bury(item, outcome.reason)
            return True
        self._count(item.subscription_id, outcome)
        if outcome.verdict == "accepted":
            self._done(item)
            return True
        endpoint = self.endpoint(item.endpoint)
        if outcome.verdict == "refused":
            has_failed_enough = item.attempts >= self.policy.refusals
        else:
            has_failed_enough = (
                item.attempts >= self.policy.attempts and endpoint.accepted_at > item.first_failed
            ) or time.time() - item.made_at > self.policy.give_up_s
        if item.first_failed == 0.0:
            item.first_failed = self.loop.time()
        if has_failed_enough:
            self._bury(item, f"{outcome.reason} (attempt {item.attempts})")
            return True
        for part in item.parts or (item,):
            if part.is_written:
                self.tried[part.number] = item.attempts
        self.wake_flush()
        return False

    def _count(self, subscription_id: str, outcome: Outcome) -> None:
        health = self.health.get(subscription_id)
        if health is None:
            health = self.health[subscription_id] = Health()
        now = time_text(datetime.now(UTC))
        health.sent += 1
        health.last_notification = now
        if outcome.verdict == "accepted":
            health.last_success = now
        else:
            health.failed += 1
            health.last_failure = now
            health.last_error = outcome.reason
        self.wake_flush()

    def _done(self, item: Item) -> None:
        for part in item.parts or (item,):
            part.is_done = True
            part.entities = b""
            if part.is_written:
                self.deleted.append(part.number)
        self.wake_flush()
        endpoint = self.endpoints.get(item.endpoint)
        if endpoint is not None and endpoint.has_spilled and endpoint.size <= self.policy.memory // 2:
            self.wants_load.add(item.endpoint)
            self.wake_read()

    def _bury(self, item: Item, reason: str) -> None:
        """Give up: it becomes a dead letter, kept with the reason."""
        for part in item.parts or (item,):
            part.dead_reason = reason[:500]
            part.attempts = item.attempts
            if part.is_written:
                part.is_done = True
                self.buried[part.number] = (item.attempts, reason[:500])
        self.wake_flush()

    def _move(self, old_uri: str, one: Compiled) -> None:
        """A subscription has another endpoint: what waits for the old one goes to the new one now."""
        old = self.endpoints.get(old_uri)
        if old is None:
            return
        for item in old.remove_all():
            if item.subscription_id == one.id:
                self._settle(item, MOVED)
            else:
                old.put(item)
        if old.has_spilled:
            self.wants_load.add(old_uri)

    # --- what is written down ------------------------------------------------------------------------------------

    @property
    def has_news(self) -> bool:
        return bool(
            self.deleted or self.buried or self.tried or self.moved or self.health or self.due_changed or self.spilled
            or self.window or self._is_far
        )  # fmt: skip

    @property
    def _is_far(self) -> bool:
        """Whether the place is worth a transaction of its own. Where nobody asks it moves by the writing of it alone."""
        if self.interest:
            return self.position != self.written_position
        return self.position.tx > self.written_position.tx + 5_000

    def _due(self, *, everything: bool) -> list[Item]:
        """Take from the window what has to be written, and what no longer counts."""
        before = self.loop.time() - self.policy.late_s
        due = []
        while self.window:
            item = self.window[0]
            if item.dead_reason is not None and not item.is_written:
                due.append(item)
            elif item.is_done or item.is_written:
                pass
            elif item.is_spilled or everything or item.born < before:
                due.append(item)
            else:
                break
            self.window.popleft()
        if self.spilled:
            due += [
                item for item in self.window if item.is_spilled and not item.is_written and not item.is_done
            ]
        for item in due:
            item.is_written = True
        return due

    async def flush(self, connection: Any, *, everything: bool = False) -> None:
        """Write down how far delivery is. One transaction; a failure ends the engine's turn, which then starts anew."""
        if self.is_broken or not self.has_news:
            return
        due = self._due(everything=everything)
        place = self.window[0].safe if self.window else self.position
        place = max(place, self.written_position)
        taken = store.Flush(
            place=place if place != self.written_position else None,
            notifications=due,
            deleted=self.deleted,
            buried=self.buried,
            tried=self.tried,
            moved=self.moved,
            health=self.health,
            due=self.due_changed,
        )
        self.deleted, self.buried, self.tried, self.moved, self.health, self.due_changed = (
            [],
            {},
            {},
            {},
            {},
            {},
        )
        if taken.is_empty:
            return
        self.is_broken = True
        await store.write(connection, taken)
        self.is_broken = False
        self.written_position = place
        for item in due:
            if item.dead_reason is not None:
                item.is_done = True
                item.entities = b""
            elif item.is_spilled:
                item.entities = b""
                self.spilled -= 1
                endpoint = self.endpoint(item.endpoint)
                endpoint.unwritten -= 1
                self.wants_load.add(item.endpoint)

    # --- what waits in the table ---------------------------------------------------------------------------------

    async def load(self, cursor: Any) -> None:
        """Read waiting notifications of the endpoints that have room for them."""
        for uri in list(self.wants_load):
            endpoint = self.endpoint(uri)
            if not endpoint.has_spilled:
                self.wants_load.discard(uri)
                continue
            if endpoint.size > self.policy.memory // 2:
                continue  # asked again when half of it is delivered
            is_all_written, last = endpoint.unwritten == 0, endpoint.spilled_to
            limit = max(1, self.policy.memory // 2)
            rows = await store.load(cursor, uri, endpoint.loaded_to, last, limit)
            for row in rows:
                endpoint.loaded_to = max(endpoint.loaded_to, row[0])
                self._take_row(row)
            if len(rows) < limit:
                if is_all_written:
                    endpoint.loaded_to = max(endpoint.loaded_to, last)
                self.wants_load.discard(uri)

    async def load_replays(self, cursor: Any) -> None:
        """Dead letters to be tried again wait in the table like what did not fit into memory."""
        if not self.has_replays:
            return
        self.has_replays = False
        behind, self.number = self.number, self.number + store.REPLAYS
        taken = await store.take_replays(cursor, behind=behind)
        for uri, number in sorted(taken, key=lambda pair: pair[1]):
            endpoint = self.endpoint(uri)
            if not endpoint.has_spilled:
                endpoint.loaded_to = number - 1
            endpoint.spilled_to = number
            self.wants_load.add(uri)

    def _take_row(self, row: Sequence[Any]) -> None:
        (
            number,
            item_id,
            subscription_id,
            uri,
            entity_id,
            notified_at,
            accept,
            entities,
            held,
            attempts,
            made_at,
        ) = row
        one = self.subscriptions.get(subscription_id)
        item = Item(
            number=number,
            id=item_id,
            subscription_id=subscription_id,
            endpoint=uri,
            entity_id=entity_id,
            notified_at=notified_at,
            accept=accept,
            entities=entities.encode(),
            safe=self.written_position,
            born=self.loop.time(),
            attempts=attempts,
            made_at=made_at.timestamp(),
            is_written=True,
        )
        if one is None:
            self._done(item)
        elif held and one.throttling_s:
            self._hold(one, item, was_held=True)
        elif one.endpoint != uri:
            self._settle(item, MOVED)
        else:
            self.endpoint(uri).put(item)

    # --- now and then --------------------------------------------------------------------------------------------

    async def tidy(self, cursor: Any) -> None:
        """Give up what is too old, forget what is idle."""
        oldest = time.time() - self.policy.give_up_s
        for uri, endpoint in list(self.endpoints.items()):
            if endpoint.is_in_trouble:
                kept = []
                for item in endpoint.remove_all():
                    if item.made_at < oldest:
                        self._bury(
                            item, f"not taken within {self.policy.give_up_s:g} s: the endpoint was in trouble"
                        )
                    else:
                        kept.append(item)
                for item in kept:
                    endpoint.put(item)
                if endpoint.has_spilled:
                    await store.give_up(
                        cursor, uri, endpoint.loaded_to, endpoint.spilled_to, self.policy.give_up_s
                    )
            if endpoint.has_spilled:
                self.wants_load.add(uri)
            if endpoint.is_idle and uri not in {one.endpoint for one in self.subscriptions.values()}:
                del self.endpoints[uri]
                sender = self.senders.pop(uri, None)
                if sender is not None:
                    await sender.close()
        for sender in self.senders.values():
            sender.tidy()
        await store.forget(cursor, keep_dead_days=self.policy.keep_dead_days)

    # --- periodic subscriptions ----------------------------------------------------------------------------------

    def _schedule(self, one: Compiled) -> None:
        if not one.interval_s:
            self.next_due.pop(one.id, None)
            return
        due = one.row.next_at or one.row.created_at + timedelta(seconds=one.interval_s)
        if one.id not in self.next_due or one.row.next_at is None:
            self.next_due[one.id] = due.timestamp()

    def take_due(self) -> list[Compiled]:
        """Periodic subscriptions whose interval has elapsed; their next one is set."""
        now = time.time()
        due = []
        for key, at in self.next_due.items():
            if at > now:
                continue
            one = self.subscriptions[key]
            following = max(at + one.interval_s, now + one.interval_s / 2)
            self.next_due[key] = following
            self.due_changed[key] = datetime.fromtimestamp(following, UTC)
            if one.is_told_at(datetime.now(UTC)):
                due.append(one)
        return due

    def soonest_due(self) -> float | None:
        return min(self.next_due.values(), default=None)

    def notify_periodically(self, one: Compiled, entities: Sequence[bytes]) -> None:
        """All entities that match at this moment, in one notification; none when one is still on its way."""
        endpoint = self.endpoint(one.endpoint)
        waiting = endpoint.lanes.get(one.id)
        if not entities or (waiting is not None and waiting.items):
            return
        self.number += 1
        item = Item(
            number=self.number,
            id=f"urn:ngsi-ld:Notification:{uuid.uuid4()}",
            subscription_id=one.id,
            endpoint=one.endpoint,
            entity_id=one.id,
            notified_at=time_text(datetime.now(UTC)),
            accept=one.accept,
            entities=b",".join(entities),
            safe=self.position,
            born=self.loop.time(),
            made_at=time.time(),
        )
        self.window.append(item)
        self._put(item)
        self.wake_flush()


def notification_id(*parts: Any) -> str:
    """The same change for the same subscription has the same id, however often it is sent: receivers can tell."""
    digest = hashlib.blake2b("\n".join(map(str, parts)).encode(), digest_size=16).digest()
    return f"urn:ngsi-ld:Notification:{uuid.UUID(bytes=digest)}"
