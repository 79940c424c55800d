"""Requests a second of the platform's one process, against Django under ASGI in the same uvicorn and the same run.

Both servers are real processes on the same database with 10,000 luminaires; they are measured in turn, several rounds,
medians. The client is raw sockets with keep-alive on the same machine, so the figures are for comparing.
`amb bench server`; `--seconds 2 --rounds 3 --connections 32` are the defaults.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LAMPS = 10_000
EMAIL, PASSWORD = "bench@amb.example", "a-long-password-for-the-benchmark"
TILE = "/centro/teselas/13/2432/3934.mvt"
PATHS = {
    "health": "/health/live",
    "static file": "/static/site/favicon.svg",
    "sign-in page": "/cuenta/login/",
    "portal": "/",
    "vector tile": TILE,
}
PEER = "Django under ASGI, same uvicorn"
START_LIMIT_S = 60.0


def main(arguments: list[str]) -> dict[str, dict[str, Any]]:
    """Figures by page; a ratio above 1 is better than Django under ASGI."""
    parser = argparse.ArgumentParser(prog="amb bench server")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    chosen = parser.parse_args(arguments)
    with prepared() as cookie:
        rounds = [one_round(cookie, chosen) for _ in range(chosen.rounds)]
    results: dict[str, dict[str, Any]] = {}
    for name in PATHS:
        ours = statistics.median(found["ours"][name] for found in rounds)
        row: dict[str, Any] = {"value": round(ours), "unit": "requests/s"}
        if name != "health":
            peer = statistics.median(found["peer"][name] for found in rounds)
            row |= {"peer": PEER, "peer_value": round(peer), "ratio": round(ours / peer, 2)}
        results[name] = row
    ours, peer = (statistics.median(found[kind]["wait"] for found in rounds) for kind in ("ours", "peer"))
    results["p99 of the lightest beside busy pages"] = {
        "value": round(ours * 1000, 1),
        "unit": "ms",
        "peer": PEER,
        "peer_value": round(peer * 1000, 1),
        "ratio": round(peer / ours, 2),
    }
    return results


def one_round(cookie: str, chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    return {kind: measured(kind, cookie, chosen) for kind in ("ours", "peer")}


def measured(kind: str, cookie: str, chosen: argparse.Namespace) -> dict[str, float]:
    """Requests a second of every page of one server, and the p99 of single requests while its pages are busy."""
    found: dict[str, float] = {}
    with served(kind) as port:
        for name, path in PATHS.items():
            if name == "health" and kind == "peer":
                continue
            signed_in = cookie if path == TILE else ""
            asyncio.run(load(port, path, signed_in, 0.5, chosen.connections))  # warm
            count, _ = asyncio.run(load(port, path, signed_in, chosen.seconds, chosen.connections))
            found[name] = count / chosen.seconds
        found["wait"] = asyncio.run(beside_busy_pages(port, chosen))
    return found


async def load(
    port: int, path: str, cookie: str, seconds: float, connections: int
) -> tuple[int, list[float]]:
    """How many answers `connections` clients got within `seconds`, and how long each took."""
    until = time.perf_counter() + seconds
    taken: list[float] = []
    await asyncio.gather(*(one_client(port, path, cookie, until, taken) for _ in range(connections)))
    return len(taken), taken


async def one_client(port: int, path: str, cookie: str, until: float, taken: list[float]) -> None:
    """Ask again and again over one connection until the time is up.

    Raises
    ------
    RuntimeError        an answer other than 200: the figures would mean nothing
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n"
    request = (head + (f"Cookie: {cookie}\r\n" if cookie else "") + "\r\n").encode()
    try:
        while (began := time.perf_counter()) < until:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{path}: {answer.splitlines()[0].decode()}")
            await read_body(reader, answer.lower())
            taken.append(time.perf_counter() - began)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def read_body(reader: asyncio.StreamReader, head: bytes) -> None:
    if b"transfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
        return
    length = head.partition(b"content-length: ")[2].split(b"\r\n", 1)[0]
    await reader.readexactly(int(length))


async def beside_busy_pages(port: int, chosen: argparse.Namespace) -> float:
    """p99 of one client asking for the lightest address while all the others keep the pages busy."""
    until = time.perf_counter() + chosen.seconds
    busy: list[float] = []
    alone: list[float] = []
    await asyncio.gather(
        one_client(port, PATHS["health"], "", until, alone),
        *(one_client(port, "/", "", until, busy) for _ in range(chosen.connections)),
    )
    return sorted(alone)[int(len(alone) * 0.99)]


@contextlib.contextmanager
def prepared() -> Iterator[str]:
    """A database of our own with lamps and a person; gives the person's session cookie."""
    from amb247.kernel.engine import open_engine

    known = {
        name: os.environ.get(name) for name in ("AMB_DATABASE_URL", "AMB_DATA", "DJANGO_SETTINGS_MODULE")
    }
    with tempfile.TemporaryDirectory(prefix="amb-bench-") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "static").mkdir()
        engine = open_engine(Path(folder))
        os.environ |= {
            "AMB_DATABASE_URL": engine.url,
            "AMB_DATA": folder,
            "DJANGO_SETTINGS_MODULE": "amb247.site.settings",
        }
        try:
            yield fill()
        finally:
            engine.stop()
            for name, value in known.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def fill() -> str:
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import Client

    from amb247.context import api as context
    from amb247.context.vocabulary.lighting import Streetlight
    from amb247.site import frontend_build
    from amb247.site.database import migrate
    from amb247.territory import api as territory

    frontend_build.ensure(lambda words: print(words, file=sys.stderr))
    migrate()
    territory.ensure_administrator(EMAIL, password=PASSWORD)
    lamps = [
        Streetlight.entity(
            f"urn:ngsi-ld:Streetlight:bench:{number}",
            location=(-73.13 + 0.0004 * (number % 100), 7.10 + 0.0004 * (number // 100)),
            status="ok",
            powerState="on",
        )
        for number in range(LAMPS)
    ]
    for start in range(0, LAMPS, 1_000):
        context.upsert(lamps[start : start + 1_000], source="bench")
    client = Client()
    client.force_login(get_user_model().objects.get(email=EMAIL))
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


@contextlib.contextmanager
def served(kind: str) -> Iterator[int]:
    """One of the two servers in a process of its own; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", kind, str(port)],
        stderr=subprocess.DEVNULL,
        env=os.environ.copy(),
    )
    try:
        wait_until_ready(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("the server did not become ready")


def serve(kind: str, port: int) -> None:
    """Production's own application, or the peer: the same pages under Django's ASGI handler. Same uvicorn settings."""
    import uvicorn

    factory = "amb247.site.asgi:build_application" if kind == "ours" else peer_application
    uvicorn.run(
        factory,
        factory=True,
        host="127.0.0.1",
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
        server_header=False,
    )


def peer_application() -> Any:
    """Same limits, health address and live picture as production, but every page through `django.core.asgi`."""
    from django.conf import settings
    from django.core.asgi import get_asgi_application

    # Connections kept per thread run out under ASGI (32 clients met "too many clients"): a pool is Django's own advice.
    settings.DATABASES["default"]["CONN_MAX_AGE"] = 0
    settings.DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 4, "max_size": 8}
    pages = get_asgi_application()

    from amb247.centre.live import service
    from amb247.site import asgi
    from amb247.site.limits import LimitsMiddleware

    service.start(os.environ["AMB_DATABASE_URL"], asgi.find_areas)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    service.stop()
                    return
        elif scope["path"].startswith("/health/"):
            await health(scope, receive, send)
        else:
            await pages(scope, receive, send)

    async def health(scope: Any, receive: Any, send: Any) -> None:
        from starlette.requests import Request

        answer = await (asgi.ready if scope["path"] == "/health/ready" else asgi.live)(Request(scope))
        await answer(scope, receive, send)

    return LimitsMiddleware(application, max_body=10_000_000)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        for name, row in main(sys.argv[1:]).items():
            print(name, row)
