"""What the importers of territory and map take: GeoJSON of the areas, entities of roads and land cover."""

from collections.abc import Iterator
from typing import Any

from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry

from amb247.site.demo.city import City
from amb247.site.demo.entities import Entity, entity, geo, origin, prop, urn
from amb247.site.demo.streets import Road
from amb247.site.demo.territory import Area, geojson

DRAW_TOLERANCE_M = 2.5


def territory_geojson(city: City) -> dict[str, Any]:
    """Municipalities, communes and neighbourhoods as one FeatureCollection, parents before children."""
    return {
        "type": "FeatureCollection",
        "name": "Ciudad sintética de demostración",
        "features": [_feature(area) for area in city.territory.areas],
    }


def _feature(area: Area) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {
            "level": area.level,
            "code": area.code,
            "name": area.name,
            "parent": area.parent,
            "population": area.population,
            "synthetic": True,
        },
        "geometry": geojson(area.shape),
    }


def roads(city: City) -> Iterator[Entity]:
    """RoadSegment entities: the lines to draw, arterials first."""
    for number, road in enumerate(drawn_roads(city)):
        line = LineString(road.points).simplify(DRAW_TOLERANCE_M)
        attributes = {
            "name": prop(road.name),
            "roadClass": prop(road.road_class),
            "location": geo(geojson(line)),
            **origin(),
        }
        yield entity("RoadSegment", urn("RoadSegment", f"{number + 1:05d}"), attributes)


def drawn_roads(city: City) -> list[Road]:
    rank = {"arterial": 0, "secondary": 1, "street": 2}
    return sorted(city.streets.roads, key=lambda road: rank[road.road_class])


def map_features(city: City) -> Iterator[Entity]:
    """MapFeature entities with kind water, wood or park; rivers are lines."""
    for number, (name, _, line) in enumerate(city.territory.water):
        yield _map_feature("water", number, name, line)
    for number, (name, shape) in enumerate(city.territory.woods):
        yield _map_feature("wood", number, name, shape)
    for number, (name, shape) in enumerate(city.territory.parks):
        yield _map_feature("park", number, name, shape)


def _map_feature(kind: str, number: int, name: str, shape: BaseGeometry) -> Entity:
    attributes = {"name": prop(name), "kind": prop(kind), "location": geo(geojson(shape)), **origin()}
    return entity("MapFeature", urn("MapFeature", f"{kind}-{number + 1:03d}"), attributes)
