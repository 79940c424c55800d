"""A small city with lamps on both sides of a municipal border, and people who see one side or all of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from factories import territory as make
from factories.context import streetlight

from amb247.context import api as context
from amb247.context.domain.queries import discovery

WEST, EAST = -73.15, -73.05


@pytest.fixture
def city(db, now: datetime):
    """Lamps 1 to 3 in the west, 4 in the east, and one thing of another vocabulary without a place."""
    discovery.forget()
    areas = make.small_territory()
    hour_ago = now - timedelta(hours=1)
    context.upsert(
        [
            streetlight(
                1, at=hour_ago, lon=WEST, lat=7.15, name="Poste del parque", powerRating=70, status="ok"
            ),
            streetlight(2, at=hour_ago, lon=WEST, lat=7.16, powerRating=100, status="defectiveLamp"),
            streetlight(3, at=hour_ago, lon=WEST, lat=7.05, powerRating=150),
            streetlight(4, at=hour_ago, lon=EAST, lat=7.15, name="Secreto del oriente", powerRating=250),
        ],
        source="prueba",
    )
    context.upsert([streetlight(1, at=now, lon=WEST, lat=7.15, powerRating=72)], source="prueba")
    context.upsert(
        [
            {
                "id": "urn:ngsi-ld:https://example.org/vocab#Meter:1",
                "type": "https://example.org/vocab#Meter",
                "https://example.org/vocab#flow": {"type": "Property", "value": 3.5, "unitCode": "MQH"},
                "label": {"type": "LanguageProperty", "languageMap": {"es": "Medidor", "en": "Meter"}},
                "at": {
                    "type": "Relationship",
                    "object": "urn:ngsi-ld:Streetlight:test:000001",
                    "since": {"type": "Property", "value": "2026"},
                },
            }
        ],
        source="prueba",
        strict=False,
    )
    return areas


LAMP = "urn:ngsi-ld:Streetlight:test:{:06d}".format


@pytest.fixture
def engineer(client, city):
    """Sees all, reads history, manages feeds."""
    return signed(client, "data_engineer")


@pytest.fixture
def western(client, city):
    """An analyst of the western municipality."""
    return signed(client, "analyst", "68001")


def signed(client, role: str, place: str = "AMB"):
    client.person = make.person_with(
        role, place if place == "AMB" else make.models.Area.objects.get(code=place)
    )
    client.force_login(client.person)
    return client
