"""`amb bench ingest`: batches through the one door against the bare writing of the same rows.

Work: batches of 1,000 vehicles that exist already, each with a new position, speed and bearing (three observed
attributes) and three that stay; state, history and change feed, one durable transaction a batch. Ours decodes nothing
beforehand: it checks, reads what is stored, merges and writes. The peer is hand-written psycopg that is handed the very
rows (one JSON parameter for the state, COPY for history and feed), without reading, merging or checking anything.
Once by one writer, once by two at a time, each with its own half of the vehicles, as two feeds would; rounds alternate between
ours and the peer; medians.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parent))
from bare_sql import UPDATE

ENTITIES = 10_000
BATCH = 1_000
ROUNDS = 7
PER_ROUND = 5  # batches of each writer in a round


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
    clock = Clock(start)
    rates: dict[str, dict[str, object]] = {}
    for writers, words in ((1, "one writer"), (2, "two writers")):
        ours, bare = [], []
        for _ in range(rounds):
            ours.append(_together("ours", _ours, clock, writers))
            bare.append(_together("bare", _bare, clock, writers))
        our_rate, bare_rate = statistics.median(ours), statistics.median(bare)
        rates[f"batches of 1,000 through upsert, {words}"] = {
            "value": our_rate,
            "unit": "entities/s",
            "peer": "same rows, bare psycopg",
            "peer_value": bare_rate,
            "ratio": our_rate / bare_rate,
        }
    alone = _singles(lambda: None)
    beside = _singles(lambda: _ours(batch("ours", 0, datetime.now(UTC), random.Random(0))))
    return {
        **rates,
        "single upsert, nothing beside it, p50": _latency(alone, 50),
        "single upsert, nothing beside it, p99": _latency(alone, 99),
        "single upsert beside batches, p50": _latency(beside, 50),
        "single upsert beside batches, p99": _latency(beside, 99),
    }


def _position(number: int, rng: random.Random) -> list[float]:
    """Somewhere within some twenty metres of the vehicle's own place: what a second of driving changes."""
    return [
        round(-73.2 + number * 0.618034 % 1 / 5 + rng.random() / 5_000, 6),
        round(7 + number * 0.381966 % 1 / 5 + rng.random() / 5_000, 6),
    ]


class Clock:
    """One second on for every batch, so that each says something new."""

    def __init__(self, start: datetime) -> None:
        self.now = start
        self.lock = threading.Lock()

    def tick(self) -> datetime:
        with self.lock:
            self.now += timedelta(seconds=1)
            return self.now


def _together(name: str, write, clock: Clock, writers: int) -> float:
    """Entities per second of some threads, `PER_ROUND` batches each; the batches are made beforehand."""
    work = []
    for writer in range(writers):
        at = [clock.tick() for _ in range(PER_ROUND)]
        half = ENTITIES // writers
        work.append(
            [
                (batch(name, writer * half + n * BATCH % half, moment, random.Random(n)), moment)
                for n, moment in enumerate(at)
            ]
        )
    if write is _bare:
        work = [[_prepared(entities, at) for entities, at in batches] for batches in work]
    ready = threading.Barrier(writers + 1)

    def run(batches) -> None:
        from django.db import connection

        connection.ensure_connection()
        ready.wait()
        for one in batches:
            if write is _bare:
                _bare(*one)
            else:
                _ours(one[0])
        ready.wait()
        connection.close()

    threads = [threading.Thread(target=run, args=(batches,)) for batches in work]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    ready.wait()
    spent = time.perf_counter() - began
    for thread in threads:
        thread.join()
    return writers * PER_ROUND * BATCH / spent


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
                    "coordinates": _position(first + i, rng),
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


def _prepared(entities: list[dict[str, object]], at: datetime) -> tuple[str, str, str, datetime]:
    """The rows that ours would write, ready for the database: what the bare writer is handed."""
    from django.db import connection

    from amb247.context.domain.places import cell_of

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
        version = versions[entity["id"]] + 1
        rows.append(
            {
                "id": entity["id"],
                "version": version,
                "doc": changed,
                "box": point * 2,
                "cell": cell_of(*point, *point),
            }
        )
        for name in changed:
            value = entity[name]["value"]
            number = "\\N" if name == "location" else repr(value)
            unit = entity[name].get("unitCode", "\\N")
            body = orjson.dumps(entity[name]).decode() if name == "location" else "\\N"
            history.append(
                f"{entity['id']}\t{name}\t{at.isoformat()}\t{stamp}\tt\t\t{number}\t{unit}\t{body}\tf\n"
            )
        text = orjson.dumps(changed).decode().replace("\\", "\\\\")
        feed.append(f'{stamp}\tupdated\t{entity["id"]}\t{{"Vehicle"}}\t{text}\t\t{version}\t\\N\t\\N\n')
    return orjson.dumps(rows).decode(), "".join(history), "".join(feed), now


def _bare(state: str, past: str, news: str, now: datetime) -> None:
    """The rows of a batch and nothing else, in one durable transaction."""
    from django.db import connection, transaction

    from amb247.context.domain.writing import CHANGE_COPY, HISTORY_COPY

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(UPDATE, {"rows": state, "now": now})
        with cursor.copy(HISTORY_COPY) as copy:
            copy.write(past)
        with cursor.copy(CHANGE_COPY) as copy:
            copy.write(news)
        cursor.execute("SELECT pg_notify('context_change', '')")


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
