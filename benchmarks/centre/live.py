"""`amb bench live`: 100,000 lamps and 1,000 buses at 1 Hz, from the upsert to 50 browsers' connections.

A real server process (uvicorn, the production application) on a database of its own; this process upserts, another
one holds the clients' connections and reads them. Latency is from before the upsert to the arrival of the frame that
carries it; one more client opens a stream and never reads.
`amb bench live MINUTES` runs the stalled part that long (10 in the closing figures; 1 by default).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

LAMPS, BUSES, CLIENTS = 100_000, 1_000, 50
TILES = [(12, x, y) for x in range(1214, 1218) for y in range(1965, 1969)]


def main(arguments: list[str]) -> dict[str, dict[str, object]]:
    minutes = float(arguments[0]) if arguments else 1.0
    from amb247.kernel.engine import open_engine

    with tempfile.TemporaryDirectory(prefix="amb-bench-") as folder:
        Path(folder).chmod(0o755)
        engine = open_engine(Path(folder))
        os.environ |= {
            "AMB_DATABASE_URL": engine.url,
            "AMB_DATA": folder,
            "DJANGO_SETTINGS_MODULE": "amb247.site.settings",
        }
        try:
            return _run(minutes)
        finally:
            engine.stop()


def _run(minutes: float) -> dict[str, dict[str, object]]:
    cookie = _prepare()
    port = _free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "amb247", "web", "--port", str(port)],
        env=os.environ | {"AMB_LOG_LEVEL": "WARNING", "AMB_PORT": str(port)},
    )
    try:
        _wait_ready(port)
        agreement = _check_agreement(port, cookie)
        weight = _first_paint(port, cookie)
        idle = _cpu(server, lambda: _drive(8))
        results = asyncio.run(_watch(port, cookie, server, minutes))
        results["idle_cpu"] = idle
    finally:
        server.terminate()
        server.wait()
    per_client = max(results["cpu"] - idle, 0.0) / CLIENTS * 100
    return {
        "first paint of the map page, compressed": _figure(weight / 1e6, "MB", "budget", 1.5, lower=True),
        "list, map and figures give equal counts": _figure(agreement, "1 = yes", "must be", 1),
        f"upsert to browser, {CLIENTS} clients, p50": _figure(
            results["p50"], "ms", "budget", 500, lower=True
        ),
        f"upsert to browser, {CLIENTS} clients, p95": _figure(
            results["p95"], "ms", "budget", 500, lower=True
        ),
        "server CPU at 1 Hz without clients": _figure(idle * 100, "% of a core"),
        "server CPU per client": _figure(per_client, "% of a core"),
        "frames a client got per second": _figure(results["frames"], "1/s"),
        f"server memory before, {minutes:g} min": _figure(results["rss_before"], "MB"),
        f"server memory after {minutes:g} min, one client stalled": _figure(
            results["rss_after"], "MB", "before", results["rss_before"], lower=True
        ),
    }


def _prepare() -> str:
    """Migrate, load lamps and buses, make a person who may see them; her session cookie."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from importlib import import_module

    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model

    from amb247.context import api
    from amb247.territory import api as territory

    api.prepare_ahead()
    rng = random.Random(1)
    now = _stamp()
    for first in range(0, LAMPS, 2_000):
        api.upsert([_lamp(number, now, rng) for number in range(first, first + 2_000)])
    api.upsert([_bus(number, now, rng) for number in range(BUSES)])
    territory.ensure_administrator("bench@amb.example", password="not-used-here-1")
    user = get_user_model().objects.get(email="bench@amb.example")
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def _lamp(number: int, at: str, rng: random.Random) -> dict[str, object]:
    return {
        "id": f"urn:ngsi-ld:Streetlight:bench:{number:06d}",
        "type": "Streetlight",
        "location": _point(rng),
        "status": {
            "type": "Property",
            "value": "defectiveLamp" if rng.random() < 0.025 else "ok",
            "observedAt": at,
        },
        "powerState": {"type": "Property", "value": "on", "observedAt": at},
        "circuit": {"type": "Property", "value": f"A{number // 90:04d}"},
    }


def _bus(number: int, at: str, rng: random.Random) -> dict[str, object]:
    return {
        "id": f"urn:ngsi-ld:Vehicle:bench:{number:04d}",
        "type": "Vehicle",
        "location": _point(rng) | {"observedAt": at},
        "speed": {
            "type": "Property",
            "value": round(rng.random() * 60, 1),
            "unitCode": "KMH",
            "observedAt": at,
        },
        "bearing": {"type": "Property", "value": rng.randrange(360), "unitCode": "DD", "observedAt": at},
        "routeShortName": {"type": "Property", "value": f"T{number % 51}"},
    }


def _point(rng: random.Random) -> dict[str, object]:
    place = [round(-73.17 + rng.random() * 0.12, 6), round(6.98 + rng.random() * 0.2, 6)]
    return {"type": "GeoProperty", "value": {"type": "Point", "coordinates": place}}


def _stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _get(port: int, path: str, cookie: str) -> tuple[bytes, bytes]:
    """Body as it travelled (gzip accepted) and as it reads."""
    import httpx

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Cookie": cookie}, timeout=60) as client:
        with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.status_code in {200, 204}, (path, answer.status_code)
        read = gzip.decompress(raw) if answer.headers.get("content-encoding") == "gzip" else raw
    return raw, read


def _check_agreement(port: int, cookie: str) -> int:
    """1 when layers, figures, the list's total and the abnormal rows of the map say the same."""
    _, body = _get(port, "/centro/capas.json", cookie)
    layers = json.loads(body)
    lamps = layers["counts"]["streetlight"]
    _, listed = _get(port, "/centro/lista/?capa=streetlight&estado=fault", cookie)
    _, everything = _get(port, "/centro/lista/?capa=streetlight", cookie)
    total = sum(lamps.values())
    faults = len([row for row in layers["abnormal"] if row[4] == "fault"])
    shown = [_total(text.decode()) for text in (listed, everything)]
    return int(total == LAMPS and faults == lamps["fault"] and shown == [lamps["fault"], total])


def _total(fragment: str) -> int:
    """The number of things that the list's own heading names."""
    inside = fragment.split('class="count">(')[1].split(")", maxsplit=1)[0]
    return int("".join(character for character in inside if character.isdigit()))


def _first_paint(port: int, cookie: str) -> int:
    """Bytes of the page, its files, the layers and the tiles of the first view; gzip, as a browser asks for it."""
    page, text = _get(port, "/centro/", cookie)
    weight = len(page)
    found = set()
    for part in text.decode().split('"'):
        if part.startswith("/static/"):
            found.add(part.split("#")[0])
    built = Path(__file__).resolve().parents[2] / "src/amb247/site/static/dist"
    for name in ("worker", "inter-latin", "noto-sans-latin"):  # what the scripts ask for by themselves
        found |= {
            f"/static/dist/{path.relative_to(built)}" for path in built.rglob(f"*{name}*") if path.is_file()
        }
    for url in sorted(found):
        raw, read = _get(port, url, cookie)
        weight += min(len(raw), len(gzip.compress(read, 6)))
    for path in ("/centro/mapa/base.geojson", "/centro/capas.json"):
        raw, read = _get(port, path, cookie)
        weight += min(len(raw), len(gzip.compress(read, 6)))
    for z, x, y in TILES:
        weight += len(_get(port, f"/centro/teselas/{z}/{x}/{y}.mvt", cookie)[0])
    return weight


def _drive(seconds: float, stamps: dict[int, float] | None = None) -> None:
    """Upsert all buses once a second; bearing carries the number of the second, to be found in the frames."""
    from amb247.context import api

    rng = random.Random(2)
    end = time.time() + seconds
    number = 0
    while time.time() < end:
        began = time.time()
        number = (number + 1) % 360
        at = _stamp()
        batch = [_bus(index, at, rng) for index in range(BUSES)]
        for entity in batch:
            entity["bearing"]["value"] = number
        began = time.time()
        api.upsert(batch)
        if stamps is not None:
            stamps[number] = began
        time.sleep(max(1.0 - (time.time() - began), 0.0))


def _cpu(server: subprocess.Popen[bytes], work) -> float:
    process = psutil.Process(server.pid)
    before, began = sum(process.cpu_times()[:2]), time.time()
    work()
    return (sum(process.cpu_times()[:2]) - before) / (time.time() - began)


async def _watch(port: int, cookie: str, server: subprocess.Popen[bytes], minutes: float) -> dict[str, float]:
    stalled = socket.create_connection(("127.0.0.1", port))
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    stalled.sendall(f"GET /events/city HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
    arrivals: list[tuple[int, float]] = []
    clients = [asyncio.create_task(_client(port, cookie, arrivals)) for _ in range(CLIENTS)]
    await asyncio.sleep(3)
    arrivals.clear()
    stamps: dict[int, float] = {}
    process = psutil.Process(server.pid)
    await asyncio.to_thread(_drive, 15)
    rss_before = process.memory_info().rss / 1e6
    arrivals.clear()
    seconds = 20.0
    cpu = await asyncio.to_thread(_cpu, server, lambda: _drive(seconds, stamps))
    await asyncio.sleep(2)
    waits = sorted((at - stamps[number]) * 1000 for number, at in arrivals if number in stamps)
    frames = len(arrivals) / CLIENTS / seconds
    await asyncio.to_thread(_drive, max(minutes * 60 - seconds, 1))
    rss_after = process.memory_info().rss / 1e6
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    stalled.close()
    return {
        "p50": statistics.median(waits),
        "p95": waits[int(len(waits) * 0.95)],
        "cpu": cpu,
        "frames": frames,
        "rss_before": rss_before,
        "rss_after": rss_after,
    }


async def _client(port: int, cookie: str, arrivals: list[tuple[int, float]]) -> None:
    """Read a stream; of each frame note the second it carries, found without decoding all of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=64_000_000)
    writer.write(f"GET /events/city HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
    marker = b'"ok",'
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            event = await reader.readuntil(b"\n\n")
            if b"event: frame" in event[:200] and marker in event:
                arrived = time.time()
                after = event.index(marker) + len(marker)
                arrivals.append((int(event[after : event.index(b",", after)]), arrived))


def _wait_ready(port: int) -> None:
    import httpx

    for _ in range(600):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("the server did not become ready")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _figure(
    value: float, unit: str, peer: str | None = None, peer_value: float | None = None, *, lower: bool = False
) -> dict[str, object]:
    ratio = None
    if peer_value is not None:
        ratio = peer_value / value if lower else value / peer_value
    return {"value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}
