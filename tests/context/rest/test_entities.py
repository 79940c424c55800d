"""/entities over HTTP: success and error of every operation (GS CIM 009 v1.8.1, 6.4 to 6.7)."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
BUS = "urn:ngsi-ld:Bus:1"
EXAMPLE = "https://example.org/vocab#"
DEFAULT = "https://uri.etsi.org/ngsi-ld/default-context/"
LD = {"Content-Type": "application/ld+json"}


def bus(entity_id=BUS, **attributes):
    return {
        "id": entity_id,
        "type": "Bus",
        "speed": {"type": "Property", "value": 31.5, "unitCode": "KMH"},
        "line": {"type": "Relationship", "object": "urn:ngsi-ld:Line:T1"},
        **attributes,
    }


def refused(response, status, kind):
    assert response.status_code == status, response.text
    body = response.json()
    assert body["type"] == ERRORS + kind
    assert body["title"]
    assert body["detail"]
    return body


@pytest.fixture
def stored(broker):
    assert broker.post("/entities", json=bus()).status_code == 201
    return broker


def get(broker, entity_id=BUS, **parameters):
    response = broker.get(f"/entities/{entity_id}", params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def test_create_answers_where_it_is(broker):
    response = broker.post("/entities", json=bus())
    assert response.status_code == 201
    assert response.headers["location"] == f"/ngsi-ld/v1/entities/{BUS}"
    assert response.content == b""
    assert get(broker) == bus()


def test_create_what_exists_is_a_conflict(stored):
    refused(stored.post("/entities", json=bus()), 409, "AlreadyExists")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "InvalidRequest"),
        (b"{", "InvalidRequest"),
        (b"[]", "BadRequestData"),
        (b'{"id": "urn:x:1"}', "BadRequestData"),
        (b'{"type": "Bus"}', "BadRequestData"),
        (b'{"id": "no uri", "type": "Bus"}', "BadRequestData"),
        (b'{"id": "urn:x:1", "type": "Bus", "speed": {"type": "Property"}}', "BadRequestData"),
        (b'{"id": "urn:x:1", "type": "Bus", "speed": {"type": "Speed", "value": 1}}', "BadRequestData"),
        (b'{"id": "urn:x:1", "type": "Bus", "@context": "https://example.org"}', "BadRequestData"),
    ],
)
def test_create_of_something_else_is_refused(broker, body, kind):
    response = broker.post("/entities", content=body, headers={"Content-Type": "application/json"})
    refused(response, 400, kind)


def test_create_needs_a_known_media_type(broker):
    response = broker.post("/entities", content=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415
    assert response.content == b""  # 6.3.4


def test_context_in_the_body_needs_ld_json(broker):
    body = bus() | {"@context": {"speed": EXAMPLE + "speed"}}
    assert broker.post("/entities", json=body, headers=LD).status_code == 201
    assert get(broker)[EXAMPLE + "speed"]["value"] == 31.5
    refused(broker.post("/entities", json=bus("urn:ngsi-ld:Bus:2"), headers=LD), 400, "BadRequestData")


def test_link_and_ld_json_exclude_each_other(broker):
    link = '<https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld>; rel="http://www.w3.org/ns/json-ld#context"'
    body = bus() | {"@context": {"speed": EXAMPLE + "speed"}}
    refused(broker.post("/entities", json=body, headers=LD | {"Link": link}), 400, "BadRequestData")


def test_answer_names_its_context(stored):
    response = stored.get(f"/entities/{BUS}")
    assert 'rel="http://www.w3.org/ns/json-ld#context"' in response.headers["link"]
    assert response.headers["content-type"] == "application/json"
    response = stored.get(f"/entities/{BUS}", headers={"Accept": "application/ld+json"})
    assert response.headers["content-type"] == "application/ld+json"
    assert "@context" in response.json()
    assert "link" not in response.headers


def test_retrieve_unknown_and_no_uri(broker):
    refused(broker.get("/entities/urn:ngsi-ld:Bus:none"), 404, "ResourceNotFound")
    refused(broker.get("/entities/nothing"), 400, "BadRequestData")


def test_retrieve_without_such_attributes_is_not_found(stored):
    refused(stored.get(f"/entities/{BUS}", params={"attrs": "colour"}), 404, "ResourceNotFound")


def test_retrieve_in_other_forms(stored):
    assert get(stored, options="keyValues") == {
        "id": BUS, "type": "Bus", "speed": 31.5, "line": "urn:ngsi-ld:Line:T1",
    }  # fmt: skip
    assert get(stored, format="concise")["speed"] == {"value": 31.5, "unitCode": "KMH"}
    stamped = get(stored, options="sysAttrs")
    assert stamped["createdAt"] == stamped["speed"]["createdAt"] == stamped["speed"]["modifiedAt"]
    assert get(stored, attrs="speed").keys() == {"id", "type", "speed"}
    assert get(stored, pick="id,speed").keys() == {"id", "speed"}
    assert get(stored, omit="speed").keys() == {"id", "type", "line"}


def test_what_cannot_be_answered_is_not_acceptable(stored):
    refused(stored.get(f"/entities/{BUS}", headers={"Accept": "image/png"}), 406, "NotAcceptable")


def test_replace_takes_the_place_of_everything(stored):
    created = get(stored, options="sysAttrs")["createdAt"]
    new = {"id": BUS, "type": "Bus", "name": {"type": "Property", "value": "0417"}}
    assert stored.put(f"/entities/{BUS}", json=new).status_code == 204
    assert get(stored) == new
    assert get(stored, options="sysAttrs")["createdAt"] == created
    refused(
        stored.put("/entities/urn:ngsi-ld:Bus:9", json=new | {"id": "urn:ngsi-ld:Bus:9"}),
        404,
        "ResourceNotFound",
    )
    refused(stored.put(f"/entities/{BUS}", json=new | {"id": "urn:ngsi-ld:Bus:9"}), 400, "BadRequestData")


def test_merge_changes_adds_and_removes(stored):
    patch = {
        "speed": {"type": "Property", "value": 12},
        "line": "urn:ngsi-ld:null",
        "name": {"type": "Property", "value": "0417"},
    }
    headers = {"Content-Type": "application/merge-patch+json"}
    assert stored.patch(f"/entities/{BUS}", json=patch, headers=headers).status_code == 204
    found = get(stored)
    assert found["speed"] == {"type": "Property", "value": 12, "unitCode": "KMH"}
    assert found["name"]["value"] == "0417"
    assert "line" not in found
    refused(stored.patch("/entities/urn:ngsi-ld:Bus:9", json=patch), 404, "ResourceNotFound")


def test_merge_of_compound_values(broker):
    address = {
        "type": "Property",
        "value": {"street": "Carrera 27", "city": {"name": "BGA", "dane": "68001"}},
    }
    broker.post("/entities", json=bus(address=address))
    patch = {"address": {"value": {"city": {"name": "Bucaramanga"}, "street": "urn:ngsi-ld:null"}}}
    assert broker.patch(f"/entities/{BUS}", json=patch).status_code == 204
    assert get(broker)["address"]["value"] == {"city": {"name": "Bucaramanga", "dane": "68001"}}


def test_delete_and_delete_again(stored):
    assert stored.delete(f"/entities/{BUS}").status_code == 204
    refused(stored.get(f"/entities/{BUS}"), 404, "ResourceNotFound")
    refused(stored.delete(f"/entities/{BUS}"), 404, "ResourceNotFound")
    refused(stored.delete("/entities/nothing"), 400, "BadRequestData")


def test_append_overwrites_unless_told_not_to(stored):
    more = {"speed": {"type": "Property", "value": 1}, "name": {"type": "Property", "value": "0417"}}
    response = stored.post(f"/entities/{BUS}/attrs", json=more, params={"options": "noOverwrite"})
    assert response.status_code == 207, response.text
    assert response.headers["content-type"] == "application/json"
    assert "link" not in response.headers
    assert response.json()["updated"] == [DEFAULT + "name"]  # full names: 6.3.6
    assert response.json()["notUpdated"][0]["attributeName"] == DEFAULT + "speed"
    assert get(stored)["speed"]["value"] == 31.5
    assert stored.post(f"/entities/{BUS}/attrs", json=more).status_code == 204
    assert get(stored)["speed"]["value"] == 1
    refused(stored.post("/entities/urn:ngsi-ld:Bus:9/attrs", json=more), 404, "ResourceNotFound")


def test_update_replaces_and_adds(stored):
    more = {"speed": {"type": "Property", "value": 1}, "name": {"type": "Property", "value": "0417"}}
    assert stored.patch(f"/entities/{BUS}/attrs", json=more).status_code == 204
    assert get(stored)["speed"] == {"type": "Property", "value": 1}  # replaced as a whole: 5.5.8
    assert get(stored)["name"]["value"] == "0417"
    refused(stored.patch("/entities/urn:ngsi-ld:Bus:9/attrs", json=more), 404, "ResourceNotFound")


def test_update_tells_of_what_it_could_not_remove(stored):
    gone = {"speed": "urn:ngsi-ld:null", "colour": {"type": "Property", "value": "urn:ngsi-ld:null"}}
    response = stored.patch(f"/entities/{BUS}/attrs", json=gone)
    assert response.status_code == 207, response.text
    assert response.json()["updated"] == [DEFAULT + "speed"]
    assert [one["attributeName"] for one in response.json()["notUpdated"]] == [DEFAULT + "colour"]
    assert "speed" not in get(stored)


def test_partial_update_changes_members(stored):
    response = stored.patch(f"/entities/{BUS}/attrs/speed", json={"value": 7})
    assert response.status_code == 204, response.text
    assert get(stored)["speed"] == {"type": "Property", "value": 7, "unitCode": "KMH"}
    refused(stored.patch(f"/entities/{BUS}/attrs/none", json={"value": 7}), 404, "ResourceNotFound")
    refused(
        stored.patch("/entities/urn:ngsi-ld:Bus:9/attrs/speed", json={"value": 7}), 404, "ResourceNotFound"
    )
    refused(
        stored.patch(f"/entities/{BUS}/attrs/speed", json={"type": "Relationship", "object": "urn:x:1"}),
        400,
        "BadRequestData",
    )


def test_replace_attribute(stored):
    assert (
        stored.put(f"/entities/{BUS}/attrs/speed", json={"type": "Property", "value": 7}).status_code == 204
    )
    assert get(stored)["speed"] == {"type": "Property", "value": 7}
    refused(
        stored.put(f"/entities/{BUS}/attrs/none", json={"type": "Property", "value": 7}),
        404,
        "ResourceNotFound",
    )


def test_attributes_of_several_datasets(broker):
    speeds = [
        {"type": "Property", "value": 31.5},
        {"type": "Property", "value": 30.9, "datasetId": "urn:ngsi-ld:Dataset:gps"},
    ]
    broker.post("/entities", json=bus(speed=speeds))
    assert get(broker)["speed"] == speeds
    response = broker.delete(f"/entities/{BUS}/attrs/speed", params={"datasetId": "urn:ngsi-ld:Dataset:gps"})
    assert response.status_code == 204
    assert get(broker)["speed"] == speeds[0]
    refused(
        broker.delete(f"/entities/{BUS}/attrs/speed", params={"datasetId": "urn:ngsi-ld:Dataset:gps"}),
        404,
        "ResourceNotFound",
    )
    broker.post(f"/entities/{BUS}/attrs", json={"speed": speeds[1]})
    assert broker.delete(f"/entities/{BUS}/attrs/speed", params={"deleteAll": "true"}).status_code == 204
    assert "speed" not in get(broker)


def test_query_by_type_pages_and_counts(broker):
    for number in range(5):
        broker.post("/entities", json=bus(f"urn:ngsi-ld:Bus:{number}"))
    response = broker.get("/entities", params={"type": "Bus", "limit": 2, "count": "true"})
    assert [one["id"] for one in response.json()] == ["urn:ngsi-ld:Bus:0", "urn:ngsi-ld:Bus:1"]
    assert response.headers["ngsild-results-count"] == "5"
    links = response.headers["link"]
    assert 'rel="next"' in links
    assert 'rel="prev"' not in links
    response = broker.get("/entities", params={"type": "Bus", "limit": 2, "offset": 4})
    assert len(response.json()) == 1
    assert 'rel="prev"' in response.headers["link"]
    assert 'rel="next"' not in response.headers["link"]
    response = broker.get("/entities", params={"type": "Bus", "limit": 0, "count": "true"})
    assert response.json() == []
    assert response.headers["ngsild-results-count"] == "5"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"type": "Bus", "limit": -1},
        {"type": "Bus", "limit": 0},
        {"type": "Bus", "offset": -1},
        {"type": "Bus", "q": "speed>>3"},
        {"type": "Bus", "georel": "near", "geometry": "Point", "coordinates": "[0,0]"},
        {"type": "Bus", "geometry": "Point"},
        {"id": "nothing"},
        {"type": "Bus", "options": "fancy"},
        {"type": "Bus", "count": "perhaps"},
    ],
)
def test_query_mistakes_are_refused(broker, parameters):
    refused(broker.get("/entities", params=parameters), 400, "BadRequestData")


def test_query_by_document(broker):
    for number in range(3):
        broker.post(
            "/entities", json=bus(f"urn:ngsi-ld:Bus:{number}", speed={"type": "Property", "value": number})
        )
    document = {"type": "Query", "entities": [{"type": "Bus"}], "q": "speed>=1"}
    found = broker.post("/entityOperations/query", json=document)
    assert [one["id"] for one in found.json()] == ["urn:ngsi-ld:Bus:1", "urn:ngsi-ld:Bus:2"]
    refused(broker.post("/entityOperations/query", json={"type": "Question"}), 400, "BadRequestData")


def test_purge_removes_what_matches(broker):
    for number in range(3):
        broker.post(
            "/entities", json=bus(f"urn:ngsi-ld:Bus:{number}", speed={"type": "Property", "value": number})
        )
    assert broker.delete("/entities", params={"type": "Bus", "q": "speed>0"}).status_code == 204
    assert [one["id"] for one in broker.get("/entities", params={"type": "Bus"}).json()] == [
        "urn:ngsi-ld:Bus:0"
    ]
    refused(broker.delete("/entities"), 400, "BadRequestData")
    assert broker.delete("/entities", params={"type": "Bus", "drop": "speed"}).status_code == 204
    assert "speed" not in get(broker, "urn:ngsi-ld:Bus:0")


def test_tenants_do_not_see_each_other(broker):
    there = {"NGSILD-Tenant": "giron"}
    refused(broker.get(f"/entities/{BUS}", headers=there), 404, "NonexistentTenant")
    response = broker.post("/entities", json=bus(), headers=there)
    assert response.status_code == 201
    assert response.headers["ngsild-tenant"] == "giron"
    assert broker.get(f"/entities/{BUS}", headers=there).status_code == 200
    refused(broker.get(f"/entities/{BUS}"), 404, "ResourceNotFound")
    refused(broker.get(f"/entities/{BUS}", headers={"NGSILD-Tenant": "a b"}), 400, "BadRequestData")


def test_an_id_with_slashes(broker):
    entity_id = "https://example.org/buses/1"
    assert broker.post("/entities", json=bus(entity_id)).status_code == 201
    assert get(broker, "https%3A%2F%2Fexample.org%2Fbuses%2F1")["id"] == entity_id


def test_unknown_addresses_and_methods(broker):
    refused(broker.get("/nothing"), 404, "ResourceNotFound")
    response = broker.put("/entities", json={})
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) >= {"GET", "POST"}


def test_nobody_enters_without_a_token(broker, monkeypatch):
    monkeypatch.delenv("AMB_NGSI_OPEN")
    for method, path in [
        ("GET", "/entities?type=Bus"),
        ("POST", "/entities"),
        ("DELETE", f"/entities/{BUS}"),
    ]:
        response = broker.request(method, path)
        refused(response, 401, "Unauthorized")
        assert response.headers["www-authenticate"].startswith("Bearer")
    response = broker.get("/entities?type=Bus", headers={"Authorization": "Bearer amb_wrong_secret"})
    refused(response, 401, "Unauthorized")
