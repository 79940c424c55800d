"""What a token reaches: registrations for those who reach the whole tenant, and its limits on what other sources say."""

from __future__ import annotations

import time

import pytest
import shapely

from amb247.context.querying.query import Restriction
from amb247.context.rest.access import Access

from .conftest import registration

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

BUS = "urn:ngsi-ld:Bus:1"
NORTH = Restriction(frozenset({"Bus"}), (shapely.box(-74, 7, -73, 8),))
LIMITED = {"Authorization": "Bearer limited"}
READER = {"Authorization": "Bearer reader"}


def bus(entity_id=BUS, lon=-73.5, **attributes):
    location = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, 7.5]}}
    return {"id": entity_id, "type": "Bus", "location": location, **attributes}


def speed(value):
    return {"speed": {"type": "Property", "value": value}}


@pytest.fixture(autouse=True)
def tokens(ngsi_server):
    known = ngsi_server.app.state.gate._known
    end = time.monotonic() + 600
    limited = Access("token:l", may_read=True, may_write=True, may_read_history=True, restriction=NORTH)
    known["bearer limited"] = (end, limited)
    known["bearer reader"] = (end, Access("token:r", may_read=True, may_write=False, may_read_history=True))
    yield
    del known["bearer limited"], known["bearer reader"]


@pytest.mark.parametrize("path", ["/csourceRegistrations", "/csourceSubscriptions"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_limited_token_has_no_business_with_registrations(broker, source, method, path):
    body = {"json": registration(source.endpoint)} if method == "POST" else {}
    assert broker.request(method, path, headers=LIMITED, **body).status_code == 403
    if method == "POST":
        assert broker.request(method, path, headers=READER, **body).status_code == 403


def test_a_reader_sees_no_secrets(broker, source, register):
    register(source.endpoint, contextSourceInfo=[{"key": "Authorization", "value": "Bearer theirs"}])
    (shown,) = broker.get("/csourceRegistrations", headers=READER).json()
    assert "contextSourceInfo" not in shown
    (shown,) = broker.get("/csourceRegistrations").json()
    assert "contextSourceInfo" in shown


def test_retrieve_is_limited(broker, source, register):
    source.on("GET", f"/entities/{BUS}", (200, bus(lon=-70, **speed(1))))
    register(source.endpoint)
    assert broker.get(f"/entities/{BUS}").status_code == 200
    assert broker.get(f"/entities/{BUS}", headers=LIMITED).status_code == 404
    source.on("GET", f"/entities/{BUS}", (200, bus(**speed(1))))
    assert broker.get(f"/entities/{BUS}", headers=LIMITED).status_code == 200
    response = broker.get(f"/entities/{BUS}", headers=LIMITED, params={"attrs": "speed"})
    assert response.json() == {"id": BUS, "type": "Bus", **speed(1)}
    assert source.asked[-1].parameters["attrs"] == "location,speed"


def test_query_and_count_are_limited(broker, source, register):
    theirs = [bus(f"urn:ngsi-ld:Bus:{n:03}", lon=-73.5 if n % 5 == 0 else -70) for n in range(300)]

    def page(asked):
        offset, limit = int(asked.parameters.get("offset", 0)), int(asked.parameters["limit"])
        return 200, theirs[offset : offset + limit], {"NGSILD-Results-Count": "300"}

    source.on("GET", "/entities", page)
    register(source.endpoint)
    assert broker.post("/entities", json=bus("urn:ngsi-ld:Bus:X", lon=-70)).status_code == 201
    parameters = {"type": "Bus", "limit": 10, "offset": 5, "count": "true"}
    response = broker.get("/entities", params=parameters, headers=LIMITED)
    assert response.headers["NGSILD-Results-Count"] == "60"
    assert [one["id"][-3:] for one in response.json()] == [f"{n:03}" for n in range(25, 75, 5)]
    response = broker.get("/entities", params=parameters)
    assert response.headers["NGSILD-Results-Count"] == "301"


def test_writes_elsewhere_are_limited(broker, source, register):
    source.on("GET", f"/entities/{BUS}", (200, bus(lon=-70)))
    source.on("PATCH", f"/entities/{BUS}/attrs", (204, None))
    source.on("POST", "/entities", (201, None))
    register(source.endpoint, mode="redirect", operations=["redirectionOps", "upsertBatch"])
    response = broker.patch(f"/entities/{BUS}/attrs", json=speed(2), headers=LIMITED)
    assert response.status_code == 404
    response = broker.post("/entities", json=bus("urn:ngsi-ld:Bus:2", lon=-70), headers=LIMITED)
    assert response.status_code == 403
    response = broker.post(
        "/entityOperations/upsert", json=[bus("urn:ngsi-ld:Bus:2", lon=-70)], headers=LIMITED
    )
    assert response.status_code == 207
    assert {one.method for one in source.asked} == {"GET"}
    assert broker.post("/entities", json=bus("urn:ngsi-ld:Bus:2"), headers=LIMITED).status_code == 201
    source.on("GET", f"/entities/{BUS}", (200, bus()))
    assert broker.patch(f"/entities/{BUS}/attrs", json=speed(2), headers=LIMITED).status_code == 204
    assert [one.method for one in source.asked if one.method != "GET"] == ["POST", "PATCH"]
    moved = {"location": bus(lon=-70)["location"]}
    assert broker.patch(f"/entities/{BUS}/attrs", json=moved, headers=LIMITED).status_code == 403


def test_a_name_is_looked_at_before_each_connection(broker, source, register, monkeypatch):
    """The address rule is that of notifications; the connection goes to the address that was checked."""
    source.on("GET", f"/entities/{BUS}", (200, bus()))
    register(f"http://localhost:{source.port}")
    monkeypatch.delenv("AMB_NGSI_OPEN")
    response = broker.get(f"/entities/{BUS}", headers=READER)
    assert response.status_code == 404
    assert "closed" in response.headers["NGSILD-Warning"]
    assert source.asked == []
    monkeypatch.setenv("AMB_NGSI_NOTIFY_ALLOW", "loopback")
    assert broker.get(f"/entities/{BUS}", headers=READER).status_code == 200
