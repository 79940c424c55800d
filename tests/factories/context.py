"""Entities for tests, as feeds send them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from amb247.context.vocabulary.lighting import Streetlight
from amb247.context.vocabulary.mobility import Vehicle


def vehicle(
    number: int = 1, *, at: datetime, lon: float = -73.12, lat: float = 7.12, **values: Any
) -> dict[str, Any]:
    """A bus seen at a place."""
    return Vehicle.entity(
        f"urn:ngsi-ld:Vehicle:test:{number:04d}", observed_at=at, location=(lon, lat), **values
    )


def streetlight(
    number: int = 1, *, at: datetime | None = None, lon: float = -73.12, lat: float = 7.12, **values: Any
):
    """A lamp; healthy unless said otherwise."""
    return Streetlight.entity(
        f"urn:ngsi-ld:Streetlight:test:{number:06d}",
        observed_at=at,
        location=(lon, lat),
        **({"status": "ok", "powerState": "on"} | values),
    )
