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
from amb247.context.domain.queries import discovery
from amb247.context.domain.queries.find import find
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


AGGREGATED = "format=aggregatedValues&aggrMethods=totalCount"


def test_figures_of_what_lives_in_the_state_alone(broker):
    """Never observed, never changed: the whole interval begins and ends with its creation."""
    assert broker.post("/entities", json=BUS).status_code == 201
    created = broker.get(f"/entities/{BUS['id']}?sysAttrs=true").json()["createdAt"]
    found = broker.get(f"/temporal/entities/{BUS['id']}?{AGGREGATED}").json()
    ((count, start, end),) = found["speed"]["totalCount"]
    assert (count, start) == (1, end)
    assert start[:19] == created[:19]


@pytest.mark.parametrize("period", ["P1D", "P1M", "P1Y", "PT1S", "P1W", "P999Y", "PT0S"])
@pytest.mark.parametrize(
    "at",
    ["0001-01-01T00:00:00Z", "1899-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z", "2099-12-31T00:00:00Z"],
)
def test_figures_of_times_far_away(broker, at, period):
    observed = BUS | {
        "speed": [
            {"type": "Property", "value": 1, "observedAt": at},
            {"type": "Property", "value": 2, "datasetId": "urn:d:1"},
        ]
    }
    assert broker.post("/entities", json=observed).status_code == 201
    for asked in (
        "",
        "&timerel=after&timeAt=0001-01-01T00:00:00Z",
        "&timerel=before&timeAt=9999-12-31T23:59:59Z",
    ):
        answer = broker.get(f"/temporal/entities/{BUS['id']}?{AGGREGATED}&aggrPeriodDuration={period}{asked}")
        assert answer.status_code in {200, 403}, answer.text


def test_times_make_few_partitions(broker):
    """A client that sends many years made a table of each day of theirs."""
    years = [f"{year:04}-06-0{day}T00:00:00Z" for year in range(1, 10_000, 11) for day in (1, 2)]
    instances = [
        {"type": "Property", "value": 1, "observedAt": at, "datasetId": f"urn:d:{number}"}
        for number, at in enumerate(years[:1_000])
    ]
    assert broker.post("/entities", json=BUS | {"speed": instances}).status_code == 201
    instances = [one | {"observedAt": at} for one, at in zip(instances, years[-1_000:], strict=True)]
    assert broker.put(f"/entities/{BUS['id']}", json=BUS | {"speed": instances}).status_code == 204
    assert rows("SELECT count(*) < 300 FROM pg_inherits WHERE inhparent = 'context_history'::regclass") == [
        (True,)
    ]


def test_a_large_batch_makes_its_tenant(broker):
    """Above fifty entities they are read on another thread, which looked into the tenant that was not there yet."""
    many = [BUS | {"id": f"urn:ngsi-ld:Bus:{number}"} for number in range(60)]
    tenant = {"NGSILD-Tenant": "night"}
    assert broker.post("/entityOperations/upsert", json=many, headers=tenant).status_code == 201


def test_what_an_entity_of_many_attributes_leaves_behind_is_found_at_once(broker, monkeypatch):
    """Each of its attributes was sought with a statement of its own: seconds, for anybody who asked for the types."""
    many = {f"a{number}": {"type": "Property", "value": number} for number in range(500)}
    for number, attributes in enumerate((many, {"a7": {"type": "Property", "value": 7}})):
        entity = {"id": f"urn:ngsi-ld:Bus:{number}", "type": "Bus", **attributes}
        assert broker.post("/entities", json=entity).status_code == 201
    assert len(broker.get("/attributes").json()["attributeList"]) == 500
    assert broker.delete("/entities/urn:ngsi-ld:Bus:0").status_code == 204
    searches = []
    monkeypatch.setattr(discovery, "find", lambda query: searches.append(query) or find(query))
    assert broker.get("/attributes").json()["attributeList"] == ["a7"]
    assert len(searches) < 5


def test_an_entity_of_a_batch_that_fails_late_is_not_told_of(broker):
    """A type more was in the feed already when it showed that no attribute was added; the state did not take it."""
    assert broker.post("/entities", json=BUS).status_code == 201
    again = BUS | {"type": ["Bus", "Vehicle"]}
    answer = broker.post("/entityOperations/update?options=noOverwrite", json=[again])
    assert (answer.status_code, answer.json()["success"]) == (207, [])
    assert broker.get(f"/entities/{BUS['id']}").json() == BUS
    assert rows("SELECT op, version FROM context_change") == [("created", 1)]
