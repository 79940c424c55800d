"""A client from PyPI that knows nothing of this broker works against it, unchanged.

`ngsildclient` 0.5.2 pins packages that clash with ours, so it lives in an environment of its own, made once from
`pypi_client.lock` and kept in `build/`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from factories.fuzzing.serving import Server

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("pypi_client")]
HERE = Path(__file__).parent
LOCK = HERE / "pypi_client.lock"
KEPT = Path(os.environ["AMB_CHECKOUT"]) / "build" / "pypi-client"
UNREACHABLE = (
    "Connection refused",
    "dns error",
    "timed out",
    "Network is unreachable",
    "error sending request",
    "Failed to fetch",
    "Could not connect",
)


def uv(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uv", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def client_python() -> Path:
    """The interpreter of the client's environment; made anew when the lock has changed."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    folder = KEPT / digest[:12]
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        made = uv("venv", "-q", "--python", sys.executable, folder)
        assert made.returncode == 0, made.stderr
        filled = uv("pip", "install", "-q", "--python", python, "--require-hashes", "--no-deps", "-r", LOCK)
        if filled.returncode and any(sign in filled.stderr for sign in UNREACHABLE):
            pytest.skip(
                f"SKIPPED: no package index can be reached, the client cannot be installed: {filled.stderr[-300:]}"
            )
        assert filled.returncode == 0, filled.stderr
        (folder / "complete").touch()
    return python


@pytest.fixture(scope="module")
def seen(client_python):
    """What the client saw: the whole session, once."""
    server = Server(contexts_of=0)
    try:
        done = subprocess.run(
            [client_python, "-W", "ignore", HERE / "pypi_client_session.py", str(server.port)],
            capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:] + "\n".join(server.errors[-3:])
        assert server.errors == []
        return json.loads(done.stdout.splitlines()[-1])
    finally:
        server.stop()


def urns(*numbers: int) -> list[str]:
    return [f"urn:ngsi-ld:Lamp:{number}" for number in numbers]


def test_create_retrieve_update_and_delete(seen):
    assert seen["connected"] is True
    found = seen["entities"]
    assert found.pop("got") == {
        "@context": "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld",
        "id": "urn:ngsi-ld:Lamp:1",
        "type": "Lamp",
        "power": {"type": "Property", "value": 60.5, "unitCode": "WTT", "observedAt": "2026-11-20T00:00:00Z"},
        "status": {"type": "Property", "value": "on"},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.1, 7.11]}},
        "feeder": {"type": "Relationship", "object": "urn:ngsi-ld:Feeder:1"},
    }
    assert found == {
        "created": True,
        "created again": True,  # refused
        "exists": True,
        "got none": True,  # refused
        "updated": True,
        "power after update": 80,
        "upserted": True,
        "power after upsert": 90,
        "deleted": True,
        "exists after": False,
    }


def test_batches(seen):
    assert seen["batches"] == {
        "created": [120, 0],
        "created again": [1, 2],
        "upserted": True,
        "updated": True,
        "deleted": [2, 0],
        "powers": [333, 444],
    }


def test_queries(seen):
    found = seen["queries"]
    assert sorted(found.pop("q")) == urns(*range(111, 120))
    assert found == {
        "all": 120,
        "text": urns(0),
        "count": 9,  # 0 to 100 without those that became 333 and 444
        "head": 7,
        "posted": urns(5),
        "posted count": 9,
        "types": ["Lamp"],
    }


def test_a_subscription_is_notified(seen):
    found = seen["subscriptions"]
    (told,) = found.pop("notified")
    assert [(one["id"], one["power"]["value"]) for one in told["data"]] == [("urn:ngsi-ld:Lamp:7", 777)]
    assert told["subscriptionId"] == "urn:ngsi-ld:Subscription:client"
    assert found == {
        "id": "urn:ngsi-ld:Subscription:client",
        "exists": True,
        "got": [{"type": "Lamp"}],
        "listed": ["urn:ngsi-ld:Subscription:client"],
        "found by description": ["urn:ngsi-ld:Subscription:client"],
        "deleted": True,
        "exists after": False,
    }


def test_the_past(seen):
    found = seen["past"]
    times = [f"2026-11-20T{hour:02}:00:00Z" for hour in range(6)]
    assert found["values"][3:9] == [
        [value, at] for value, at in zip([10, 100, 200, 300, 400, 500], times, strict=True)
    ]
    assert found["verbose"][:9] == [60.5, 80, 90, 10, 100, 200, 300, 400, 500]
    assert found["between"] == {urns(1)[0]: [[200, times[2]], [300, times[3]]]}
    day = [times[1], "2026-11-21T01:00:00Z"]
    assert found["aggregated"] == {
        urns(1)[0]: {"type": "Property", "max": [[500, *day]], "totalCount": [[5, *day]]}
    }


def test_hosted_contexts(seen):
    words = {"Lamp": "https://example.org/Lamp", "power": "https://example.org/power"}
    assert seen["contexts"] == {
        "hosted": 1,
        "exists": True,
        "got": {"@context": words},
        "under its words": 5,
        "type without": "https://example.org/Lamp",
        "deleted": True,
    }


def test_tenants_and_deletion_in_batches(seen):
    assert seen["dropped"] == 0
    assert seen["tenants"] == {"lamps": 1}
