"""Real tokens of people with roles, asked over a real port: what the platform's tokens open of the interface."""

from __future__ import annotations

import httpx
import pytest
from django.db import connection
from factories import territory as make

from amb247.context.domain import contexts, tenants, writing
from amb247.context.rest import access
from amb247.territory import api as territory

from .operations import ask, car

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

EVERYTHING = ("context:read", "context:write", "history:read")
BUCARAMANGA, FLORIDABLANCA = "68001", "68276"


@pytest.fixture
def client(ngsi_server):
    with httpx.Client(base_url=f"http://127.0.0.1:{ngsi_server.port}/ngsi-ld/v1", timeout=20) as one:
        yield one
    ngsi_server.app.state.gate._known.clear()
    contexts.forget()
    writing.forget_caches()
    tenants.forget_known()


@pytest.fixture
def owner():
    """Who may make tokens for the whole metropolitan area."""
    return make.person_with("administrator", make.small_territory()["AMB"])


@pytest.fixture
def token(owner):
    """Headers of a new token."""

    def new(*scopes, area="AMB", **limits):
        made = territory.create_token("Prueba", scopes or EVERYTHING, owner=owner, area_code=area, **limits)
        return {"Authorization": f"Bearer {made.secret}"}

    return new


def status(client, name, headers, **more):
    return ask(client, name, headers=headers, **more).status_code


def test_scopes(client, token):
    reader, writer, historian = token("context:read"), token("context:write"), token("history:read")
    assert client.post("/entities", json=car(), headers=writer).status_code == 201
    assert [status(client, "retrieveEntity", one) for one in (reader, writer, historian)] == [200, 403, 403]
    assert [status(client, "mergeEntity", one) for one in (reader, writer, historian)] == [403, 204, 403]
    assert [status(client, "retrieveTemporal", one) for one in (reader, writer, historian)] == [403, 403, 200]


def test_types(client, token):
    whole, cars, buses = token(), token(entity_types=["Car"]), token(entity_types=["Bus"])
    assert client.post("/entities", json=car(), headers=buses).status_code == 403
    assert client.post("/entities", json=car(), headers=cars).status_code == 201
    assert [status(client, "retrieveEntity", one) for one in (whole, cars, buses)] == [200, 200, 404]


def test_territory(client, token):
    """The car stands in Bucaramanga."""
    whole, here, there = token(), token(area=BUCARAMANGA), token(area=FLORIDABLANCA)
    assert client.post("/entities", json=car(), headers=there).status_code == 403
    assert client.post("/entities", json=car(), headers=here).status_code == 201
    assert [status(client, "retrieveEntity", one) for one in (whole, here, there)] == [200, 200, 404]
    assert status(client, "deleteEntity", there) == 404
    assert status(client, "deleteEntity", here) == 204


def test_tenants(client, token):
    city, alfa = token(), token(tenants=["alfa"])
    in_alfa = {"NGSILD-Tenant": "alfa"}
    try:
        assert client.post("/entities", json=car(), headers=alfa | in_alfa).status_code == 201
        assert [status(client, "retrieveEntity", one | in_alfa) for one in (city, alfa)] == [403, 200]
        assert [status(client, "retrieveEntity", one) for one in (city, alfa)] == [404, 403]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS tenant_alfa CASCADE")
            cursor.execute("DELETE FROM context_tenant")


def test_revoked(client, token, owner, monkeypatch):
    monkeypatch.setattr(access, "REMEMBERED_S", 0)
    made = territory.create_token("Prueba", EVERYTHING, owner=owner, area_code="AMB")
    headers = {"Authorization": f"Bearer {made.secret}"}
    assert client.post("/entities", json=car(), headers=headers).status_code == 201
    territory.revoke_token(made.info.id, by=owner)
    assert status(client, "retrieveEntity", headers) == 401
