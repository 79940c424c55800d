"""The delivery engine: one per database, elected by an advisory lock; other processes stand by to take over.

Its turn consists of a few tasks on one event loop: *listen* wakes *follow* when something was written; *follow* reads the
feed and what waits in the table, matches, and fills the endpoints' lanes, which send by themselves; *flush* writes down how
far that is; *tidy* gives up and forgets. Whatever fails, the turn ends and another begins from what is written down: there
is no half-way state to mend. The lock and the writing share a connection, so whoever has lost the one cannot do the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

import psycopg

from amb247.context.delivery import store
from amb247.context.delivery.lanes import counts_of
from amb247.context.delivery.mqtt import Broker
from amb247.context.delivery.policy import Policy
from amb247.context.delivery.tenant import TenantDelivery
from amb247.context.domain.subscriptions import CHANNEL as DELIVERY_CHANNEL
from amb247.context.domain.tenants import DEFAULT, schema_of
from amb247.context.domain.writing import CHANNEL as CHANGE_CHANNEL

log = logging.getLogger(__name__)

LOCK = 247_050  # advisory, held as long as this process delivers
STAND_BY_S = 1.0
IDLE_S = 1.0  # look at the feed at least this often: a lost notification of the database costs a second
TENANTS_S = 30.0
GATHER_S = 0.003  # what comes within it is read together
COMING_S = 0.01  # rows are there but an earlier transaction still runs
FLUSH_S = 0.2  # at most this often while much is going on ...
SOON_S = 0.02  # ... and this soon after a single event, so that counters are right when somebody looks


class Engine:
    """Runs until told to stop. `run` is to be awaited on a loop of its own."""

    def __init__(self, url: str, policy: Policy) -> None:
        self.url, self.policy = url, policy
        self.is_leading = asyncio.Event()
        self.is_stopping = asyncio.Event()
        self.tenants: dict[str, TenantDelivery] = {}
        self.brokers: dict[Any, Broker] = {}
        self._news = asyncio.Event()
        self._dirty = asyncio.Event()
        self._current_schema: dict[int, str] = {}
        self._reading = (
            asyncio.Lock()
        )  # one user of the reading connection at a time: its tenant is a setting of it
        self._has_new_tenant = False
        self._touched: set[str] = set()  # tenants whose subscriptions or dead letters changed
        self._writing: asyncio.Task[None] | None = None
        self._periodic: set[asyncio.Task[None]] = set()
        self.flushes = 0

    async def run(self) -> None:
        wait_s = 0.2
        while not self.is_stopping.is_set():
            began = time.monotonic()
            try:
                await self._turn()
            except (psycopg.OperationalError, OSError) as problem:
                log.warning("delivery interrupted", extra={"problem": str(problem)[:300]})
            except Exception:
                log.exception("delivery failed")
            self.is_leading.clear()
            wait_s = 0.2 if time.monotonic() - began > 30 else min(wait_s * 2, 10.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.is_stopping.wait(), wait_s)

    def stop(self) -> None:
        self.is_stopping.set()

    async def _turn(self) -> None:
        """Wait for the lock, deliver, and give the lock back."""
        async with contextlib.AsyncExitStack() as stack:
            writer = await stack.enter_async_context(await self._connect("amb247 delivery"))
            if not await self._become_leader(writer):
                return
            reader = await stack.enter_async_context(await self._connect("amb247 delivery reader"))
            listener = await stack.enter_async_context(await self._connect("amb247 delivery listener"))
            await listener.execute(f"LISTEN {CHANGE_CHANNEL}")
            await listener.execute(f"LISTEN {DELIVERY_CHANNEL}")
            self._current_schema = {}
            stack.push_async_callback(self._end_turn, writer)
            await self._find_tenants(reader)
            self.is_leading.set()
            log.info("delivery leads", extra={"tenants": len(self.tenants)})
            tasks = [
                asyncio.create_task(work, name=name)
                for name, work in (
                    ("listen", self._listen(listener)),
                    ("follow", self._follow(reader)),
                    ("flush", self._flush(writer)),
                    ("tidy", self._tidy(reader)),
                    ("stop", self.is_stopping.wait()),
                )
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()

    async def _connect(self, name: str) -> Any:
        return await psycopg.AsyncConnection.connect(
            self.url, autocommit=True, application_name=name, connect_timeout=10
        )

    async def _become_leader(self, writer: Any) -> bool:
        while not self.is_stopping.is_set():
            row = await (await writer.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])).fetchone()
            if row[0]:
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.is_stopping.wait(), STAND_BY_S)
        return False

    async def _end_turn(self, writer: Any) -> None:
        """Stop sending, write down what was acknowledged."""
        tenants, self.tenants = self.tenants, {}
        for tenant in tenants.values():
            await tenant.close()
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        try:
            for tenant in tenants.values():
                await self._enter(writer, tenant.name)
                await tenant.flush(writer, everything=True)
        except psycopg.Error as problem:
            log.warning("the end of delivery was not written down", extra={"problem": str(problem)[:300]})
        brokers, self.brokers = self.brokers, {}
        for broker in brokers.values():
            await broker.close()

    # --- tasks -----------------------------------------------------------------------------------------------------

    async def _listen(self, listener: Any) -> None:
        async for one in listener.notifies():
            if one.channel == DELIVERY_CHANNEL:
                self._touched.add(one.payload)
                self._has_new_tenant |= one.payload not in self.tenants
            self._news.set()
        raise psycopg.OperationalError("the listening connection ended")

    async def _follow(self, reader: Any) -> None:
        """Read what there is, tenant by tenant, then wait for more."""
        looked_for_tenants = time.monotonic()
        visited: dict[str, float] = {}
        while True:
            self._news.clear()
            is_more = is_coming = False
            if self._has_new_tenant or time.monotonic() - looked_for_tenants > TENANTS_S:
                looked_for_tenants = time.monotonic()
                self._has_new_tenant = False
                async with self._reading:
                    await self._find_tenants(reader)
            touched, self._touched = self._touched, set()
            for tenant in list(self.tenants.values()):
                now = time.monotonic()
                if (
                    tenant.is_quiet
                    and tenant.name not in touched
                    and now - visited.get(tenant.name, -TENANTS_S) < TENANTS_S
                ):
                    continue
                visited[tenant.name] = now
                async with self._reading, reader.cursor() as cursor:
                    await self._enter(reader, tenant.name)
                    answer = await tenant.read(cursor)
                    is_more |= answer == "more"
                    is_coming |= answer == "coming"
                    await tenant.load_replays(cursor)
                    if tenant.wants_load:
                        await tenant.load(cursor)
                await asyncio.sleep(0)
                self._notify_due(tenant)
            if is_more:
                continue
            wait_s = COMING_S if is_coming else self._idle_s()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            await asyncio.sleep(GATHER_S)

    def _idle_s(self) -> float:
        due = [at for tenant in self.tenants.values() if (at := tenant.soonest_due()) is not None]
        return max(0.0, min(IDLE_S, min(due) - time.time())) if due else IDLE_S

    async def _flush(self, writer: Any) -> None:
        last = 0.0
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            busy_s = FLUSH_S - (time.monotonic() - last)
            await asyncio.sleep(max(SOON_S, busy_s))
            last = time.monotonic()
            for tenant in list(self.tenants.values()):
                if tenant.has_news:
                    # Never broken off half-way: what was taken from the tenant must get into the table.
                    self._writing = asyncio.create_task(self._write(writer, tenant))
                    await asyncio.shield(self._writing)
                if tenant.wants_load:
                    self._news.set()
                if tenant.window:  # what is under way may have to be written down next time
                    self._dirty.set()

    async def _write(self, writer: Any, tenant: TenantDelivery) -> None:
        await self._enter(writer, tenant.name)
        await tenant.flush(writer)
        self.flushes += 1

    async def _tidy(self, reader: Any) -> None:
        while True:
            await asyncio.sleep(self.policy.tidy_s)
            for tenant in list(self.tenants.values()):
                async with self._reading, reader.cursor() as cursor:
                    await self._enter(reader, tenant.name)
                    await tenant.tidy(cursor)
            for broker in self.brokers.values():
                broker.tidy()
            self._dirty.set()
            self._news.set()

    # --- tenants ---------------------------------------------------------------------------------------------------

    async def _find_tenants(self, reader: Any) -> None:
        await self._enter(reader, DEFAULT)
        names = await (await reader.execute("SELECT name FROM context_tenant")).fetchall()
        for name in (DEFAULT, *(name for (name,) in names)):
            if name not in self.tenants:
                tenant = TenantDelivery(name, self.policy, self._dirty.set, self._news.set, self.brokers)
                async with reader.cursor() as cursor:
                    await self._enter(reader, name)
                    await tenant.start(cursor)
                self.tenants[name] = tenant

    async def _enter(self, connection: Any, tenant: str) -> None:
        """Let unqualified names mean the tenant's tables on this connection."""
        if self._current_schema.get(id(connection), DEFAULT) != tenant:
            schema = "DEFAULT" if tenant == DEFAULT else f'"{schema_of(tenant)}"'
            await connection.execute(f"SET search_path TO {schema}")
            self._current_schema[id(connection)] = tenant

    # --- periodic --------------------------------------------------------------------------------------------------

    def _notify_due(self, tenant: TenantDelivery) -> None:
        for one in tenant.take_due():
            task = asyncio.create_task(self._notify_periodically(tenant, one))
            self._periodic.add(task)
            task.add_done_callback(self._periodic.discard)

    async def _notify_periodically(self, tenant: TenantDelivery, one: Any) -> None:
        try:
            entities = await asyncio.to_thread(store.find_all, one, tenant.name)
        except Exception:
            log.exception("a periodic notification could not be made", extra={"id": one.id})
            return
        if not tenant.is_closed:
            tenant.notify_periodically(one, entities)

    def counts(self) -> dict[str, Any]:
        """How delivery is going in this process, for status pages and tests."""
        return {
            name: {
                "position": str(tenant.position),
                "under_way": len(tenant.window),
                "endpoints": [counts_of(one) for one in tenant.endpoints.values()],
            }
            for name, tenant in self.tenants.items()
        }
