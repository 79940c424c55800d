"""Changes over several sources: who gets what, and what a failure leaves (GS CIM 009 v1.8.1, 4.3.6, 5.6, 6.3.17)."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

BUS = "urn:ngsi-ld:Bus:1"
DEFAULT = "https://uri.etsi.org/ngsi-ld/default-context/"
ALL = ["redirectionOps"]


def prop(value, **more):
    return {"type": "Property", "value": value, **more}


def bus(entity_id=BUS, **attributes):
    return {"id": entity_id, "type": "Bus", **attributes}


def here(broker, entity_id=BUS):
    response = broker.get(f"/entities/{entity_id}", params={"local": "true"})
    return response.json() if response.status_code == 200 else None


@pytest.fixture
def stored(broker):
    assert broker.post("/entities", json=bus(line=prop("T1"))).status_code == 201
    return broker


def exclusive(register, source, **more):
    return register(
        source.endpoint, ids=[BUS], names=["speed"], mode="exclusive", **({"operations": ALL} | more)
    )


# --- create -------------------------------------------------------------------------------------------------------


def test_create_goes_to_an_inclusive_source_too(broker, source, register):
    source.on("POST", "/entities", (201, None))
    register(source.endpoint, names=["speed"], operations=["createEntity"])
    response = broker.post("/entities", json=bus(speed=prop(1), line=prop("T1")))
    assert response.status_code == 201
    assert response.headers["location"].endswith(BUS)
    assert source.asked[0].body == bus(speed=prop(1))
    assert here(broker) == bus(speed=prop(1), line=prop("T1"))


def test_create_stays_here_where_no_operation_is_registered(broker, source, register):
    register(source.endpoint)  # federationOps: reads and subscriptions
    assert broker.post("/entities", json=bus()).status_code == 201
    assert source.asked == []


def test_create_divides_an_entity_with_exclusive_attributes(broker, source, register):
    source.on("POST", "/entities", (201, None))
    exclusive(register, source)
    assert broker.post("/entities", json=bus(speed=prop(1), line=prop("T1"))).status_code == 201
    assert source.asked[0].body == bus(speed=prop(1))
    assert here(broker) == bus(line=prop("T1"))


def test_create_of_exclusive_attributes_alone_leaves_nothing_here(broker, source, register):
    source.on("POST", "/entities", (201, None))
    exclusive(register, source)
    assert broker.post("/entities", json=bus(speed=prop(1))).status_code == 201
    assert here(broker) is None


def test_create_is_redirected_to_all(broker, source, second, register):
    for one in (source, second):
        one.on("POST", "/entities", (201, None))
        register(one.endpoint, mode="redirect", operations=ALL)
    assert broker.post("/entities", json=bus(speed=prop(1))).status_code == 201
    assert [one.asked[0].body for one in (source, second)] == [bus(speed=prop(1))] * 2
    assert here(broker) is None


def test_auxiliary_sources_are_never_written(broker, source, register):
    register(source.endpoint, mode="auxiliary", operations=ALL)
    assert broker.post("/entities", json=bus(speed=prop(1))).status_code == 201
    assert source.asked == []


def test_create_where_the_exclusive_source_does_not_take_it(broker, source, register):
    registration = exclusive(register, source, operations=["retrieveOps"])
    response = broker.post("/entities", json=bus(speed=prop(1)))
    assert response.status_code == 409
    assert response.json()["type"].endswith("/Conflict")
    response = broker.post("/entities", json=bus(speed=prop(1), line=prop("T1")))
    assert response.status_code == 207
    body = response.json()
    assert body["success"] == [BUS]
    assert body["errors"][0]["registrationId"] == registration
    assert body["errors"][0]["error"]["status"] == 409
    assert here(broker) == bus(line=prop("T1"))


def test_create_with_a_source_that_is_gone(broker, register):
    registration = register("http://127.0.0.1:9", operations=ALL)
    response = broker.post("/entities", json=bus(speed=prop(1)))
    assert response.status_code == 207
    assert response.headers["content-type"] == "application/json"
    assert response.json()["success"] == [BUS]
    (error,) = response.json()["errors"]
    assert (error["entityId"], error["registrationId"]) == (BUS, registration)
    assert error["error"]["status"] == 502


def test_create_at_a_redirect_that_is_gone(broker, register):
    register("http://127.0.0.1:9", operations=ALL, mode="redirect")
    response = broker.post("/entities", json=bus(speed=prop(1)))
    assert response.status_code == 502
    assert here(broker) is None


def test_create_of_what_the_source_has_already(broker, source, register):
    source.on(
        "POST",
        "/entities",
        (409, {"type": "https://uri.etsi.org/ngsi-ld/errors/AlreadyExists", "title": "x"}),
    )
    register(source.endpoint, operations=ALL, mode="redirect")
    response = broker.post("/entities", json=bus())
    assert response.status_code == 409
    assert response.json()["type"].endswith("/AlreadyExists")


def test_create_local(broker, source, register):
    register(source.endpoint, operations=ALL, mode="redirect")
    assert broker.post("/entities", json=bus(), params={"local": "true"}).status_code == 201
    assert source.asked == []
    assert here(broker) == bus()


def test_who_passed_it_on_to_us_has_done_it(broker, source, register):
    source.on("POST", "/entities", (508, {"title": "Loop"}))
    register(source.endpoint, operations=ALL)
    assert broker.post("/entities", json=bus()).status_code == 201


def test_ld_json_is_passed_on_with_its_context_as_a_link(broker, source, register):
    source.on("POST", "/entities", (201, None))
    register(source.endpoint, operations=ALL)
    core = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
    body = {**bus(speed=prop(1)), "@context": core}
    response = broker.post("/entities", json=body, headers={"Content-Type": "application/ld+json"})
    assert response.status_code == 201
    assert source.asked[0].headers["content-type"] == "application/json"
    assert source.asked[0].body == bus(speed=prop(1))


# --- changes of attributes ----------------------------------------------------------------------------------------

CHANGES = [
    ("POST", f"/entities/{BUS}/attrs", "appendAttrs"),
    ("PATCH", f"/entities/{BUS}/attrs", "updateEntity"),
    ("PATCH", f"/entities/{BUS}", "mergeEntity"),
    ("PUT", f"/entities/{BUS}", "replaceEntity"),
]


@pytest.mark.parametrize(("method", "path", "operation"), CHANGES)
def test_changes_are_divided(stored, source, register, method, path, operation):
    source.on(method, path, (204, None))
    exclusive(register, source, operations=[operation])
    response = stored.request(method, path, json={"type": "Bus", "speed": prop(2), "line": prop("T2")})
    assert response.status_code == 204, response.text
    assert source.asked[0].body == {"type": "Bus", "speed": prop(2)}
    assert here(stored) == bus(line=prop("T2"))


@pytest.mark.parametrize(("method", "path", "operation"), CHANGES)
def test_changes_go_to_equals_too(stored, source, register, method, path, operation):
    source.on(method, path, (204, None))
    register(source.endpoint, operations=[operation])
    response = stored.request(method, path, json={"type": "Bus", "line": prop("T2")})
    assert response.status_code == 204, response.text
    assert source.asked[0].body == {"type": "Bus", "line": prop("T2")}
    assert here(stored) == bus(line=prop("T2"))


@pytest.mark.parametrize(("method", "path", "operation"), CHANGES)
def test_an_entity_that_only_an_equal_has(broker, source, register, method, path, operation):
    source.on(method, path, (204, None))
    register(source.endpoint, operations=[operation])
    response = broker.request(method, path, json={"type": "Bus", "line": prop("T2")})
    assert response.status_code == 204, response.text
    assert here(broker) is None


@pytest.mark.parametrize(("method", "path", "operation"), CHANGES)
def test_an_entity_that_nobody_has(broker, source, register, method, path, operation):
    register(source.endpoint, operations=[operation])
    response = broker.request(method, path, json={"type": "Bus", "line": prop("T2")})
    assert response.status_code == 404
    assert len(source.asked) == 1


def test_what_was_not_updated_is_told(stored, source, register):
    source.on("PATCH", f"/entities/{BUS}/attrs", (500, None))
    registration = exclusive(register, source)
    response = stored.patch(
        f"/entities/{BUS}/attrs", json={"speed": prop(2), "line": prop("T2"), "none": "urn:ngsi-ld:null"}
    )
    assert response.status_code == 207
    body = response.json()
    assert body["updated"] == [DEFAULT + "line"]
    assert sorted(one["attributeName"] for one in body["notUpdated"]) == [DEFAULT + "none", DEFAULT + "speed"]
    assert [one["registrationId"] for one in body["notUpdated"] if "registrationId" in one] == [registration]


def test_what_a_source_did_not_update_is_told(stored, source, register):
    told = {"updated": [], "notUpdated": [{"attributeName": "speed", "reason": "no such"}]}
    source.on("PATCH", f"/entities/{BUS}/attrs", (207, told))
    registration = exclusive(register, source)
    response = stored.patch(f"/entities/{BUS}/attrs", json={"speed": prop(2), "line": prop("T2")})
    assert response.status_code == 207
    assert response.json() == {
        "updated": [DEFAULT + "line"],
        "notUpdated": [
            {"attributeName": DEFAULT + "speed", "reason": "no such", "registrationId": registration}
        ],
    }


def test_parameters_go_along(stored, source, register):
    source.on("POST", f"/entities/{BUS}/attrs", (204, None))
    exclusive(register, source, management={"localOnly": True})
    parameters = {"options": "noOverwrite"}
    assert (
        stored.post(f"/entities/{BUS}/attrs", json={"speed": prop(2)}, params=parameters).status_code == 204
    )
    assert source.asked[0].parameters == {"options": "noOverwrite", "local": "true"}


def test_the_types_that_are_meant_go_along(stored, source, register):
    source.on("PATCH", f"/entities/{BUS}/attrs", (204, None))
    exclusive(register, source)
    asked = {"type": "(Bus;Tram)|Bus"}
    assert stored.patch(f"/entities/{BUS}/attrs", json={"speed": prop(2)}, params=asked).status_code == 204
    assert source.asked[0].parameters == {"type": "(Bus;Tram),Bus"}


def test_a_redirect_of_a_type_leaves_entities_of_others_alone(broker, source, register):
    tram = {"id": "urn:ngsi-ld:Tram:1", "type": "Tram", "line": prop("T1")}
    assert broker.post("/entities", json=tram).status_code == 201
    register(source.endpoint, mode="redirect", operations=ALL)
    response = broker.patch("/entities/urn:ngsi-ld:Tram:1/attrs", json={"line": prop("T2")})
    assert response.status_code == 204
    assert source.asked == []


# --- one attribute ------------------------------------------------------------------------------------------------

ATTRIBUTE = f"/entities/{BUS}/attrs/speed"
SINGLE = [
    ("PATCH", "updateAttrs", {"value": 3}),
    ("PUT", "replaceAttrs", prop(3)),
    ("DELETE", "deleteAttrs", None),
]


@pytest.mark.parametrize(("method", "operation", "body"), SINGLE)
def test_one_exclusive_attribute(stored, source, register, method, operation, body):
    source.on(method, ATTRIBUTE, (204, None))
    exclusive(register, source, operations=[operation])
    response = stored.request(method, ATTRIBUTE, json=body) if body else stored.request(method, ATTRIBUTE)
    assert response.status_code == 204, response.text
    assert source.asked[0].body == body
    assert here(stored) == bus(line=prop("T1"))


@pytest.mark.parametrize(("method", "operation", "body"), SINGLE)
def test_one_exclusive_attribute_whose_source_is_gone(stored, register, method, operation, body):
    register("http://127.0.0.1:9", ids=[BUS], names=["speed"], mode="exclusive", operations=[operation])
    response = stored.request(method, ATTRIBUTE, json=body) if body else stored.request(method, ATTRIBUTE)
    assert response.status_code == 502


@pytest.mark.parametrize(("method", "operation", "body"), SINGLE)
def test_one_attribute_that_equals_have(stored, source, register, method, operation, body):
    source.on(method, f"/entities/{BUS}/attrs/line", (204, None))
    register(source.endpoint, operations=[operation])
    path = f"/entities/{BUS}/attrs/line"
    response = stored.request(method, path, json=body) if body else stored.request(method, path)
    assert response.status_code == 204, response.text
    assert here(stored) == (bus(line=prop(3)) if body else bus())


def test_delete_of_a_dataset_says_which(stored, source, register):
    source.on("DELETE", ATTRIBUTE, (204, None))
    exclusive(register, source)
    assert stored.delete(ATTRIBUTE, params={"datasetId": "urn:x:1"}).status_code == 204
    assert source.asked[0].parameters == {"datasetId": "urn:x:1"}


# --- delete -------------------------------------------------------------------------------------------------------


def test_delete_everywhere(stored, source, second, register):
    source.on("DELETE", f"/entities/{BUS}", (204, None))
    register(source.endpoint, operations=ALL)
    exclusive(register, second)
    assert stored.delete(f"/entities/{BUS}").status_code == 204
    assert len(second.asked) == 1
    assert here(stored) is None


def test_delete_of_what_nobody_has(broker, source, register):
    register(source.endpoint, operations=ALL)
    assert broker.delete(f"/entities/{BUS}").status_code == 404


def test_delete_half(stored, source, register):
    source.on("DELETE", f"/entities/{BUS}", (500, None))
    registration = register(source.endpoint, operations=ALL)
    response = stored.delete(f"/entities/{BUS}")
    assert response.status_code == 207
    assert response.json()["success"] == [BUS]
    assert response.json()["errors"][0]["registrationId"] == registration


# --- batches ------------------------------------------------------------------------------------------------------

TWO = "urn:ngsi-ld:Bus:2"


def test_batch_create_where_batches_are_taken(broker, source, register):
    source.on("POST", "/entityOperations/create", (201, [BUS]))
    exclusive(register, source, operations=["createBatch"])
    entities = [bus(speed=prop(1), line=prop("T1")), bus(TWO, speed=prop(2))]
    response = broker.post("/entityOperations/create", json=entities)
    assert response.status_code == 201, response.text
    assert response.json() == [BUS, TWO]
    assert source.asked[0].body == [bus(speed=prop(1))]
    assert here(broker) == bus(line=prop("T1"))
    assert here(broker, TWO) == bus(TWO, speed=prop(2))


def test_batch_create_one_by_one(broker, source, register):
    source.on("POST", "/entities", (201, None))
    register(source.endpoint, operations=["createEntity"], mode="redirect")
    response = broker.post("/entityOperations/create", json=[bus(), bus(TWO)])
    assert response.status_code == 201
    assert sorted(one.body["id"] for one in source.asked) == [BUS, TWO]
    assert here(broker) is None


def test_batch_create_half(broker, source, register):
    problem = {"type": "https://uri.etsi.org/ngsi-ld/errors/AlreadyExists", "title": "x", "status": 409}
    source.on(
        "POST",
        "/entityOperations/create",
        (207, {"success": [BUS], "errors": [{"entityId": TWO, "error": problem}]}),
    )
    registration = register(source.endpoint, operations=["createBatch"])
    response = broker.post("/entityOperations/create", json=[bus(), bus(TWO)])
    assert response.status_code == 207
    assert response.json()["success"] == [BUS]
    (error,) = response.json()["errors"]
    assert (error["entityId"], error["registrationId"]) == (TWO, registration)
    assert error["error"]["status"] == 409


def test_batch_with_a_source_that_is_gone(broker, register):
    register("http://127.0.0.1:9", operations=["createBatch"], types=("Bus",))
    tram = {"id": "urn:ngsi-ld:Tram:1", "type": "Tram"}
    response = broker.post("/entityOperations/create", json=[bus(), tram])
    assert response.status_code == 207
    assert response.json()["success"] == [tram["id"]]
    assert response.json()["errors"][0]["error"]["status"] == 502


def test_batch_where_a_proxied_source_does_not_take_it(broker, source, register):
    exclusive(register, source, operations=["retrieveOps"])
    response = broker.post("/entityOperations/upsert", json=[bus(speed=prop(1)), bus(TWO)])
    assert response.status_code == 207
    assert response.json()["success"] == [TWO]
    assert response.json()["errors"][0]["error"]["status"] == 409


def test_batch_upsert(stored, source, register):
    source.on("POST", "/entityOperations/upsert", (201, [TWO]))
    register(source.endpoint, operations=["upsertBatch"])
    entities = [bus(line=prop("T2")), bus(TWO)]
    response = stored.post("/entityOperations/upsert", json=entities, params={"options": "update"})
    assert response.status_code == 201
    assert response.json() == [TWO]
    assert source.asked[0].parameters == {"options": "update"}


def test_batch_upsert_one_by_one(broker, source, register):
    source.on("POST", "/entities", (409, {"title": "there"}))
    source.on("PUT", f"/entities/{BUS}", (204, None))
    register(source.endpoint, operations=ALL, mode="redirect")
    response = broker.post("/entityOperations/upsert", json=[bus(speed=prop(1))])
    assert response.status_code == 204
    assert [one.method for one in source.asked] == ["POST", "PUT"]


@pytest.mark.parametrize(("name", "operation"), [("update", "updateBatch"), ("merge", "mergeBatch")])
def test_batch_changes(stored, source, register, name, operation):
    source.on("POST", f"/entityOperations/{name}", (204, None))
    exclusive(register, source, operations=[operation])
    body = [{"id": BUS, "speed": prop(2), "line": prop("T2")}]
    response = stored.post(f"/entityOperations/{name}", json=body)
    assert response.status_code == 204, response.text
    assert source.asked[0].body == [{"id": BUS, "speed": prop(2)}]
    assert here(stored) == bus(line=prop("T2"))


def test_batch_merge_passes_nulls_on(stored, source, register):
    source.on("POST", "/entityOperations/merge", (204, None))
    exclusive(register, source, operations=["mergeBatch"])
    body = [{"id": BUS, "speed": "urn:ngsi-ld:null"}]
    assert stored.post("/entityOperations/merge", json=body).status_code == 204
    assert source.asked[0].body == body


def test_batch_delete(stored, source, register):
    source.on("POST", "/entityOperations/delete", (204, None))
    register(source.endpoint, operations=["deleteBatch"])
    assert stored.post("/entityOperations/delete", json=[BUS, TWO]).status_code == 204
    assert source.asked[0].body == [BUS, TWO]
    assert here(stored) is None


def test_batch_local(broker, source, register):
    register(source.endpoint, operations=["createBatch"], mode="redirect")
    response = broker.post("/entityOperations/create", json=[bus()], params={"local": "true"})
    assert response.status_code == 201
    assert source.asked == []


def test_batch_with_contexts_of_their_own(broker, source, register):
    source.on("POST", "/entityOperations/create", (201, [BUS]))
    register(source.endpoint, operations=["createBatch"])
    context = {"pace": "https://x.org/pace"}
    body = [{**bus(pace=prop(1)), "@context": context}]
    headers = {"Content-Type": "application/ld+json"}
    assert broker.post("/entityOperations/create", json=body, headers=headers).status_code == 201
    assert source.asked[0].body == [{**bus(), "https://x.org/pace": prop(1)}]
    assert "link" not in source.asked[0].headers
