"""Where notifications may go: what an endpoint's URI says, and which addresses are allowed.

A subscription must not become a way to reach inside the network (server-side request forgery): private, loopback and
link-local addresses are refused unless the operator allows them. What a URI's text says is checked when the
subscription is made, what its name resolves to before each connection (`allowed`), and the connection then goes to the
very address that was checked.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from amb247.context.ngsi_errors import BadRequestData

ALLOW = "AMB_NGSI_NOTIFY_ALLOW"
PORTS = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}
STREAM = "sse"  # beyond the standard: nobody is called, the subscription is only watched through its events
HOST = re.compile(r"[A-Za-z0-9._~\-]+\Z")


@dataclass(frozen=True, slots=True)
class Address:
    """An endpoint's URI, taken apart. `path` is the topic of an MQTT endpoint."""

    scheme: str
    host: str
    port: int
    path: str
    user: str | None = None
    password: str | None = None

    @property
    def is_mqtt(self) -> bool:
        return self.scheme in {"mqtt", "mqtts"}

    @property
    def is_secure(self) -> bool:
        return self.scheme in {"https", "mqtts"}

    @property
    def authority(self) -> str:
        """As the Host header says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


@lru_cache(maxsize=4_096)
def parse_address(uri: str) -> Address:
    """Take a URI apart.

    Raises
    ------
    BadRequestData
        Not http(s) or mqtt(s), no host, a bad port, no topic, or characters that have no place in a request line.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
        host = parts.hostname or ""
    except ValueError as problem:
        raise _wrong(str(problem)) from None
    scheme = parts.scheme.lower()
    if scheme == STREAM:
        return Address(STREAM, "", 0, "")
    if scheme not in PORTS:
        raise _wrong("must be http, https, mqtt or mqtts")
    host = _plain_host(host)
    user = unquote(parts.username) if parts.username is not None else None
    password = unquote(parts.password) if parts.password is not None else None
    if scheme in {"mqtt", "mqtts"}:
        path = unquote(parts.path[1:]) + (f"?{parts.query}" if parts.query else "")
        if not path or "+" in path or "#" in path or "\0" in path or len(path.encode()) > 60_000:
            raise _wrong("needs a topic without wildcards behind the host")
    else:
        path = _quoted((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    return Address(scheme, host, port or PORTS[scheme], path, user, password)


def _quoted(path: str) -> str:
    return "".join(
        char if char.isascii() else "".join(f"%{byte:02X}" for byte in char.encode()) for char in path
    )


def _plain_host(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        plain = host.encode("idna").decode().lower()
    except UnicodeError:
        raise _wrong("has a bad host name") from None
    if not HOST.match(plain):
        raise _wrong("has no host" if not plain else "has a bad host name")
    return plain


def _wrong(reason: str) -> BadRequestData:
    return BadRequestData(f"notification.endpoint.uri: {reason}.")


def check_uri(uri: str) -> None:
    """Refuse, when a subscription is made, what could never be delivered."""
    address = parse_address(uri)
    if address.scheme == STREAM:
        return
    try:
        literal = ipaddress.ip_address(address.host)
    except ValueError:
        if address.host == "localhost" and not is_allowed("127.0.0.1", address):
            raise _wrong(f"this machine's own addresses are closed; {ALLOW} opens them") from None
        return
    if not is_allowed(str(literal), address):
        raise _wrong(f"{address.host} is no public address; {ALLOW} allows others")


def is_allowed(ip: str, address: Address) -> bool:
    """Whether a connection for this endpoint may go to this address."""
    where = ipaddress.ip_address(ip)
    if isinstance(where, ipaddress.IPv6Address):
        where = _inner(where)
    if where.is_global and not where.is_multicast:
        return True
    listed = _listed()
    if {address.host, f"{address.host}:{address.port}", str(where), f"{where}:{address.port}"} & listed:
        return True
    if where.is_loopback:
        return os.environ.get("AMB_NGSI_OPEN") == "1" or "loopback" in listed
    return (
        "private" in listed
        and where.is_private
        and not (where.is_link_local or where.is_unspecified or where.is_multicast)
    )


def _inner(where: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for, if it does: a translator must not open what is closed."""
    if where in NAT64:
        return ipaddress.IPv4Address(int(where) & 0xFFFFFFFF)
    return where.ipv4_mapped or where.sixtofour or where


NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _listed() -> frozenset[str]:
    return frozenset(filter(None, (part.strip() for part in os.environ.get(ALLOW, "").split(","))))
