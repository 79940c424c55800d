"""Other context sources, asked over HTTP: who is registered, how long to wait for whom, how it went.

One of these serves an application. It remembers the registrations of each tenant (for a second; what this process changes
counts at once), keeps connections open, and never waits for a source longer than its registration says.

References
----------
ETSI GS CIM 009 v1.8.1, 4.3.6 (distributed operations), 5.2.34 (management of registrations), 6.3.17, 6.3.18.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
import orjson
from django.conf import settings

from amb247.context.delivery.http import AddressClosed, resolve
from amb247.context.documents.text import as_written
from amb247.context.domain import registrations
from amb247.context.domain.endpoints import Address
from amb247.context.domain.registered import Index, Registered
from amb247.context.domain.registrations import Tally
from amb247.context.ngsi_errors import NgsiError, NonexistentTenant
from amb247.context.rest.threads import Readers

log = logging.getLogger("amb247.ngsi.sources")
Json = Any

TIMEOUT_S = 3.0  # where neither the registration nor AMB_NGSI_SOURCE_TIMEOUT says another
LONGEST_TIMEOUT_S = 60.0
REST_S = (
    1.0  # a source that let us wait in vain is left alone for so long, where its registration says nothing
)
FRESH_S, STALE_S = 0.5, 1.0  # the index is looked after in the background, then before it is used
USED_S = 30.0  # so long after its last use
AT_ONCE = 32  # requests under way to one endpoint
MAX_ANSWER = 32 << 20
LARGE = 200_000  # bytes of JSON that are not read on the event loop
RESOLVED_S = 30.0
KEEP_OPEN_S = 4.0  # uvicorn closes after 5 s
MAX_TENANTS = 1_000
MAX_REFRESHED = 50  # tenants looked after in the background; the rest at their next use
MAX_CACHED = 500
ALIAS_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
EMPTY = Index(())

_resolver = ThreadPoolExecutor(max_workers=16, thread_name_prefix="sources-resolve")


class SourceProblem(NgsiError):
    """What a source answered, or that it did not; under the status that tells the client so."""

    def __init__(
        self, detail: str, *, status: int, title: str, kind: str = "InternalError", registration: str = ""
    ) -> None:
        super().__init__(detail)
        self.status = status  # type: ignore[misc] # of each problem its own
        self.title = title  # type: ignore[misc]
        self.kind = kind  # type: ignore[misc]
        self.registration = registration


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: any status, the JSON (None where there was none)."""

    status: int
    body: Json
    headers: Mapping[str, str]
    age_s: float = 0.0  # how long it was kept here


@dataclass(slots=True)
class _Known:
    index: Index
    revision: int
    checked: float
    used: float


class Registry:
    """The registrations of each tenant, in memory."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._looking: dict[str, asyncio.Task[Index]] = {}
        self._generation = 0

    async def index(self, tenant: str) -> Index:
        """At most a second old.

        Raises
        ------
        NonexistentTenant
        """
        known = self._known.get(tenant)
        if known is not None:
            known.used = now = time.monotonic()
            age = now - known.checked
            if age < FRESH_S:
                return known.index
            if age < STALE_S:
                self._look(tenant)
                return known.index
        return await asyncio.shield(self._look(tenant))

    def refresh(self) -> None:
        """Look after what was used lately, so that requests need not wait for it. Called every half second."""
        oldest = time.monotonic() - USED_S
        used = [(known.used, tenant) for tenant, known in self._known.items() if known.used > oldest]
        for _, tenant in sorted(used, reverse=True)[:MAX_REFRESHED]:
            self._look(tenant)

    def forget(self, tenant: str) -> None:
        """This process changed a registration: what is being read now may be old already."""
        self._generation += 1
        self._known.pop(tenant, None)
        self._looking.pop(tenant, None)

    def forget_all(self) -> None:
        self._generation += 1
        self._known.clear()
        self._looking.clear()

    def _look(self, tenant: str) -> asyncio.Task[Index]:
        task = self._looking.get(tenant)
        if task is None:
            task = self._looking[tenant] = asyncio.create_task(self._read(tenant))
            task.add_done_callback(lambda done: self._looked(tenant, done))
        return task

    def _looked(self, tenant: str, done: asyncio.Task[Index]) -> None:
        if self._looking.get(tenant) is done:
            del self._looking[tenant]
        if not done.cancelled() and done.exception() is not None:
            log.debug("registrations not read", exc_info=done.exception())

    async def _read(self, tenant: str) -> Index:
        generation, checked = self._generation, time.monotonic()
        known = self._known.get(tenant)
        revision = await self._readers.run(tenant, registrations.revision)
        if known is not None and known.revision == revision:
            index = known.index
        else:
            revision, index = await self._readers.run(tenant, registrations.load)
        if generation == self._generation:
            used = checked if known is None else known.used
            self._known[tenant] = _Known(index, revision, checked, used)
            self._known.move_to_end(tenant)
            while len(self._known) > MAX_TENANTS:
                self._known.popitem(last=False)
        return index


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the very address that was checked (`domain.endpoints`), while TLS still asks for the name."""

    def __init__(self) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._resolved: dict[tuple[str, int], tuple[float, list[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for ip in await self._addresses(host, port):
            try:
                return await self._inner.connect_tcp(
                    ip, port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as refused:
                problem = refused
        self._resolved.pop((host, port), None)
        raise problem

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[str]:
        at, found = self._resolved.get((host, port), (0.0, []))
        if not found or time.monotonic() - at > RESOLVED_S:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(_resolver, resolve, Address("http", host, port, "/"))
            if len(self._resolved) > 1_000:
                self._resolved.clear()
            self._resolved[host, port] = (time.monotonic(), found)
        return found


class Sources:
    """What an application needs of other sources. Used on its event loop only, but for `stop`."""

    def __init__(self, beat: Callable[[Sources], Awaitable[None]] | None = None) -> None:
        """`beat` is called every second, from the first use on."""
        self.readers = Readers(1)  # for the index alone: nobody waits behind something slow
        self.others = Readers(1)
        self._beat = beat
        self.registry = Registry(self.readers)
        self.started_at = datetime.now(UTC)
        self._client: httpx.AsyncClient | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._resting: dict[tuple[str, str], float] = {}
        self._gates: dict[str, asyncio.Semaphore] = {}
        self._tallies: dict[str, dict[str, Tally]] = {}
        self._cache: OrderedDict[Any, tuple[float, Reply]] = OrderedDict()
        self._lanes: dict[Hashable, asyncio.Task[None]] = {}

    # --- who is registered ------------------------------------------------------------------------------------------

    async def index(self, tenant: str, *, write: bool = False) -> Index:
        """The tenant's registrations; none where a write is about to make the tenant."""
        if self._keeper is None:
            self._ready()
        try:
            return await self.registry.index(tenant)
        except NonexistentTenant:
            if write:
                return EMPTY
            raise

    def forget_known(self) -> None:
        """After the database was swapped under the process (tests, restore)."""
        self.registry.forget_all()
        self._cache.clear()
        self._resting.clear()
        self._tallies.clear()

    def changed(self, tenant: str) -> None:
        """A registration of the tenant was changed by this process."""
        self.registry.forget(tenant)
        self._cache.clear()

    # --- asking -----------------------------------------------------------------------------------------------------

    async def ask(
        self,
        tenant: str,
        one: Registered,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Json = None,
    ) -> Reply:
        """One request to a source; its reply, whatever the status.

        Parameters
        ----------
        path : str
            Below `/ngsi-ld/v1`.

        Raises
        ------
        SourceProblem
            It cannot be reached, does not answer in time, rests after a failure, or answers something that is no JSON.
        """
        url = address_of(one.endpoint, path)
        key = None
        if method == "GET" and one.cache_s > 0:
            key = (
                tenant,
                one.id,
                url,
                tuple(sorted((parameters or {}).items())),
                tuple(sorted((headers or {}).items())),
            )
            kept = self._cache.get(key)
            if kept is not None and time.monotonic() - kept[0] < one.cache_s:
                return replace(kept[1], age_s=time.monotonic() - kept[0])
        resting_until = self._resting.get((tenant, one.id), 0.0)
        if resting_until > time.monotonic():
            self._tally(tenant, one, succeeded=False)
            raise SourceProblem(
                f"{one.endpoint} failed a moment ago and is left alone for a while.",
                status=504,
                title="Source did not answer in time",
                registration=one.id,
            )
        try:
            reply = await self._send(one, method, url, parameters or {}, headers or {}, body)
        except SourceProblem as problem:
            self._failed(tenant, one, is_late=problem.status == 504)
            raise
        if reply.status >= 500 and reply.status != 508:
            self._failed(tenant, one, is_late=False)
        else:
            self._tally(
                tenant, one, succeeded=reply.status < 300 or (method == "GET" and reply.status == 404)
            )
        if key is not None and reply.status == 200:
            self._cache[key] = (time.monotonic(), reply)
            while len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return reply

    async def _send(
        self,
        one: Registered,
        method: str,
        url: str,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        body: Json,
    ) -> Reply:
        limit_s = min(one.timeout_s or default_timeout_s(), LONGEST_TIMEOUT_S)
        content = None if body is None else orjson.dumps(body)
        gate = self._gates.get(one.endpoint)
        if gate is None:
            if len(self._gates) > 1_000:
                self._gates.clear()
            gate = self._gates[one.endpoint] = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.timeout(limit_s), gate:
                try:
                    return await self._exchange(method, url, parameters, headers, content)
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    # Most likely a kept connection that the source had just closed; only reading may be repeated.
                    if method != "GET":
                        raise
                    return await self._exchange(method, url, parameters, headers, content)
        except (TimeoutError, httpx.TimeoutException):
            raise SourceProblem(
                f"{one.endpoint} did not answer within {limit_s:g} s.",
                status=504,
                title="Source did not answer in time",
                registration=one.id,
            ) from None
        except AddressClosed:
            raise SourceProblem(
                f"{one.endpoint} leads to an address that is closed.",
                status=502,
                title="Source cannot be reached",
                registration=one.id,
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
            raise SourceProblem(
                f"{one.endpoint}: {type(problem).__name__}: {str(problem)[:200]}",
                status=502,
                title="Source cannot be reached",
                registration=one.id,
            ) from None

    async def _exchange(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> Reply:
        client = self._ready()
        async with client.stream(
            method, url, params=dict(parameters), headers=dict(headers), content=content
        ) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("the answer is compressed, which was not asked for")  # it may be a bomb
            parts, size = [], 0
            async for part in response.aiter_raw():
                size += len(part)
                if size > MAX_ANSWER:
                    raise ValueError(f"the answer is longer than {MAX_ANSWER:,} bytes")
                parts.append(part)
        raw = b"".join(parts)
        media = response.headers.get("content-type", "")
        found: Json = None
        if raw.strip() and ("json" in media or not media):
            found = await asyncio.to_thread(_json, raw) if size > LARGE else _json(raw)
        return Reply(response.status_code, found, response.headers)

    def _failed(self, tenant: str, one: Registered, *, is_late: bool) -> None:
        self._tally(tenant, one, succeeded=False)
        rest_s = one.cooldown_s if one.cooldown_s is not None else REST_S if is_late else 0.0
        if rest_s and self._resting.get((tenant, one.id), 0.0) <= time.monotonic():
            if len(self._resting) > 10_000:
                self._resting.clear()
            self._resting[tenant, one.id] = time.monotonic() + rest_s

    def _tally(self, tenant: str, one: Registered, *, succeeded: bool) -> None:
        self._ready()
        now = datetime.now(UTC)
        tallies = self._tallies.setdefault(tenant, {})
        before = tallies.get(one.id, Tally())
        tallies[one.id] = Tally(
            before.sent + 1,
            before.failed + (0 if succeeded else 1),
            now if succeeded else before.success,
            before.failure if succeeded else now,
        )

    async def flush(self, tenant: str) -> None:
        """Write down how the asking went; before somebody reads it, and twice a second."""
        tallies = self._tallies.pop(tenant, None)
        if tallies:
            await self.others.run(tenant, registrations.note, tallies)

    # --- in the background -------------------------------------------------------------------------------------------

    def in_order(self, lane: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        """Do it after the answer, and after what was begun before in the same lane; what fails is logged."""
        before = self._lanes.get(lane)

        async def run() -> None:
            if before is not None:
                await asyncio.wait([before])
            try:
                await work()
            except Exception:
                log.exception("in the background")

        self._ready()
        task = self._lanes[lane] = asyncio.create_task(run())
        task.add_done_callback(lambda done: self._lanes.pop(lane) if self._lanes.get(lane) is done else None)

    async def post(self, address: str, content: bytes, headers: Mapping[str, str], limit_s: float) -> int:
        """One POST outside of any registration; its status.

        Raises
        ------
        OSError, TimeoutError, httpx.HTTPError
        """
        async with asyncio.timeout(limit_s):
            response = await self._ready().post(address, content=content, headers=dict(headers))
            return response.status_code

    def _ready(self) -> httpx.AsyncClient:
        """The client of this loop; its keeper closes it when the loop ends."""
        if self._client is None or self._keeper is None or self._keeper.done():
            transport = httpx.AsyncHTTPTransport(
                trust_env=False,
                limits=httpx.Limits(
                    max_connections=200, max_keepalive_connections=100, keepalive_expiry=KEEP_OPEN_S
                ),
            )
            transport._pool._network_backend = CheckedBackend()  # httpx has no parameter for it
            self._client = httpx.AsyncClient(
                transport=transport,
                timeout=LONGEST_TIMEOUT_S,
                follow_redirects=False,
                trust_env=False,
                headers={"User-Agent": "amb247", "Accept-Encoding": "identity"},
            )
            self._gates.clear()
            self._keeper = asyncio.create_task(self._keep(self._client))
        return self._client

    async def _keep(self, client: httpx.AsyncClient) -> None:
        try:
            beat_at = 0.0
            while True:
                await asyncio.sleep(FRESH_S)
                self.registry.refresh()
                if self._beat is not None and time.monotonic() - beat_at >= 1.0:
                    beat_at = time.monotonic()
                    try:
                        await self._beat(self)
                    except Exception:
                        log.warning("periodic notifications not looked after", exc_info=True)
                for tenant in list(self._tallies):
                    try:
                        await self.flush(tenant)
                    except Exception:
                        log.warning("counters of sources not written", exc_info=True)
        finally:
            with contextlib.suppress(Exception):
                await client.aclose()

    def stop(self) -> None:
        """Write what is counted, end the thread; called on a thread without a loop. The client ends with its own."""
        for tenant in list(self._tallies):
            tallies = self._tallies.pop(tenant)
            with contextlib.suppress(Exception):
                asyncio.run(self.others.run(tenant, registrations.note, tallies))
        self.readers.stop()
        self.others.stop()


def address_of(endpoint: str, path: str) -> str:
    """Where a source answers: its endpoint may name the broker or its interface."""
    base = endpoint.rstrip("/")
    if base.endswith("/ngsi-ld/v1"):
        return base + path
    if base.endswith("/ngsi-ld"):
        return f"{base}/v1{path}"
    return f"{base}/ngsi-ld/v1{path}"


def _json(raw: bytes) -> Json:
    """What a source answered; a `ValueError` when it is no JSON, or deeper than anything that is taken or shown here."""
    document = orjson.loads(raw)
    if as_written(document) is None:
        raise ValueError("the answer is nested too deep")
    return document


def default_timeout_s() -> float:
    try:
        given = float(os.environ.get("AMB_NGSI_SOURCE_TIMEOUT", ""))
    except ValueError:
        return TIMEOUT_S
    return given if given > 0 else TIMEOUT_S


def alias_of(tenant: str) -> str:
    """The name by which a tenant of this broker is known in `Via`: the same for all processes on one database.

    From AMB_NGSI_ALIAS, else from AMB_PUBLIC_URL, else from this machine's name and the database.
    """
    base = os.environ.get("AMB_NGSI_ALIAS") or urlsplit(settings.PUBLIC_URL or "").netloc
    if not base:
        base = f"{socket.gethostname()}-{_database_mark()}"
    plain = "".join(char if char in ALIAS_CHARACTERS else "-" for char in base)
    return f"{plain}~{tenant}" if tenant else plain


def _database_mark() -> str:
    database = settings.DATABASES["default"]
    named = "|".join(str(database.get(name, "")) for name in ("HOST", "PORT", "NAME"))
    return hashlib.sha256(named.encode()).hexdigest()[:8]
