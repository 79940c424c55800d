"""Where the asynchronous side meets the database: threads that read, and threads that commit requests in groups."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connection

from amb247.context.domain import tenants
from amb247.context.domain.writing import Mark, Writing, mark, roll_back, write
from amb247.context.ngsi_errors import NgsiError

log = logging.getLogger(__name__)
Result = TypeVar("Result")

READERS = 4
COMMITTERS = 2
GROUP = 1_000  # entities in one transaction, unless one request alone has more
READ_LIMIT_MS = 1_800  # a query that takes longer is refused as too complex

_here = threading.local()


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


def _read(tenant: str, work: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    connection.close_if_unusable_or_obsolete()
    if getattr(_here, "limited", None) is not connection.connection or connection.connection is None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {READ_LIMIT_MS}")
        _here.limited = connection.connection
    with tenants.inside(tenant):
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
        self._condition = threading.Condition()
        self._is_stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"ngsi-commit-{n}", daemon=True) for n in range(count)
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
            self._condition.notify()
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

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._is_stopping:
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
        return group


def commit(group: Sequence[Request]) -> list[Any]:
    """The result of each request, or the exception that it ended with, after one durable transaction for all."""

    def work(writing: Writing) -> list[Any]:
        return [_one(writing, request) for request in group]

    tenant = group[0].tenant
    try:
        tenants.ensure(tenant)
        with tenants.inside(tenant):
            return write([entity_id for request in group for entity_id in request.ids], work)
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
