"""What the standard says of every operation in words, asked of a running broker (ETSI GS CIM 009 v1.8.1 and 1.9.1).

Each test names its clause; `docs/ngsi-ld.md` links them.
"""

from __future__ import annotations

import http.client
import re
from datetime import datetime

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
DEFAULT = "https://uri.etsi.org/ngsi-ld/default-context/"
CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
CONTEXT_LINK = 'rel="http://www.w3.org/ns/json-ld#context"'
VOCABULARY = {"@context": {"Car": "https://example.org/Car", "brand": "https://example.org/brand"}}
NULL = "urn:ngsi-ld:null"
ONE = "urn:ngsi-ld:Car:1"
TWO = "urn:ngsi-ld:Car:2"
PLACE = {"type": "Point", "coordinates": [-73.12, 7.11]}
JSON, LD, GEO = "application/json", "application/ld+json", "application/geo+json"


def car(entity_id=ONE, **more):
    return {
        "id": entity_id,
        "type": "Car",
        "brand": {"type": "Property", "value": "Mercedes", "observedAt": "2026-11-22T10:00:00Z"},
        "speed": [
            {"type": "Property", "value": 55, "unitCode": "KMH"},
            {"type": "Property", "value": 54, "datasetId": "urn:ngsi-ld:Dataset:gps"},
        ],
        "name": {"type": "LanguageProperty", "languageMap": {"es": "Carro", "en": "Car"}},
        "isParked": {"type": "Relationship", "object": "urn:ngsi-ld:Parking:1"},
        "location": {"type": "GeoProperty", "value": PLACE},
        "scope": ["/Bucaramanga/Norte"],
        **more,
    }


def refused(response, status, kind):
    """6.3.2, 6.3.3, 5.5.3: the status of the type, plain JSON with type, title and detail, no Link."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == JSON
    assert "link" not in response.headers
    body = response.json()
    assert body["type"] == ERRORS + kind
    assert body["title"]
    assert body["detail"]
    assert body["status"] == status
    return body


@pytest.fixture
def stored(broker):
    assert broker.post("/entities", json=car()).status_code == 201
    return broker


def get(broker, entity_id=ONE, **parameters):
    response = broker.get(f"/entities/{entity_id}", params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def done(response):
    """6.3.6: 204 has neither body, nor length, nor Link."""
    assert response.status_code == 204, response.text
    assert response.content == b""
    assert "content-length" not in response.headers
    assert "link" not in response.headers


# --- 6.3: behaviours common to all --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/entities/{}"),
        ("DELETE", "/entities/{}"),
        ("PUT", "/entities/{}"),
        ("PATCH", "/entities/{}"),
        ("POST", "/entities/{}/attrs"),
        ("PATCH", "/entities/{}/attrs"),
        ("PATCH", "/entities/{}/attrs/speed"),
        ("PUT", "/entities/{}/attrs/speed"),
        ("DELETE", "/entities/{}/attrs/speed"),
        ("GET", "/temporal/entities/{}"),
        ("DELETE", "/temporal/entities/{}"),
        ("POST", "/temporal/entities/{}/attrs"),
        ("DELETE", "/temporal/entities/{}/attrs/speed"),
        ("DELETE", "/temporal/entities/{}/attrs/speed/urn:ngsi-ld:Instance:1"),
        ("GET", "/subscriptions/{}"),
        ("PATCH", "/subscriptions/{}"),
        ("DELETE", "/subscriptions/{}"),
        ("GET", "/csourceRegistrations/{}"),
        ("PATCH", "/csourceRegistrations/{}"),
        ("DELETE", "/csourceRegistrations/{}"),
        ("GET", "/csourceSubscriptions/{}"),
        ("PATCH", "/csourceSubscriptions/{}"),
        ("DELETE", "/csourceSubscriptions/{}"),
    ],
)
def test_an_id_is_a_uri_and_may_be_unknown(broker, method, path):
    bodies = {
        "PUT": {"type": "Property", "value": 1}
        if "speed" in path
        else {"speed": {"type": "Property", "value": 1}},
        "PATCH": {"type": "Property", "value": 1}
        if "speed" in path
        else {"speed": {"type": "Property", "value": 1}},
        "POST": {"speed": [{"type": "Property", "value": 1, "observedAt": "2026-11-22T10:00:00Z"}]},
    }
    if "ubscription" in path:
        bodies["PATCH"] = {"description": "x"}
    if "Registration" in path:
        bodies["PATCH"] = {"endpoint": "http://localhost:9/x"}
    body = {"json": bodies[method]} if method in bodies else {}
    refused(broker.request(method, path.format("no-uri"), **body), 400, "BadRequestData")
    refused(broker.request(method, path.format("urn:ngsi-ld:None:1"), **body), 404, "ResourceNotFound")


BODIES = [
    ("POST", "/entities"),
    ("PUT", f"/entities/{ONE}"),
    ("PATCH", f"/entities/{ONE}"),
    ("POST", f"/entities/{ONE}/attrs"),
    ("PATCH", f"/entities/{ONE}/attrs"),
    ("PATCH", f"/entities/{ONE}/attrs/speed"),
    ("PUT", f"/entities/{ONE}/attrs/speed"),
    ("POST", "/entityOperations/create"),
    ("POST", "/entityOperations/upsert"),
    ("POST", "/entityOperations/update"),
    ("POST", "/entityOperations/merge"),
    ("POST", "/entityOperations/delete"),
    ("POST", "/entityOperations/query"),
    ("POST", "/temporal/entities"),
    ("POST", f"/temporal/entities/{ONE}/attrs"),
    ("POST", "/temporal/entityOperations/query"),
    ("POST", "/subscriptions"),
    ("PATCH", f"/subscriptions/{ONE}"),
    ("POST", "/csourceRegistrations"),
    ("PATCH", f"/csourceRegistrations/{ONE}"),
    ("POST", "/csourceSubscriptions"),
    ("PATCH", f"/csourceSubscriptions/{ONE}"),
    ("POST", "/jsonldContexts"),
]


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_body_is_json_of_a_known_type(broker, method, path):
    """5.5.4, 6.3.4."""
    for raw in (b"", b"{", b"nonsense", b'{"id": "urn:x:1", "id": "urn:x:2"}'):
        refused(
            broker.request(method, path, content=raw, headers={"Content-Type": JSON}), 400, "InvalidRequest"
        )
    response = broker.request(method, path, content=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415
    assert response.content == b""


@pytest.mark.parametrize(("method", "path"), [one for one in BODIES if one[1] != "/jsonldContexts"])
def test_context_stands_where_the_type_says(broker, method, path):
    """6.3.5: never in a body of JSON, never in Link beside ld+json."""
    body = [car() | VOCABULARY] if "entityOperations" in path and "query" not in path else car() | VOCABULARY
    if "delete" not in path:
        refused(
            broker.request(method, path, json=body),
            400,
            "BadRequestData",
        )
    link = f'<{CORE}>; {CONTEXT_LINK}; type="{LD}"'
    refused(
        broker.request(method, path, json=body, headers={"Content-Type": LD, "Link": link}),
        400,
        "BadRequestData",
    )


def test_ld_json_needs_its_context(broker):
    for path, body in (
        ("/entities", car()),
        ("/entityOperations/create", [car()]),
        ("/temporal/entities", car()),
    ):
        refused(broker.post(path, json=body, headers={"Content-Type": LD}), 400, "BadRequestData")


def raw_request(broker, method, path, headers):
    """A request exactly as said, by a client that adds nothing."""
    url = broker.base_url
    link = http.client.HTTPConnection(url.host, url.port, timeout=10)
    link.putrequest(method, url.path.rstrip("/") + path, skip_accept_encoding=True)
    for name, value in headers.items():
        link.putheader(name, value)
    link.endheaders()
    response = link.getresponse()
    content = response.read()
    link.close()
    return response.status, content


def test_a_body_needs_its_length(broker):
    """6.3.4."""
    assert raw_request(broker, "POST", "/entities", {"Content-Type": JSON}) == (411, b"")


def test_a_wrong_method_is_told_the_right_ones(broker):
    """6.3.2."""
    response = broker.put("/entities", json={})
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) >= {"GET", "POST", "DELETE"}


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (LD, LD),
        (f"{LD}, {JSON}", JSON),
        (f"{LD};q=0.5, {JSON};q=0.4", LD),
        (f"{JSON};q=0, */*", LD),
        (f"{LD}, */*;q=0.1", LD),
        (GEO, GEO),
        (f"text/html, {GEO};q=0.9", GEO),
    ],
)
def test_accept_is_honoured(stored, accept, media):
    """6.3.4, 6.3.6."""
    headers = {"Accept": accept} if accept else {}
    if accept is None:
        status, _ = raw_request(stored, "GET", f"/entities/{ONE}", {})
        assert status == 200
    for path in (f"/entities/{ONE}", "/entities?type=Car"):
        response = stored.get(path, headers=headers)
        assert response.status_code == 200
        assert response.headers["content-type"] == media
        body = response.json()
        first = body[0] if isinstance(body, list) else body
        assert ("@context" in first) == (media != JSON)
        assert ("link" in response.headers) == (media == JSON)


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (f"/entities/{ONE}", "text/html"),
        ("/entities?type=Car", "image/png"),
        (f"/temporal/entities/{ONE}", GEO),
        ("/subscriptions", GEO),
        ("/csourceRegistrations", GEO),
        ("/csourceSubscriptions", GEO),
    ],
)
def test_what_nobody_can_read_is_not_acceptable(stored, path, accept):
    """6.3.4: the body lists what there is."""
    response = stored.get(path, headers={"Accept": accept})
    assert response.status_code == 406
    assert JSON in response.json()["availableRepresentations"]


def test_geojson_says_its_context_where_wanted(stored):
    """6.3.6: in the body unless `Prefer: body=json`."""
    for path in (f"/entities/{ONE}", "/entities?type=Car"):
        inside = stored.get(path, headers={"Accept": GEO, "Prefer": "body=ld+json"})
        assert inside.json()["@context"] == CORE
        assert inside.headers["preference-applied"] == "body=ld+json"
        outside = stored.get(path, headers={"Accept": GEO, "Prefer": "body=json"})
        assert "@context" not in outside.json()
        assert CONTEXT_LINK in outside.headers["link"]
        assert outside.headers["preference-applied"] == "body=json"


def test_pages_are_linked(broker):
    """6.3.10, 5.5.9."""
    broker.post("/entityOperations/create", json=[car(f"urn:ngsi-ld:Car:{n}") for n in range(5)])

    def links(response):
        return {
            rel: target
            for target, rel in re.findall(r'<([^>]+)>;\s*rel="(next|prev)"', response.headers["link"])
        }

    first = broker.get("/entities", params={"type": "Car", "limit": 2})
    assert set(links(first)) == {"next"}
    second = broker.get(str(links(first)["next"]).removeprefix("/ngsi-ld/v1"))
    assert set(links(second)) == {"next", "prev"}
    last = broker.get(str(links(second)["next"]).removeprefix("/ngsi-ld/v1"))
    assert set(links(last)) == {"prev"}
    assert [len(one.json()) for one in (first, second, last)] == [2, 2, 1]
    assert first.json() + second.json() + last.json() == broker.get("/entities?type=Car").json()
    assert "ngsild-results-count" not in first.headers


def test_counting(broker):
    """6.3.13: with limit=0 nothing but the number."""
    broker.post("/entityOperations/create", json=[car(f"urn:ngsi-ld:Car:{n}") for n in range(3)])
    for parameters in ({"count": "true", "limit": 0}, {"options": "count", "limit": 0}):
        response = broker.get("/entities", params={"type": "Car", **parameters})
        assert response.status_code == 200
        assert response.json() == []
        assert response.headers["ngsild-results-count"] == "3"
    assert broker.get("/entities?type=Bus&count=true").headers["ngsild-results-count"] == "0"
    for path in ("/subscriptions", "/csourceRegistrations", "/csourceSubscriptions"):
        response = broker.get(path, params={"count": "true", "limit": 0})
        assert response.status_code == 200, response.text
        assert response.json() == []
        assert response.headers["ngsild-results-count"] == "0"
    response = broker.get(
        "/temporal/entities?type=Car&timerel=before&timeAt=2030-01-01T00:00:00Z&count=true&limit=0"
    )
    assert response.json() == []
    assert response.headers["ngsild-results-count"] == "3"


@pytest.mark.parametrize(
    "path", ["/entities?type=Car", "/subscriptions?", "/csourceRegistrations?", "/csourceSubscriptions?"]
)
@pytest.mark.parametrize(
    "parameter", ["limit=0", "limit=-1", "limit=x", "offset=-1", "offset=x", "count=perhaps"]
)
def test_paging_has_sense(broker, path, parameter):
    refused(broker.get(f"{path}&{parameter}"), 400, "BadRequestData")


def test_too_many_at_once(broker):
    """5.5.6."""
    refused(broker.get("/entities?type=Car&limit=100000"), 403, "TooManyResults")


def test_tenants_are_apart(broker):
    """5.5.10, 6.3.14."""
    headers = {"NGSILD-Tenant": "girón"}
    refused(broker.post("/entities", json=car(), headers={"NGSILD-Tenant": "a b"}), 400, "BadRequestData")
    headers = {"NGSILD-Tenant": "giron"}
    for method, path, body in (
        ("GET", "/entities?type=Car", None),
        ("GET", f"/entities/{ONE}", None),
        ("DELETE", f"/entities/{ONE}", None),
        ("PATCH", f"/entities/{ONE}/attrs", {"speed": 1}),
        ("POST", "/entityOperations/update", [car()]),
        ("POST", "/entityOperations/delete", [ONE]),
        ("GET", "/subscriptions", None),
        ("GET", f"/temporal/entities/{ONE}", None),
        ("DELETE", f"/temporal/entities/{ONE}", None),
    ):
        response = broker.request(method, path, headers=headers, **({} if body is None else {"json": body}))
        refused(response, 404, "NonexistentTenant")
        assert response.headers["ngsild-tenant"] == "giron"
    made = broker.post("/entities", json=car(), headers=headers)
    assert made.status_code == 201
    assert made.headers["ngsild-tenant"] == "giron"
    assert broker.get("/entities?type=Car").json() == []
    there = broker.get("/entities?type=Car", headers=headers)
    assert there.headers["ngsild-tenant"] == "giron"
    assert [one["id"] for one in there.json()] == [ONE]
    done_there = broker.delete(f"/entities/{ONE}", headers=headers)
    done(done_there)
    assert done_there.headers["ngsild-tenant"] == "giron"


@pytest.mark.parametrize(
    "query",
    [
        "options=nonsense",
        "format=nonsense",
        "local=perhaps",
        "join=nonsense",
        "join=flat&joinLevel=0",
        "joinLevel=x",
    ],
)
def test_parameters_have_sense(stored, query):
    refused(stored.get(f"/entities/{ONE}?{query}"), 400, "BadRequestData")
    refused(stored.get(f"/entities?type=Car&{query}"), 400, "BadRequestData")


# --- 6.4: entities ------------------------------------------------------------------------------------------------


def test_create(broker):
    """5.6.1, 6.4.3.1."""
    response = broker.post("/entities", json=car())
    assert response.status_code == 201
    assert response.headers["location"] == f"/ngsi-ld/v1/entities/{ONE}"
    assert response.content == b""
    assert "link" not in response.headers
    refused(broker.post("/entities", json=car()), 409, "AlreadyExists")
    refused(broker.post("/entities", json=[car()]), 400, "BadRequestData")
    for nothing in (
        {"speed": NULL},
        {"speed": {"type": "Property", "value": NULL}},
        {"speed": {"type": "Property", "value": {"a": NULL}}},
        {"isParked": {"type": "Relationship", "object": NULL}},
        {"name": {"type": "LanguageProperty", "languageMap": {"@none": NULL}}},
        {"speed": {"type": "Property", "value": None}},
        {"speed": None},
    ):
        refused(broker.post("/entities", json=car(TWO, **nothing)), 400, "BadRequestData")
    assert broker.get(f"/entities/{TWO}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?id=urn:ngsi-ld:Car:1",
        "?idPattern=urn.*",
        "?scopeQ=/a",
        "?attrs=createdAt",
        "?q=modifiedAt>2020-01-01T00:00:00Z",
    ],
)
def test_too_wide_a_query(stored, query):
    """5.7.2.4: needs types, attributes, q, a geo query, or local=true."""
    refused(stored.get(f"/entities{query}"), 400, "BadRequestData")
    if "attrs" in query:
        return  # system times are said on request, so no entity "has" them
    wide = query + ("&" if query else "?")
    assert len(stored.get(f"/entities{wide.replace('scopeQ=/a', 'scopeQ=/%23')}local=true").json()) == 1


@pytest.mark.parametrize(
    "query",
    [
        "type=Car&id=no-uri",
        "type=Car&idPattern=(",
        "type=Car&q=speed==",
        "type=Car&q=(speed",
        "type=Car&q=speed>>3",
        "type=((Car",
        "type=Car&scopeQ=a b",
        "type=Car&georel=near;maxDistance==10",
        "type=Car&georel=near&geometry=Point&coordinates=[1,2]",
        "type=Car&georel=touches&geometry=Point&coordinates=[1,2]",
        "type=Car&georel=within&geometry=Square&coordinates=[1,2]",
        "type=Car&georel=within&geometry=Polygon&coordinates=[1,2]",
        "type=Car&georel=within&geometry=Point&coordinates=nonsense",
        "type=Car&geometryProperty=location",
        "type=Car&orderBy=speed;sideways",
        "type=Car&orderBy=location;dist-asc",
        "type=Car&pick=",
        "type=Car&pick=speed{",
        "type=Car&datasetId=no-uri",
    ],
)
def test_a_query_that_is_none(broker, query):
    if query.endswith("pick="):
        return  # an empty parameter is as good as none
    refused(broker.get(f"/entities?{query}"), 400, "BadRequestData")


def test_query_finds(stored):
    for query in (
        "type=Car", "type=*", "attrs=brand", "q=speed==55", "type=Car,Bus", "type=(Car;Car)|Bus",
        "georel=near;maxDistance==10&geometry=Point&coordinates=[-73.12,7.11]", "local=true", "type=Car&scopeQ=/Bucaramanga/%23",
        "type=Car&idPattern=Car:1$", f"type=Car&id={ONE},{TWO}", f"type={DEFAULT}Car",
    ):  # fmt: skip
        found = stored.get(f"/entities?{query}")
        assert found.status_code == 200, query
        assert [one["id"] for one in found.json()] == [ONE], query
    nothing = stored.get("/entities?type=Unknown")
    assert nothing.status_code == 200
    assert nothing.json() == []
    assert CONTEXT_LINK in nothing.headers["link"]
    nothing = stored.get("/entities?type=Unknown", headers={"Accept": GEO})
    assert nothing.json() == {"type": "FeatureCollection", "features": [], "@context": CORE}


def test_purge(stored):
    """5.6.21, 6.4.3.3."""
    stored.post("/entities", json=car(TWO))
    refused(stored.delete("/entities"), 400, "BadRequestData")
    refused(stored.delete(f"/entities?id={ONE}"), 400, "BadRequestData")
    done(stored.delete(f"/entities?type=Car&id={ONE}&drop=speed"))
    assert "speed" not in get(stored)
    assert "brand" in get(stored)
    done(stored.delete(f"/entities?type=Car&id={ONE}&keep=brand"))
    assert set(get(stored)) == {"id", "type", "scope", "brand"}
    done(stored.delete("/entities?type=Car&q=speed==55"))
    assert [one["id"] for one in stored.get("/entities?type=Car").json()] == [ONE]
    done(stored.delete("/entities?type=Car"))
    done(stored.delete("/entities?type=Car"))
    assert stored.get("/entities?type=Car").json() == []


# --- 6.5: one entity ----------------------------------------------------------------------------------------------


def test_retrieve_in_parts(stored):
    """5.7.1, 4.21."""
    assert set(get(stored, attrs="brand,nothing")) == {"id", "type", "scope", "brand"}
    refused(stored.get(f"/entities/{ONE}?attrs=nothing"), 404, "ResourceNotFound")
    assert set(get(stored, pick="id,speed")) == {"id", "speed"}
    assert set(get(stored, omit="speed,type")) == {"id", "brand", "name", "isParked", "location", "scope"}
    refused(stored.get(f"/entities/{ONE}?pick=isParked{{brand}}"), 400, "BadRequestData")
    assert get(stored, datasetId="@none")["speed"]["value"] == 55
    assert get(stored, datasetId="urn:ngsi-ld:Dataset:gps")["speed"]["value"] == 54
    assert "brand" not in get(stored, datasetId="urn:ngsi-ld:Dataset:gps")
    assert len(get(stored, datasetId="@none,urn:ngsi-ld:Dataset:gps")["speed"]) == 2
    refused(stored.get(f"/entities/{ONE}?geometryProperty=location"), 400, "BadRequestData")


def test_retrieve_in_every_form(stored):
    """6.3.7, 6.3.11, 4.15."""
    simple = {
        "id": ONE, "type": "Car", "scope": "/Bucaramanga/Norte", "brand": "Mercedes",
        "speed": {"dataset": {"@none": 55, "urn:ngsi-ld:Dataset:gps": 54}},
        "name": {"languageMap": {"es": "Carro", "en": "Car"}},
        "isParked": "urn:ngsi-ld:Parking:1", "location": PLACE,
    }  # fmt: skip
    for parameters in ({"options": "keyValues"}, {"options": "simplified"}, {"format": "simplified"}, {"format": "keyValues"},
                       {"format": "simplified", "options": "normalized"}):  # fmt: skip
        assert get(stored, **parameters) == simple
    assert get(stored, options="simplified", lang="en")["name"] == "Car"
    assert get(stored, lang="es")["name"] == {"type": "Property", "value": "Carro", "lang": "es"}
    assert get(stored, lang="fr")["name"]["value"] in {"Carro", "Car"}
    concise = get(stored, options="concise")
    assert concise["isParked"] == {"object": "urn:ngsi-ld:Parking:1"}
    assert concise["brand"] == {"value": "Mercedes", "observedAt": "2026-11-22T10:00:00Z"}
    for parameters in ({"options": "sysAttrs"}, {"sysAttrs": "true"}, {"options": "sysAttrs,concise"}):
        shown = get(stored, **parameters)
        for one in (shown, shown["brand"], *shown["speed"], shown["isParked"]):
            assert datetime.fromisoformat(one["createdAt"]) <= datetime.fromisoformat(one["modifiedAt"])
    assert "createdAt" not in get(stored)
    shown = get(stored, options="sysAttrs,keyValues")
    assert shown["brand"] == "Mercedes"
    assert "createdAt" in shown


def test_retrieve_as_a_feature(stored):
    """4.5.16, 6.3.15: what has no such GeoProperty has a null geometry."""

    def feature(**parameters):
        response = stored.get(f"/entities/{ONE}", params=parameters, headers={"Accept": GEO})
        assert response.status_code == 200, response.text
        return response.json()

    found = feature()
    assert found["id"] == ONE
    assert found["type"] == "Feature"
    assert found["geometry"] == PLACE
    assert found["properties"]["type"] == "Car"
    assert found["properties"]["brand"]["value"] == "Mercedes"
    assert feature(geometryProperty="elsewhere")["geometry"] is None
    assert feature(geometryProperty="brand")["geometry"] is None
    assert feature(options="keyValues")["properties"]["brand"] == "Mercedes"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/entities/{ONE}", None),
        ("PUT", f"/entities/{ONE}", {"type": "Car", "speed": {"type": "Property", "value": 1}}),
        ("PATCH", f"/entities/{ONE}", {"speed": {"type": "Property", "value": 1}}),
        ("POST", f"/entities/{ONE}/attrs", {"speed": {"type": "Property", "value": 1}}),
        ("PATCH", f"/entities/{ONE}/attrs", {"speed": {"type": "Property", "value": 1}}),
        ("PATCH", f"/entities/{ONE}/attrs/speed", {"value": 1}),
        ("PUT", f"/entities/{ONE}/attrs/speed", {"type": "Property", "value": 1}),
        ("DELETE", f"/entities/{ONE}/attrs/speed", None),
        ("DELETE", f"/entities/{ONE}", None),
    ],
)
def test_type_narrows_what_is_meant(stored, method, path, body):
    """5.6.2 to 5.6.6, 5.6.17 to 5.6.19, 5.7.1: `type` selects by 4.17."""
    extra = {} if body is None else {"json": body}
    before = get(stored, options="sysAttrs")
    refused(stored.request(method, path, params={"type": "Bus"}, **extra), 404, "ResourceNotFound")
    refused(stored.request(method, path, params={"type": "((Bus"}, **extra), 400, "BadRequestData")
    assert get(stored, options="sysAttrs") == before
    assert stored.request(method, path, params={"type": "Bus|Car"}, **extra).status_code in {200, 204}


def test_replace(stored):
    """5.6.18."""
    made = get(stored, options="sysAttrs")["createdAt"]
    new = {"id": ONE, "type": "Car", "colour": {"type": "Property", "value": "red"}}
    done(stored.put(f"/entities/{ONE}", json=new))
    assert get(stored) == new
    assert get(stored, options="sysAttrs")["createdAt"] == made
    refused(stored.put(f"/entities/{ONE}", json=new | {"colour": NULL}), 400, "BadRequestData")
    refused(stored.put(f"/entities/{ONE}", json=new | {"id": TWO}), 400, "BadRequestData")


def test_merge(stored):
    """5.6.17, 5.5.12."""
    patch = {
        "type": "Vehicle",
        "brand": {"value": "Renault"},
        "speed": [{"value": NULL, "type": "Property", "datasetId": "urn:ngsi-ld:Dataset:gps"}],
        "name": {"languageMap": {"en": NULL, "fr": "Voiture"}},
        "isParked": NULL,
        "colour": {"type": "Property", "value": "red"},
        "scope": "/Giron",
    }
    done(
        stored.patch(f"/entities/{ONE}", json=patch, headers={"Content-Type": "application/merge-patch+json"})
    )
    found = get(stored)
    assert set(found["type"]) == {"Car", "Vehicle"}
    assert found["brand"] == {"type": "Property", "value": "Renault", "observedAt": "2026-11-22T10:00:00Z"}
    assert found["speed"] == {"type": "Property", "value": 55, "unitCode": "KMH"}
    assert found["name"]["languageMap"] == {"es": "Carro", "fr": "Voiture"}
    assert "isParked" not in found
    assert found["colour"]["value"] == "red"
    assert found["scope"] == "/Giron"
    done(
        stored.patch(
            f"/entities/{ONE}?observedAt=2026-11-23T00:00:00Z",
            json={"brand": {"value": "Fiat"}, "colour": {"value": "blue"}},
        )
    )
    assert get(stored)["brand"]["observedAt"] == "2026-11-23T00:00:00Z"
    assert "observedAt" not in get(stored)["colour"]
    for parameters in ({"options": "keyValues"}, {"format": "simplified"}):
        done(
            stored.patch(
                f"/entities/{ONE}",
                params={**parameters, "lang": "es"},
                json={"name": "Coche", "brand": "Seat"},
            )
        )
        assert get(stored)["name"]["languageMap"]["es"] == "Coche"
        assert get(stored)["brand"]["value"] == "Seat"
    refused(
        stored.patch(f"/entities/{ONE}?observedAt=yesterday", json={"brand": {"value": 1}}),
        400,
        "BadRequestData",
    )


# --- 6.6, 6.7: attributes -----------------------------------------------------------------------------------------


def test_append(stored):
    """5.6.3."""
    more = {
        "type": ["Car", "Vehicle"],
        "scope": "/Giron",
        "brand": {"type": "Property", "value": "Fiat"},
        "colour": {"type": "Property", "value": "red"},
        "speed": {"type": "Property", "value": 9, "datasetId": "urn:ngsi-ld:Dataset:new"},
    }
    response = stored.post(f"/entities/{ONE}/attrs?options=noOverwrite", json=more)
    assert response.status_code == 207
    assert response.headers["content-type"] == JSON
    assert "link" not in response.headers
    assert set(response.json()["updated"]) == {DEFAULT + "colour", DEFAULT + "speed"}
    (kept,) = response.json()["notUpdated"]
    assert kept["attributeName"] == DEFAULT + "brand"
    assert kept["reason"]
    found = get(stored)
    assert found["brand"]["value"] == "Mercedes"
    assert len(found["speed"]) == 3
    assert found["type"] == ["Car", "Vehicle"]
    assert found["scope"] == ["/Bucaramanga/Norte", "/Giron"]
    done(stored.post(f"/entities/{ONE}/attrs", json=more))
    assert get(stored)["brand"] == {"type": "Property", "value": "Fiat"}
    assert get(stored)["scope"] == "/Giron"
    refused(stored.post(f"/entities/{ONE}/attrs", json={"brand": NULL}), 400, "BadRequestData")


def test_update(stored):
    """5.6.2, 5.5.8: replaces as a whole, adds what is not there, removes what is null; `scope` only where there is one."""
    made = get(stored, options="sysAttrs")["brand"]["createdAt"]
    patch = {
        "type": "Vehicle",
        "brand": {"type": "Property", "value": "Fiat"},
        "colour": {"type": "Property", "value": "red"},
        "isParked": {"type": "Relationship", "object": NULL},
        "speed": {"type": "Property", "value": 1, "datasetId": "urn:ngsi-ld:Dataset:other"},
    }
    done(stored.patch(f"/entities/{ONE}/attrs", json=patch))
    found = get(stored, options="sysAttrs")
    assert found["brand"]["value"] == "Fiat"
    assert "observedAt" not in found["brand"]
    assert found["brand"]["createdAt"] == made
    assert found["colour"]["value"] == "red"
    assert "isParked" not in found
    assert len(found["speed"]) == 3
    assert set(found["type"]) == {"Car", "Vehicle"}
    done(stored.delete(f"/entities/{ONE}/attrs/scope"))
    done(stored.patch(f"/entities/{ONE}/attrs", json={"scope": "/x"}))
    assert "scope" not in get(stored)


def test_partial_update(stored):
    """5.6.4, 5.5.8."""
    done(
        stored.patch(
            f"/entities/{ONE}/attrs/brand",
            json={"value": "Fiat", "source": {"type": "Property", "value": "x"}},
        )
    )
    assert get(stored)["brand"]["observedAt"] == "2026-11-22T10:00:00Z"
    done(
        stored.patch(
            f"/entities/{ONE}/attrs/brand", json={"type": "Property", "source": NULL, "observedAt": NULL}
        )
    )
    assert get(stored)["brand"] == {"type": "Property", "value": "Fiat"}
    done(
        stored.patch(
            f"/entities/{ONE}/attrs/speed", json={"value": 3, "datasetId": "urn:ngsi-ld:Dataset:gps"}
        )
    )
    assert [one["value"] for one in get(stored)["speed"]] == [55, 3]
    refused(
        stored.patch(f"/entities/{ONE}/attrs/speed", json={"value": 3, "datasetId": "urn:x:1"}),
        404,
        "ResourceNotFound",
    )
    refused(
        stored.patch(f"/entities/{ONE}/attrs/brand", json={"type": "Relationship", "object": TWO}),
        400,
        "BadRequestData",
    )
    for name in ("scope", "type", "id", "observedAt", "b%20c", "9"):
        refused(stored.patch(f"/entities/{ONE}/attrs/{name}", json={"value": 3}), 400, "BadRequestData")
        refused(
            stored.put(f"/entities/{ONE}/attrs/{name}", json={"type": "Property", "value": 3}),
            400,
            "BadRequestData",
        )


def test_replace_attribute(stored):
    """5.6.19."""
    made = get(stored, options="sysAttrs")["brand"]["createdAt"]
    done(stored.put(f"/entities/{ONE}/attrs/brand", json={"type": "Property", "value": 1}))
    found = get(stored, options="sysAttrs")["brand"]
    assert found["value"] == 1
    assert "observedAt" not in found
    assert found["createdAt"] == made
    refused(
        stored.put(f"/entities/{ONE}/attrs/none", json={"type": "Property", "value": 1}),
        404,
        "ResourceNotFound",
    )
    refused(
        stored.put(f"/entities/{ONE}/attrs/brand", json={"type": "Property", "value": NULL}),
        400,
        "BadRequestData",
    )


def test_delete_attribute(stored):
    """5.6.5."""
    refused(stored.delete(f"/entities/{ONE}/attrs/none"), 404, "ResourceNotFound")
    refused(stored.delete(f"/entities/{ONE}/attrs/b%20c"), 400, "BadRequestData")
    refused(stored.delete(f"/entities/{ONE}/attrs/speed?datasetId=urn:x:1"), 404, "ResourceNotFound")
    refused(stored.delete(f"/entities/{ONE}/attrs/speed?datasetId=no-uri"), 400, "BadRequestData")
    done(stored.delete(f"/entities/{ONE}/attrs/speed"))
    assert get(stored)["speed"]["value"] == 54
    refused(stored.delete(f"/entities/{ONE}/attrs/speed"), 404, "ResourceNotFound")
    done(stored.delete(f"/entities/{ONE}/attrs/speed?datasetId=urn:ngsi-ld:Dataset:gps"))
    assert "speed" not in get(stored)
    done(stored.put(f"/entities/{ONE}", json=car()))
    done(stored.delete(f"/entities/{ONE}/attrs/speed?deleteAll=true"))
    assert "speed" not in get(stored)
    done(stored.delete(f"/entities/{ONE}/attrs/scope"))
    assert "scope" not in get(stored)
    refused(stored.delete(f"/entities/{ONE}/attrs/scope"), 404, "ResourceNotFound")


# --- 6.14 to 6.17, 6.31: many at once -----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["create", "upsert", "update", "merge", "delete"])
def test_a_batch_is_a_list_of_something(broker, operation):
    """5.6.7 to 5.6.10, 5.6.20."""
    for body in ([], {}, [None], [car(), None], "x"):
        refused(broker.post(f"/entityOperations/{operation}", json=body), 400, "BadRequestData")


def results(response):
    """5.2.16, 5.2.17."""
    assert response.status_code == 207, response.text
    assert response.headers["content-type"] == JSON
    assert "link" not in response.headers
    body = response.json()
    assert set(body) == {"success", "errors"}
    for one in body["errors"]:
        assert one["error"]["type"].startswith(ERRORS)
        assert one["error"]["title"]
    return body["success"], {
        one["entityId"]: one["error"]["type"].removeprefix(ERRORS) for one in body["errors"]
    }


def test_batch_create(broker):
    """5.6.7, 5.5.11.1."""
    response = broker.post("/entityOperations/create", json=[car(), car(TWO)])
    assert response.status_code == 201
    assert set(response.json()) == {ONE, TWO}
    three = "urn:ngsi-ld:Car:3"
    again = broker.post(
        "/entityOperations/create", json=[car(), car(three), car(three, speed=1), car("no uri")]
    )
    success, errors = results(again)
    assert success == [three]
    assert errors == {ONE: "AlreadyExists", three: "AlreadyExists", "no uri": "BadRequestData"}
    assert results(broker.post("/entityOperations/create", json=[car()])) == ([], {ONE: "AlreadyExists"})


def test_batch_upsert(stored):
    """5.6.8, 5.5.11.2."""
    response = stored.post("/entityOperations/upsert", json=[car(colour=1), car(TWO)])
    assert response.status_code == 201
    assert response.json() == [TWO]
    done(stored.post("/entityOperations/upsert", json=[{"id": ONE, "type": "Car", "x": 1}]))
    assert set(get(stored)) == {"id", "type", "x"}
    done(stored.post("/entityOperations/upsert?options=update", json=[{"id": ONE, "type": "Car", "y": 1}]))
    assert set(get(stored)) == {"id", "type", "x", "y"}
    done(stored.post("/entityOperations/upsert?options=replace", json=[{"id": ONE, "type": "Car", "z": 1}]))
    assert set(get(stored)) == {"id", "type", "z"}
    assert results(stored.post("/entityOperations/upsert", json=[{"id": "urn:x:9"}])) == (
        [],
        {"urn:x:9": "BadRequestData"},
    )


def test_batch_update(stored):
    """5.6.9, 5.5.11.3."""
    done(stored.post("/entityOperations/update", json=[{"id": ONE, "type": "Car", "colour": 1, "brand": 2}]))
    assert get(stored)["brand"]["value"] == 2
    both = [{"id": ONE, "type": "Car", "new": 1, "brand": 3}, {"id": TWO, "type": "Car", "brand": 3}]
    success, errors = results(stored.post("/entityOperations/update?options=noOverwrite", json=both))
    assert success == [ONE]
    assert errors == {TWO: "ResourceNotFound"}
    assert get(stored)["brand"]["value"] == 2
    assert get(stored)["new"]["value"] == 1


def test_batch_merge(stored):
    """5.6.20, 5.5.11.5."""
    patches = [
        {"id": ONE, "type": "Car", "brand": {"value": "a"}},
        {"id": ONE, "type": "Car", "brand": {"value": "b"}, "speed": NULL},
    ]
    done(stored.post("/entityOperations/merge", json=patches))
    assert get(stored)["brand"] == {"type": "Property", "value": "b", "observedAt": "2026-11-22T10:00:00Z"}
    assert "speed" not in get(stored)
    assert results(stored.post("/entityOperations/merge", json=[{"id": TWO, "type": "Car"}])) == (
        [],
        {TWO: "ResourceNotFound"},
    )


def test_batch_delete(stored):
    """5.6.10, 5.5.11.4."""
    success, errors = results(stored.post("/entityOperations/delete", json=[ONE, ONE, TWO, "no uri"]))
    assert success == [ONE]
    assert errors == {ONE: "ResourceNotFound", TWO: "ResourceNotFound", "no uri": "BadRequestData"}
    stored.post("/entities", json=car())
    done(stored.post("/entityOperations/delete", json=[ONE]))


# --- 6.23: a query as a document ----------------------------------------------------------------------------------


def test_posted_query(stored):
    """5.2.23, 5.7.2."""
    for query in (
        {"entities": [{"type": "Car"}]},
        {"entities": [{"type": "Car", "id": ONE}, {"type": "Bus", "idPattern": ".*"}]},
        {"q": "speed==55"},
        {"attrs": ["brand"]},
        {"geoQ": {"georel": "near;maxDistance==10", "geometry": "Point", "coordinates": [-73.12, 7.11]}},
        {"entities": [{"type": "Car"}], "scopeQ": "/Bucaramanga/#"},
    ):
        response = stored.post("/entityOperations/query", json={"type": "Query", **query})
        assert response.status_code == 200, response.text
        assert [one["id"] for one in response.json()] == [ONE]
        assert CONTEXT_LINK in response.headers["link"]
    picked = stored.post(
        "/entityOperations/query?options=keyValues",
        json={"type": "Query", "entities": [{"type": "Car"}], "pick": ["id", "brand"]},
    )
    assert picked.json() == [{"id": ONE, "brand": "Mercedes"}]
    counted = stored.post(
        "/entityOperations/query?count=true&limit=0", json={"type": "Query", "entities": [{"type": "Car"}]}
    )
    assert counted.json() == []
    assert counted.headers["ngsild-results-count"] == "1"


@pytest.mark.parametrize(
    "query",
    [
        {"type": "Query"},
        {"entities": [{"type": "Car"}]},
        {"type": "Nonsense", "entities": [{"type": "Car"}]},
        {"type": "Query", "entities": []},
        {"type": "Query", "entities": [{"id": ONE}]},
        {"type": "Query", "entities": [{"type": "Car", "id": "no uri"}]},
        {"type": "Query", "attrs": []},
        {"type": "Query", "attrs": 5},
        {"type": "Query", "q": 5},
        {"type": "Query", "q": "=="},
        {"type": "Query", "entities": [{"type": "Car"}], "geoQ": {"georel": "near"}},
        {"type": "Query", "entities": [{"type": "Car"}], "geoQ": 5},
    ],
)
def test_posted_query_that_is_none(broker, query):
    refused(broker.post("/entityOperations/query", json=query), 400, "BadRequestData")


# --- 6.24: the past, asked for as a document ----------------------------------------------------------------------


def test_posted_temporal_query(broker):
    """5.2.23, 5.2.44, 5.7.4."""
    series = [{"type": "Property", "value": n, "observedAt": f"2026-11-22T10:0{n}:00Z"} for n in range(5)]
    made = broker.post("/temporal/entities", json={"id": ONE, "type": "Car", "speed": series})
    assert made.status_code == 201
    query = {
        "type": "Query",
        "entities": [{"type": "Car"}],
        "temporalQ": {
            "timerel": "between",
            "timeAt": "2026-11-22T10:00:00Z",
            "endTimeAt": "2026-11-22T10:04:00Z",
        },
    }
    path = "/temporal/entityOperations/query"
    shown = broker.post(f"{path}?format=temporalValues", json=query).json()
    assert [value for value, _ in shown[0]["speed"]["values"]] == [0, 1, 2, 3]  # 4.11: the end is outside
    aggregated = query | {"aggrParams": {"aggrMethods": ["max", "totalCount"]}}
    shown = broker.post(f"{path}?format=aggregatedValues", json=aggregated).json()
    assert shown[0]["speed"]["max"][0][0] == 3
    assert shown[0]["speed"]["totalCount"][0][0] == 4
    refused(
        broker.post(f"{path}?format=aggregatedValues", json=query | {"aggrParams": 5}), 400, "BadRequestData"
    )
    refused(broker.post(path, json={"type": "Query", "entities": [{"type": "Car"}]}), 400, "BadRequestData")
    refused(broker.post(path, json={"type": "Query", "temporalQ": query["temporalQ"]}), 400, "BadRequestData")
