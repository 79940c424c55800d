"""What `q` may look at, and in which order entities come (GS CIM 009 v1.9.1, 4.5.23, 4.23, 5.7.2.4, 5.6.21.4)."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
ONE_LINK = "isParked{floor}>1"
TWO_LINKS = "isParked{ownedBy{Person:age}}>=30"


def prop(value):
    return {"type": "Property", "value": value}


def to(target):
    return {"type": "Relationship", "object": target}


@pytest.fixture
def linked(broker):
    """A car in a garage of somebody's, and one in the street."""
    for one in (
        {
            "id": "urn:ngsi-ld:Car:1",
            "type": "Car",
            "name": prop("Ámbar"),
            "isParked": to("urn:ngsi-ld:Garage:1"),
        },
        {
            "id": "urn:ngsi-ld:Car:2",
            "type": "Car",
            "name": prop("ambar"),
            "isParked": to("urn:ngsi-ld:Garage:9"),
        },
        {"id": "urn:ngsi-ld:Car:3", "type": "Car", "name": prop("Zafiro")},
        {
            "id": "urn:ngsi-ld:Garage:1",
            "type": "Garage",
            "floor": prop(3),
            "ownedBy": to("urn:ngsi-ld:Person:1"),
        },
        {"id": "urn:ngsi-ld:Person:1", "type": "Person", "age": prop(40)},
    ):
        assert broker.post("/entities", json=one).status_code == 201
    return broker


def get(broker, **parameters):
    return broker.get("/entities", params={"type": "Car", **parameters})


def post(broker, **members):
    body = {"type": "Query", "entities": [{"type": "Car"}], **members}
    return broker.post("/entityOperations/query", json=body)


@pytest.mark.parametrize("ask", [get, post])
@pytest.mark.parametrize(
    ("q", "joined"),
    [
        (ONE_LINK, {"join": "inline"}),
        (ONE_LINK, {"join": "flat", "joinLevel": 1}),
        (TWO_LINKS, {"join": "inline", "joinLevel": 2}),
        (TWO_LINKS, {"join": "flat", "joinLevel": 3}),
    ],
)
def test_q_follows_links_as_far_as_they_are_joined(linked, ask, q, joined):
    response = ask(linked, q=q, **joined)
    assert response.status_code == 200, response.text
    assert [one["id"] for one in response.json() if one["type"] == "Car"] == ["urn:ngsi-ld:Car:1"]


@pytest.mark.parametrize("ask", [get, post])
@pytest.mark.parametrize(
    ("q", "joined"),
    [
        (ONE_LINK, {}),
        (ONE_LINK, {"join": "@none"}),
        (TWO_LINKS, {"join": "inline"}),
        (f"name;{TWO_LINKS}", {"join": "flat", "joinLevel": 1}),
    ],
)
def test_a_query_that_is_too_deep_is_refused(linked, ask, q, joined):
    response = ask(linked, q=q, **joined)
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + "BadRequestData")
    assert "joinLevel" in response.json()["detail"]


def test_a_purge_looks_at_no_linked_entities(linked):
    response = linked.delete("/entities", params={"type": "Car", "q": ONE_LINK, "join": "inline"})
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + "BadRequestData")
    assert len(get(linked).json()) == 3


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        ({"orderBy": "name"}, "213"),
        ({"orderBy": "name,id", "collation": "und-u-ks-level1"}, "123"),
        ({"orderBy": "name;desc,id;desc", "collation": "und-u-ks-level1"}, "321"),
    ],
)
def test_the_collation_decides_the_order_of_texts(linked, order, numbers):
    found = [one["id"][-1] for one in get(linked, **order).json()]
    assert "".join(found) == numbers
    document = order | {"orderBy": order["orderBy"].split(",")}
    assert [one["id"][-1] for one in post(linked, ordering=document).json()] == found


@pytest.mark.parametrize("ask", [get, post])
def test_an_unknown_collation_is_refused(linked, ask):
    order = {"orderBy": "name", "collation": "tlh_Qo'noS"}
    response = ask(linked, **(order if ask is get else {"ordering": {**order, "orderBy": ["name"]}}))
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + "BadRequestData")
    assert "collation" in response.json()["detail"]


def test_ordering_by_distance_in_a_document(broker):
    for number, lon in enumerate((-73.1, -73.3, -73.2), 1):
        place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, 7.1]}}
        car = {"id": f"urn:ngsi-ld:Car:{number}", "type": "Car", "location": place}
        assert broker.post("/entities", json=car).status_code == 201
    ordering = {"orderBy": ["location;dist-asc"], "geometry": "Point", "coordinates": [-73.3, 7.1]}
    assert [one["id"][-1] for one in post(broker, ordering=ordering).json()] == ["2", "3", "1"]
    response = post(broker, ordering=["name"])
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + "BadRequestData")
