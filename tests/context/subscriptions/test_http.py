"""The small HTTP client against servers of every kind."""

from __future__ import annotations

import asyncio
import threading

import pytest

from amb247.context.delivery.http import HttpSender, request_head
from amb247.context.domain.endpoints import parse_address

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    monkeypatch.setenv("AMB_NGSI_NOTIFY_ALLOW", "loopback")


def talk(answers, *, posts=1, timeout_s=1.0, pause_s=0.0):
    """Outcomes of posts to a server that gives these answers (bytes, or None to close), and how often it was called."""
    connections = []

    async def run():
        queue = list(answers)

        async def serve(reader, writer):
            connections.append(1)
            while True:
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except asyncio.IncompleteReadError:
                    break
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                answer = queue.pop(0) if queue else None
                if answer is None:
                    break
                for part in answer if isinstance(answer, list) else [answer]:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.01)
                if queue and queue[0] == "close":
                    queue.pop(0)
                    break
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        address = parse_address(f"http://127.0.0.1:{port}/n")
        sender = HttpSender(address)
        head = request_head(address, "application/json", [])
        outcomes = []
        for _ in range(posts):
            outcomes.append(await sender.send(head, b"{}", timeout_s))
            await asyncio.sleep(pause_s)
        await sender.close()
        server.close()
        await asyncio.sleep(0.02)
        return outcomes

    return asyncio.run(run()), len(connections)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (OK, "accepted"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "accepted"),
        (b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "accepted"),
        ([b"HTTP/1.1 200 OK\r\nConte", b"nt-Length: 4\r\n\r\nab", b"cd"], "accepted"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, "accepted"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "accepted"),
        (b"HTTP/1.1 301 X\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n", "refused"),
        (b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", "refused"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", "trouble"),
        (b"SSH-2.0-OpenSSH\r\n", "trouble"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 2_000_000, "accepted"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "accepted"),
        (None, "trouble"),
    ],
)
def test_answers(answer, verdict):
    outcomes, _ = talk([answer], timeout_s=0.3)
    assert outcomes[0].verdict == verdict


def test_connection_is_kept():
    outcomes, connections = talk([OK] * 5, posts=5)
    assert [one.verdict for one in outcomes] == ["accepted"] * 5
    assert connections == 1


def test_connection_closed_by_the_server_is_made_again():
    outcomes, connections = talk([OK, "close", OK], posts=2, pause_s=0.05)
    assert [one.verdict for one in outcomes] == ["accepted"] * 2
    assert connections == 2


def test_connection_that_the_server_wants_closed_is_not_used_again():
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    outcomes, connections = talk([closing, closing], posts=2)
    assert [one.verdict for one in outcomes] == ["accepted"] * 2
    assert connections == 2


def test_retry_after():
    (outcome,), _ = talk([b"HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"])
    assert outcome.retry_after_s == 7
    (outcome,), _ = talk([b"HTTP/1.1 503 X\r\nRetry-After: Wed, 21 Oct\r\nContent-Length: 0\r\n\r\n"])
    assert outcome.retry_after_s == 0


def test_name_that_is_none():
    async def run():
        address = parse_address("http://no-such-host.invalid/")
        return await HttpSender(address).send(request_head(address, "a/b", []), b"", 5)

    outcome = asyncio.run(run())
    assert outcome.verdict == "trouble"
    assert "cannot be resolved" in outcome.reason


def test_no_thread_is_left():
    talk([OK])
    assert not [one for one in threading.enumerate() if one.name.startswith("delivery")]
