"""Geometry on the sphere and on the plane of degrees, as the standard's relations want it."""

from __future__ import annotations

import math
from typing import Any

import shapely
import shapely.geometry
import shapely.ops

from amb247.context.querying.query import GeoQuery

EARTH_RADIUS_M = 6_371_008.8
METRES_PER_DEGREE = EARTH_RADIUS_M * math.pi / 180
Box = tuple[float, float, float, float]


def haversine_m(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    a1, a2 = math.radians(lat1), math.radians(lat2)
    h = (
        math.sin((a2 - a1) / 2) ** 2
        + math.cos(a1) * math.cos(a2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(h)))


def shape_of(geometry: Any) -> Any:
    """A shapely geometry of GeoJSON (elevations dropped), or None when it is none."""
    try:
        shape = shapely.geometry.shape(geometry)
    except Exception:
        return None
    if shape.is_empty:
        return None
    return shapely.force_2d(shape) if shape.has_z else shape


def distance_m(one: Any, other: Any) -> float:
    """Great-circle distance between the nearest points of two geometries; 0 when they touch.

    The nearest points of lines and areas are sought on a plane whose degrees of longitude are shortened as at their
    latitude: exact enough for a city (a few centimetres in ten kilometres), and no further off than the pair of points found.
    """
    if one.geom_type == "Point" and other.geom_type == "Point":
        return haversine_m(one.x, one.y, other.x, other.y)
    if one.intersects(other):
        return 0.0
    narrow = max(math.cos(math.radians(one.centroid.y)), 0.01)
    a, b = shapely.ops.nearest_points(_narrowed(one, narrow), _narrowed(other, narrow))
    return haversine_m(a.x / narrow, a.y, b.x / narrow, b.y)


def _narrowed(shape: Any, factor: float) -> Any:
    return shapely.transform(shape, lambda points: points * [factor, 1.0])


def box_around(shape: Any, reach_m: float) -> Box:
    """A box in degrees that holds everything within the reach of a geometry."""
    west, south, east, north = shape.bounds
    high = reach_m / METRES_PER_DEGREE * 1.001 + 1e-9
    top = max(abs(south - high), abs(north + high))
    if top >= 89.9:
        return (-180.0, max(south - high, -90.0), 180.0, min(north + high, 90.0))
    # The widest point of a circle lies nearer to the pole than its centre.
    wide = min(
        math.degrees(
            math.asin(min(1.0, math.sin(min(math.radians(high), math.pi / 2)) / math.cos(math.radians(top))))
        )
        * 1.001
        + high * 1e-3
        + 1e-9,
        360.0,
    )
    if west - wide < -180 or east + wide > 180:
        return (-180.0, max(south - high, -90.0), 180.0, min(north + high, 90.0))
    return (west - wide, max(south - high, -90.0), east + wide, min(north + high, 90.0))


def holds(geo: GeoQuery, target: Any) -> bool:
    """Whether a target geometry stands in the query's relation to its reference geometry."""
    reference = geo.shape
    match geo.relation:
        case "near":
            distance = distance_m(reference, target)
            if geo.max_distance is not None:
                return distance <= geo.max_distance
            return geo.min_distance is not None and distance > geo.min_distance
        case "within":
            return bool(target.within(reference))
        case "contains":
            return bool(target.contains(reference))
        case "intersects":
            return bool(target.intersects(reference))
        case "equals":
            return bool(target.equals(reference))
        case "disjoint":
            return bool(target.disjoint(reference))
        case "overlaps":
            return bool(target.overlaps(reference))


def candidate_box(geo: GeoQuery) -> Box | None:
    """The box that a target must touch to stand in the relation, or None when it may lie anywhere."""
    if geo.relation == "near":
        return None if geo.max_distance is None else box_around(geo.shape, geo.max_distance)
    if geo.relation == "disjoint":
        return None
    west, south, east, north = geo.shape.bounds
    return (west, south, east, north)
