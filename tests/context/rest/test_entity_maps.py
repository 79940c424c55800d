"""Entity maps: all pages of a query are of the entities that it found first (GS CIM 009 v1.9.1, 5.5.9.3, 5.14, 6.32 to 6.35)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from amb247.context.domain import entity_maps
from amb247.context.querying.query import Restriction
from amb247.context.rest.access import Access

from .operations import AT, TEMPORAL, prop

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
BASE = "/ngsi-ld/v1"
CARS = [f"urn:ngsi-ld:Car:{number}" for number in range(1, 8)]
MAP = {"type": "Car", "q": "speed>0", "entityMap": "true", "limit": "3", "count": "true"}


def car(entity_id, speed=1):
    return {"id": entity_id, "type": "Car", "speed": prop(speed, observedAt=AT)}


@pytest.fixture
def cars(broker):
    for one in CARS:
        assert broker.post("/entities", json=car(one)).status_code == 201
    return broker


def ids(response):
    return [one["id"] for one in response.json()]


def path_of(response):
    """Where the map is, below the interface's base."""
    return response.headers["ngsild-entitymap"].removeprefix(BASE)


def refused(response, status, kind):
    assert (response.status_code, response.json()["type"]) == (status, ERRORS + kind), response.text


def test_pages_of_a_map_are_all_of_one_query(cars):
    first = cars.get("/entities", params=MAP)
    assert first.status_code == 201
    assert ids(first) == CARS[:3]
    assert first.headers["ngsild-results-count"] == "7"
    assert 'rel="next"' in first.headers["link"]
    # One comes that sorts before all, one ends to fit, one goes.
    assert cars.post("/entities", json=car("urn:ngsi-ld:Bus:0")).status_code == 201
    assert cars.patch(f"/entities/{CARS[3]}/attrs", json={"speed": prop(0)}).status_code == 204
    assert cars.delete(f"/entities/{CARS[4]}").status_code == 204
    named = {"NGSILD-EntityMap": first.headers["ngsild-entitymap"]}
    second = cars.get("/entities", params=MAP | {"offset": "3"}, headers=named)
    assert second.status_code == 200
    assert ids(second) == CARS[5:]
    assert second.headers["ngsild-entitymap"] == first.headers["ngsild-entitymap"]
    assert second.headers["ngsild-results-count"] == "5"
    assert 'rel="next"' not in second.headers["link"]
    assert list(cars.get(path_of(first)).json()["entityMap"]) == [*CARS[:3], *CARS[5:]]


def test_a_map_is_made_by_a_query(cars):
    for made in (
        cars.get("/entityMaps", params={"type": "Car", "orderBy": "id;desc", "entityMapLifetime": "PT1H"}),
        cars.post(
            "/entityMaps",
            json={
                "type": "Query",
                "entities": [{"type": "Car"}],
                "ordering": {"orderBy": ["id;desc"]},
                "entityMapLifetime": "PT1H",
            },
        ),
    ):
        assert made.status_code == 201, made.text
        document = made.json()
        assert document["id"] == path_of(made).rpartition("/")[2]
        assert document["type"] == "EntityMap"
        assert document["entityMap"] == {one: ["@none"] for one in CARS}
        assert list(document["entityMap"]) == CARS[::-1]
        assert document["linkedMaps"] == {}
        ends = datetime.fromisoformat(document["expiresAt"]) - datetime.now(UTC)
        assert timedelta(minutes=59) < ends <= timedelta(hours=1)
        page = cars.get(
            "/entities", params={"type": "Car", "limit": "2"}, headers={"NGSILD-EntityMap": path_of(made)}
        )
        assert (page.status_code, ids(page)) == (200, [CARS[6], CARS[5]])
    posted = cars.post(
        "/entityOperations/query", json={"type": "Query", "entities": [{"type": "Car"}], "entityMap": True}
    )
    assert (posted.status_code, ids(posted)) == (201, CARS)
    assert cars.get(path_of(posted)).status_code == 200


def test_a_map_is_made_by_a_temporal_query(cars):
    asked = {"type": "Car", **TEMPORAL}
    document = {"type": "Query", "entities": [{"type": "Car"}], "temporalQ": TEMPORAL}
    for made in (
        cars.get("/temporal/entityMaps", params=asked),
        cars.post("/temporal/entityMaps", json=document),
    ):
        assert made.status_code == 201, made.text
        assert made.json()["entityMap"] == {one: ["@none"] for one in CARS}
        later = cars.post("/entities", json=car("urn:ngsi-ld:Car:0"))
        assert later.status_code in {201, 409}
        named = {"NGSILD-EntityMap": made.headers["ngsild-entitymap"]}
        page = cars.get("/temporal/entities", params=asked | {"limit": "2"}, headers=named)
        assert ids(page) == CARS[:2]
        assert page.headers["ngsild-entitymap"] == made.headers["ngsild-entitymap"]
        assert ids(cars.get("/temporal/entities", params=asked | {"limit": "1"})) == ["urn:ngsi-ld:Car:0"]
        cars.delete("/entities/urn:ngsi-ld:Car:0")
        cars.delete("/temporal/entities/urn:ngsi-ld:Car:0")
    refused(cars.get("/temporal/entityMaps", params={"type": "Car"}), 400, "BadRequestData")


def test_a_map_is_read_changed_and_deleted(cars):
    path = path_of(cars.get("/entities", params=MAP))
    before = cars.get(path).json()
    sooner = (datetime.now(UTC) + timedelta(minutes=2)).isoformat()
    given = {"type": "EntityMap", "expiresAt": sooner, "entityMap": {}, "linkedMaps": {}}
    assert cars.patch(path, json=given).status_code == 204
    after = cars.get(path).json()
    assert after["expiresAt"] < before["expiresAt"]
    assert after["entityMap"] == before["entityMap"]
    assert cars.patch(path, json={"expiresAt": "2099-01-01T00:00:00Z"}).status_code == 204
    ends = datetime.fromisoformat(cars.get(path).json()["expiresAt"]) - datetime.now(UTC)
    assert ends <= entity_maps.LONGEST_LIFETIME
    assert cars.delete(path).status_code == 204
    for method, body in (("GET", {}), ("PATCH", {"json": {}}), ("DELETE", {})):
        refused(cars.request(method, path, **body), 404, "ResourceNotFound")
        refused(cars.request(method, "/entityMaps/no-uri", **body), 400, "BadRequestData")


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"expiresAt": "yesterday"},
        {"expiresAt": "2001-01-01T00:00:00Z"},
        {"expiresAt": "2099-01-01T00:00:00"},
        {"expiresAt": 5},
        {"type": "Nonsense"},
        {"id": "urn:ngsi-ld:EntityMap:other"},
    ],
)
def test_a_wrong_change_of_a_map_is_refused(cars, wrong):
    path = path_of(cars.get("/entities", params=MAP))
    before = cars.get(path).json()
    refused(cars.patch(path, json=wrong), 400, "BadRequestData")
    assert cars.get(path).json() == before


def test_a_map_that_has_ended_is_made_anew(cars):
    first = cars.get("/entities", params=MAP | {"entityMapLifetime": "PT0.2S"})
    time.sleep(0.4)
    refused(cars.get(path_of(first)), 404, "ResourceNotFound")
    again = cars.get("/entities", params=MAP, headers={"NGSILD-EntityMap": first.headers["ngsild-entitymap"]})
    assert again.status_code == 201
    assert again.headers["ngsild-entitymap"] != first.headers["ngsild-entitymap"]
    refused(cars.get("/entities", params=MAP, headers={"NGSILD-EntityMap": "no uri"}), 400, "BadRequestData")


def test_without_the_wish_there_is_no_map(cars):
    response = cars.get("/entities", params=MAP | {"entityMap": "false"})
    assert response.status_code == 200
    assert "ngsild-entitymap" not in response.headers


@pytest.fixture
def limited(ngsi_server):
    """Headers of two tokens for cars alone, and of one for buses."""
    known = ngsi_server.app.state.gate._known
    rights = {"may_read": True, "may_write": False, "may_read_history": True}
    for name, kind in (("one", "Car"), ("two", "Car"), ("bus", "Bus")):
        reach = Restriction(types=frozenset({kind}))
        known[f"bearer {name}"] = (
            time.monotonic() + 600,
            Access(f"token:{name}", **rights, restriction=reach),
        )
    yield {name: {"Authorization": f"Bearer {name}"} for name in ("one", "two", "bus")}
    for name in ("one", "two", "bus"):
        del known[f"bearer {name}"]


def test_a_map_is_its_makers_alone(cars, limited):
    made = cars.get("/entities", params=MAP, headers=limited["one"])
    path = path_of(made)
    assert cars.get(path, headers=limited["one"]).status_code == 200
    for other in ("two", "bus"):
        for method, body in (("GET", {}), ("PATCH", {"json": {}}), ("DELETE", {})):
            refused(cars.request(method, path, headers=limited[other], **body), 404, "ResourceNotFound")
    assert cars.get(path).status_code == 200  # who reaches everything sees everybody's


def test_a_map_shows_nobody_what_is_out_of_reach(cars, limited):
    assert cars.get("/entities", params=MAP, headers=limited["bus"]).json() == []
    everything = cars.get("/entities", params=MAP).headers["ngsild-entitymap"]
    response = cars.get("/entities", params=MAP, headers={**limited["bus"], "NGSILD-EntityMap": everything})
    assert (response.status_code, response.json()) == (201, [])
    assert response.headers["ngsild-results-count"] == "0"


def test_the_oldest_maps_of_one_give_way(cars, monkeypatch):
    monkeypatch.setattr(entity_maps, "MOST_OF_ONE", 2)
    paths = [path_of(cars.get("/entities", params=MAP)) for _ in range(4)]
    assert [cars.get(path).status_code for path in paths] == [404, 404, 200, 200]


def test_tenants_have_maps_of_their_own(cars):
    there = {"NGSILD-Tenant": "other"}
    assert cars.post("/entities", json=car(CARS[0]), headers=there).status_code == 201
    made = cars.get("/entities", params=MAP, headers=there)
    assert ids(made) == CARS[:1]
    assert cars.get(path_of(made), headers=there).status_code == 200
    refused(cars.get(path_of(made)), 404, "ResourceNotFound")


def test_more_than_a_map_holds_is_refused(cars, monkeypatch):
    monkeypatch.setattr("amb247.context.rest.entity_maps.MOST", 5)
    refused(cars.get("/entities", params=MAP), 403, "TooManyResults")
