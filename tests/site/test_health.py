from __future__ import annotations

import asyncio

import httpx
import pytest
from django.db import connection
from django.db.utils import OperationalError

from amb247.centre.live import service
from amb247.site import asgi, health, metrics

pytestmark = pytest.mark.integration


def ask(path: str, *, client: str = "127.0.0.1", headers: dict[str, str] | None = None) -> httpx.Response:
    """One request to the server's outer application, without its start-up."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(asgi.build_application(), client=(client, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asking:
            return await asking.get(path, headers=headers)

    return asyncio.run(run())


class Tail:
    def __init__(self, alive: bool) -> None:
        self.alive = alive
        self.last_read = 0.0

    def is_alive(self) -> bool:
        return self.alive


@pytest.fixture
def live(city, monkeypatch):
    service.current().tail = Tail(alive=True)
    monkeypatch.setattr(health, "_is_migrated", False)
    for module in (health, metrics):  # they would close the test's own connection, which is in a transaction
        monkeypatch.setattr(module, "close_old_connections", lambda: None)
    return service.current()


def test_live_answers_without_a_database(monkeypatch):
    monkeypatch.setattr(health, "problems", lambda: ["database: gone"])
    assert (ask("/health/live").status_code, ask("/health/live").text) == (200, "ok\n")


@pytest.mark.parametrize(("problems", "status"), [([], 200), (["database: gone"], 503)])
def test_ready_says_what_is_wrong(monkeypatch, problems, status):
    monkeypatch.setattr(health, "problems", lambda: problems)
    response = ask("/health/ready")
    assert (response.status_code, response.json()) == (status, {"ready": not problems, "problems": problems})


def test_nothing_is_wrong_with_a_migrated_database_and_a_living_picture(live):
    assert health.problems() == []


def test_a_missing_migration_is_a_problem(live):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'territory' AND name LIKE '0003%'")
    assert health.problems() == ["database: migrations are missing"]


def test_a_picture_that_is_loading_or_dead_is_a_problem(live, monkeypatch):
    live.tail = Tail(alive=False)
    assert health.problems() == ["live picture: its reader has stopped"]
    monkeypatch.setattr(service, "_live", None)
    assert health.problems() == ["live picture: still loading"]


def test_an_unreachable_database_is_a_problem(live, monkeypatch):
    def gone():
        raise OperationalError("connection refused\nsecond line")

    monkeypatch.setattr(health, "connection", type("Gone", (), {"cursor": staticmethod(gone)}))
    assert health.problems() == ["database: connection refused"]


@pytest.fixture
def quiet_metrics(monkeypatch):
    monkeypatch.delenv("AMB_METRICS_TOKEN", raising=False)
    monkeypatch.setattr(metrics, "refresh", lambda: None)


@pytest.mark.parametrize(("client", "status"), [("127.0.0.1", 200), ("::1", 200), ("10.0.0.7", 403)])
def test_metrics_are_for_this_machine(quiet_metrics, client, status):
    assert ask("/metrics", client=client).status_code == status


def test_metrics_with_a_token_are_for_its_bearer_alone(quiet_metrics, monkeypatch):
    monkeypatch.setenv("AMB_METRICS_TOKEN", "ficha-larga")
    assert (
        ask("/metrics", client="10.0.0.7", headers={"Authorization": "Bearer ficha-larga"}).status_code == 200
    )
    for headers in ({}, {"Authorization": "Bearer otra"}, {"Authorization": "ficha-larga"}):
        assert ask("/metrics", headers=headers).status_code == 403


def test_metrics_name_requests_feeds_and_the_picture(live, monkeypatch):
    monkeypatch.delenv("AMB_METRICS_TOKEN", raising=False)
    metrics.refresh()
    monkeypatch.setattr(metrics, "refresh", lambda: None)
    ask("/health/live")  # a request is counted when it has been answered
    text = ask("/metrics").text
    assert 'amb_feed_taken_total{feed="prueba"} 2.0' in text
    assert 'amb_feed_refused_total{feed="prueba"} 1.0' in text
    for name in ("amb_http_requests_total", "amb_http_request_seconds_bucket", "amb_event_streams"):
        assert name in text


def test_the_event_stream_says_when_to_come_back_while_nothing_is_loaded(monkeypatch):
    monkeypatch.setattr(service, "_live", None)
    response = ask("/events/city")
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
