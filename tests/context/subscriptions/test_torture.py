"""The torture test of `amb bench notifications`, small: ill endpoints, single updates and batches, the server killed once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("torture")]
SCRIPT = Path(__file__).parents[3] / "benchmarks" / "context" / "notifications.py"


def test_nothing_lost_and_order_kept_through_kill_9():
    environment = {key: value for key, value in os.environ.items() if key != "AMB_DATABASE_URL"}
    environment["AMB_NGSI_DELIVERY"] = "longest_wait_s=2"
    command = [sys.executable, SCRIPT, "--updates", "4000", "--measured", "400", "--rate", "200"]
    done = subprocess.run(
        [*map(str, command), "--kills", "1", "--patience", "90"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["notifications lost"]["value"] == 0, done.stderr
    assert figures["per-entity order violated"]["value"] == 0, done.stderr
    assert figures["notifications"]["value"] >= 4000
