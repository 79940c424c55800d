"""Too large, too long, too slow: refused at the door, whatever the application behind it does."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from a2wsgi import WSGIMiddleware
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections

from amb247.site import limits, metrics
from amb247.site.limits import MAX_URL, LimitsMiddleware

pytestmark = pytest.mark.unit


async def echo(_scope, receive, send):
    """Reads the whole body, then says how long it was."""
    length = 0
    while True:
        message = await receive()
        length += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def ask(
    app=echo,
    *,
    chunks=(b"",),
    headers=(),
    path="/algo/",
    query=b"",
    method="POST",
    pause_s=0.0,
    max_body=1_000,
):
    """Status, headers and body of one request whose body comes in chunks."""
    sent = []

    async def run():
        waiting = list(chunks)

        async def receive():
            if not waiting:
                await asyncio.sleep(60)
            await asyncio.sleep(pause_s)
            chunk = waiting.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "",
            "headers": [(b"host", b"localhost"), *headers], "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        }  # fmt: skip
        await LimitsMiddleware(app, max_body=max_body)(scope, receive, send)

    asyncio.run(run())
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1, "exactly one answer"
    body = b"".join(message.get("body", b"") for message in sent)
    return starts[0]["status"], dict(starts[0]["headers"]), body


def test_a_body_within_the_limit_arrives_whole():
    assert ask(chunks=[b"x" * 400, b"y" * 600])[::2] == (200, b"1000")


def test_a_declared_length_above_the_limit_is_refused_unread():
    async def untouched(_scope, _receive, _send):
        raise AssertionError("the application was asked")

    status, headers, body = ask(untouched, headers=[(b"content-length", b"1001")])
    assert status == 413
    assert headers[b"content-type"] == b"application/problem+json"
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "The body may have 1,000 bytes.",
        "status": 413,
    }


@pytest.mark.parametrize(
    ("asked", "status", "title"),
    [
        ({"headers": [(b"content-length", b"1001")]}, 413, "Request Entity Too Large"),
        ({"chunks": [b"x" * 600, b"x" * 600]}, 413, "Request Entity Too Large"),
        ({"query": b"q=" + b"x" * MAX_URL}, 414, "Request-URI Too Long"),
        ({"headers": [(b"content-length", b"many")]}, 400, "Bad Request"),
    ],
)
def test_the_standards_interface_has_problems_of_its_own(asked, status, title):
    """GS CIM 009, 6.3.3: application/json, and a type of 5.5.2."""
    found, headers, body = ask(path="/ngsi-ld/v1/entities", **asked)
    assert (found, headers[b"content-type"]) == (status, b"application/json")
    problem = json.loads(body)
    assert problem.pop("detail")
    assert problem == {
        "type": "https://uri.etsi.org/ngsi-ld/errors/InvalidRequest",
        "title": title,
        "status": status,
    }


def test_a_streamed_body_above_the_limit_is_refused():
    assert ask(chunks=[b"x" * 600, b"x" * 600])[0] == 413


def test_a_length_that_is_no_number_is_refused():
    assert ask(headers=[(b"content-length", b"many")])[0] == 400


@pytest.mark.parametrize(("length", "status"), [(MAX_URL, 200), (MAX_URL + 1, 414)])
def test_a_long_address_is_refused(length, status):
    query = b"q" * (length - len("/algo/"))
    assert ask(query=query)[0] == status


def test_a_body_that_stops_coming_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "BODY_IDLE_S", 0.05)
    status, _headers, body = ask(chunks=[b"x", b""], pause_s=0.2)
    assert status == 408
    assert json.loads(body)["title"] == "The body did not arrive in time."


def test_a_slow_body_that_keeps_coming_is_taken(monkeypatch):
    monkeypatch.setattr(limits, "BODY_IDLE_S", 0.1)
    assert ask(chunks=[b"x"] * 8, pause_s=0.03)[::2] == (200, b"8")


def test_an_open_stream_is_not_a_slow_body(monkeypatch):
    """After the body an application may wait for the client's departure as long as it likes."""
    monkeypatch.setattr(limits, "BODY_IDLE_S", 0.05)

    async def stream(_scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.create_task(receive())
        await asyncio.sleep(0.2)
        assert not gone.done()
        gone.cancel()
        await send({"type": "http.response.body", "body": b"end"})

    assert ask(stream, chunks=[b""])[::2] == (200, b"end")


@pytest.mark.django_db
def test_a_page_whose_form_stops_coming_is_not_answered_by_django(monkeypatch):
    """Django turns a body that it cannot read into an answer of its own (403): that one must not be sent."""
    monkeypatch.setattr(limits, "BODY_IDLE_S", 0.1)
    handler = WSGIHandler()

    def pages(environ, start_response):
        try:
            return list(handler(environ, start_response))
        finally:
            connections.close_all()  # of this thread, which the test's database must not wait for

    headers = [
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"content-length", b"11"),
        (b"cookie", b"csrftoken=" + b"a" * 32),  # without it Django refuses before it reads
    ]
    app = WSGIMiddleware(pages, workers=1)
    assert ask(app, chunks=[b"language=", b"en"], pause_s=0.5, headers=headers, path="/idioma/")[0] == 408


def test_an_answer_that_was_begun_before_the_body_became_too_large_is_cut_off():
    async def early(_scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive()).get("more_body"):
            pass

    with pytest.raises(limits.TooLarge):
        ask(early, chunks=[b"x" * 600, b"x" * 600])


def test_an_application_that_fails_is_not_hidden():
    async def fails(_scope, _receive, _send):
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        ask(fails)


def test_every_answer_has_a_request_id_that_its_log_line_has_too(caplog):
    with caplog.at_level(logging.INFO, logger="amb247.web"):
        _status, headers, _body = ask()
        _status, others, _body = ask(headers=[(b"content-length", b"9999")])
    assert headers[b"x-request-id"] != others[b"x-request-id"]
    assert [line.request_id.encode() for line in caplog.records] == [
        headers[b"x-request-id"],
        others[b"x-request-id"],
    ]
    assert [(line.method, line.path, line.status) for line in caplog.records] == [
        ("POST", "/algo/", 200),
        ("POST", "/algo/", 413),
    ]


@pytest.mark.parametrize("path", ["/static/dist/app.js", "/health/live"])
def test_static_files_and_health_checks_are_not_logged(caplog, path):
    with caplog.at_level(logging.INFO, logger="amb247.web"):
        ask(path=path)
    assert caplog.records == []


def test_answers_are_counted_by_status():
    def counted():
        return metrics.REQUESTS.labels("POST", "414")._value.get()

    before = counted()
    ask(query=b"q" * 9_000)
    assert counted() == before + 1
