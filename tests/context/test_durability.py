"""What was acknowledged is found again, however the processes end; history and feed agree with the state."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from amb247.kernel.engine import open_engine

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("durability")]
ROUNDS = 20
WRITER = """
import django, sys
from datetime import datetime, UTC
django.setup()
from amb247.context import api
api.prepare_ahead()
start, step = int(sys.argv[1]), 0
while True:
    now = datetime.now(UTC).isoformat()
    report = api.upsert([
        {"id": f"urn:ngsi-ld:Counter:d:{i}", "type": "Counter",
         "value": {"type": "Property", "value": start + step, "observedAt": now},
         "note": {"type": "Property", "value": f"n{start + step}"}} for i in range(5)])
    assert report.taken == 5
    print(start + step, flush=True)  # acknowledged
    step += 1
"""


def environment(url: str, data: Path) -> dict[str, str]:
    return os.environ | {
        "AMB_DATABASE_URL": url,
        "AMB_DATA": str(data),
        "DJANGO_SETTINGS_MODULE": "amb247.site.settings",
    }


def kill_everything(engine) -> None:
    """kill -9 of the postmaster and of all its children."""
    import psutil

    family = [
        psutil.Process(engine.process.pid),
        *psutil.Process(engine.process.pid).children(recursive=True),
    ]
    for member in family:
        try:
            member.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    engine.process.wait()
    engine.lock.close()
    engine.lock = None


def test_nothing_acknowledged_is_lost_by_kill_9():
    # Not pytest's own folder: another session of it would close that to the server's account while we work.
    data = Path(tempfile.mkdtemp(prefix="amb-durable-"))
    data.chmod(0o755)
    engine = open_engine(data)
    try:
        stand_kills(engine, data)
    finally:
        # Whatever failed, the server of this test ends with it.
        leftover = open_engine(data)
        leftover.stop()
        shutil.rmtree(leftover.folder, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)


def stand_kills(engine, data: Path) -> None:
    migrated = subprocess.run(
        [sys.executable, "-m", "django", "migrate", "-v0"], env=environment(engine.url, data), check=False
    )
    assert migrated.returncode == 0
    acknowledged = -1
    for number in range(ROUNDS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(acknowledged + 1)],
            env=environment(engine.url, data),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        first = writer.stdout.readline()
        assert first, f"round {number}: the writer wrote nothing"
        acknowledged = int(first)
        time.sleep(0.15 + 0.03 * (number % 5))
        kill_everything(engine)  # while it writes
        with writer.stdout:
            for line in writer.stdout:
                acknowledged = int(line)
        writer.wait()
        engine = open_engine(data)
        with psycopg.connect(engine.url) as connection:
            found = check_agreement(connection)
        # A commit whose answer was not read any more may be there: one more than acknowledged, never one less.
        assert acknowledged <= found <= acknowledged + 1, f"round {number}"
        acknowledged = found
    engine.stop()


def check_agreement(connection) -> int:
    """State, history and feed say the same; the value they agree on."""
    state = connection.execute(
        "SELECT (doc->'value'->>'value')::int, doc->'note'->>'value', version FROM context_entity ORDER BY id"
    ).fetchall()
    assert len(state) == 5
    value, note, version = state[0]
    assert all(row == (value, note, version) for row in state)
    assert note == f"n{value}"
    counts = connection.execute(
        "SELECT entity_id, count(*), max(num) FROM context_history WHERE attribute = 'value' GROUP BY 1"
    ).fetchall()
    assert [row[1:] for row in counts] == [(version, float(value))] * 5
    feed = connection.execute(
        "SELECT entity_id, count(*), max((attributes->'value'->>'value')::int) FROM context_change GROUP BY 1"
    ).fetchall()
    assert [row[1:] for row in feed] == [(version, value)] * 5
    return value
