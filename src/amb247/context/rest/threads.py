"""Where the asynchronous side meets the database: threads that read, and threads that commit requests in groups."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connection

from amb247.context.domain import tenants
from amb247.context.domain.queries.reading import limit_connection, until
from amb247.context.domain.writing import Mark, Writing, mark, roll_back, write
from amb247.context.ngsi_errors import NgsiError

log = logging.getLogger(__name__)
Result = TypeVar("Result")

READERS = 4
COMMITTERS = 2
HELP = 250  # entities that wait before a second thread commits too
GROUP = 1_000  # entities in one transaction, unless one request alone has more
READ_LIMIT_MS = 1_800  # a query that takes longer is refused as too complex


class Readers:
    """Threads with a connection each, whose statements are ended by the database after `READ_LIMIT_MS`."""

    def __init__(self, count: int = READERS) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="ngsi-read")
        self._count = count

    async def run(self, tenant: str, work: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """`work` on a reading thread, inside the tenant."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _read, tenant, work, args, kwargs)

    def stop(self) -> None:
        """Close the threads' connections, then the threads."""
        barrier = threading.Barrier(self._count)
        for _ in range(self._count):
            self._pool.submit(_close_at, barrier)
        self._pool.shutdown(wait=True)


class Lookups:
    """Single reads of many requests in one: what is asked while one read is on its way goes with the next.

    A hop to another thread and a statement cost far more than one more id in the statement.

    Parameters
    ----------
    readers : Readers
    work : callable
        (ids, more) -> id -> found; runs on a reading thread.
    """

    def __init__(self, readers: Readers, work: Callable[..., Mapping[str, Any]]) -> None:
        self._readers = readers
        self._work = work
        self._waiting: dict[tuple[str, int], dict[str, list[asyncio.Future[Any]]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, tenant: str, entity_id: str, more: Any = None) -> Any:
        """What `work` finds under this id, None when nothing; `more`, told apart by identity, is its second argument."""
        key = (tenant, id(more))
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = {entity_id: [future]}
            task = asyncio.get_running_loop().create_task(self._run(key, more))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        else:
            waiting.setdefault(entity_id, []).append(future)
        return await future

    async def _run(self, key: tuple[str, int], more: Any) -> None:
        while self._waiting[key]:
            asked, self._waiting[key] = self._waiting[key], {}
            try:
                found = await self._readers.run(key[0], self._work, list(asked), more)
            except Exception as problem:
                for futures in asked.values():
                    for future in futures:
                        if not future.done():
                            future.set_exception(problem)
                continue
            for entity_id, futures in asked.items():
                for future in futures:
                    if not future.done():
                        future.set_result(found.get(entity_id))
        del self._waiting[key]


def _read(tenant: str, work: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    connection.close_if_unusable_or_obsolete()
    limit_connection(READ_LIMIT_MS / 1000)
    with until(), tenants.inside(tenant):
        return work(*args, **kwargs)


def _close_at(barrier: threading.Barrier) -> None:
    with contextlib.suppress(threading.BrokenBarrierError):
        barrier.wait(2)
    connection.close()


@dataclass(slots=True)
class Request:
    """One request's part of a transaction."""

    tenant: str
    ids: Sequence[str]
    work: Callable[[Writing], Any]
    source: str
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Committers:
    """Writes of many requests in one transaction: what waits while one commit is on its way goes with the next.

    A disk makes a few hundred durable commits a second, however many clients there are; each request is answered only
    after the commit that holds it. A request that fails is undone in memory and harms no other of its group.
    """

    def __init__(self, count: int = COMMITTERS) -> None:
        self._waiting: deque[Request] = deque()
        self._size = 0  # entities of what waits
        self._condition = threading.Condition()
        self._is_stopping = False
        self._threads = [
            threading.Thread(target=self._run, args=(n,), name=f"ngsi-commit-{n}", daemon=True)
            for n in range(count)
        ]
        self._is_started = False

    async def run(
        self, tenant: str, ids: Sequence[str], work: Callable[[Writing], Result], *, source: str = ""
    ) -> Result:
        """`work` with the locked state of these entities, in a transaction shared with others; its result once durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        request = Request(tenant, ids, work, source, loop, future)
        with self._condition:
            if not self._is_started:
                self._is_started = True
                for thread in self._threads:
                    thread.start()
            self._waiting.append(request)
            self._size += len(request.ids)
            self._condition.notify_all()
        result: Result = await future
        return result

    def stop(self) -> None:
        """Commit what waits, then end."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify_all()
        if self._is_started:
            for thread in self._threads:
                thread.join(10)

    def _run(self, number: int) -> None:
        while True:
            with self._condition:
                # The first thread takes whatever waits; the others help only with much, so that small requests share
                # transactions instead of threads.
                while not self._is_stopping and (not self._waiting or (number > 0 and self._size < HELP)):
                    self._condition.wait()
                if not self._waiting:
                    break
                group = self._take()
            connection.close_if_unusable_or_obsolete()
            answer(group, commit(group))
        connection.close()

    def _take(self) -> list[Request]:
        """The requests of the longest-waiting tenant, in their order, up to `GROUP` entities."""
        first = self._waiting.popleft()
        group, left, size = [first], deque[Request](), len(first.ids)
        while self._waiting and size < GROUP:
            request = self._waiting.popleft()
            if request.tenant != first.tenant:
                left.append(request)
                continue
            if size + len(request.ids) > GROUP:
                left.append(request)
                break
            group.append(request)
            size += len(request.ids)
        self._waiting.extendleft(reversed(left))
        self._size -= size
        return group


class Fruitless(Exception):
    """Every request of the group was refused: the tenant that would have come to be with them does not."""

    def __init__(self, results: list[Any]) -> None:
        super().__init__()
        self.results = results


def commit(group: Sequence[Request]) -> list[Any]:
    """The result of each request, or the exception that it ended with, after one durable transaction for all."""

    def work(writing: Writing) -> list[Any]:
        return [_one(writing, request) for request in group]

    tenant = group[0].tenant

    def all_of_it() -> list[Any]:
        results = write([entity_id for request in group for entity_id in request.ids], work)
        if is_new and all(isinstance(one, NgsiError) for one in results):
            raise Fruitless(results)
        return results

    try:
        is_new = not tenants.exists(tenant)
        return tenants.made_with(tenant, all_of_it)
    except Fruitless as nothing:
        return nothing.results
    except Exception as problem:
        is_database_lost = isinstance(problem, (OperationalError, InterfaceError))
        if len(group) == 1 or is_database_lost:
            if not isinstance(problem, NgsiError):
                log.exception("a write failed", extra={"requests": len(group)})
            return [problem] * len(group)
        # Somebody's content that the database refuses must not be everybody's failure.
        return [result for request in group for result in commit([request])]


def _one(writing: Writing, request: Request) -> Any:
    writing.source = request.source
    marks: list[tuple[str, Mark]] = []
    if len(request.ids) == 1:
        marks = [(request.ids[0], mark(writing, request.ids[0]))]
    try:
        return request.work(writing)
    except NgsiError as problem:
        for entity_id, before in marks:
            roll_back(writing, entity_id, before)
        return problem


def answer(group: Sequence[Request], results: Sequence[Any]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for request, result in zip(group, results, strict=True):
        by_loop.setdefault(request.loop, []).append((request.future, result))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, pairs)
        except RuntimeError:  # that loop has closed: nobody waits any more
            continue


def _settle(pairs: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in pairs:
        if future.done():
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
