"""Receivers of notifications: real servers on loopback that can be made to misbehave."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httptools


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    document: Any
    at: float

    @property
    def entities(self) -> list[Any]:
        data = self.document["data"]
        return data["features"] if isinstance(data, dict) else data


class Receiver:
    """An HTTP server on a thread of its own. `behave[path]` is a status, "hang", "die", or seconds to wait."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[Received] = []
        self.told: set[tuple[str, Any]] = set()
        self.attempts: list[tuple[str, float]] = []
        self.behave: dict[str, Any] = {}
        self.connections = 0
        self.loop = asyncio.new_event_loop()
        self.server: asyncio.Server | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        started = threading.Event()

        async def start() -> None:
            self.server = await self.loop.create_server(lambda: _Protocol(self), "127.0.0.1", port)
            started.set()

        self.loop.create_task(start())
        self.thread.start()
        assert started.wait(5)
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]

    def _run(self) -> None:
        self.loop.run_forever()

    def uri(self, path: str = "/n") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def stop(self) -> None:
        async def end() -> None:
            assert self.server is not None
            self.server.close()
            # A connection may be on its way in: accepted, and not yet a protocol.
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
            for protocol in list(_Protocol.alive):
                if protocol.receiver is self:
                    protocol.transport.abort()
            await asyncio.sleep(0.01)
            self.loop.stop()

        asyncio.run_coroutine_threadsafe(end(), self.loop)
        self.thread.join(5)
        self.loop.close()

    def wait_for(self, count: int, *, path: str | None = None, timeout_s: float = 10) -> list[Received]:
        return self.wait_until(lambda found: len(found) >= count, path=path, timeout_s=timeout_s)

    def wait_until(
        self, is_enough: Callable[[list[Received]], bool], *, path: str | None = None, timeout_s: float = 10
    ) -> list[Received]:
        end = time.monotonic() + timeout_s
        while True:
            found = [one for one in list(self.received) if path is None or one.path == path]
            if is_enough(found):
                return found
            if time.monotonic() > end:
                shown = [one.document for one in found][-3:]
                raise AssertionError(f"only {len(found)} notifications after {timeout_s} s: {shown}")
            time.sleep(0.005)

    def none_within(self, seconds: float) -> None:
        before = len(self.received)
        time.sleep(seconds)
        assert [one.document for one in self.received[before:]] == []


@dataclass
class _Protocol(asyncio.Protocol):
    receiver: Receiver
    url: bytes = b""
    body: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    alive = set()

    def __hash__(self) -> int:
        return id(self)

    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.receiver.connections += 1
        self.alive.add(self)

    def connection_lost(self, _problem):
        self.alive.discard(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_url(self, url):
        self.url = url
        self.headers = {}
        self.body = []

    def on_header(self, name, value):
        self.headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body):
        self.body.append(body)

    def on_message_complete(self):
        path = self.url.decode()
        self.receiver.attempts.append((path, time.monotonic()))
        way = self.receiver.behave.get(path, 200)
        if callable(way):
            way = way(json.loads(b"".join(self.body)))
        match way:
            case "hang":
                pass
            case "die":
                self.transport.abort()
            case float():
                asyncio.get_running_loop().call_later(way, self.take, path, self.headers, self.body)
            case (status, headers):
                self.answer(status, headers)
            case 200:
                self.take(path, self.headers, self.body)
            case _:
                self.answer(way)

    def take(self, path, headers, body):
        document = json.loads(b"".join(body))
        # At least once: a notification may be told again under the same id, and its receiver knows it by that.
        told = (path, document.get("id") if isinstance(document, dict) else None)
        if told[1] is None or told not in self.receiver.told:
            self.receiver.told.add(told)
            self.receiver.received.append(Received(path, headers, document, time.monotonic()))
        self.answer(200)

    def answer(self, status, headers=b""):
        self.transport.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n%b\r\n" % (status, headers))
