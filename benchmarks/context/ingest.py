"""`amb bench ingest`: batches through the one door against the bare writing of the same rows.

Work: batches of 1,000 vehicles that exist already, each with a new position, speed and bearing (three observed
attributes) and three that stay; state, history and change feed, one durable transaction a batch. Ours decodes nothing
beforehand: it checks, reads what is stored, merges and writes. The peer is hand-written psycopg that is handed the very
rows (one JSON parameter for the state, COPY for history and feed), without reading, merging or checking anything.
Rounds alternate between the two; medians.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

ENTITIES = 10_000
BATCH = 1_000
ROUNDS = 30


def main(arguments: list[str]) -> dict[str, dict[str, object]]:
    rounds = int(arguments[0]) if arguments else ROUNDS
    from amb247.kernel.engine import open_engine

    with tempfile.TemporaryDirectory(prefix="amb-bench-") as folder:
        Path(folder).chmod(0o755)
        engine = None if os.environ.get("AMB_DATABASE_URL") else open_engine(Path(folder))
        if engine is not None:
            os.environ["AMB_DATABASE_URL"] = engine.url
        os.environ["AMB_DATA"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "amb247.site.settings"
        try:
            return _run(rounds)
        finally:
            if engine is not None:
                engine.stop()


def _run(rounds: int) -> dict[str, dict[str, object]]:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from amb247.context import api
    from amb247.kernel.collector import calm_collector

    calm_collector()  # as every process of the platform does at its start
    api.prepare_ahead()
    start = datetime.now(UTC) - timedelta(hours=1)
    for name in ("ours", "bare"):
        for first in range(0, ENTITIES, BATCH):
            api.upsert(batch(name, first, start, random.Random(first)))
    _settle()
    ours, bare = [], []
    for number in range(rounds):
        at = start + timedelta(seconds=number + 1)
        first = number * BATCH % ENTITIES
        ours.append(_ours(batch("ours", first, at, random.Random(number))))
        bare.append(_bare(batch("bare", first, at, random.Random(number)), at))
    our_rate, bare_rate = BATCH / statistics.median(ours), BATCH / statistics.median(bare)
    alone = _singles(lambda: None)
    beside = _singles(lambda: _ours(batch("ours", 0, datetime.now(UTC), random.Random(0))))
    return {
        "batches of 1,000 through upsert": {
            "value": our_rate,
            "unit": "entities/s",
            "peer": "same rows, bare psycopg",
            "peer_value": bare_rate,
            "ratio": our_rate / bare_rate,
        },
        "single upsert, nothing beside it, p50": _latency(alone, 50),
        "single upsert, nothing beside it, p99": _latency(alone, 99),
        "single upsert beside batches, p50": _latency(beside, 50),
        "single upsert beside batches, p99": _latency(beside, 99),
    }


def batch(name: str, first: int, at: datetime, rng: random.Random) -> list[dict[str, object]]:
    stamp = at.isoformat(timespec="milliseconds")[:-6] + "Z"
    return [
        {
            "id": f"urn:ngsi-ld:Vehicle:{name}:{first + i:06d}",
            "type": "Vehicle",
            "location": {
                "type": "GeoProperty",
                "observedAt": stamp,
                "value": {
                    "type": "Point",
                    "coordinates": [round(-73.2 + rng.random() / 5, 6), round(7 + rng.random() / 5, 6)],
                },
            },
            "speed": {
                "type": "Property",
                "value": round(rng.random() * 60, 1),
                "unitCode": "KMH",
                "observedAt": stamp,
            },
            "bearing": {
                "type": "Property",
                "value": rng.randrange(360),
                "unitCode": "DD",
                "observedAt": stamp,
            },
            "serviceStatus": {"type": "Property", "value": "onRoute"},
            "routeShortName": {"type": "Property", "value": "T1"},
            "refRoute": {"type": "Relationship", "object": "urn:ngsi-ld:GtfsRoute:bench:1"},
        }
        for i in range(BATCH)
    ]


def _ours(entities: list[dict[str, object]]) -> float:
    from amb247.context import api

    began = time.perf_counter()
    report = api.upsert(entities)
    spent = time.perf_counter() - began
    assert report.taken == len(entities)
    return spent


def _bare(entities: list[dict[str, object]], at: datetime) -> float:
    """Rows are made beforehand; only their writing is timed."""
    from django.db import connection, transaction

    from amb247.context.domain.places import cell_of
    from amb247.context.domain.writing import HISTORY_COPY
    from amb247.kernel.sql import statement

    now = datetime.now(UTC)
    stamp = now.isoformat(timespec="microseconds")[:-6] + "Z"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, version FROM context_entity WHERE id = ANY(%s)", [[e["id"] for e in entities]]
        )
        versions = dict(cursor.fetchall())
    rows, history, feed = [], [], []
    for entity in sorted(entities, key=lambda one: one["id"]):
        changed = {name: entity[name] | {"modifiedAt": stamp} for name in ("location", "speed", "bearing")}
        point = entity["location"]["value"]["coordinates"]
        rows.append(
            {
                "id": entity["id"],
                "type": ["Vehicle"],
                "scope": [],
                "doc": changed,
                "box": point * 2,
                "cell": cell_of(*point, *point),
                "version": versions[entity["id"]] + 1,
            }
        )
        for name in changed:
            value = entity[name]["value"]
            number = "\\N" if name == "location" else repr(value)
            unit = entity[name].get("unitCode", "\\N")
            body = orjson.dumps(entity[name]).decode() if name == "location" else "\\N"
            history.append(
                f"{entity['id']}\t{name}\t{at.isoformat()}\t{stamp}\tt\t\t{number}\t{unit}\t{body}\n"
            )
        text = orjson.dumps(changed).decode().replace("\\", "\\\\")
        feed.append(f'{stamp}\tupdated\t{entity["id"]}\t{{"Vehicle"}}\t{text}\t\n')
    state, past, news = orjson.dumps(rows).decode(), "".join(history), "".join(feed)
    began = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement("amb247.context", "write_entities"), {"rows": state, "now": now})
        with cursor.copy(HISTORY_COPY) as copy:
            copy.write(past)
        with cursor.copy(
            "COPY context_change (at, op, entity_id, type, attributes, source) FROM STDIN"
        ) as copy:
            copy.write(news)
        cursor.execute("SELECT pg_notify('context_change', '')")
    return time.perf_counter() - began


def _singles(beside, count: int = 300) -> list[float]:
    """Times of single upserts while another thread does `beside` without pause."""
    stopping = threading.Event()

    def work() -> None:
        from django.db import connection

        while not stopping.is_set():
            beside()
            if beside.__name__ == "<lambda>" and stopping.wait(0.0):
                break
        connection.close()

    is_idle = beside() is None
    worker = threading.Thread(target=stopping.wait if is_idle else work)
    worker.start()
    times = []
    for number in range(count):
        entity = batch("ours", number % 9 * BATCH + 500, datetime.now(UTC), random.Random(number))[:1]
        times.append(_ours(entity))
    stopping.set()
    worker.join()
    return times


def _latency(times: list[float], percentile: int) -> dict[str, object]:
    cut = statistics.quantiles(times, n=100)[percentile - 1]
    return {"value": cut * 1000, "unit": "ms", "peer": None, "peer_value": None, "ratio": None}


def _settle() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE context_entity")
        cursor.execute("CHECKPOINT")
