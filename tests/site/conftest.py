from __future__ import annotations

import pytest
from factories import territory as make
from factories.mobility import gtfs_zip

from amb247.centre.live import basemap, service
from amb247.context import api as context
from amb247.context.data import Cursor
from amb247.mobility import api as mobility


@pytest.fixture
def city(db, tmp_path, monkeypatch):
    """A small territory, one lamp, one source of data and one timetable, and a live picture of them without a reader."""
    areas = make.small_territory()
    context.upsert([lamp("L1"), alert("A1", "L1")], source="prueba")
    context.feed("prueba", name="Fuente de prueba", kind="NGSI-LD").record(
        taken=2, refused={"no location": 1}, newest=None, received_bytes=100
    )
    mobility.import_gtfs(gtfs_zip(tmp_path / "g.zip"), feed="prueba", name="Metrolínea", activate=True)
    live = service.LiveCity("", lambda lon, _lat: ["68001-01"] * len(lon))
    live.picture.load(context.stream(["Streetlight", "Alert"]), Cursor(0, 0))
    monkeypatch.setattr(service, "_live", live)
    basemap.forget()
    return areas


def lamp(code: str) -> dict:
    return {
        "id": f"urn:ngsi-ld:Streetlight:prueba:{code}",
        "type": "Streetlight",
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.15, 7.15]}},
        "status": {"type": "Property", "value": "defectiveLamp", "observedAt": "2026-11-22T10:00:00Z"},
        "powerRating": {
            "type": "Property",
            "value": 70,
            "unitCode": "WTT",
            "observedAt": "2026-11-22T10:00:00Z",
        },
    }


def alert(code: str, about: str) -> dict:
    values = {
        "category": "lighting",
        "severity": "high",
        "description": "Lámpara apagada",
        "status": "active",
    }
    return {
        "id": f"urn:ngsi-ld:Alert:prueba:{code}",
        "type": "Alert",
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.15, 7.15]}},
        "alertSource": {"type": "Relationship", "object": f"urn:ngsi-ld:Streetlight:prueba:{about}"},
        "dateIssued": {"type": "Property", "value": {"@type": "DateTime", "@value": "2026-11-22T10:00:00Z"}},
    } | {name: {"type": "Property", "value": value} for name, value in values.items()}
