"""Small builders of NGSI-LD normalized entities."""

from collections.abc import Iterator
from typing import Any

from amb247.site.demo.city import FEED, SOURCE
from amb247.site.demo.plane import to_degrees

Entity = dict[str, Any]


def urn(kind: str, code: str) -> str:
    return f"urn:ngsi-ld:{kind}:{FEED}:{code}"


def prop(value: object, observed_at: str | None = None, unit: str | None = None) -> Entity:
    made: Entity = {"type": "Property", "value": value}
    if observed_at is not None:
        made["observedAt"] = observed_at
    if unit is not None:
        made["unitCode"] = unit
    return made


def relationship(target: str) -> Entity:
    return {"type": "Relationship", "object": target}


def date_time(at: str) -> Entity:
    return prop({"@type": "DateTime", "@value": at})


def geo_point(xy: object) -> Entity:
    return {"type": "GeoProperty", "value": {"type": "Point", "coordinates": to_degrees(xy).tolist()}}


def geo_points(xy: object) -> Iterator[Entity]:
    """Many points at once: projecting them one by one costs more than all the rest of an entity."""
    for place in to_degrees(xy).tolist():
        yield {"type": "GeoProperty", "value": {"type": "Point", "coordinates": place}}


def geo(geometry: Entity) -> Entity:
    return {"type": "GeoProperty", "value": geometry}


def entity(kind: str, identifier: str, attributes: Entity) -> Entity:
    return {"id": identifier, "type": kind, **attributes}


def origin() -> Entity:
    """The two attributes every demo thing carries."""
    return {"source": prop(SOURCE), "synthetic": prop(True)}
