"""What the explorer's map draws."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.urls import reverse

from amb247.context.stored import Stored
from amb247.context.web.describe import title_of, type_name
from amb247.territory import api as territory


def entity_url(entity_id: str) -> str:
    return reverse("context:entities") + quote(entity_id, safe=":/@,;()!*~")


def feature_of(entity: Stored) -> dict[str, Any] | None:
    """Where it lies, with what a map says of it; None without a `location`."""
    stored = entity.attributes.get("location")
    for one in stored if isinstance(stored, list) else [stored] if stored else []:
        if one.get("type") == "GeoProperty" and "datasetId" not in one:
            return {
                "type": "Feature",
                "geometry": one["value"],
                "properties": {
                    "name": title_of(entity),
                    "kind": type_name(entity.types[0]).label or entity.types[0],
                    "url": entity_url(entity.id),
                },
            }
    return None


def territory_bounds() -> str:
    """The box around the communes, where people live; "" when there are none."""
    boxes = [area.bbox for area in territory.areas(territory.Level.COMMUNE) if area.bbox]
    if not boxes:
        return ""
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    return f"{west:.5f},{south:.5f},{east:.5f},{north:.5f}"
