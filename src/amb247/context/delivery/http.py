"""A small HTTP/1.1 client that does one thing: POST a notification and read how it was answered.

Why not httpx: a POST costs it about a millisecond of our only processor (h11 in Python, several task switches), here a
tenth of that (httptools); and the connection must go to the very address that was checked (`domain.endpoints`), which a
client that resolves names by itself cannot promise. Redirects are not followed, bodies of answers are not kept.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from socket import IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY, gaierror, getaddrinfo
from typing import Any, cast

import httptools

from amb247.context.delivery.outcome import ACCEPTED, Outcome, trouble
from amb247.context.domain.endpoints import Address, is_allowed

IDLE_S = 20.0  # a connection unused for longer is closed: many servers close theirs after 60 s or sooner
RESOLVED_S = 30.0
MAX_ANSWER = 1_000_000
LATER = frozenset({408, 425, 429})
MAX_RETRY_AFTER_S = 300.0

# A name server that hangs holds one thread for one endpoint, and no other thread of the process.
_resolver = ThreadPoolExecutor(max_workers=64, thread_name_prefix="notify-resolve")


class AddressClosed(OSError):
    """The endpoint's name leads to an address that subscriptions may not reach."""


class _Connection(asyncio.Protocol):
    """One connection; one request at a time.

    The status line is the answer. The rest of it is read so that the connection can serve again; if it never ends or is
    broken off (a server of HTTP/1.0 ends its answers by closing), the status still counts.
    """

    __slots__ = ("answer", "headers", "is_open", "loop", "parser", "seen", "since", "status", "transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.parser: Any = None
        self.answer: asyncio.Future[int] | None = None
        self.headers: dict[bytes, bytes] = {}
        self.is_open = False
        self.status = 0
        self.seen = 0
        self.since = 0.0

    # asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.is_open = True
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self.answer is None or self.answer.done():
            self.close()  # it speaks unasked
            return
        self.seen += len(data)
        try:
            if self.seen > MAX_ANSWER:
                raise ConnectionError("the answer is too long")
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(ConnectionError("the receiver wants another protocol"))
        except (httptools.HttpParserError, ConnectionError) as problem:
            self._fail(ConnectionError(f"no HTTP answer: {problem}"))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, problem: Exception | None) -> None:
        self.is_open = False
        self._fail(problem or ConnectionResetError("the receiver closed the connection"))

    # httptools
    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status >= 200:  # else 100 Continue and its like: the answer follows
            self.status = status

    def on_message_complete(self) -> None:
        if self.status:
            if not self.parser.should_keep_alive():
                self.close()
            if self.answer is not None and not self.answer.done():
                self.answer.set_result(self.status)

    # ours
    async def ask(self, request: bytes) -> int:
        assert self.transport is not None
        self.parser = httptools.HttpResponseParser(self)
        self.headers = {}
        self.status = self.seen = 0
        self.answer = self.loop.create_future()
        self.transport.write(request)
        try:
            return await self.answer
        finally:
            self.answer = None

    def close(self) -> None:
        self.is_open = False
        if self.transport is not None:
            self.transport.abort()

    def _fail(self, problem: Exception) -> None:
        self.is_open = False
        if self.answer is not None and not self.answer.done():
            if self.status:
                self.answer.set_result(self.status)
            else:
                self.answer.set_exception(problem)
        if self.transport is not None:
            self.transport.abort()


class HttpSender:
    """Connections to one endpoint, kept open between notifications."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.loop = asyncio.get_running_loop()
        self.idle: deque[_Connection] = deque()
        self.resolved: tuple[float, list[str]] = (0.0, [])

    async def send(self, head: bytes, body: bytes, timeout_s: float) -> Outcome:
        """One attempt. `head` is the request up to and including `Content-Length: `."""
        request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
        connection = None
        try:
            async with asyncio.timeout(timeout_s):
                while connection is None:
                    reused = self._idle_connection()
                    connection = reused or await self._connect()
                    try:
                        status = await connection.ask(request)
                    except OSError:
                        if reused is None or reused.seen:
                            raise
                        connection = (
                            None  # it was closed while idle; the next one is asked, at last a new one
                        )
        except TimeoutError:
            if connection is None:
                return trouble(f"no connection within {timeout_s:g} s")
            connection.close()
            if not connection.status:
                return trouble(f"no answer within {timeout_s:g} s")
            status = connection.status
        except AddressClosed as problem:
            return Outcome("refused", str(problem))
        except (OSError, ssl.SSLError) as problem:
            return trouble(problem)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        if connection.is_open:
            connection.since = self.loop.time()
            self.idle.append(connection)
        return _judge(status, connection.headers)

    def tidy(self) -> None:
        """Close what was idle for long. Called now and then."""
        oldest = self.loop.time() - IDLE_S
        while self.idle and self.idle[0].since < oldest:
            self.idle.popleft().close()

    async def close(self) -> None:
        while self.idle:
            self.idle.pop().close()

    def _idle_connection(self) -> _Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if connection.is_open and connection.since > self.loop.time() - IDLE_S:
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        problem: OSError = OSError(f"{self.address.host} has no address")
        for ip in await self._addresses():
            try:
                _, connection = await self.loop.create_connection(
                    lambda: _Connection(self.loop),
                    ip,
                    self.address.port,
                    ssl=_tls() if self.address.is_secure else None,
                    server_hostname=self.address.host if self.address.is_secure else None,
                )
            except OSError as refused:
                problem = refused
            else:
                return connection
        self.resolved = (0.0, [])
        raise problem

    async def _addresses(self) -> list[str]:
        at, found = self.resolved
        if not found or time.monotonic() - at > RESOLVED_S:
            found = await self.loop.run_in_executor(_resolver, resolve, self.address)
            self.resolved = (time.monotonic(), found)
        return found


def resolve(address: Address) -> list[str]:
    """Addresses that the endpoint's name leads to and that may be reached, at most four. Blocks.

    Raises
    ------
    AddressClosed
        It leads to closed ones only.
    """
    try:
        entries = getaddrinfo(address.host, address.port, type=SOCK_STREAM)
    except (gaierror, UnicodeError) as problem:
        raise OSError(f"{address.host} cannot be resolved: {problem}") from None
    found = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    allowed = [ip for ip in found if is_allowed(ip, address)]
    if found and not allowed:
        raise AddressClosed(f"{address.host} leads to an address that notifications may not reach")
    return allowed[:4]


def request_head(address: Address, content_type: str, headers: list[tuple[str, str]]) -> bytes:
    """The request up to and including `Content-Length: `; made once per subscription."""
    lines = [
        f"POST {address.path} HTTP/1.1",
        f"Host: {address.authority}",
        "User-Agent: amb247",
        f"Content-Type: {content_type}",
    ]
    if address.user is not None and not any(name.lower() == "authorization" for name, _ in headers):
        secret = base64.b64encode(f"{address.user}:{address.password or ''}".encode()).decode()
        lines.append(f"Authorization: Basic {secret}")
    if not any(name.lower() == "accept" for name, _ in headers):
        lines.append("Accept: */*")
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\nContent-Length: ").encode("latin-1", "replace")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _judge(status: int, headers: dict[bytes, bytes]) -> Outcome:
    if 200 <= status < 300:
        return ACCEPTED
    reason = f"answered {status}"
    if status < 500 and status not in LATER:
        if status < 400:
            reason += "; redirections are not followed"
        return Outcome("refused", reason)
    try:
        wait_s = float(headers.get(b"retry-after", b"0"))
    except ValueError:  # a date: rare, and its clock is not ours
        wait_s = 0.0
    return Outcome("trouble", reason, min(max(wait_s, 0.0), MAX_RETRY_AFTER_S))
