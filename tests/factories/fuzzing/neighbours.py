"""A real server that others' contexts, notifications and context sources come from and go to, as ill-behaved as they may be."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Callable

LD = b"application/ld+json"
SLOW = ("/drip", "/hang", "/trickle")  # take as long as whoever asks is patient


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


class Neighbours:
    """The server, on a thread of its own; `paths()` says what there is."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.asked = 0
        started = threading.Event()

        async def begin() -> None:
            self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            started.set()

        self.loop.create_task(begin())
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        assert started.wait(5)
        self.port = self.server.sockets[0].getsockname()[1]
        self.pages = self._pages()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        async def end() -> None:
            self.server.close()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
            await asyncio.sleep(0.01)
            self.loop.stop()

        asyncio.run_coroutine_threadsafe(end(), self.loop)
        self.thread.join(5)
        self.loop.close()

    def contexts(self) -> list[str]:
        """Addresses of contexts, most of them bad."""
        return [f"{self.base}{path}" for path in self.pages if path.startswith("/c/")] + [
            f"{self.base}/{rest}" for rest in ("chain/0", "redirect/0", "die", "garbage", "lies", "headers", "nothing")
        ]  # fmt: skip

    def endpoints(self) -> list[str]:
        """Where notifications may be sent."""
        return [
            f"{self.base}/{rest}"
            for rest in ("n/ok", "n/ok", "n/500", "n/400", "die", "garbage", "lies", "redirect/0", "n/404")
        ]

    def sources(self) -> list[str]:
        """Where other brokers may be."""
        return [f"{self.base}/s/{rest}" for rest in SOURCES] + [
            f"{self.base}/{rest}" for rest in ("die", "garbage", "n/500", "lies")
        ]

    def _pages(self) -> dict[str, bytes]:
        terms = {f"t{n}": f"https://example.org/{n}" for n in range(15_000)}
        return {
            "/c/good.jsonld": _json({"@context": {"Bus": "https://example.org/Bus", "speed": "https://example.org/speed"}}),
            "/c/self.jsonld": _json({"@context": [f"{self.base}/c/self.jsonld"]}),
            "/c/a.jsonld": _json({"@context": [f"{self.base}/c/b.jsonld", {"a": "https://example.org/a"}]}),
            "/c/b.jsonld": _json({"@context": [f"{self.base}/c/a.jsonld", {"b": "https://example.org/b"}]}),
            "/c/wide.jsonld": _json({"@context": [f"{self.base}/chain/{n}" for n in range(500)]}),
            "/c/terms.jsonld": _json({"@context": terms}),
            "/c/huge.jsonld": _json({"@context": {f"t{n}": "https://example.org/" + "x" * 100 for n in range(30_000)}}),
            "/c/deep.jsonld": b'{"@context":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "/c/deepish.jsonld": b'{"@context":' + b"[" * 900 + b"]" * 900 + b"}",
            "/c/nested.jsonld": _nested(300),
            "/c/cycle.jsonld": _json({"@context": {"a": "b:x", "b": "a:y", "c": {"@id": "c"}, "d": {"@id": "e"}, "e": {"@id": "d"}}}),
            "/c/prefixes.jsonld": _json({"@context": {f"p{n}": f"p{n + 1}:x" for n in range(3_000)} | {"p3000": "https://example.org/"}}),
            "/c/steals.jsonld": _json({"@context": {"id": "https://evil.example/id", "type": "https://evil.example/type",
                                                    "value": "https://evil.example/v", "Property": "https://evil.example/P"}}),
            "/c/odd.jsonld": _json({"@context": {"__proto__": "https://e.org/p", "": "https://e.org/", "@type": "@id", "x": {"@id": 5},
                                                 "y": None, "z": [], "@vocab": "not an iri", "@base": 7, "@version": 9, "@import": "x"}}),
            "/c/null.jsonld": _json({"@context": None}),
            "/c/number.jsonld": _json({"@context": 5}),
            "/c/none.jsonld": _json({"context": {}}),
            "/c/list.jsonld": b"[]",
            "/c/text.jsonld": b"hello",
            "/c/empty.jsonld": b"",
            "/c/bytes.jsonld": b'{"@context": {"a": "\xff\xfe"}}',
            "/c/nul.jsonld": b'{"@context": {"a\\u0000b": "https://e.org/\\u0000"}}',
            "/c/surrogate.jsonld": b'{"@context": {"a": "https://e.org/\\ud800"}}',
        }  # fmt: skip

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        method, target, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
        length = next(
            (int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )  # fmt: skip
        body = await reader.readexactly(length) if length else b""
        path = target.decode().partition("?")[0]
        if path in self.pages:
            media = b"text/html" if path.endswith("text.jsonld") else LD
            return await _answer(writer, 200, self.pages[path], media)
        first = path.split("/")[1]
        handler: Callable[..., object] | None = WAYS.get(first)
        if handler is None:
            return await _answer(writer, 404, b"", LD)
        return await handler(self, writer, path, method.decode(), body)

    # --- ways to answer -----------------------------------------------------------------------------------------------

    async def _chain(self, writer, path, method, body):
        number = int(path.rsplit("/", 1)[1])
        return await _answer(writer, 200, _json({"@context": f"{self.base}/chain/{number + 1}"}), LD)

    async def _many(self, writer, path, method, body):
        name = path.rsplit("/", 1)[1]
        return await _answer(
            writer, 200, _json({"@context": {f"m{name}": f"https://example.org/{name}"}}), LD
        )

    async def _redirect(self, writer, path, method, body):
        number = int(path.rsplit("/", 1)[1])
        target = f"/redirect/{number + 1}" if number % 5 != 4 else "http://169.254.169.254/latest"
        writer.write(b"HTTP/1.1 302 X\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % target.encode())
        return True

    async def _die(self, writer, path, method, body):
        writer.transport.abort()
        return False

    async def _garbage(self, writer, path, method, body):
        writer.write(b"\x00\xff SMTP ready\r\n\r\n" + b"\xff" * 2_000)
        return False

    async def _lies(self, writer, path, method, body):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nContent-Type: application/json\r\n\r\n{}")
        await writer.drain()
        return False

    async def _headers(self, writer, path, method, body):
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 300_000 + b"\r\nContent-Length: 0\r\n\r\n")
        return True

    async def _hang(self, writer, path, method, body):
        await asyncio.sleep(60)
        return False

    async def _drip(self, writer, path, method, body):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/ld+json\r\nContent-Length: 1000\r\n\r\n{")
        for _ in range(200):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.2)
        return False

    async def _bomb(self, writer, path, method, body):
        packed = gzip.compress(b'{"@context": {"a": "' + b"x" * 30_000_000 + b'"}}')
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/ld+json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
            % len(packed)
            + packed
        )
        return True

    async def _n(self, writer, path, method, body):
        last = path.rsplit("/", 1)[1]
        return await _answer(writer, int(last) if last.isdigit() else 200, b"", LD)

    async def _s(self, writer, path, method, body):
        name = path.split("/")[2]
        status, document = SOURCES.get(name, (404, b""))
        return await _answer(writer, status, document, b"application/json")


def _nested(levels: int) -> bytes:
    """Contexts inside the definitions of terms."""
    inner: object = {}
    for number in range(levels):
        inner = {f"n{number}": {"@id": f"https://e.org/{number}", "@context": inner}}
    return _json({"@context": inner})


async def _answer(writer: asyncio.StreamWriter, status: int, body: bytes, media: bytes) -> bool:
    writer.write(
        b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (status, media, len(body)) + body
    )
    await writer.drain()
    return True


ENTITY = {"id": "urn:ngsi-ld:Bus:1", "type": "Bus", "speed": {"type": "Property", "value": 1}}
SOURCES = {
    "empty": (200, b"[]"),
    "one": (200, _json([ENTITY])),
    "entity": (200, _json(ENTITY)),
    "odd": (200, _json([{"id": 5}, {"id": "x"}, None, [], {"id": "urn:a:b", "type": [], "a": None}, 7])),
    "false": (200, b"false"),
    "html": (200, b"<html>"),
    "deep": (200, b"[" * 100_000),
    "deepish": (200, b'{"id":"urn:ngsi-ld:Bus:1","type":"Bus","a":{"type":"Property","value":' + b"[" * 900 + b"]" * 900 + b"}}"),
    "nan": (200, b'[{"id":"urn:ngsi-ld:Bus:1","type":"Bus","speed":{"type":"Property","value":NaN}}]'),
    "big": (200, _json([ENTITY | {"id": f"urn:ngsi-ld:Bus:{n}"} for n in range(5_000)])),
    "nul": (200, b'[{"id":"urn:ngsi-ld:Bus:1","type":"Bus","a":{"type":"Property","value":"\\u0000"}}]'),
    "207": (207, b'{"success":5,"errors":[{"entityId":null}]}'),
    "207b": (207, b'{"updated":{},"notUpdated":"x"}'),
    "204": (204, b""),
    "201": (201, b""),
    "400": (400, b'{"type":5,"title":[],"detail":{}}'),
    "404": (404, b""),
    "500": (500, b"Traceback"),
    "503": (503, b"{}"),
}  # fmt: skip
WAYS = {
    "chain": Neighbours._chain,
    "many": Neighbours._many,
    "redirect": Neighbours._redirect,
    "die": Neighbours._die,
    "garbage": Neighbours._garbage,
    "lies": Neighbours._lies,
    "headers": Neighbours._headers,
    "hang": Neighbours._hang,
    "drip": Neighbours._drip,
    "bomb": Neighbours._bomb,
    "n": Neighbours._n,
    "s": Neighbours._s,
}
