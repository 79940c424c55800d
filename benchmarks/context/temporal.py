"""`amb bench temporal`: aggregated queries of the past over 100,000 instances against the bare SQL.

Work: (1) one thing with 100,000 numbers over 28 days, (2) a hundred things with 1,000 each; asked for hourly and daily means
and extremes, and for periods of four minutes, which no hourly figure serves; before and after the hours were rolled up.
Ours finds the things, reads, puts together and represents the answer as the interface does, up to the JSON bytes. The peer
is one hand-written GROUP BY over the same rows (what a reader without hourly figures must do), its rows dumped as JSON.
Also: the latest 10,000 instances as [value, time] pairs. Rounds alternate between the two; p50 and p95.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

INSTANCES = 100_000
DAYS = 28
ROUNDS = 30
START = datetime(2026, 1, 5, tzinfo=UTC)
END = START + timedelta(days=DAYS)
ONE = "urn:ngsi-ld:Probe:bench:one"


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
    from django.db import connection

    call_command("migrate", verbosity=0)
    from amb247.context.domain.rollups import roll_up
    from amb247.kernel.collector import calm_collector

    calm_collector()
    many = [f"urn:ngsi-ld:Probe:bench:{n:03d}" for n in range(100)]
    _fill([ONE], INSTANCES)
    _fill(many, INSTANCES // 100)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE context_history")
        cursor.execute("VACUUM ANALYZE context_past")
    figures: dict[str, dict[str, object]] = {}
    for state in ("from instances", "from hourly figures"):
        if state == "from hourly figures":
            while roll_up(limit=100):
                pass
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE context_hour")
        for name, ids, period in (
            ("one thing by the hour", [ONE], "PT1H"),
            ("one thing by the day", [ONE], "P1D"),
            ("one thing by four minutes", [ONE], "PT4M"),
            ("a hundred things by the day", many, "P1D"),
        ):
            if state == "from hourly figures" and period == "PT4M":
                continue
            ours, bare = [], []
            for _ in range(rounds):
                ours.append(_timed(lambda ids=ids, period=period: aggregated(ids, period)))
                bare.append(_timed(lambda ids=ids, period=period: _bare(ids, period)))
            for percentile in (50, 95):
                figures[f"{name}, {state}, p{percentile}"] = _latency(ours, bare, percentile)
    pairs = [_timed(latest) for _ in range(rounds)]
    figures["the latest 10,000 instances, p95"] = _latency(pairs, None, 95)
    return figures


def _fill(ids: list[str], count: int) -> None:
    from amb247.context.documents.parse import parse_temporal
    from amb247.context.domain.temporal import delete_evolution, upsert_evolution
    from amb247.context.jsonld.context import CORE
    from amb247.context.ngsi_errors import ResourceNotFound

    step = (END - START) / count
    for entity_id in ids:
        with contextlib.suppress(ResourceNotFound):  # of an earlier run
            delete_evolution(entity_id)
        for first in range(0, count, 10_000):
            speed = [
                {
                    "type": "Property",
                    "value": round(30 + 20 * ((n * 7919) % 1000) / 1000, 2),
                    "unitCode": "KMH",
                    "observedAt": (START + n * step).isoformat(),
                }
                for n in range(first, min(first + 10_000, count))
            ]
            upsert_evolution(parse_temporal({"id": entity_id, "type": "Probe", "speed": speed}, CORE))


def asked(period: str):
    from amb247.context.querying.temporal import TemporalQuery, parse_period

    return TemporalQuery(
        "between", START, END, "observedAt", None, ("avg", "min", "max", "totalCount"), parse_period(period)
    )


def aggregated(ids: list[str], period: str) -> bytes:
    from amb247.context.documents.represent import Form
    from amb247.context.documents.temporal import represent_aggregated
    from amb247.context.domain.queries.aggregation import aggregate
    from amb247.context.domain.queries.evolution import find_heads
    from amb247.context.jsonld.context import CORE
    from amb247.context.querying.query import Query

    temporal = asked(period)
    heads = find_heads(Query(ids=tuple(ids), limit=1_000), temporal, attributes=["speed"])
    found = aggregate(heads, temporal, attributes=["speed"])
    return orjson.dumps([represent_aggregated(one, CORE, Form()) for one in found])


def latest() -> bytes:
    from amb247.context.documents.represent import Form
    from amb247.context.documents.temporal import represent_evolution
    from amb247.context.domain.queries.evolution import evolve, head_of
    from amb247.context.jsonld.context import CORE
    from amb247.context.querying.query import Query
    from amb247.context.querying.temporal import TemporalQuery

    temporal = TemporalQuery("before", None, END, "observedAt", 10_000)
    head = head_of(ONE, Query())
    assert head is not None
    part = evolve([head], temporal, attributes=["speed"])
    document = represent_evolution(part.evolutions[0], CORE, Form(), "temporalValues", "observedAt")
    assert len(document["speed"]["values"]) == 10_000
    return orjson.dumps(document)


def _bare(ids: list[str], period: str) -> bytes:
    from django.db import connection

    lengths = {"PT1H": "1 hour", "P1D": "1 day", "PT4M": "4 minutes"}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT entity_id, date_bin(%s, at, %s) AS bucket, avg(num), min(num), max(num), count(*)"
            " FROM context_history WHERE entity_id = ANY(%s) AND attribute = 'speed' AND at >= %s AND at < %s"
            " GROUP BY 1, 2 ORDER BY 1, 2",
            [lengths[period], START, ids, START, END],
        )
        return orjson.dumps(cursor.fetchall())


def _timed(work) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _latency(ours: list[float], bare: list[float] | None, percentile: int) -> dict[str, object]:
    value = statistics.quantiles(ours, n=100)[percentile - 1]
    peer = None if bare is None else statistics.quantiles(bare, n=100)[percentile - 1]
    return {
        "value": value,
        "unit": "ms",
        "peer": None if bare is None else "one GROUP BY, bare psycopg",
        "peer_value": peer,
        "ratio": None if peer is None else peer / value,
    }


if __name__ == "__main__":
    import sys

    print(f"load {os.getloadavg()}")
    for title, figure in main(sys.argv[1:]).items():
        peer = figure["peer_value"]
        print(f"{title:55} {figure['value']:8.1f} ms   peer {'' if peer is None else f'{peer:8.1f} ms'}")
    print(f"load {os.getloadavg()}")
