"""Two brokers in processes of their own, each with a database: they federate, one of them is killed, they ask in circles."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest

from .conftest import registration

pytestmark = [pytest.mark.e2e]

SERVE = """
import sys, django, uvicorn
django.setup()
from amb247.context.rest.app import ngsi_app
app = ngsi_app()
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", lifespan="off")
app.stop()
"""
BUS, TRAM = "urn:ngsi-ld:Bus:1", "urn:ngsi-ld:Tram:1"
OLD, NEW = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"


def prop(value, **more):
    return {"type": "Property", "value": value, **more}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Instance:
    """A broker in a process of its own."""

    def __init__(self, name, url, folder):
        self.name, self.port = name, free_port()
        self.environment = os.environ | {
            "AMB_DATABASE_URL": url,
            "AMB_DATA": str(folder),
            "AMB_NGSI_OPEN": "1",
            "AMB_NGSI_ALIAS": name,
            "DJANGO_SETTINGS_MODULE": "amb247.site.settings",
        }
        self.client = httpx.Client(base_url=f"{self.endpoint}/ngsi-ld/v1", timeout=15)
        self.process = None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-c", SERVE, str(self.port)], env=self.environment)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                if self.client.get("/info/sourceIdentity").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise TimeoutError(self.name)

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def get(self, path, **parameters):
        return self.client.get(path, params=parameters)

    def register(self, at, **more):
        response = self.client.post("/csourceRegistrations", json=registration(at.endpoint, **more))
        assert response.status_code == 201, response.text
        return response.headers["location"].rpartition("/")[2]

    def create(self, entity, **parameters):
        response = self.client.post("/entities", json=entity, params=parameters)
        assert response.status_code == 201, response.text


@contextmanager
def databases(*names):
    """Migrated databases on the server of the tests."""
    base = urlsplit(os.environ["AMB_DATABASE_URL"])
    urls = [urlunsplit(base._replace(path=f"/{name}")) for name in names]
    with psycopg.connect(urlunsplit(base), autocommit=True) as own:
        for name in names:
            own.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        own.execute(f"CREATE DATABASE {names[0]}")
        environment = os.environ | {
            "AMB_DATABASE_URL": urls[0],
            "DJANGO_SETTINGS_MODULE": "amb247.site.settings",
        }
        subprocess.run(
            [sys.executable, "-m", "django", "migrate", "--verbosity", "0"],
            env=environment,
            check=True,
            timeout=120,
        )
        for name in names[1:]:
            own.execute(f"CREATE DATABASE {name} TEMPLATE {names[0]}")
        try:
            yield urls
        finally:
            for name in names:
                own.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = Path(tmp_path_factory.mktemp("federation"))
    mark = os.getpid()
    with databases(f"federation_a_{mark}", f"federation_b_{mark}") as urls:
        one, other = (Instance(name, url, folder) for name, url in zip(("a", "b"), urls, strict=True))
        try:
            one.start()
            other.start()
            yield one, other
        finally:
            for instance in (one, other):
                instance.kill()
                instance.client.close()


@pytest.fixture
def brokers(pair):
    """Both, empty and running."""
    for instance in pair:
        if instance.process is None:
            instance.start()
        for registered in instance.get("/csourceRegistrations", limit=1000).json():
            assert instance.client.delete(f"/csourceRegistrations/{registered['id']}").status_code == 204
        found = instance.get("/entities", local="true", limit=1000).json()
        if found:
            instance.client.post("/entityOperations/delete?local=true", json=[one["id"] for one in found])
    return pair


def bus(**attributes):
    return {"id": BUS, "type": "Bus", **attributes}


def test_inclusive_federation(brokers):
    a, b = brokers
    a.create(bus(speed=prop(1, observedAt=OLD), line=prop("T1")))
    b.create(bus(speed=prop(2, observedAt=NEW), doors=prop(3)))
    b.create({"id": "urn:ngsi-ld:Bus:2", "type": "Bus", "speed": prop(50)})
    a.register(b)
    merged = bus(speed=prop(2, observedAt=NEW), line=prop("T1"), doors=prop(3))
    assert a.get(f"/entities/{BUS}").json() == merged
    response = a.get("/entities", type="Bus", count="true")
    assert {one["id"]: one for one in response.json()}[BUS] == merged
    assert response.headers["NGSILD-Results-Count"] == "2"
    assert [one["id"] for one in a.get("/entities", type="Bus", q="speed>20").json()] == ["urn:ngsi-ld:Bus:2"]
    assert len(b.get("/entities", type="Bus").json()) == 2


def test_exclusive_federation_reads_and_writes(brokers):
    a, b = brokers
    a.register(b, ids=[BUS], names=["speed"], mode="exclusive", operations=["redirectionOps", "upsertBatch"])
    a.create(bus(speed=prop(1), line=prop("T1")))
    assert a.get(f"/entities/{BUS}", local="true").json() == bus(line=prop("T1"))
    assert b.get(f"/entities/{BUS}").json() == bus(speed=prop(1))
    assert a.get(f"/entities/{BUS}").json() == bus(line=prop("T1"), speed=prop(1))
    assert a.client.patch(f"/entities/{BUS}/attrs/speed", json={"value": 2}).status_code == 204
    assert b.get(f"/entities/{BUS}").json() == bus(speed=prop(2))
    upsert = a.client.post(
        "/entityOperations/upsert?options=update", json=[bus(speed=prop(3), line=prop("T2"))]
    )
    assert upsert.status_code == 204, upsert.text
    found = a.get("/entities", type="Bus", q="speed==3").json()
    assert found == [bus(line=prop("T2"), speed=prop(3))]
    assert a.client.delete(f"/entities/{BUS}").status_code == 204
    assert b.get(f"/entities/{BUS}").status_code == 404


def test_one_is_killed_meanwhile(brokers):
    a, b = brokers
    a.create(bus(line=prop("T1")))
    b.create(bus(speed=prop(2)))
    inclusive = a.register(b, management={"timeout": 1000}, operations=["federationOps", "appendAttrs"])
    assert a.get(f"/entities/{BUS}").json() == bus(line=prop("T1"), speed=prop(2))
    b.kill()
    for ask in (lambda: a.get(f"/entities/{BUS}"), lambda: a.get("/entities", type="Bus")):
        start = time.monotonic()
        response = ask()
        assert time.monotonic() - start < 2
        assert response.status_code == 200
        found = response.json()
        assert (found[0] if isinstance(found, list) else found) == bus(line=prop("T1"))
        assert inclusive in response.headers["NGSILD-Warning"]
    response = a.client.post(f"/entities/{BUS}/attrs", json={"doors": prop(3)})
    assert response.status_code == 207
    assert response.json()["notUpdated"][0]["registrationId"] == inclusive
    a.register(
        b, ids=[TRAM], types=("Tram",), names=["speed"], mode="exclusive", operations=["redirectionOps"]
    )
    assert a.get(f"/entities/{TRAM}").status_code == 502
    tram = {"id": TRAM, "type": "Tram", "speed": prop(1)}
    assert a.client.post("/entities", json=tram).status_code == 502
    b.start()
    assert a.get(f"/entities/{BUS}").json()["speed"] == prop(2)
    status = a.get(f"/csourceRegistrations/{inclusive}").json()
    assert status["status"] == "ok"
    assert status["timesFailed"] >= 3


def test_one_hangs_meanwhile(brokers):
    a, b = brokers
    a.create(bus(line=prop("T1")))
    registered = a.register(b, management={"timeout": 300})
    assert a.get(f"/entities/{BUS}").status_code == 200
    b.process.send_signal(signal.SIGSTOP)
    try:
        start = time.monotonic()
        response = a.get(f"/entities/{BUS}")
        assert time.monotonic() - start < 1.5
        assert response.status_code == 200
        assert registered in response.headers["NGSILD-Warning"]
        start = time.monotonic()  # it is left alone for a while
        assert a.get("/entities", type="Bus").status_code == 200
        assert time.monotonic() - start < 0.5
    finally:
        b.process.send_signal(signal.SIGCONT)


def test_they_ask_each_other_and_it_ends(brokers):
    a, b = brokers
    everything = ["federationOps", "redirectionOps", "createBatch"]
    a.register(b, operations=everything)
    b.register(a, operations=everything)
    a.create(bus(line=prop("T1")))
    assert b.get(f"/entities/{BUS}", local="true").json() == bus(line=prop("T1"))
    a.client.patch(f"/entities/{BUS}/attrs?local=true", json={"line": prop("T2")})
    for instance in (a, b):
        start = time.monotonic()
        response = instance.get(f"/entities/{BUS}")
        assert response.json() == bus(line=prop("T2"))
        assert "NGSILD-Warning" not in response.headers
        assert len(instance.get("/entities", type="Bus").json()) == 1
        assert time.monotonic() - start < 2
    assert b.client.patch(f"/entities/{BUS}/attrs", json={"line": prop("T3")}).status_code == 204
    assert a.get(f"/entities/{BUS}", local="true").json() == bus(line=prop("T3"))
    created = a.client.post("/entityOperations/create", json=[{"id": TRAM, "type": "Bus"}])
    assert created.status_code == 201, created.text
    assert b.get(f"/entities/{TRAM}", local="true").status_code == 200
    assert b.client.delete(f"/entities/{TRAM}").status_code == 204
    assert a.get(f"/entities/{TRAM}", local="true").status_code == 404


def test_a_change_of_registration_reaches_other_processes(brokers):
    """A third process on the database of the first."""
    a, b = brokers
    b.create(bus(speed=prop(2)))
    third = Instance("a", a.environment["AMB_DATABASE_URL"], a.environment["AMB_DATA"])
    try:
        third.start()
        assert third.get(f"/entities/{BUS}").status_code == 404
        registered = a.register(b)
        time.sleep(1.1)
        assert third.get(f"/entities/{BUS}").status_code == 200
        a.client.delete(f"/csourceRegistrations/{registered}")
        time.sleep(1.1)
        assert third.get(f"/entities/{BUS}").status_code == 404
    finally:
        third.kill()
        third.client.close()
