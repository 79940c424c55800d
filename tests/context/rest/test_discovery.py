"""Types and attributes over HTTP: the documents of GS CIM 009, 5.2.24 - 5.2.28."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.integration

VEHICLE = "http://example.org/vehicle/"
TERMS = {"Vehicle": VEHICLE + "Vehicle", "brandName": VEHICLE + "brandName", "isParked": VEHICLE + "isParked"}


@pytest.fixture
def vehicles(broker):
    for number in (1, 2):
        made = broker.post(
            "/entities",
            json={
                "@context": TERMS,
                "id": f"urn:ngsi-ld:Vehicle:{number}",
                "type": "Vehicle",
                "brandName": {"type": "Property", "value": "Mercedes"},
                **({"isParked": {"type": "Relationship", "object": "urn:x:1"}} if number == 1 else {}),
            },
            headers={"Content-Type": "application/ld+json"},
        )
        assert made.status_code == 201
    return broker


def test_lists_name_what_there_is(vehicles):
    answer = vehicles.get("/types")
    assert answer.status_code == 200
    document = answer.json()
    assert document.keys() == {"id", "type", "typeList"}
    assert document["type"] == "EntityTypeList"
    assert document["typeList"] == [VEHICLE + "Vehicle"]
    document = vehicles.get("/attributes").json()
    assert document.keys() == {"id", "type", "attributeList"}
    assert document["type"] == "AttributeList"
    assert document["attributeList"] == [VEHICLE + "brandName", VEHICLE + "isParked"]


def test_details_of_all(vehicles):
    assert vehicles.get("/types", params={"details": "true"}).json() == [
        {
            "id": VEHICLE + "Vehicle",
            "type": "EntityType",
            "typeName": VEHICLE + "Vehicle",
            "attributeNames": [VEHICLE + "brandName", VEHICLE + "isParked"],
        }
    ]
    assert vehicles.get("/attributes", params={"details": "true"}).json()[0] == {
        "id": VEHICLE + "brandName",
        "type": "Attribute",
        "attributeName": VEHICLE + "brandName",
        "typeNames": [VEHICLE + "Vehicle"],
    }


def test_one_type_and_one_attribute(vehicles):
    encoded = "http%3A%2F%2Fexample.org%2Fvehicle%2F"
    info = vehicles.get(f"/types/{encoded}Vehicle").json()
    assert info == {
        "id": VEHICLE + "Vehicle",
        "type": "EntityTypeInfo",
        "typeName": VEHICLE + "Vehicle",
        "entityCount": 2,
        "attributeDetails": [
            {
                "id": VEHICLE + "brandName",
                "type": "Attribute",
                "attributeName": VEHICLE + "brandName",
                "attributeTypes": ["Property"],
            },
            {
                "id": VEHICLE + "isParked",
                "type": "Attribute",
                "attributeName": VEHICLE + "isParked",
                "attributeTypes": ["Relationship"],
            },
        ],
    }
    assert vehicles.get(f"/attributes/{encoded}brandName").json() == {
        "id": VEHICLE + "brandName",
        "type": "Attribute",
        "attributeName": VEHICLE + "brandName",
        "attributeCount": 2,
        "attributeTypes": ["Property"],
        "typeNames": [VEHICLE + "Vehicle"],
    }


def test_what_does_not_exist_is_not_found(vehicles):
    for path in ("/types/Nothing", "/attributes/nothing"):
        answer = vehicles.get(path)
        assert answer.status_code == 404
        assert answer.json()["type"] == "https://uri.etsi.org/ngsi-ld/errors/ResourceNotFound"


def test_details_must_be_a_flag(vehicles):
    assert vehicles.get("/types", params={"details": "perhaps"}).status_code == 400


def test_a_deleted_type_is_gone(vehicles):
    for number in (1, 2):
        assert vehicles.delete(f"/entities/urn:ngsi-ld:Vehicle:{number}").status_code == 204
    assert vehicles.get("/types").json()["typeList"] == []
    assert vehicles.get("/attributes", params={"details": "true"}).json() == []
