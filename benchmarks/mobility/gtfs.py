"""Import of real GTFS feeds against the bare tools: budget 3 times (gtfs-parquet reads + gtfs-guru validates).

Peer and import run in turn in one process, three times each; medians. The import is whole: archive, lenient reading,
checks, validation, Parquet, and the committed transaction in PostgreSQL. Needs the shared real data; without it, the
demonstration feeds that `AMB_BENCH_GTFS` (a folder of zips) names.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROUNDS = 3
BUDGET = 3.0
CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> dict[str, dict[str, Any]]:
    """Figures by feed; ratio is peer's time through ours, so that more than 1 is faster than the bare tools."""
    feeds = [Path(argument) for argument in arguments if not argument.startswith("-")] or found_feeds()
    if not feeds:
        print("No real GTFS feeds found: set AMB_SHARED_DATA or AMB_BENCH_GTFS.", file=sys.stderr)
        return {}
    if os.environ.get("AMB_DATABASE_URL"):
        return measured(feeds)
    from amb247.kernel.engine import open_engine

    with tempfile.TemporaryDirectory(prefix="amb-bench-") as folder:
        Path(folder).chmod(0o755)
        engine = open_engine(Path(folder))
        os.environ["AMB_DATABASE_URL"], os.environ["AMB_DATA"] = engine.url, folder
        try:
            return measured(feeds)
        finally:
            engine.stop()


def found_feeds() -> list[Path]:
    given = os.environ.get("AMB_BENCH_GTFS")
    shared = Path(os.environ.get("AMB_SHARED_DATA") or CHECKOUT.parent / "shared" / "data")
    folder = Path(given) if given else shared / "mobility" / "gtfs"
    return sorted(folder.glob("*.zip"))


def measured(feeds: list[Path]) -> dict[str, dict[str, Any]]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "amb247.site.settings")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, skip_checks=True)
    one_round(feeds[0])  # the first run pays for imports and caches of both
    results: dict[str, dict[str, Any]] = {}
    for path in feeds:
        rounds = [one_round(path) for _ in range(ROUNDS)]
        peer = statistics.median(peer_s for peer_s, _, _ in rounds)
        ours = statistics.median(ours_s for _, ours_s, _ in rounds)
        status = rounds[0][2]
        results[f"gtfs {path.stem} ({status})"] = {
            "value": round(ours, 3), "unit": "s", "peer": "gtfs-parquet read + gtfs-guru", "peer_value": round(peer, 3),
            "ratio": round(peer / ours, 2),
        }  # fmt: skip
        verdict = "" if ours <= BUDGET * peer else "  OVER THE BUDGET"
        print(
            f"{path.stem:<28}{status:<10}import {ours:6.2f} s   peer {peer:6.2f} s   {ours / peer:4.2f} x{verdict}",
            file=sys.stderr,
        )
    return results


def one_round(path: Path) -> tuple[float, float, str]:
    """Seconds of the peer, seconds of a fresh import, and what the import said. The version is removed again."""
    import gtfs_guru
    from gtfs_parquet import parse_gtfs

    from amb247.mobility import api
    from amb247.mobility.models import GtfsFeed

    GtfsFeed.objects.filter(slug="bench").delete()
    start = time.perf_counter()
    parse_gtfs(path)
    gtfs_guru.validate(str(path))
    between = time.perf_counter()
    report = api.import_gtfs(path, feed="bench")
    end = time.perf_counter()
    GtfsFeed.objects.filter(slug="bench").delete()
    return between - start, end - between, report.status


if __name__ == "__main__":
    main(sys.argv[1:])
