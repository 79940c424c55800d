"""One endpoint's queue: what waits for it, in lanes of one entity each, and how it is doing.

Within a lane notifications go one after the other, in the order of the entity's changes; lanes go side by side as far as
the window allows. When the endpoint is in trouble (no connection, no answer in time, 5xx) it rests as a whole, longer each
time, and is then tried with one notification of the next lane, so that a single poisonous notification cannot pass for a
dead endpoint. When it takes something again, the window opens step by step.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from amb247.context.data import Cursor
from amb247.context.delivery.outcome import Outcome, trouble
from amb247.context.delivery.policy import Policy


@dataclass(slots=True, eq=False)
class Item:
    """One notification on its way.

    `safe` is the position of the feed that may be written down as delivered while this one is not; `number` its place in
    the order of matching. `parts` are the throttled notifications that this one brings together.
    """

    number: int
    id: str
    subscription_id: str
    endpoint: str
    entity_id: str
    notified_at: str
    accept: str
    entities: bytes
    safe: Cursor
    born: float
    attempts: int = 0
    made_at: float = 0.0  # time.time() of the first moment, also across restarts: for giving up
    is_written: bool = False  # a row of context_notification stands for it
    is_done: bool = False  # acknowledged, dead, or superseded
    dead_reason: str | None = None  # given up
    first_failed: float = 0.0
    is_held: bool = False
    is_spilled: bool = False  # only the row is kept; it comes back by reading the table
    parts: tuple[Item, ...] = ()


@dataclass(slots=True, eq=False)
class Lane:
    entity_id: str
    items: deque[Item] = field(default_factory=deque)
    is_busy: bool = False  # under way, waiting for its turn, or resting after a failure


class Endpoint:
    """Lanes, workers and health of one endpoint of one tenant."""

    def __init__(
        self,
        uri: str,
        policy: Policy,
        send: Callable[[Item], Awaitable[Outcome]],
        settle: Callable[[Item, Outcome], bool],
        cooldown_s: Callable[[Item], float],
    ) -> None:
        self.uri, self.policy = uri, policy
        self.send, self.settle, self.cooldown_s = send, settle, cooldown_s
        self.loop = asyncio.get_running_loop()
        self.lanes: dict[str, Lane] = {}
        self.ready: deque[Lane] = deque()
        self.size = 0
        self.window = policy.window
        self.failures = 0
        self.not_before = 0.0
        self.workers: set[asyncio.Task[None]] = set()
        self.is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        # Rows of the table with numbers in (loaded_to, spilled_to] wait to be read.
        self.loaded_to = self.spilled_to = -1
        self.unwritten = 0  # of those: not in the table yet
        self.accepted_at = 0.0

    @property
    def has_spilled(self) -> bool:
        return self.spilled_to > self.loaded_to

    @property
    def is_in_trouble(self) -> bool:
        return self.failures > 0

    @property
    def is_idle(self) -> bool:
        return not self.size and not self.has_spilled and not self.workers

    def put(self, item: Item) -> None:
        lane = self.lanes.get(item.entity_id)
        if lane is None:
            lane = self.lanes[item.entity_id] = Lane(item.entity_id)
        lane.items.append(item)
        self.size += 1
        if not lane.is_busy:
            lane.is_busy = True
            self.ready.append(lane)
            self.pump()

    def pump(self) -> None:
        """Start as many workers as there is work and window for."""
        if self.is_closed:
            return
        now = self.loop.time()
        if now < self.not_before:
            if self._timer is None:
                self._timer = self.loop.call_later(self.not_before - now, self._wake)
            return
        while self.ready and len(self.workers) < self.window:
            worker = self.loop.create_task(self._work(self.ready.popleft()))
            self.workers.add(worker)
            worker.add_done_callback(self._worker_ended)

    def remove_all(self) -> list[Item]:
        """Take out what waits; what is under way stays."""
        taken: list[Item] = []
        for lane in list(self.lanes.values()):
            keep = 1 if lane.is_busy and lane not in self.ready else 0
            while len(lane.items) > keep:
                taken.append(lane.items.pop())
            if not lane.items:
                self.lanes.pop(lane.entity_id, None)
        self.ready = deque(lane for lane in self.ready if lane.items)
        self.size -= len(taken)
        taken.sort(key=lambda item: item.number)
        return taken

    async def close(self) -> None:
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        workers = list(self.workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def _wake(self) -> None:
        self._timer = None
        self.pump()

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self.workers.discard(worker)
        if not worker.cancelled() and worker.exception() is not None:
            self.loop.call_exception_handler({"message": "delivery failed", "exception": worker.exception()})
        self.pump()

    async def _work(self, lane: Lane | None) -> None:
        while lane is not None:
            item = lane.items[0]
            try:
                outcome = await self.send(item)
            except Exception as problem:  # a fault of ours must not stop the lane for ever
                outcome = trouble(problem)
            self._take_outcome(lane, item, outcome)
            is_open = self.loop.time() >= self.not_before and len(self.workers) <= self.window
            lane = self.ready.popleft() if self.ready and is_open and not self.is_closed else None

    def _take_outcome(self, lane: Lane, item: Item, outcome: Outcome) -> None:
        now = self.loop.time()
        if outcome.verdict == "withdrawn":
            pass
        elif outcome.verdict == "trouble":
            if now >= self.not_before:  # those under way together fail together: that is one failure
                self.failures += 1
                rest_s = self.policy.wait_s(self.failures)
                self.not_before = now + max(rest_s, self.cooldown_s(item), outcome.retry_after_s)
            self.window = 1
        else:
            self.failures = 0
            self.not_before = 0.0
            self.window = min(self.policy.window, self.window * 2)
            self.accepted_at = now
        item.attempts += outcome.verdict != "withdrawn"
        if self.settle(item, outcome):
            lane.items.popleft()
            self.size -= 1
            self._next_turn(lane)
        elif outcome.verdict == "trouble":
            # Its turn comes again after the other lanes', when the endpoint has rested.
            self.ready.append(lane)
        else:
            self.loop.call_later(self.policy.wait_s(item.attempts), self._next_turn, lane)

    def _next_turn(self, lane: Lane) -> None:
        if lane.items:
            self.ready.append(lane)
            self.pump()
        else:
            lane.is_busy = False
            self.lanes.pop(lane.entity_id, None)


def counts_of(endpoint: Endpoint) -> dict[str, Any]:
    """For the status page."""
    return {
        "uri": endpoint.uri,
        "waiting": endpoint.size,
        "failures": endpoint.failures,
        "window": endpoint.window,
        "spilled": endpoint.has_spilled,
    }
