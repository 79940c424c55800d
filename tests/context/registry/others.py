"""Others of the federation, as simple as can be: a server that notes what it is asked and answers as a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Asked:
    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: Any


Reply = tuple[int, Any] | tuple[int, Any, dict[str, str]]


@dataclass
class Other:
    """(method, path) -> reply, or a function of what was asked; 404 for the rest."""

    port: int = 0
    replies: dict[tuple[str, str], Reply | Callable[[Asked], Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self, method: str, path: str, reply: Reply | Callable[[Asked], Reply]) -> None:
        self.replies[method, "/ngsi-ld/v1" + path] = reply

    def asked_for(self, method: str, path: str) -> list[Asked]:
        return [one for one in self.asked if (one.method, one.path) == (method, "/ngsi-ld/v1" + path)]

    def wait_for(self, count: int, *, limit_s: float = 5.0) -> list[Asked]:
        end = time.monotonic() + limit_s
        while len(self.asked) < count and time.monotonic() < end:
            time.sleep(0.01)
        return self.asked


@contextmanager
def other() -> Iterator[Other]:
    served = Other()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            asked = Asked(
                self.command,
                unquote(parts.path),
                dict(parse_qsl(parts.query)),
                {name.lower(): value for name, value in self.headers.items()},
                json.loads(raw) if raw else None,
            )
            served.asked.append(asked)
            reply = served.replies.get(
                (asked.method, asked.path), (404, {"title": "not here", "status": 404})
            )
            if callable(reply):
                reply = reply(asked)
            status, document, *more = reply
            content = b"" if document is None else json.dumps(document).encode()
            try:
                self.send_response(status)
                for name, value in (more[0] if more else {}).items():
                    self.send_header(name, value)
                if content:
                    self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    served.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
