"""Read a @context from the web so that its URL, which anybody may send, reaches nothing but the public internet.

* http and https only, no user or password in the URL.
* The name is looked up once, every address found is judged, and the connection goes to a judged address: a name server
  that answers differently the second time gains nothing. Every redirect is a new request and is judged again.
* One megabyte, five seconds for everything (name, connections, redirects, body), three redirects, JSON.
* At most eight at a time in a process.

`AMB_NGSI_CONTEXT_ALLOW` names hosts (``host`` or ``host:port``, comma-separated) that are read wherever they are: a city's
own vocabulary server inside its network, and tests.
"""

from __future__ import annotations

import concurrent.futures
import ipaddress
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx
import orjson

from amb247.context.documents.text import as_written
from amb247.context.ngsi_errors import BadRequestData, LdContextNotAvailable

Json = Any
ALLOW: Final = "AMB_NGSI_CONTEXT_ALLOW"
MAX_BYTES: Final = 1_000_000
MAX_SECONDS: Final = 5.0
MAX_REDIRECTS: Final = 3
MAX_AT_ONCE: Final = 8
MAX_URL: Final = 2_048
KEPT_S: Final = 86_400.0  # where the server does not say how long
LEAST_KEPT_S, MOST_KEPT_S = 60.0, 7 * 86_400.0
HEADERS: Final = [
    (b"Accept", b"application/ld+json, application/json;q=0.9, */*;q=0.1"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"AMB-24-7"),
]
# Raw files of code forges come as text/plain; what counts is that the content is JSON.
NO_JSON: Final = re.compile(r"(?:text/html|application/xhtml|image/|audio/|video/|font/)", re.IGNORECASE)
ALTERNATE: Final = re.compile(r'<([^<>]+)>[^,]*?;\s*type="?application/ld\+json"?', re.IGNORECASE)
MAX_AGE: Final = re.compile(r"(?:s-maxage|max-age)\s*=\s*(\d{1,10})")
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

_turns = threading.BoundedSemaphore(MAX_AT_ONCE)
_names = concurrent.futures.ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="ngsi-names")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document and for how many seconds its server lets it be kept."""

    document: dict[str, Json]
    kept_s: float


class _Refused(Exception):
    """The address is none that may be reached; says why."""


def fetch(url: str) -> Fetched:
    """The @context at a URL.

    Raises
    ------
    LdContextNotAvailable
        It cannot be reached, may not be reached, is too large, too slow or no JSON with a `@context`.
    BadRequestData
        The URL is none.
    """
    deadline = time.monotonic() + MAX_SECONDS
    if not _turns.acquire(timeout=2.0):
        raise LdContextNotAvailable(f"too many contexts are being read; try {_shown(url)} again")
    try:
        return _follow(url, deadline)
    except _Refused as problem:
        raise LdContextNotAvailable(f"the @context {_shown(url)} is not read: {problem}") from None
    except (httpcore.TimeoutException, TimeoutError, concurrent.futures.TimeoutError):
        raise LdContextNotAvailable(
            f"the @context {_shown(url)} did not come within {MAX_SECONDS:.0f} seconds"
        ) from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ssl.SSLError) as problem:
        raise LdContextNotAvailable(
            f"the @context {_shown(url)} cannot be reached: {type(problem).__name__}"
        ) from None
    finally:
        _turns.release()


def _follow(url: str, deadline: float) -> Fetched:
    target = url
    for _ in range(MAX_REDIRECTS + 1):
        status, headers, body = _request(target, deadline)
        if status in (301, 302, 303, 307, 308) and "location" in headers:
            target = _joined(target, headers["location"])
            continue
        if status != 200:
            raise _Refused(f"the server answers {status}")
        if NO_JSON.match(headers.get("content-type", "")):
            other = ALTERNATE.search(headers.get("link", ""))
            if other is None:
                raise _Refused(f"it is {headers['content-type'][:60]}, not JSON")
            target = _joined(target, other[1])
            continue
        return Fetched(_document(body), _kept(headers))
    raise _Refused(f"it is redirected more than {MAX_REDIRECTS} times")


def _joined(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:
        raise _Refused("it is redirected to what is no URL") from None


def _request(url: str, deadline: float) -> tuple[int, dict[str, str], bytes]:
    _check_url(url)
    with (
        _pool(deadline) as pool,
        pool.stream("GET", url, headers=HEADERS, extensions=_timeouts(deadline)) as answer,
    ):
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in answer.headers}
        if answer.status != 200:
            return answer.status, headers, b""
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise _Refused("it is compressed though that was not asked for")
        return answer.status, headers, _limited(answer.iter_stream(), deadline)


def _limited(parts: Iterable[bytes], deadline: float) -> bytes:
    body = bytearray()
    for part in parts:
        body += part
        if len(body) > MAX_BYTES:
            raise _Refused(f"it is larger than {MAX_BYTES:,} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(body)


def _document(body: bytes) -> dict[str, Json]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _Refused("it is no JSON") from None
    if not isinstance(document, dict) or "@context" not in document:
        raise _Refused("it has no @context")
    if as_written(document) is None:
        raise _Refused("it is nested too deep")
    return {"@context": document["@context"]}


def _kept(headers: dict[str, str]) -> float:
    control = headers.get("cache-control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return LEAST_KEPT_S
    age = MAX_AGE.search(control)
    return min(max(float(age[1]), LEAST_KEPT_S), MOST_KEPT_S) if age else KEPT_S


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadRequestData(f"@context {_shown(url)} is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > MAX_URL or port == 0:
        raise BadRequestData(f"@context {_shown(url)} is no http or https URL")
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise BadRequestData(f"@context {_shown(url)} has characters that a URL must encode")
    if parts.username is not None or parts.password is not None:
        raise _Refused("its URL carries a user or password")


def _shown(url: str) -> str:
    return repr(url[:200])


def _timeouts(deadline: float) -> dict[str, Any]:
    left = max(deadline - time.monotonic(), 0.001)
    return {"timeout": {"connect": left, "read": left, "write": left, "pool": left}}


@contextmanager
def _pool(deadline: float) -> Iterator[httpcore.ConnectionPool]:
    with httpcore.ConnectionPool(
        ssl_context=_tls(), max_connections=1, network_backend=_JudgedNetwork(deadline), http2=False
    ) as pool:
        yield pool


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class _JudgedNetwork(httpcore.SyncBackend):
    """Connects to addresses that were judged, never to names."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline is for all addresses together
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        problem: Exception = _Refused("its host has no address")
        for address in _addresses(host, port, self.deadline):
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                made = super().connect_tcp(address, port, left, local_address, socket_options)
                return _TimedStream(made, self.deadline)
            except httpcore.NetworkError as failed:
                problem = failed
        raise problem

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise _Refused("it is no web address")


class _TimedStream(httpcore.NetworkStream):
    """A connection of which no read or write outlasts the deadline, so that a server cannot drip for ever."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self.inner, self.deadline = inner, deadline

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline decides
        return self.inner.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the deadline decides
        self.inner.write(buffer, self._left())

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the deadline decides
    ) -> httpcore.NetworkStream:
        return _TimedStream(self.inner.start_tls(ssl_context, server_hostname, self._left()), self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


def _addresses(host: str, port: int, deadline: float) -> list[str]:
    """Where a host may be reached, IPv4 first.

    Raises
    ------
    _Refused
        It has no address, or none that is public.
    """
    name = host.strip("[]")
    looked_up = _names.submit(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM)
    try:
        found = looked_up.result(timeout=max(deadline - time.monotonic(), 0.001))
    except (socket.gaierror, UnicodeError):
        raise _Refused("its host is not known") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0])))
    if is_allowed(name, port):
        return addresses
    public = [address for address in addresses if is_public(address)]
    if not public:
        raise _Refused(f"its host lies inside the network; an administrator can allow it with {ALLOW}")
    return public


def is_allowed(host: str, port: int) -> bool:
    """Whether the administrator let this host be read wherever it is."""
    listed = {one.strip().lower() for one in os.environ.get(ALLOW, "").split(",")}
    name = host.lower()
    return name in listed or f"{name}:{port}" in listed or f"[{name}]:{port}" in listed


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet, also inside the ways to write IPv4 as IPv6."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is None and int(ip) >> 32 == 0:
            return False  # the old "compatible" addresses, ::127.0.0.1
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (
        ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback or ip.is_link_local
    )
