"""Who may do what: every operation asked without a token, by tokens of other rights, tenants, types and places.

What a real token means is tested in `test_tokens.py`; here it is put into the gate, so that each operation can be asked in each way.
"""

from __future__ import annotations

import time

import pytest
import shapely

from amb247.context.querying.query import Restriction
from amb247.context.rest.access import Access
from amb247.context.rest.openapi import OPERATIONS

from .operations import CAR, QUERY, ask, car, path_of, prepare

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

JSON = "application/json"
ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
NAMES = sorted(one.name for one in OPERATIONS if not one.is_public)
TEMPORAL_READS = {
    name
    for name in NAMES
    if "emporal" in name and name.startswith(("query", "retrieve", "temporalQuery", "create"))
}
# Subscribing is reading (record 0016); asking for a map of entities is a query.
READING = {
    name for name in NAMES if name.startswith(("query", "retrieve", "list", "stream", "temporalQuery"))
} | {
    name
    for name in NAMES
    if name.endswith(("Subscription", "DeadLetters", "DeadLetter", "EntityMap")) and "CSR" not in name
}
WRITING = set(NAMES) - READING
HISTORY = TEMPORAL_READS & READING
# What lies with one entity, by how an access that does not reach it is answered.
OF_ONE = [
    "retrieveEntity", "replaceEntity", "mergeEntity", "deleteEntity", "appendAttrs", "updateEntity", "updateAttrs",
    "replaceAttrs", "deleteAttrs", "retrieveTemporal", "deleteTemporal", "appendAttrsTemporal", "deleteAttrsTemporal",
    "updateAttrsTemporal", "deleteAttrInstanceTemporal",
]  # fmt: skip
OF_MANY = ["queryEntity", "queryBatch", "queryTemporal", "temporalQueryBatch"]
BATCHES = ["upsertBatch", "updateBatch", "mergeBatch", "deleteBatch"]
ELSEWHERE = (Restriction(types=frozenset({"Bus"})), Restriction(areas=(shapely.box(-75, 8, -74, 9),)))


@pytest.fixture
def asked_by(ngsi_server, broker, monkeypatch):
    """Headers of somebody with this access; nobody else gets in."""
    monkeypatch.delenv("AMB_NGSI_OPEN")
    known = ngsi_server.app.state.gate._known

    def by(**rights):
        everything = {"may_read": True, "may_write": True, "may_read_history": True}
        access = Access("token:t", **everything | rights)
        known["bearer t"] = (time.monotonic() + 600, access)
        return {"Authorization": "Bearer t"}

    yield by
    known.pop("bearer t", None)


@pytest.fixture
def stored(asked_by, broker):
    assert broker.post("/entities", json=car(), headers=asked_by()).status_code == 201
    return broker


@pytest.fixture
def elsewhere(asked_by):
    """Headers of those who do not reach the car, one after the other."""
    return lambda: (asked_by(restriction=restriction) for restriction in ELSEWHERE)


def problem(response, status, kind):
    assert (response.status_code, response.headers["content-type"]) == (status, JSON), response.text
    assert response.json()["type"] == ERRORS + kind


def speed(broker, asked_by):
    return broker.get(f"/entities/{CAR}", headers=asked_by()).json()["speed"]["value"]


@pytest.mark.parametrize("name", NAMES)
def test_the_wrong_person_is_refused(asked_by, broker, name):
    """No token, one that is none, one of another tenant, one without the right that the operation asks for."""
    for headers in ({}, {"Authorization": "Bearer amb_unknown_x"}, {"Authorization": "Basic eDp5"}):
        response = ask(broker, name, headers=headers)
        problem(response, 401, "Unauthorized")
        assert response.headers["www-authenticate"].startswith("Bearer")
    problem(ask(broker, name, headers=asked_by(tenants=frozenset({"other"}))), 403, "Forbidden")
    in_other = {**asked_by(tenants=frozenset({""})), "NGSILD-Tenant": "other"}
    problem(ask(broker, name, headers=in_other), 403, "Forbidden")
    missing = "may_write" if name in WRITING else "may_read_history" if name in HISTORY else "may_read"
    problem(ask(broker, name, headers=asked_by(**{missing: False})), 403, "Forbidden")


@pytest.mark.parametrize("name", OF_ONE)
def test_what_is_out_of_reach_is_not_there(stored, asked_by, elsewhere, name):
    """By type and by territory: the same answer as for what does not exist, so that nobody learns of it."""
    for headers in elsewhere():
        response = ask(stored, name, headers=headers)
        problem(response, 404, "ResourceNotFound")
        unknown = ask(stored, name, headers=headers, entity_id="urn:ngsi-ld:Car:9")
        assert unknown.json()["title"] == response.json()["title"]
    assert speed(stored, asked_by) == 55


@pytest.mark.parametrize("name", OF_MANY)
def test_queries_find_and_count_what_is_within_reach(stored, asked_by, elsewhere, name):
    for headers in elsewhere():
        response = ask(stored, name, headers=headers, params={"count": "true"})
        assert (response.status_code, response.json()) == (200, [])
        assert response.headers["ngsild-results-count"] == "0"
    seen = ask(stored, name, headers=asked_by(), params={"count": "true"})
    assert seen.headers["ngsild-results-count"] == "1"


@pytest.mark.parametrize("name", ["purgeEntity", *BATCHES])
def test_what_is_out_of_reach_is_not_changed(stored, asked_by, elsewhere, name):
    for headers in elsewhere():
        response = ask(stored, name, headers=headers)
        if name == "purgeEntity":
            assert response.status_code == 204
        elif response.status_code == 207:
            assert response.json()["success"] == []
        else:
            assert response.status_code in {400, 404}, response.text
    assert speed(stored, asked_by) == 55


@pytest.mark.parametrize("name", ["createEntity", "createBatch", "upsertTemporal"])
def test_nothing_is_made_out_of_reach(broker, asked_by, elsewhere, name):
    for headers in elsewhere():
        response = ask(broker, name, headers=headers)
        if name == "createBatch":
            assert (response.status_code, response.json()["success"]) == (207, [])
        else:
            assert response.status_code in {400, 403}, response.text
    assert broker.get("/entities/urn:ngsi-ld:Car:2", headers=asked_by()).status_code == 404
    assert broker.get(f"/temporal/entities/{CAR}", headers=asked_by()).status_code == 404


def test_discovery_names_what_is_within_reach(stored, elsewhere):
    for headers in elsewhere():
        assert ask(stored, "retrieveTypes", headers=headers).json()["typeList"] == []
        assert ask(stored, "retrieveAttributes", headers=headers).json()["attributeList"] == []
        problem(ask(stored, "retrieveTypeInfo", headers=headers), 404, "ResourceNotFound")
        problem(ask(stored, "retrieveAttrInfo", headers=headers), 404, "ResourceNotFound")


def test_others_subscriptions_are_not_there(broker, asked_by, monkeypatch):
    monkeypatch.setenv("AMB_NGSI_OPEN", "1")
    prepare(broker)
    monkeypatch.delenv("AMB_NGSI_OPEN")
    for name in NAMES:
        if path_of(name).startswith("/subscriptions/"):
            response = ask(broker, name, headers=asked_by(restriction=ELSEWHERE[0]))
            problem(response, 404, "ResourceNotFound")


def test_sources_are_for_who_reaches_the_whole_tenant(broker, asked_by):
    for name in NAMES:
        if path_of(name).startswith("/csource"):
            problem(ask(broker, name, headers=asked_by(restriction=ELSEWHERE[0])), 403, "Forbidden")


def test_within_reach_all_is_as_always(stored, asked_by):
    """So that the refusals above are not for another reason."""
    near = Restriction(frozenset({"Car"}), (shapely.box(-74, 7, -73, 8),))
    for name in [*OF_MANY, *BATCHES[:-1], "createEntity", "retrieveEntity", "mergeEntity", "deleteEntity"]:
        response = ask(stored, name, headers=asked_by(restriction=near))
        assert response.status_code in {200, 201, 204}, (name, response.text)
    found = stored.post("/entityOperations/query", json=QUERY, headers=asked_by(restriction=near)).json()
    assert [one["id"] for one in found] == [car("urn:ngsi-ld:Car:2")["id"]]
