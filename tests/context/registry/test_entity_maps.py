"""Entity maps over several sources: who has what, and who is asked for a page (GS CIM 009 v1.9.1, 4.3.6.7, 5.14.4)."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

MAP = {"type": "Bus", "entityMap": "true", "limit": "2"}


def bus(number):
    return {"id": f"urn:ngsi-ld:Bus:{number}", "type": "Bus", "line": {"type": "Property", "value": number}}


def ids(response):
    return [int(one["id"][-1]) for one in response.json()]


@pytest.fixture
def federated(broker, source, register):
    """1 and 2 are here, 2 to 4 at the source."""
    for number in (1, 2):
        assert broker.post("/entities", json=bus(number)).status_code == 201

    def entities(asked):
        wanted = asked.parameters.get("id")
        found = [bus(number) for number in (2, 3, 4)]
        return 200, [one for one in found if wanted is None or one["id"] in wanted.split(",")]

    source.on("GET", "/entities", entities)
    return broker, register(source.endpoint)


def test_a_map_says_where_each_entity_is(federated, source):
    broker, registration = federated
    made = broker.get("/entityMaps", params={"type": "Bus"})
    assert made.status_code == 201, made.text
    assert made.json()["entityMap"] == {
        "urn:ngsi-ld:Bus:1": ["@none"],
        "urn:ngsi-ld:Bus:2": ["@none", registration],
        "urn:ngsi-ld:Bus:3": [registration],
        "urn:ngsi-ld:Bus:4": [registration],
    }
    here = broker.get("/entityMaps", params={"type": "Bus", "local": "true"}).json()["entityMap"]
    assert here == {f"urn:ngsi-ld:Bus:{number}": ["@none"] for number in (1, 2)}


def test_pages_of_a_map_are_asked_by_id(federated, source):
    broker, _ = federated
    first = broker.get("/entities", params=MAP)
    assert (first.status_code, ids(first)) == (201, [1, 2])
    named = {"NGSILD-EntityMap": first.headers["ngsild-entitymap"]}
    second = broker.get("/entities", params=MAP | {"offset": "2"}, headers=named)
    assert (second.status_code, ids(second)) == (200, [3, 4])
    assert set(source.asked[-1].parameters["id"].split(",")) == {"urn:ngsi-ld:Bus:3", "urn:ngsi-ld:Bus:4"}


def test_sources_that_had_nothing_are_not_asked_again(federated, source, second, register):
    broker, _ = federated
    second.on("GET", "/entities", (200, []))
    register(second.endpoint)
    first = broker.get("/entities", params=MAP)
    asked = len(second.asked)
    assert asked
    named = {"NGSILD-EntityMap": first.headers["ngsild-entitymap"]}
    assert ids(broker.get("/entities", params=MAP | {"offset": "2"}, headers=named)) == [3, 4]
    assert len(second.asked) == asked


def test_a_source_that_fails_takes_nothing_out_of_the_map(federated, source):
    broker, _ = federated
    first = broker.get("/entities", params=MAP)
    named = {"NGSILD-EntityMap": first.headers["ngsild-entitymap"]}
    answers = source.replies["GET", "/ngsi-ld/v1/entities"]
    source.on("GET", "/entities", (500, None))
    failed = broker.get("/entities", params=MAP | {"offset": "2"}, headers=named)
    assert failed.json() == []
    assert "ngsild-warning" in failed.headers
    source.replies["GET", "/ngsi-ld/v1/entities"] = answers
    assert ids(broker.get("/entities", params=MAP | {"offset": "2"}, headers=named)) == [3, 4]
