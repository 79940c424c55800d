"""`amb bench ngsi`: the NGSI-LD interface over HTTP with 100,000 entities stored, beside the bare ceiling.

The server is a process of its own, the production application on a database of its own; this process is the client. The ceiling is the
same bytes through a bare Starlette route that does the same SQL by hand-written psycopg, one transaction a request, in the
same run. `amb bench ngsi ENTITIES` stores another number. Series and notifications have benchmarks of their own (`amb bench
temporal`, `amb bench notifications`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import psutil

sys.path.insert(0, str(Path(__file__).parent))
from http_client import drive, request

BASE = "/ngsi-ld/v1"
CONNECTIONS = 32
SINGLES = 3_000
ROUNDS = 3
BATCH = 1_000
BARE = """
import os, sys, orjson
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
sys.path[:0] = [{source!r}, {here!r}]
from bare_sql import UPDATE
from amb247.context.domain.places import cell_of
from amb247.kernel.sql import statement
import uvicorn
from datetime import datetime, UTC

pool = AsyncConnectionPool(os.environ["AMB_DATABASE_URL"], min_size=8, max_size=8, open=False)
INSERT = statement("amb247.context", "insert_entities")
HISTORY = ("COPY context_history (entity_id, attribute, at, modified_at, observed, dataset_id, num, unit, instance, deleted) FROM STDIN")
CHANGE = "COPY context_change (at, op, entity_id, type, attributes, source, version, state, before) FROM STDIN"

async def write(request):
    body = orjson.loads(await request.body())
    entities = body if isinstance(body, list) else [body]
    now = datetime.now(UTC)
    stamp = now.isoformat()
    rows, past, news = [], [], []
    is_new = request.url.path.endswith("create")
    for one in entities:
        doc = {{k: v for k, v in one.items() if k not in ("id", "type")}}
        row = {{"id": one["id"], "doc": doc, "version": 1}}
        if is_new:
            row |= {{"type": [one["type"]], "scope": [], "created": stamp, "expires": None}}
        if "location" in doc:
            x, y = doc["location"]["value"]["coordinates"]
            row["box"], row["cell"] = [x, y, x, y], cell_of(x, y, x, y)
        rows.append(row)
        for name, value in doc.items():
            if "observedAt" in value:
                past.append(f"{{one['id']}}\\t{{name}}\\t{{value['observedAt']}}\\t{{stamp}}\\tt\\t\\t{{value['value']}}\\t\\\\N\\t\\\\N\\tf\\n")
        text = orjson.dumps(doc).decode()
        op = "created" if is_new else "updated"
        news.append(f"{{stamp}}\\t{{op}}\\t{{one['id']}}\\t{{{{x}}}}\\t{{text}}\\t\\t1\\t\\\\N\\t\\\\N\\n")
    rows.sort(key=lambda row: row["id"])
    async with pool.connection() as connection, connection.cursor() as cursor:
        await cursor.execute(INSERT if is_new else UPDATE, {{"rows": orjson.dumps(rows).decode(), "now": now}})
        if past:
            async with cursor.copy(HISTORY) as copy:
                await copy.write("".join(past))
        async with cursor.copy(CHANGE) as copy:
            await copy.write("".join(news))
        await cursor.execute("SELECT pg_notify('context_change', '')")
    return Response(status_code=201)

async def read(request):
    async with pool.connection() as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT doc::text FROM context_entity WHERE id = %s", [request.path_params["entity_id"]])
        row = await cursor.fetchone()
    return Response(row[0], media_type="application/json")

async def many(request):
    async with pool.connection() as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT doc::text FROM context_entity WHERE " + request.query_params["where"] + " ORDER BY id LIMIT 100")
        rows = await cursor.fetchall()
    return Response("[" + ",".join(row[0] for row in rows) + "]", media_type="application/json")

app = Starlette(routes=[
    Route("/create", write, methods=["POST"]), Route("/update", write, methods=["POST"]),
    Route("/one/{{entity_id}}", read), Route("/many", many),
])

async def main():
    await pool.open()
    await uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[1]), log_level="warning", access_log=False)).serve()

import asyncio, uvloop
uvloop.run(main())
"""


def main(arguments: list[str]) -> dict[str, dict[str, object]]:
    entities = int(arguments[0]) if arguments else 100_000
    from amb247.kernel.engine import open_engine

    with tempfile.TemporaryDirectory(prefix="amb-bench-") as folder:
        Path(folder).chmod(0o755)
        engine = open_engine(Path(folder))
        os.environ |= {
            "AMB_DATABASE_URL": engine.url,
            "AMB_DATA": folder,
            "DJANGO_SETTINGS_MODULE": "amb247.site.settings",
            "AMB_NGSI_OPEN": "1",
            "AMB_LOG_LEVEL": "WARNING",
        }
        try:
            return _run(entities, Path(folder))
        finally:
            engine.stop()


def _run(entities: int, folder: Path) -> dict[str, dict[str, object]]:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    from amb247.context import api

    api.prepare_ahead()
    connection.close()
    script = folder / "bare.py"
    script.write_text(
        BARE.format(source=str(Path(__file__).parents[2] / "src"), here=str(Path(__file__).parent))
    )
    ours_port, bare_port = _free_port(), _free_port()
    servers = [
        subprocess.Popen(
            [sys.executable, "-m", "amb247", "web", "--port", str(ours_port)],
            env=os.environ | {"AMB_PORT": str(ours_port)},
        ),
        subprocess.Popen([sys.executable, str(script), str(bare_port)]),
    ]
    try:
        _wait(ours_port)
        _wait(bare_port)
        return asyncio.run(_measure(entities, ours_port, bare_port, psutil.Process(servers[0].pid)))
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(10)
            server.kill()


async def _measure(
    entities: int, port: int, bare: int, server: psutil.Process
) -> dict[str, dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    batch = [_batch("Luminaire", first, first + BATCH) for first in range(0, entities, BATCH)]
    await drive(port, [request("POST", f"{BASE}/entityOperations/upsert", one) for one in batch], 2, OK)
    _vacuum()
    # Batches of entities that exist: what a network of sensors sends.
    ours, theirs = [], []
    for number in range(ROUNDS):
        at = datetime.now(UTC) - timedelta(seconds=100 - number)
        bodies = [_readings(first, first + BATCH, at) for first in range(0, 20 * BATCH, BATCH)]
        path = f"{BASE}/entityOperations/upsert?options=update"
        ours.append(await _rate(port, [request("POST", path, one) for one in bodies], 2, BATCH))
        at = datetime.now(UTC) - timedelta(seconds=50 - number)
        # Other lamps than ours: a second writer of the same ones is another question (`tests/context/domain/test_memory.py`).
        bodies = [_readings(first, first + BATCH, at) for first in range(20 * BATCH, 40 * BATCH, BATCH)]
        theirs.append(await _rate(bare, [request("POST", "/update", one) for one in bodies], 2, BATCH))
    rows["batch upsert of 1,000, two clients"] = _row(ours, theirs, "entities/s")
    singles: dict[str, tuple[list[float], list[float]]] = {}
    for number in range(ROUNDS):
        made = [orjson.dumps(_device(f"o{number}-{n}")) for n in range(SINGLES)]
        _add(singles, "create", await _rate(port, [request("POST", f"{BASE}/entities", b) for b in made], CONNECTIONS, 1),
             await _rate(bare, [request("POST", "/create", orjson.dumps(_device(f"b{number}-{n}"))) for n in range(SINGLES)], CONNECTIONS, 1))  # fmt: skip
        ids = [f"urn:ngsi-ld:Device:o{number}-{n}" for n in range(SINGLES)]
        patch = [
            request(
                "PATCH",
                f"{BASE}/entities/{one}/attrs/temperature",
                orjson.dumps({"value": n, "observedAt": _now()}),
            )
            for n, one in enumerate(ids)
        ]
        plain = [
            request("POST", "/update", orjson.dumps({"id": f"urn:ngsi-ld:Device:b{number}-{n}", "type": "Device", "temperature": {"type": "Property", "value": n, "observedAt": _now()}}))
            for n in range(SINGLES)
        ]  # fmt: skip
        _add(
            singles,
            "partial update",
            await _rate(port, patch, CONNECTIONS, 1),
            await _rate(bare, plain, CONNECTIONS, 1),
        )
        upserts = [
            request("POST", f"{BASE}/entityOperations/upsert?options=update", orjson.dumps([{"id": one, "type": "Device", "temperature": {"type": "Property", "value": n, "observedAt": _now()}}]))
            for n, one in enumerate(ids)
        ]  # fmt: skip
        _add(
            singles,
            "single upsert",
            await _rate(port, upserts, CONNECTIONS, 1),
            await _rate(bare, plain, CONNECTIONS, 1),
        )
        _add(singles, "retrieve", await _rate(port, [request("GET", f"{BASE}/entities/{one}") for one in ids], CONNECTIONS, 1),
             await _rate(bare, [request("GET", f"/one/{one}") for one in ids], CONNECTIONS, 1))  # fmt: skip
    for name, (mine, ceiling) in singles.items():
        rows[f"{name}, {CONNECTIONS} clients"] = _row(mine, ceiling, "requests/s")
    _vacuum()
    rng = random.Random(7)
    filtered = [
        request("GET", f"{BASE}/entities?type=Luminaire&q=powerState==%22off%22;level%3C{rng.randrange(20, 60)}&limit=100&offset={rng.randrange(5)}")
        for _ in range(200)
    ]  # fmt: skip
    near = [
        request("GET", f"{BASE}/entities?type=Luminaire&limit=100&georel=near;maxDistance==300&geometry=Point&coordinates=[{-73.2 + rng.random() / 5:.6f},{7 + rng.random() / 5:.6f}]")
        for _ in range(200)
    ]  # fmt: skip
    for name, requests_ in (("filtered query, limit 100", filtered), ("near query, 300 m", near)):
        await drive(port, requests_[:20], 1, OK)
        times = await drive(port, requests_, 1, OK)
        rows[f"{name}, p50"] = _latency(times, 50)
        rows[f"{name}, p95"] = _latency(times, 95)
    where = "type%20@%3E%20ARRAY['Luminaire']%20AND%20doc-%3E'powerState'-%3E%3E'value'='off'"
    times = await drive(bare, [request("GET", f"/many?where={where}")] * 100, 1, OK)
    rows["filtered query, bare SQL, p95"] = _latency(times, 95)
    rows["memory of the server"] = {
        "value": server.memory_info().rss / 1e6, "unit": "MB", "peer": None, "peer_value": None, "ratio": None,
    }  # fmt: skip
    return rows


OK = frozenset({200, 201, 204})


def _add(found: dict, name: str, mine: float, ceiling: float) -> None:
    pair = found.setdefault(name, ([], []))
    pair[0].append(mine)
    pair[1].append(ceiling)


async def _rate(port: int, requests: list[bytes], connections: int, each: int) -> float:
    began = time.perf_counter()
    await drive(port, requests, connections, OK)
    return len(requests) * each / (time.perf_counter() - began)


def _row(ours: list[float], theirs: list[float], unit: str) -> dict[str, object]:
    mine, ceiling = statistics.median(ours), statistics.median(theirs)
    return {
        "value": mine,
        "unit": unit,
        "peer": "bare psycopg + Starlette",
        "peer_value": ceiling,
        "ratio": mine / ceiling,
    }


def _latency(times: list[float], percentile: int) -> dict[str, object]:
    cut = statistics.quantiles(times, n=100)[percentile - 1]
    return {"value": cut * 1000, "unit": "ms", "peer": None, "peer_value": None, "ratio": None}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _device(name: str) -> dict[str, object]:
    return {
        "id": f"urn:ngsi-ld:Device:{name}",
        "type": "Device",
        "temperature": {"type": "Property", "value": 21.5, "observedAt": _now()},
        "batteryLevel": {"type": "Property", "value": 0.9},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.12, 7.12]}},
    }


def _batch(kind: str, first: int, end: int) -> bytes:
    rng = random.Random(first)
    return orjson.dumps(
        [
            {
                "id": f"urn:ngsi-ld:{kind}:{number:06d}",
                "type": kind,
                "location": {
                    "type": "GeoProperty",
                    "value": {
                        "type": "Point",
                        "coordinates": [round(-73.2 + rng.random() / 5, 6), round(7 + rng.random() / 5, 6)],
                    },
                },
                "powerState": {"type": "Property", "value": "off" if rng.random() < 0.05 else "on"},
                "level": {"type": "Property", "value": rng.randrange(101), "unitCode": "P1"},
                "name": {"type": "Property", "value": f"L-{number}"},
                "feeder": {"type": "Relationship", "object": f"urn:ngsi-ld:Feeder:{number // 40}"},
            }
            for number in range(first, end)
        ]
    )


def _readings(first: int, end: int, at: datetime) -> bytes:
    stamp = at.isoformat(timespec="milliseconds")[:-6] + "Z"
    return orjson.dumps(
        [
            {
                "id": f"urn:ngsi-ld:Luminaire:{number:06d}",
                "type": "Luminaire",
                "level": {"type": "Property", "value": number % 100, "observedAt": stamp},
            }
            for number in range(first, end)
        ]
    )


def _vacuum() -> None:
    import psycopg

    with psycopg.connect(os.environ["AMB_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE context_entity")
        connection.execute("CHECKPOINT")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError("the server did not start")
