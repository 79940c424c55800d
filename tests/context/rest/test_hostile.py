"""What the fuzzing of the interface found, each fault with its smallest request."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import quote

import orjson
import psycopg
import pytest
from django.db import connection
from factories.servers import pages

from amb247.context.adapters.remote_contexts.reader import ALLOW
from amb247.context.documents.text import MAX_LEVELS
from amb247.context.documents.values import MAX_DEPTH
from amb247.context.rest.app import ngsi_app

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
JSON = {"Content-Type": "application/json"}
BUS = {"id": "urn:ngsi-ld:Bus:1", "type": "Bus", "speed": {"type": "Property", "value": 1}}
SUBSCRIPTION = {
    "type": "Subscription",
    "entities": [{"type": "Bus"}],
    "notification": {"endpoint": {"uri": "http://127.0.0.1:9/"}},
}
REGISTRATION = {
    "type": "ContextSourceRegistration",
    "information": [{"entities": [{"type": "Bus"}]}],
    "endpoint": "http://127.0.0.1:9/",
}


def refused(answer, kind="BadRequestData", status=400):
    assert (answer.status_code, answer.json()["type"]) == (status, ERRORS + kind), answer.text[:500]
    return answer.json()["detail"]


def rows(query):
    """What other connections see: the server commits on its own."""
    given = connection.get_connection_params()
    with psycopg.connect(
        **{name: given[name] for name in ("host", "port", "user", "password", "dbname")}
    ) as own:
        return own.execute(query).fetchall()


@pytest.mark.parametrize("levels", [MAX_LEVELS + 1, 250, 260, 1_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_what_is_too_deep_to_be_written_again_is_refused(broker, levels, opening, closing):
    """orjson reads 1,024 levels and writes 254: what lay between was taken, and every answer with it a 500."""
    for method, path in (("POST", "/entities"), ("POST", "/subscriptions"), ("POST", "/jsonldContexts")):
        body = opening * levels + "1" + closing * levels
        refused(broker.request(method, path, content=body, headers=JSON), "InvalidRequest")


def test_what_is_just_not_too_deep_is_shown_in_every_form(broker):
    levels = MAX_DEPTH - 1
    value = orjson.loads("[" * levels + "1" + "]" * levels)
    deep = BUS | {"speed": {"type": "Property", "value": value}}
    assert broker.post("/entities", json=deep).status_code == 201
    assert broker.get(f"/entities/{BUS['id']}").json() == deep
    for accept in ("application/ld+json", "application/geo+json", "text/csv"):
        assert broker.get("/entities?type=Bus", headers={"Accept": accept}).status_code == 200


def test_a_deep_remote_context_is_not_available(broker, monkeypatch):
    with pages() as served:
        monkeypatch.setenv(ALLOW, "127.0.0.1")
        body = b'{"@context": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}"
        address = served.put("/deep", body)
        link = {"Link": f'<{address}>; rel="http://www.w3.org/ns/json-ld#context"'}
        refused(broker.get("/entities?type=Bus", headers=link), "LdContextNotAvailable", 504)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/entities", BUS | {"speed": 5, "id": "no uri"}),
        ("/subscriptions", SUBSCRIPTION | {"entities": []}),
        ("/csourceRegistrations", REGISTRATION | {"information": [{"propertyNames": [[]]}]}),
        ("/csourceSubscriptions", SUBSCRIPTION | {"notification": {"endpoint": {"uri": "x"}}}),
    ],
)
def test_a_refused_creation_makes_no_tenant(broker, path, document):
    tenant = {"NGSILD-Tenant": "night"}
    refused(broker.post(path, json=document, headers=tenant))
    assert rows("SELECT name FROM context_tenant") == []
    refused(broker.get("/entities?type=Bus", headers=tenant), "NonexistentTenant", 404)


def test_a_creation_that_a_guard_refuses_makes_no_tenant_and_the_next_one_does(broker):
    tenant = {"NGSILD-Tenant": "night"}
    batch = [BUS, BUS]
    assert broker.post("/entityOperations/create", json=batch, headers=tenant).status_code == 207
    assert broker.get(f"/entities/{BUS['id']}", headers=tenant).json() == BUS
    other = {"NGSILD-Tenant": "day"}
    made = broker.post("/subscriptions", json=SUBSCRIPTION, headers=other)
    assert made.status_code == 201
    assert len(broker.get("/subscriptions", headers=other).json()) == 1
    third = {"NGSILD-Tenant": "noon"}
    assert broker.post("/csourceRegistrations", json=REGISTRATION, headers=third).status_code == 201
    assert len(broker.get("/csourceRegistrations?type=Bus", headers=third).json()) == 1


@pytest.mark.parametrize("path", ["/subscriptions", "/csourceSubscriptions"])
def test_patterns_of_subscriptions_are_those_of_queries(broker, path):
    """They were read by another engine than the one that uses them, which warned of some and took what cannot be used."""
    wanted = [{"type": "Bus", "idPattern": "(?=a)"}]
    assert "idPattern" in refused(broker.post(path, json=SUBSCRIPTION | {"entities": wanted}))
    wanted = [{"type": "Bus", "idPattern": "^urn:[[:alpha:]]+"}]
    assert broker.post(path, json=SUBSCRIPTION | {"entities": wanted}).status_code == 201


def test_a_hosted_context_is_kept_with_all_of_its_parts_or_not_at_all(broker, monkeypatch):
    with pages() as served:
        monkeypatch.setenv(ALLOW, "127.0.0.1")
        address = served.put("/nul", b'{"@context": {"a": "https://example.org/\\u0000"}}')
        refused(broker.post("/jsonldContexts", json={"@context": address}), "LdContextNotAvailable", 504)
    assert broker.get("/jsonldContexts?kind=Hosted").json() == []


def test_a_page_s_cookie_does_not_lock_out_an_open_broker(broker):
    """The first request with a cookie that says nothing was let in, the second was not."""
    for _ in range(3):
        answer = broker.get("/entities?type=Bus", headers={"Cookie": "csrftoken=abc"})
        assert answer.status_code == 200


def test_a_body_that_does_not_arrive_is_no_error_of_ours(caplog):
    app, sent = ngsi_app(), []

    async def receive():
        raise TimeoutError

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/ngsi-ld/v1/entities", "raw_path": b"/ngsi-ld/v1/entities",
        "query_string": b"", "headers": [(b"content-type", b"application/json"), (b"content-length", b"5")],
        "client": ("127.0.0.1", 1), "root_path": "", "scheme": "http", "server": ("localhost", 80),
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setenv("AMB_NGSI_OPEN", "1")
        asyncio.run(app(scope, receive, send))
    app.stop()
    assert sent[0]["status"] == 400
    assert caplog.records == []


LINK = '<%s>; rel="http://www.w3.org/ns/json-ld#context"'


@pytest.mark.parametrize("address", ["http://[", "http://[::1", "http://a:99999999/", "http://a]/"])
def test_an_address_that_cannot_be_taken_apart_is_refused(broker, address):
    refused(broker.get("/entities?type=Bus", headers={"Link": LINK % address}))
    document = BUS | {"@context": ["https://example.org/", address]}
    answer = broker.post("/entities", json=document, headers={"Content-Type": "application/ld+json"})
    assert answer.status_code in {400, 504}
    refused(broker.get(f"/jsonldContexts/{quote(address, safe='')}"), "ResourceNotFound", 404)


def test_a_context_that_leads_to_no_address_is_not_available(broker, monkeypatch):
    with pages() as served:
        monkeypatch.setenv(ALLOW, "127.0.0.1")
        moved = served.put("/moved", b"", status=302, Location="http://[")
        other = served.put("/page", b"", media="text/html", Link='<http://[>; type="application/ld+json"')
        inner = served.put("/inner", b'{"@context": ["http://["]}')
        for address in (moved, other, inner):
            answer = broker.get("/entities?type=Bus", headers={"Link": LINK % address})
            refused(answer, "LdContextNotAvailable", 504)
