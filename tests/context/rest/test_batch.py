"""/entityOperations over HTTP (GS CIM 009 v1.8.1, 6.14 to 6.17, 6.31)."""

from __future__ import annotations

import pytest

from .test_entities import BUS, ERRORS, bus, get, refused

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
OTHER = "urn:ngsi-ld:Bus:2"


def post(broker, operation, body, **parameters):
    return broker.post(f"/entityOperations/{operation}", json=body, params=parameters)


def errors_of(response):
    assert response.status_code == 207, response.text
    return {one["entityId"]: one["error"]["type"].removeprefix(ERRORS) for one in response.json()["errors"]}


def test_create(broker):
    response = post(broker, "create", [bus(), bus(OTHER)])
    assert response.status_code == 201
    assert response.json() == [BUS, OTHER]
    response = post(broker, "create", [bus(), bus("urn:ngsi-ld:Bus:3"), {"id": "urn:ngsi-ld:Bus:4"}])
    assert errors_of(response) == {BUS: "AlreadyExists", "urn:ngsi-ld:Bus:4": "BadRequestData"}
    assert response.json()["success"] == ["urn:ngsi-ld:Bus:3"]


@pytest.mark.parametrize("operation", ["create", "upsert", "update", "merge", "delete"])
@pytest.mark.parametrize("body", [{}, [], "text"])
def test_the_body_is_a_list(broker, operation, body):
    refused(post(broker, operation, body), 400, "BadRequestData")


def test_upsert_replaces(broker):
    assert post(broker, "upsert", [bus()]).status_code == 201
    response = post(broker, "upsert", [{"id": BUS, "type": "Bus", "name": {"value": "0417"}}])
    assert response.status_code == 204
    assert get(broker).keys() == {"id", "type", "name"}
    response = post(broker, "upsert", [bus(), bus(OTHER)])
    assert (response.status_code, response.json()) == (201, [OTHER])


def test_upsert_updates(broker):
    post(broker, "upsert", [bus()])
    body = [{"id": BUS, "type": "Bus", "name": {"value": "0417"}}, {"id": "nothing", "type": "Bus"}]
    response = post(broker, "upsert", body, options="update")
    assert errors_of(response) == {"nothing": "BadRequestData"}
    assert response.json()["success"] == [BUS]
    assert get(broker).keys() == {"id", "type", "speed", "line", "name"}


def test_update(broker):
    post(broker, "create", [bus()])
    response = post(broker, "update", [bus(speed={"value": 1}), bus(OTHER)])
    assert errors_of(response) == {OTHER: "ResourceNotFound"}
    assert get(broker)["speed"]["value"] == 1
    assert (
        post(
            broker, "update", [bus(speed={"value": 2}, name={"value": "x"})], options="noOverwrite"
        ).status_code
        == 204
    )
    assert (get(broker)["speed"]["value"], get(broker)["name"]["value"]) == (1, "x")


def test_merge(broker):
    post(broker, "create", [bus()])
    response = post(
        broker, "merge", [{"id": BUS, "type": "Bus", "speed": {"value": 3}, "line": "urn:ngsi-ld:null"}]
    )
    assert response.status_code == 204, response.text
    assert get(broker).keys() == {"id", "type", "speed"}
    assert get(broker)["speed"]["unitCode"] == "KMH"


def test_delete(broker):
    post(broker, "create", [bus(), bus(OTHER)])
    response = post(broker, "delete", [BUS, "urn:ngsi-ld:Bus:9", "nothing"])
    assert errors_of(response) == {"urn:ngsi-ld:Bus:9": "ResourceNotFound", "nothing": "BadRequestData"}
    assert response.json()["success"] == [BUS]
    assert post(broker, "delete", [OTHER]).status_code == 204


def test_each_entity_has_its_own_context(broker):
    body = [
        bus() | {"@context": {"speed": "https://example.org/vocab#speed"}},
        bus(OTHER) | {"@context": "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld"},
    ]
    response = broker.post(
        "/entityOperations/create", json=body, headers={"Content-Type": "application/ld+json"}
    )
    assert response.status_code == 201
    assert "https://example.org/vocab#speed" in get(broker)
    assert "speed" in get(broker, OTHER)


def test_the_same_entity_twice(broker):
    assert errors_of(post(broker, "create", [bus(), bus()])) == {BUS: "AlreadyExists"}
    assert post(broker, "upsert", [bus(speed={"value": 1}), bus(speed={"value": 2})]).status_code == 204
    assert get(broker)["speed"]["value"] == 2
