"""A seeded stream of hostile requests against a real server process; about half a minute, or as long as one likes.

`AMB_FUZZ_SECONDS=3600 AMB_FUZZ_SEED=7 ./amb test tests/context/rest/test_fuzz.py -s` runs an hour. The seed is printed; each
fault comes with the smallest request that shows it, as a curl command.
"""

from __future__ import annotations

import os

import pytest
from factories.fuzzing.campaign import fuzz

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("fuzz")]
SECONDS = float(os.environ.get("AMB_FUZZ_SECONDS", "30"))
SEED = int(os.environ.get("AMB_FUZZ_SEED", "247"))
# Caches fill up to their bounds and the allocator keeps what large bodies needed; a leak has no bound.
GROWTH_MB = 60.0
LEAST = 200  # requests, however slow the machine


def test_hostile_requests_break_nothing():
    """Never 5xx, 2 s at most, problems as the standard has them, nothing half-written, no growth."""
    report = fuzz(SEED, SECONDS, say=print)
    print(report)
    assert not report.faults, report
    assert report.sent >= LEAST
    early, late = report.growth_mb()
    assert late - early < GROWTH_MB, report
    # The stream must reach the inside, not only be turned away at the door.
    assert {200, 201, 204, 207, 400, 404} <= set(report.statuses)
