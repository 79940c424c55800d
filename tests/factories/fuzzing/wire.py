"""Requests as bytes on a socket, because a proper client would refuse to send most of them."""

from __future__ import annotations

import contextlib
import shlex
import socket
import time
from dataclasses import dataclass, field

import httptools

PATIENCE_S = 30.0


@dataclass(frozen=True)
class Request:
    """One request. `target` is path and query as they go over the wire.

    Attributes
    ----------
    route : the operation's method and path, as `POST /entities/{entity_id}/attrs`; empty for none
    is_http : whether HTTP itself is kept (a server may answer anything else as it likes)
    waits_s : how long the answer may take besides, because of a server that it names
    about : what else the judge must know: "context", "batch"
    """

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | None = None
    route: str = ""
    is_http: bool = True
    waits_s: float = 0.0
    about: frozenset[str] = frozenset()
    tenant: str = ""

    def bytes(self) -> bytes:
        lines = [b"%b %b HTTP/1.1" % (self.method.encode("latin-1"), self.target), b"Host: localhost"]
        lines += [name + b": " + value for name, value in self.headers]
        names = {name.lower() for name, _ in self.headers}
        if self.body is not None and not names & {b"content-length", b"transfer-encoding"}:
            lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + (self.body or b"")

    def curl(self, base: str) -> str:
        """The same for a shell; what is not text goes through printf."""
        parts = ["curl", "-i", "-X", self.method]
        for name, value in self.headers:
            parts += ["-H", _quoted(name + b": " + value)]
        if self.body is not None:
            parts += ["--data-binary", _quoted(self.body)]
        parts.append(_quoted(base.encode() + self.target))
        return " ".join(shlex.quote(part) if not part.startswith(("'", "$'")) else part for part in parts)


def _quoted(raw: bytes) -> str:
    try:
        text = raw.decode("ascii")
        if text.isprintable():
            return shlex.quote(text) if shlex.quote(text).startswith("'") else f"'{text}'"
    except UnicodeDecodeError:
        pass
    return "$'" + "".join(chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in raw) + "'"


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    is_complete: bool = False


class _Reading:
    """What httptools tells while it reads a response."""

    def __init__(self, is_head: bool) -> None:
        self.reply = Reply()
        self.is_head = is_head
        self.parts: list[bytes] = []
        self.headed = 0.0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.reply.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.headed = time.monotonic()
        is_stream = self.reply.headers.get("content-type", "").startswith("text/event-stream")
        if self.is_head or is_stream:
            self.reply.is_complete = True

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        self.reply.is_complete = True


class Gone(Exception):
    """The server closed the connection, or answered nothing in time."""


class Wire:
    """A connection that is opened again when it was closed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket: socket.socket | None = None

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def ask(self, request: Request) -> Reply:
        """Send it, wait for the answer.

        Raises
        ------
        Gone
        """
        for is_again in (False, True):
            is_fresh = self.socket is None
            try:
                return self._ask(request)
            except (OSError, Gone) as problem:
                self.close()
                if is_fresh or is_again or isinstance(problem, TimeoutError):
                    raise Gone(f"{type(problem).__name__}: {problem}") from None
        raise AssertionError

    def _ask(self, request: Request) -> Reply:
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reading = _Reading(request.method == "HEAD")
        parser = httptools.HttpResponseParser(reading)
        began = time.monotonic()
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError
        ):  # it may answer before it has read all
            self.socket.sendall(request.bytes())
            if not request.is_http:  # a body that was promised does not come
                self.socket.shutdown(socket.SHUT_WR)
        while not reading.reply.is_complete:
            data = self.socket.recv(262_144)
            if not data:
                raise Gone("closed without an answer")
            with contextlib.suppress(httptools.HttpParserUpgrade):
                parser.feed_data(data)
        reply = reading.reply
        # A table of everything comes as it is read, for as long as it takes; what counts is when it begins.
        is_download = reply.headers.get("transfer-encoding") == "chunked"
        reply.seconds = (reading.headed if is_download else time.monotonic()) - began
        reply.status = parser.get_status_code()
        reply.body = b"".join(reading.parts)
        is_stream = reply.headers.get("content-type", "").startswith("text/event-stream")
        if (
            not request.is_http
            or request.method == "HEAD"
            or is_stream
            or reply.headers.get("connection") == "close"
        ):
            self.close()
        return reply
