"""`Prefer: ngsi-ld=...`: the version that an answer conforms to (GS CIM 009 v1.9.1, 4.3.6.8, 6.3.6, 6.4.3.2, 6.5.3.1)."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CAR, OWNER = "urn:ngsi-ld:Car:1", "urn:ngsi-ld:Person:1"
CARS = {"type": "Car"}
JSON, LD, GEO = "application/json", "application/ld+json", "application/geo+json"


@pytest.fixture
def stored(broker):
    car = {
        "id": CAR,
        "type": "Car",
        "state": {"type": "VocabProperty", "vocab": "Working"},
        "ownedBy": {"type": "Relationship", "object": OWNER},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.1, 7.1]}},
    }
    owner = {"id": OWNER, "type": "Person", "card": {"type": "JsonProperty", "json": {"a": 1}}}
    for one in (car, owner):
        assert broker.post("/entities", json=one).status_code == 201
    return broker


READS = [("GET", f"/entities/{CAR}"), ("GET", "/entities?type=Car"), ("POST", "/entityOperations/query")]


def read(broker, method, path, **headers):
    body = {"json": {"type": "Query", "entities": [CARS]}} if method == "POST" else {}
    response = broker.request(method, path, headers=headers, **body)
    shown = response.json()
    if isinstance(shown, dict) and "features" in shown:
        shown = shown["features"]
    return response, shown[0] if isinstance(shown, list) else shown


@pytest.mark.parametrize(("method", "path"), READS)
@pytest.mark.parametrize("accept", [JSON, LD, GEO])
def test_an_earlier_version_is_another_answer(stored, method, path, accept):
    response, shown = read(stored, method, path, Prefer="ngsi-ld=1.6", Accept=accept)
    assert response.status_code == 203
    assert response.headers["preference-applied"] == "ngsi-ld=1.6"
    shown = shown.get("properties", shown)
    assert shown["state"] == {"type": "Property", "value": "Working"}


@pytest.mark.parametrize(("method", "path"), READS)
@pytest.mark.parametrize(("wanted", "applied"), [("1.8", "1.8"), ("1.9", "1.9"), ("3.0", "1.9")])
def test_what_needs_no_change_is_as_always(stored, method, path, wanted, applied):
    response, shown = read(stored, method, path, Prefer=f"ngsi-ld={wanted}")
    assert response.status_code == 200
    assert response.headers["preference-applied"] == f"ngsi-ld={applied}"
    assert shown["state"] == {"type": "VocabProperty", "vocab": "Working"}


@pytest.mark.parametrize("join", ["inline", "flat"])
def test_linked_entities_are_amended_too(stored, join):
    response = stored.get(f"/entities/{CAR}", params={"join": join}, headers={"Prefer": "ngsi-ld=1.7"})
    assert response.status_code == 203
    owner = response.json()["ownedBy"]["entity"] if join == "inline" else response.json()[1]
    assert owner["card"] == {"type": "Property", "value": {"a": 1}}


def test_both_preferences_at_once(stored):
    headers = {"Prefer": "body=json, ngsi-ld=1.6", "Accept": GEO}
    response = stored.get(f"/entities/{CAR}", headers=headers)
    assert response.headers["preference-applied"] == "body=json, ngsi-ld=1.6"
    assert "@context" not in response.json()


@pytest.mark.parametrize(
    "path",
    ["/types", "/subscriptions", "/temporal/entities?type=Car&timerel=before&timeAt=2030-01-01T00:00:00Z"],
)
def test_other_answers_say_what_they_conform_to(stored, path):
    response = stored.get(path, headers={"Prefer": "ngsi-ld=1.6"})
    assert (response.status_code, response.headers["preference-applied"]) == (200, "ngsi-ld=1.9")


def test_a_preference_that_is_none_is_passed_over(stored):
    response = stored.get(f"/entities/{CAR}", headers={"Prefer": "ngsi-ld=old"})
    assert response.status_code == 200
    assert "preference-applied" not in response.headers
