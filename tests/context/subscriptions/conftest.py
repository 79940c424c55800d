"""A database that commits, an engine that delivers from it, and somebody to deliver to."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import uvicorn

from amb247.context import api
from amb247.context.delivery.policy import Policy
from amb247.context.delivery.service import DeliveryService, database_url
from amb247.context.domain import subscriptions, tenants
from amb247.context.domain.writing import forget_caches
from amb247.context.jsonld.context import CORE

from .receivers import Receiver

QUICK = Policy(first_wait_s=0.05, longest_wait_s=0.4, timeout_s=5.0, tidy_s=0.3)
KEPT = frozenset({"context_index"})  # made by migrations


def empty(url: str) -> None:
    """Forget everything that the context's tables hold."""
    with psycopg.connect(url, autocommit=True) as own:
        for (schema,) in own.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname ~ '^tenant[-_]'"
        ).fetchall():
            own.execute(f'DROP SCHEMA "{schema}" CASCADE')
        tables = own.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
            "AND relname ~ '^context_' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (table,) in tables:
            if table not in KEPT:
                own.execute(f"DELETE FROM {table}")
    forget_caches()
    tenants.forget_known()


@pytest.fixture
def url(django_db_setup, django_db_blocker, monkeypatch):
    """The test database, where what is written stays until the test ends."""
    monkeypatch.setenv("AMB_NGSI_NOTIFY_ALLOW", "loopback")
    with django_db_blocker.unblock():
        found = database_url()
        empty(found)
        api.prepare_ahead()
        yield found
        empty(found)


@pytest.fixture
def engine(url):
    """A delivery that is running and has become the leader; `engine.restart()` ends it in order and begins anew."""
    running = Running(url)
    yield running
    running.service.stop()


class Running:
    def __init__(self, url: str, policy: Policy = QUICK) -> None:
        self.url, self.policy = url, policy
        self.service = DeliveryService()
        self.begin()

    def begin(self, **policy: float) -> None:
        self.policy = replace(self.policy, **policy)
        self.service.start(self.url, policy=self.policy)
        end = time.monotonic() + 10
        while not self.service.is_leading:
            assert time.monotonic() < end
            time.sleep(0.005)

    def restart(self, **policy: float) -> None:
        self.service.stop()
        self.begin(**policy)


@pytest.fixture
def receiver():
    with receiving() as one:
        yield one


@contextlib.contextmanager
def receiving(port: int = 0):
    one = Receiver(port)
    try:
        yield one
    finally:
        one.stop()


def subscribe(
    receiver_or_uri,
    *,
    context=CORE,
    given=None,
    restriction=None,
    owner="",
    notification=None,
    endpoint=None,
    **members,
):
    """A subscription to everything of type Lamp, unless told otherwise; its id."""
    uri = receiver_or_uri if isinstance(receiver_or_uri, str) else receiver_or_uri.uri()
    document = {
        "type": "Subscription",
        "entities": [{"type": "Lamp"}],
        **members,
        "notification": {**(notification or {}), "endpoint": {"uri": uri, **(endpoint or {})}},
    }
    document = {key: value for key, value in document.items() if value is not None}
    return subscriptions.create(document, context, given=given, owner=owner, restriction=restriction)


def lamp(number: int = 1, /, **values):
    """A lamp with Properties of these values; a dict is taken as the instance that it is."""
    return {
        "id": f"urn:ngsi-ld:Lamp:{number}",
        "type": "Lamp",
        **{
            name: value if isinstance(value, dict | list) else {"type": "Property", "value": value}
            for name, value in values.items()
        },
    }


def put(*entities) -> None:
    report = api.upsert(list(entities))
    assert report.taken == len(entities), report.refused


def shown(subscription_id: str):
    return subscriptions.represent(subscriptions.get(subscription_id), CORE)


def eventually(check, timeout_s: float = 20.0):
    """The first true answer of `check`."""
    end = time.monotonic() + timeout_s
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)


class Served:
    """An application served by uvicorn on a thread of its own."""

    def __init__(self, app) -> None:
        self.app = app
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
        config.timeout_graceful_shutdown = 1
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()), daemon=True)
        self.thread.start()
        eventually(lambda: self.server.started)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.app.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


# --- MQTT brokers ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def nats(tmp_path_factory):
    """`nats-server` of the wheel, which speaks MQTT 3.1.1; user `city`, password `secret`."""
    folder = tmp_path_factory.mktemp("nats")
    port = free_port()
    (folder / "nats.conf").write_text(
        f"""
        server_name: test
        listen: "127.0.0.1:{free_port()}"
        jetstream {{ store_dir: "{folder}/js" }}
        mqtt {{ listen: "127.0.0.1:{port}" }}
        authorization {{ users: [{{user: "city", password: "secret"}}] }}
        """
    )
    program = Path(shutil.which("nats-server") or Path(sys.executable).parent / "nats-server")
    with running([program, "-c", folder / "nats.conf"], port):
        yield port


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory):
    """Debian's Mosquitto, which speaks MQTT 5; installed when it is missing and we may."""
    program = Path("/usr/sbin/mosquitto")
    if not program.exists():
        with contextlib.suppress(OSError):
            subprocess.run(["apt-get", "install", "-y", "mosquitto"], capture_output=True, timeout=180)
    if not program.exists():
        pytest.skip("SKIPPED: Mosquitto is not installed and could not be: MQTT 5 is not tested here")
    folder = tmp_path_factory.mktemp("mosquitto")
    port = free_port()
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    with running([program, "-c", folder / "mosquitto.conf"], port):
        yield port


@contextlib.contextmanager
def running(command, port: int):
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, f"{command[0]} ended by itself"
            assert time.monotonic() < end
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(10)
