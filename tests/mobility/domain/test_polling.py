from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from factories.mobility import message

from amb247.context import api as context
from amb247.mobility import api
from amb247.mobility.domain import polling
from amb247.mobility.domain.polling import LONGEST_BACK_OFF_S, back_off_s
from amb247.mobility.errors import SourceRefused
from amb247.mobility.models import RealtimeSource

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


class Publisher(ThreadingHTTPServer):
    """A publisher that answers as told and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.status, self.body, self.headers = 200, b"", {}
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/vehicles.pb"


class Answers(BaseHTTPRequestHandler):
    server: Publisher

    def do_GET(self) -> None:
        self.server.asked.append(
            {name.lower(): value for name, value in self.headers.items()} | {"path": self.path}
        )
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(self.server.body)

    def log_message(self, *_args) -> None: ...


@pytest.fixture
def publisher():
    server = Publisher()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def source(publisher):
    publisher.body = live_message()
    return RealtimeSource.objects.get(pk=api.add_realtime_source("amb", publisher.url, interval_s=20))


def live_message() -> bytes:
    now = int(time.time())
    return message(
        {"id": "a", "at": now}, {"id": "b", "at": now, "lat": 0.0, "lon": 0.0}, at=now
    ).SerializeToString()


def test_answer_is_taken_counted_and_asked_again_after_the_interval(source):
    now = datetime.now(UTC)
    result = api.poll_once(source.pk, now=now)
    assert (result.status, result.seen, result.taken, result.refused) == ("taken", 2, 1, {"zero_position": 1})
    assert result.next_poll_at == now + timedelta(seconds=20)
    assert context.get("urn:ngsi-ld:Vehicle:amb:a")["source"]["value"] == "GTFS-Realtime amb"
    (status,) = context.feed_statuses()
    assert (status.taken, status.refused, status.reasons) == (1, 1, {"zero_position": 1})
    assert status.latency_s is not None


def test_unchanged_answer_is_not_read_again(source, publisher):
    publisher.headers = {"ETag": '"v1"', "Last-Modified": "Sun, 22 Nov 2026 10:00:00 GMT"}
    api.poll_once(source.pk)
    publisher.status, publisher.body = 304, b""
    assert api.poll_once(source.pk).status == "not_modified"
    assert publisher.asked[1]["if-none-match"] == '"v1"'
    assert publisher.asked[1]["if-modified-since"] == "Sun, 22 Nov 2026 10:00:00 GMT"


def test_failures_wait_longer_each_time_and_a_good_answer_forgives(source, publisher):
    publisher.status = 503
    now = datetime.now(UTC)
    waits = [(api.poll_once(source.pk, now=now).next_poll_at - now).total_seconds() for _ in range(8)]
    assert waits[0] == pytest.approx(40, rel=0.11)
    assert waits[1] == pytest.approx(80, rel=0.11)
    assert max(waits) <= LONGEST_BACK_OFF_S
    source.refresh_from_db()
    assert (source.failures, source.last_problem) == (8, "HTTP 503")
    publisher.status, publisher.body = 200, live_message()
    api.poll_once(source.pk)
    source.refresh_from_db()
    assert (source.failures, source.last_problem) == (0, "")


def test_unreadable_answer_is_counted_and_backed_off(source, publisher):
    publisher.body = live_message()[:40]
    result = api.poll_once(source.pk)
    assert (result.status, result.refused) == ("unreadable", {"truncated_message": 1})
    (status,) = context.feed_statuses()
    assert status.reasons == {"truncated_message": 1}
    assert RealtimeSource.objects.get().failures == 1


def test_nobody_there(source, publisher):
    RealtimeSource.objects.update(url="http://127.0.0.1:9/vehicles.pb")
    assert api.poll_once(source.pk).status == "unreachable"


def test_endless_answer_is_cut_off(source, publisher):
    publisher.body = b"x" * 20_000_100
    result = api.poll_once(source.pk)
    assert (result.status, result.problem) == ("unreachable", "more than 20000000 bytes")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirect_to_another_scheme_is_refused(source, publisher, target):
    publisher.status, publisher.headers, publisher.body = 302, {"Location": target}, b""
    assert api.poll_once(source.pk).status == "unreachable"


def test_redirects_in_a_circle_end(source, publisher):
    publisher.status, publisher.headers, publisher.body = 302, {"Location": "/vehicles.pb"}, b""
    assert api.poll_once(source.pk).problem == "too many redirects"
    assert len(publisher.asked) == 4


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "vehicles.pb", "http:///x"])
def test_only_http_addresses_are_registered(url):
    with pytest.raises(SourceRefused):
        api.add_realtime_source("amb", url)


def test_credentials_stay_out_of_logs_and_feeds(source, publisher, caplog):
    secret = "hunter2"
    url = publisher.url.replace("http://", f"http://me:{secret}@") + f"?key={secret}"
    RealtimeSource.objects.update(url=url)
    publisher.status = 500
    with caplog.at_level(logging.DEBUG, logger="amb247"):
        result = api.poll_once(source.pk)
    (status,) = context.feed_statuses()
    stored = RealtimeSource.objects.get()
    assert "key=" in publisher.asked[0]["path"]
    assert secret not in caplog.text + result.problem + status.url + stored.last_problem


def test_only_due_sources_are_asked(source, publisher):
    assert [result.status for result in api.poll_due()] == ["taken"]
    assert api.poll_due() == []
    RealtimeSource.objects.update(next_poll_at=datetime.now(UTC), is_enabled=False)
    assert api.poll_due() == []
    assert api.poll_once(source.pk).status == "disabled"


def test_back_off_is_bounded_and_spread():
    assert all(back_off_s(30, failures) <= LONGEST_BACK_OFF_S for failures in range(60))
    assert len({back_off_s(30, 1) for _ in range(10)}) > 1


def test_loop_goes_on_after_a_failure_and_ends_when_told(monkeypatch):
    stop, rounds = threading.Event(), []

    def due(**_options):
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("database away")
        stop.set()

    monkeypatch.setattr(polling, "poll_due", due)
    monkeypatch.setattr(polling, "close_old_connections", lambda: None)
    polling.poll_until(stop, pause_s=0.01)
    assert len(rounds) == 2
