"""/csourceRegistrations: success and error of every operation (GS CIM 009 v1.8.1, 5.9, 5.10, 6.8, 6.9)."""

from __future__ import annotations

import pytest

from .conftest import registration

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
ID = "urn:ngsi-ld:ContextSourceRegistration:1"
ENDPOINT = "http://127.0.0.1:9999"
WHOLE = {
    "id": ID,
    "type": "ContextSourceRegistration",
    "registrationName": "Buses of the north",
    "description": "What the northern operator knows",
    "information": [
        {
            "entities": [
                {"id": "urn:ngsi-ld:Bus:1", "type": "Bus"},
                {"idPattern": "^urn:ngsi-ld:Bus:9", "type": ["Bus", "Electric"]},
            ],
            "propertyNames": ["speed", "fuelLevel"],
            "relationshipNames": ["line"],
        }
    ],
    "tenant": "north",
    "location": {"type": "Polygon", "coordinates": [[[-73.2, 7], [-73, 7], [-73, 7.2], [-73.2, 7]]]},
    "expiresAt": "2099-01-01T00:00:00Z",
    "endpoint": ENDPOINT,
    "contextSourceInfo": [{"key": "Authorization", "value": "Bearer north"}],
    "contextSourceAlias": "north",
    "scope": ["/AMB/North"],
    "mode": "inclusive",
    "operations": ["federationOps", "updateOps", "createEntity"],
    "refreshRate": "PT5M",
    "management": {"localOnly": True, "timeout": 500, "cooldown": 1000, "cacheDuration": "PT10S"},
    "operator": "Metrolínea",
}


def refused(response, status, kind, word=""):
    assert response.status_code == status, response.text
    body = response.json()
    assert body["type"] == ERRORS + kind
    assert word in body["detail"]
    return body


def changed(**members):
    return {key: value for key, value in (WHOLE | members).items() if value is not None}


@pytest.fixture
def stored(broker):
    response = broker.post("/csourceRegistrations", json=WHOLE)
    assert response.status_code == 201, response.text
    return broker


def test_create_answers_where_it_is_and_it_comes_out_as_it_went_in(broker):
    response = broker.post("/csourceRegistrations", json=WHOLE)
    assert response.status_code == 201
    assert response.headers["location"] == f"/ngsi-ld/v1/csourceRegistrations/{ID}"
    assert response.content == b""
    response = broker.get(f"/csourceRegistrations/{ID}")
    assert response.status_code == 200
    assert response.json() == WHOLE
    assert "json-ld#context" in response.headers["link"]


def test_create_without_id_makes_one(broker):
    response = broker.post("/csourceRegistrations", json=changed(id=None))
    assert response.headers["location"].startswith(
        "/ngsi-ld/v1/csourceRegistrations/urn:ngsi-ld:ContextSourceRegistration:"
    )


def test_ld_json_has_its_context_in_the_body(broker):
    context = [{"Coach": "https://example.org/Coach"}]
    body = {**registration(ENDPOINT, types=("Coach",)), "id": ID, "@context": context}
    headers = {"Content-Type": "application/ld+json"}
    assert broker.post("/csourceRegistrations", json=body, headers=headers).status_code == 201
    plain = broker.get(f"/csourceRegistrations/{ID}").json()
    assert plain["information"][0]["entities"] == [{"type": "https://example.org/Coach"}]
    found = broker.get(f"/csourceRegistrations/{ID}", headers={"Accept": "application/ld+json"}).json()
    assert found["@context"]


def test_create_what_exists_is_a_conflict(stored):
    refused(stored.post("/csourceRegistrations", json=WHOLE), 409, "AlreadyExists")


@pytest.mark.parametrize(
    ("member", "value", "word"),
    [
        ("type", "Registration", "type"),
        ("id", "no uri", "id"),
        ("information", None, "information"),
        ("information", [], "information"),
        ("information", {}, "information"),
        ("information", [{}], "information[0]"),
        ("information", [{"entities": []}], "information[0].entities"),
        ("information", [{"entities": [{"id": "urn:x:1"}]}], "information[0].entities[0].type"),
        ("information", [{"entities": [{"id": "one", "type": "Bus"}]}], "information[0].entities[0].id"),
        ("information", [{"entities": [{"idPattern": "(", "type": "Bus"}]}], "regular expression"),
        ("information", [{"propertyNames": []}], "propertyNames"),
        ("information", [{"propertyNames": [1]}], "propertyNames"),
        ("endpoint", None, "endpoint"),
        ("endpoint", "nowhere", "endpoint"),
        ("endpoint", "mqtt://host/topic", "endpoint"),
        ("endpoint", "http://example.org/?x=1", "endpoint"),
        ("mode", "exclusively", "mode"),
        ("operations", ["everything"], "operations"),
        ("operations", [], "operations"),
        ("expiresAt", "2001-01-01T00:00:00Z", "expiresAt"),
        ("expiresAt", "tomorrow", "expiresAt"),
        ("refreshRate", "often", "refreshRate"),
        ("location", {"type": "Point"}, "location"),
        ("observationInterval", {"endAt": "2030-01-01T00:00:00Z"}, "observationInterval.startAt"),
        (
            "managementInterval",
            {"startAt": "2030-01-01T00:00:00Z", "endAt": "2029-01-01T00:00:00Z"},
            "managementInterval.endAt",
        ),
        ("management", {"timeout": 0}, "management.timeout"),
        ("management", {"localOnly": "yes"}, "management.localOnly"),
        ("management", {"cacheDuration": "PT"}, "management.cacheDuration"),
        ("contextSourceInfo", [{"key": "Host", "value": "x"}], "contextSourceInfo[0].key"),
        ("contextSourceInfo", [{"key": "X", "value": "a\r\nb: c"}], "contextSourceInfo[0].value"),
        (
            "contextSourceInfo",
            [{"key": "authorization", "value": "urn:ngsi-ld:request"}],
            "contextSourceInfo[0].value",
        ),
        ("scope", "not a scope", "scope"),
        ("datasetId", ["nothing"], "datasetId"),
        ("registrationName", "", "registrationName"),
        ("tenant", 3, "tenant"),
        ("description", "urn:ngsi-ld:null", "description"),
    ],
)
def test_create_of_something_else_is_refused(broker, member, value, word):
    body = changed(**{member: value})
    refused(broker.post("/csourceRegistrations", json=body), 400, "BadRequestData", word)


@pytest.mark.parametrize("body", ["[]", '"x"', "3"])
def test_create_of_no_object_is_refused(broker, body):
    response = broker.post(
        "/csourceRegistrations", content=body, headers={"Content-Type": "application/json"}
    )
    refused(response, 400, "BadRequestData")


@pytest.mark.parametrize("endpoint", ["http://10.0.0.8:1026", "http://localhost:5432", "http://[fe80::1]/"])
def test_endpoints_inside_the_network_are_closed(broker, monkeypatch, endpoint):
    monkeypatch.setenv("AMB_NGSI_OPEN", "1")
    if "localhost" in endpoint:
        assert broker.post("/csourceRegistrations", json=changed(endpoint=endpoint)).status_code == 201
    else:
        refused(
            broker.post("/csourceRegistrations", json=changed(endpoint=endpoint)),
            400,
            "BadRequestData",
            "endpoint",
        )


# --- exclusive ----------------------------------------------------------------------------------------------------


def exclusive(**members):
    return registration(ENDPOINT, ids=["urn:ngsi-ld:Bus:1"], names=["speed"], mode="exclusive") | members


@pytest.mark.parametrize(
    "information",
    [
        {"entities": [{"type": "Bus"}], "propertyNames": ["speed"]},
        {"entities": [{"idPattern": ".*", "type": "Bus"}], "propertyNames": ["speed"]},
        {"entities": [{"id": "urn:ngsi-ld:Bus:1", "type": "Bus"}]},
        {"propertyNames": ["speed"]},
    ],
)
def test_exclusive_needs_ids_and_attributes(broker, information):
    body = exclusive(information=[information])
    refused(broker.post("/csourceRegistrations", json=body), 400, "BadRequestData", "information[0]")


def test_exclusive_overlaps_no_other_exclusive(broker):
    assert broker.post("/csourceRegistrations", json=exclusive()).status_code == 201
    refused(broker.post("/csourceRegistrations", json=exclusive()), 409, "Conflict", "information")
    other = registration(ENDPOINT, ids=["urn:ngsi-ld:Bus:1"], names=["fuelLevel"], mode="exclusive")
    assert broker.post("/csourceRegistrations", json=other).status_code == 201
    other = registration(ENDPOINT, ids=["urn:ngsi-ld:Bus:2"], names=["speed"], mode="exclusive")
    assert broker.post("/csourceRegistrations", json=other).status_code == 201


def test_exclusive_and_redirect_do_not_overlap(broker):
    assert broker.post("/csourceRegistrations", json=exclusive()).status_code == 201
    redirect = registration(ENDPOINT, mode="redirect")
    refused(broker.post("/csourceRegistrations", json=redirect), 409, "Conflict")
    redirect = registration(ENDPOINT, mode="redirect", types=("Tram",))
    assert broker.post("/csourceRegistrations", json=redirect).status_code == 201
    assert broker.post("/csourceRegistrations", json=redirect).status_code == 201
    assert broker.post("/csourceRegistrations", json=registration(ENDPOINT)).status_code == 201


def test_exclusive_takes_nothing_that_is_here(broker):
    entity = {"id": "urn:ngsi-ld:Bus:1", "type": "Bus", "speed": {"type": "Property", "value": 3}}
    assert broker.post("/entities", json=entity).status_code == 201
    refused(broker.post("/csourceRegistrations", json=exclusive()), 409, "Conflict", "Bus:1")


def test_an_update_may_not_make_it_overlap(broker):
    assert broker.post("/csourceRegistrations", json=exclusive()).status_code == 201
    other = registration(ENDPOINT, ids=["urn:ngsi-ld:Bus:1"], names=["speed"]) | {"id": ID}
    assert broker.post("/csourceRegistrations", json=other).status_code == 201
    response = broker.patch(f"/csourceRegistrations/{ID}", json={"mode": "exclusive"})
    refused(response, 409, "Conflict")


# --- retrieve, update, delete -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_is_not_there(broker, method):
    body = {"json": {"mode": "inclusive"}} if method == "PATCH" else {}
    refused(broker.request(method, f"/csourceRegistrations/{ID}", **body), 404, "ResourceNotFound")
    refused(broker.request(method, "/csourceRegistrations/one", **body), 400, "BadRequestData")


def test_system_times_when_asked(stored):
    found = stored.get(f"/csourceRegistrations/{ID}", params={"options": "sysAttrs"}).json()
    assert found["createdAt"] == found["modifiedAt"]
    assert "createdAt" not in stored.get(f"/csourceRegistrations/{ID}").json()


def test_update_replaces_members_and_null_removes_them(stored):
    fragment = {"description": None, "endpoint": "http://127.0.0.1:1", "operator": "Other", "scope": "/AMB"}
    response = stored.patch(f"/csourceRegistrations/{ID}", json=fragment)
    assert response.status_code == 204, response.text
    assert stored.get(f"/csourceRegistrations/{ID}").json() == changed(**fragment)


@pytest.mark.parametrize(
    ("fragment", "word"),
    [
        ({}, "nothing"),
        ({"endpoint": None}, "endpoint"),
        ({"information": None}, "information"),
        ({"id": "urn:x:2"}, "id"),
        ({"type": "Other"}, "type"),
        ({"mode": "some"}, "mode"),
        ({"expiresAt": "2001-01-01T00:00:00Z"}, "expiresAt"),
    ],
)
def test_update_of_something_else_is_refused(stored, fragment, word):
    refused(stored.patch(f"/csourceRegistrations/{ID}", json=fragment), 400, "BadRequestData", word)
    assert stored.get(f"/csourceRegistrations/{ID}").json() == WHOLE


def test_delete(stored):
    assert stored.delete(f"/csourceRegistrations/{ID}").status_code == 204
    refused(stored.get(f"/csourceRegistrations/{ID}"), 404, "ResourceNotFound")


def test_tenants_have_their_own(stored):
    headers = {"NGSILD-Tenant": "north"}
    refused(stored.get(f"/csourceRegistrations/{ID}", headers=headers), 404, "NonexistentTenant")
    response = stored.post("/csourceRegistrations", json=exclusive(), headers=headers)
    assert response.status_code == 201
    assert len(stored.get("/csourceRegistrations", headers=headers).json()) == 1


# --- list ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def several(broker):
    made = {
        "bus": registration(ENDPOINT, names=("speed",), scope="/AMB/North"),
        "bus1": registration(ENDPOINT, ids=["urn:ngsi-ld:Bus:1"], names=("fuelLevel",)),
        "nines": registration(ENDPOINT)
        | {"information": [{"entities": [{"idPattern": "Bus:9", "type": "Bus"}]}]},
        "lamp": registration(
            "http://127.0.0.1:7777",
            types=("Streetlight",),
            location={"type": "Point", "coordinates": [-73.1, 7.1]},
            operator="ESSA",
        ),
        "past": registration(
            ENDPOINT,
            observationInterval={"startAt": "2020-01-01T00:00:00Z", "endAt": "2021-01-01T00:00:00Z"},
            managementInterval={"startAt": "2024-01-01T00:00:00Z"},
        ),
        "any": registration(ENDPOINT) | {"information": [{"propertyNames": ["temperature"]}]},
    }
    for name, body in made.items():
        body["id"] = f"urn:ngsi-ld:ContextSourceRegistration:{name}"
        assert broker.post("/csourceRegistrations", json=body).status_code == 201
    return broker


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({}, ["bus", "bus1", "nines", "lamp", "past", "any"]),
        ({"type": "Bus"}, ["bus", "bus1", "nines", "any"]),
        ({"type": "Streetlight,Tram"}, ["lamp", "any"]),
        ({"type": "Tram"}, ["any"]),
        ({"type": "*"}, ["bus", "bus1", "nines", "lamp", "any"]),
        ({"id": "urn:ngsi-ld:Bus:1"}, ["bus", "bus1", "lamp", "any"]),
        ({"type": "Bus", "id": "urn:ngsi-ld:Bus:97,urn:ngsi-ld:Bus:2"}, ["bus", "nines", "any"]),
        ({"type": "Bus", "idPattern": "Bus:2"}, ["bus", "nines", "any"]),
        ({"type": "Bus", "attrs": "fuelLevel"}, ["bus1", "nines"]),
        ({"attrs": "temperature"}, ["nines", "lamp", "any"]),
        ({"type": "Bus", "q": "speed>10"}, ["bus", "nines"]),
        ({"type": "Bus", "scopeQ": "/AMB/#"}, ["bus"]),
        ({"csf": 'endpoint=="http://127.0.0.1:7777"'}, ["lamp"]),
        ({"csf": 'operator=="ESSA"'}, ["lamp"]),
        ({"csf": 'operator=="Nobody"'}, []),
        (
            {"georel": "near;maxDistance==2000", "geometry": "Point", "coordinates": "[-73.1,7.11]"},
            ["lamp"],
        ),
        ({"georel": "near;maxDistance==2000", "geometry": "Point", "coordinates": "[-73.5,7.11]"}, []),
        ({"type": "Bus", "timerel": "before", "timeAt": "2020-06-01T00:00:00Z"}, ["past"]),
        ({"type": "Bus", "timerel": "after", "timeAt": "2022-06-01T00:00:00Z"}, []),
        (
            {
                "type": "Bus",
                "timerel": "between",
                "timeAt": "2020-06-01T00:00:00Z",
                "endTimeAt": "2030-01-01T00:00:00Z",
            },
            ["past"],
        ),
        (
            {
                "type": "Bus",
                "timerel": "after",
                "timeAt": "2022-06-01T00:00:00Z",
                "timeproperty": "modifiedAt",
            },
            ["past"],
        ),
        ({"limit": "2", "offset": "1"}, ["bus1", "nines"]),
    ],
)
def test_list(several, parameters, names):
    response = several.get("/csourceRegistrations", params=parameters)
    assert response.status_code == 200, response.text
    assert [one["id"].rpartition(":")[2] for one in response.json()] == names


def test_list_counts_and_links(several):
    response = several.get("/csourceRegistrations", params={"limit": 2, "count": "true"})
    assert response.headers["NGSILD-Results-Count"] == "6"
    assert 'rel="next"' in response.headers["link"]
    response = several.get("/csourceRegistrations", params={"limit": 0, "count": "true"})
    assert response.json() == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"id": "one"},
        {"idPattern": "("},
        {"q": "("},
        {"csf": "("},
        {"georel": "near"},
        {"scopeQ": "a b"},
        {"timerel": "during", "timeAt": "2020-06-01T00:00:00Z"},
        {"timerel": "before"},
        {"timerel": "between", "timeAt": "2020-06-01T00:00:00Z"},
        {"timerel": "before", "timeAt": "2020-06-01T00:00:00Z", "timeproperty": "somewhen"},
        {"limit": "0"},
        {"offset": "-1"},
    ],
)
def test_list_of_something_wrong(broker, parameters):
    refused(broker.get("/csourceRegistrations", params=parameters), 400, "BadRequestData")


def test_identity(broker, monkeypatch):
    monkeypatch.setenv("AMB_NGSI_ALIAS", "city.example")
    found = broker.get("/info/sourceIdentity").json()
    assert found["type"] == "ContextSourceIdentity"
    assert found["contextSourceAlias"] == "city.example"
    assert found["contextSourceUptime"].startswith("PT")
    assert set(found) == {"id", "type", "contextSourceAlias", "contextSourceUptime", "contextSourceTimeAt"}
    refused(broker.get("/info/sourceIdentity", headers={"NGSILD-Tenant": "nobody"}), 404, "NonexistentTenant")
