"""Registrations for people: what others hold, whether they answer, and no secrets."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape

import pytest
from django.db import connection
from factories import territory as make
from factories.html import inline_code, links

from amb247.context.domain import registrations
from amb247.context.jsonld.context import CORE

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
LIST = "/contexto/registros/"
ID = "urn:ngsi-ld:ContextSourceRegistration:giron"


@pytest.fixture
def registered(city, monkeypatch):
    monkeypatch.setattr(registrations, "check_endpoint", lambda _uri: None)
    registrations.create(
        {
            "id": ID,
            "type": "ContextSourceRegistration",
            "registrationName": "Girón",
            "information": [{"entities": [{"type": "Streetlight"}], "propertyNames": ["status"]}],
            "endpoint": "https://u:clave123@giron.example/broker",
            "contextSourceInfo": [{"key": "Authorization", "value": "abc-token"}],
        },
        CORE,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO context_registration_health (id, times_sent, times_failed, last_failure) VALUES (%s, 7, 2, %s)",
            [ID, datetime.now(UTC)],
        )


def test_a_source_tells_what_it_holds_and_how_it_answers(registered, engineer):
    page = engineer.get(LIST).content.decode()
    row = " ".join(unescape(re.sub("<[^>]+>", " ", page.partition("<tbody>")[2])).split())
    assert row.startswith("Girón Streetlight · status No responde inclusive")
    assert " 7 2 " in row
    assert inline_code(page) == []
    assert LIST + ID in links(page)
    assert "Todavía" not in engineer.get(LIST + ID).content.decode()


def test_no_page_shows_what_opens_a_source(registered, engineer):
    for address in (LIST, LIST + ID):
        page = engineer.get(address).content.decode()
        assert "giron.example" in page
        assert "clave123" not in page
        assert "abc-token" not in page


@pytest.mark.parametrize(("role", "place"), [("viewer", "AMB"), ("data_engineer", "68001")])
def test_sources_are_nothing_of_one_area(registered, client, role, place):
    client.force_login(make.person_with(role, make.models.Area.objects.get(code=place)))
    assert client.get(LIST).status_code == 403
    assert client.get(LIST + ID).status_code == 403
    assert LIST not in links(client.get("/contexto/").content.decode())


def test_unknown_and_none(engineer):
    assert engineer.get(LIST + ID).status_code == 404
    assert "Ninguna fuente registrada" in engineer.get(LIST).content.decode()
