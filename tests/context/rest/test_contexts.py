from __future__ import annotations

from urllib.parse import quote

import orjson
import pytest
from factories.servers import pages

from amb247.context.adapters.remote_contexts.reader import ALLOW

EX = "https://example.org/vocab#"
DOCUMENT = {"@context": {"speed": EX + "speed", "Vehicle": EX + "Vehicle"}}
REL = 'rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'


@pytest.fixture
def site(monkeypatch):
    with pages() as served:
        monkeypatch.setenv(ALLOW, "127.0.0.1")
        yield served


def hosted(broker, document=None):
    answer = broker.post("/jsonldContexts", json=document or DOCUMENT)
    assert answer.status_code == 201
    return answer.headers["location"]


def local(location):
    return "/jsonldContexts/" + location.rpartition("/")[2]


def test_hosted_context_is_served_used_and_deleted(broker):
    location = hosted(broker)
    assert location.startswith("/ngsi-ld/v1/jsonldContexts/")
    assert broker.get(local(location)).json() == DOCUMENT
    answer = broker.get(local(location), headers={"Accept": "application/ld+json"})
    assert answer.headers["content-type"] == "application/ld+json"
    link = {"Link": f"<http://localhost:1{location}>; {REL}"}
    entity = {"id": "urn:ngsi-ld:Vehicle:1", "type": "Vehicle", "speed": {"type": "Property", "value": 1}}
    assert broker.post("/entities", json=entity, headers=link).status_code == 201
    shown = broker.get("/entities/urn:ngsi-ld:Vehicle:1", headers=link)
    assert shown.json() == entity
    assert location in shown.headers["link"]
    assert broker.get("/entities/urn:ngsi-ld:Vehicle:1").json()["type"] == EX + "Vehicle"
    assert broker.delete(local(location)).status_code == 204
    assert broker.get(local(location)).status_code == 404
    gone = broker.get("/entities/urn:ngsi-ld:Vehicle:1", headers=link)
    assert gone.status_code == 504
    assert gone.json()["type"] == "https://uri.etsi.org/ngsi-ld/errors/LdContextNotAvailable"


def test_list_by_kind_and_details(broker, site):
    location = hosted(broker)
    url = site.put("/a", orjson.dumps(DOCUMENT))
    assert (
        broker.get("/entities", params={"type": "Vehicle"}, headers={"Link": f"<{url}>; {REL}"}).status_code
        == 200
    )
    assert [one.endswith(location) for one in broker.get("/jsonldContexts?kind=Hosted").json()] == [True]
    assert broker.get("/jsonldContexts?kind=Cached").json() == [url]
    details = broker.get("/jsonldContexts?details=true").json()
    assert {one["kind"] for one in details} == {"Hosted", "Cached"}
    assert broker.get("/jsonldContexts?kind=Other").status_code == 400
    assert broker.get("/jsonldContexts?details=perhaps").status_code == 400
    one = broker.get(f"/jsonldContexts/{quote(url, safe='')}", params={"details": "true"})
    assert one.json()["URL"] == url
    assert broker.get(f"/jsonldContexts/{quote(url, safe='')}").status_code == 422


def test_reload(broker, site):
    url = site.put("/a", orjson.dumps(DOCUMENT))
    link = {"Link": f"<{url}>; {REL}"}
    broker.get("/entities", params={"type": "Vehicle"}, headers=link)
    path = f"/jsonldContexts/{quote(url, safe='')}"
    assert broker.delete(path, params={"reload": "true"}).status_code == 204
    site.put("/a", b"broken")
    assert broker.delete(path, params={"reload": "true"}).status_code == 504
    assert broker.delete(path).status_code == 204
    assert broker.delete(path).status_code == 404
    assert broker.delete(local(hosted(broker)), params={"reload": "true"}).status_code == 400


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"@context": 5}', "application/ld+json", 400),
        (b'{"@context": {"a": {"@id": "b:c", "@context": {}}}}', "application/json", 400),
        (b'{"@context": "http://127.0.0.1:1/x"}', "application/json", 504),
        (b"{}", "text/plain", 415),
    ],
)
def test_bad_contexts_are_refused(broker, body, media, status):
    answer = broker.post("/jsonldContexts", content=body, headers={"Content-Type": media})
    assert answer.status_code == status
    if status == 415:
        assert answer.content == b""  # 6.3.4
    else:
        assert answer.headers["content-type"] == "application/json"  # 6.3.3


def test_link_into_the_network_is_not_followed(broker, monkeypatch):
    monkeypatch.delenv(ALLOW, raising=False)
    with pages() as served:
        url = served.put("/secret", orjson.dumps(DOCUMENT))
        answer = broker.get("/entities", params={"type": "T"}, headers={"Link": f"<{url}>; {REL}"})
        assert answer.status_code == 504
        assert served.asked == []


def test_who_may(broker, monkeypatch):
    location = hosted(broker)
    monkeypatch.setenv("AMB_NGSI_OPEN", "0")
    assert broker.post("/jsonldContexts", json=DOCUMENT).status_code == 401
    assert broker.get("/jsonldContexts").status_code == 401
    assert broker.delete(local(location)).status_code == 401
    assert broker.get(local(location), params={"details": "true"}).status_code == 401
    assert broker.get(local(location)).status_code == 200
