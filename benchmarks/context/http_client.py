"""A client of a few lines that costs next to nothing, so that on two cores the server is what is measured."""

from __future__ import annotations

import asyncio
import time


class Connection:
    """One keep-alive connection to 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def open(self) -> Connection:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**26)
        return self

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of one answer; answers have a Content-Length."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        body = await self.reader.readexactly(length) if length else b""
        return int(head[9:12]), body

    def close(self) -> None:
        self.writer.close()


def request(method: str, path: str, body: bytes = b"", *, content_type: str = "application/json") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body:
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def drive(port: int, requests: list[bytes], connections: int, expected: frozenset[int]) -> list[float]:
    """Send all requests over some connections, each its next one when answered; seconds that each took."""
    waiting = iter(requests)
    times: list[float] = []

    async def work() -> None:
        connection = await Connection(port).open()
        for one in waiting:
            began = time.perf_counter()
            status, body = await connection.send(one)
            times.append(time.perf_counter() - began)
            assert status in expected, (status, body[:300])
        connection.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return times
