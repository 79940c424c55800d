"""The NGSI-LD interface on a real port, as a client meets it."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx
import psycopg
import pytest
import uvicorn
from django.db import connection

from amb247.context.domain import contexts, tenants, writing
from amb247.context.rest.app import ngsi_app

CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"


class Served:
    """An application served by uvicorn on a thread of its own."""

    def __init__(self, app) -> None:
        self.app = app
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def _run(self) -> None:
        asyncio.run(self.server.serve())

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.app.stop()


@pytest.fixture(scope="session")
def ngsi_server(django_db_setup):
    served = Served(ngsi_app())
    yield served
    served.stop()


KEPT = frozenset({"context_subscription_revision"})  # filled by migrations


@pytest.fixture
def open_database(db):
    """What the server commits stays until the test ends; quicker than emptying every table of Django's.

    The test's own thread is inside a transaction that is rolled back: what it wants to keep it asks the server for.
    """
    yield
    parameters = connection.get_connection_params()
    wanted = {name: parameters[name] for name in ("host", "port", "user", "password", "dbname")}
    with psycopg.connect(**wanted, autocommit=True) as own:
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


@pytest.fixture
def broker(ngsi_server, open_database, monkeypatch):
    """A client of an empty broker that lets this machine in."""
    monkeypatch.setenv("AMB_NGSI_OPEN", "1")
    with httpx.Client(base_url=f"http://127.0.0.1:{ngsi_server.port}/ngsi-ld/v1", timeout=20) as client:
        yield client
    contexts.forget()
    writing.forget_caches()
    tenants.forget_known()
