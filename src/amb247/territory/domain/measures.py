"""What is computed from a shape once and stored beside it."""

from __future__ import annotations

import json
import math
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

Shape: TypeAlias = shapely.Polygon | shapely.MultiPolygon

# GRS80, the ellipsoid of MAGNA-SIRGAS and, to a tenth of a millimetre, of WGS84
SEMI_MAJOR_M = 6_378_137.0
ECCENTRICITY = math.sqrt(0.00669438002290)


def area_km2(geometry: Shape) -> float:
    """Area on the ellipsoid, edges straight in longitude and latitude.

    Parameters
    ----------
    geometry : Polygon or MultiPolygon
        Longitude, latitude in degrees.

    Returns
    -------
    float       km², in the cylindrical equal-area projection of the ellipsoid

    References
    ----------
    Snyder, Map Projections: A Working Manual, USGS Professional Paper 1395 (1987), equations 10-9, 3-12.
    """
    return float(shapely.area(shapely.transform(geometry, _equal_area))) / 1e6


def _equal_area(lon_lat: NDArray[np.float64]) -> NDArray[np.float64]:
    lon, lat = np.radians(lon_lat).T
    sine = ECCENTRICITY * np.sin(lat)
    q = (1 - ECCENTRICITY**2) * (
        np.sin(lat) / (1 - sine**2) - np.log((1 - sine) / (1 + sine)) / (2 * ECCENTRICITY)
    )
    return np.column_stack([SEMI_MAJOR_M * lon, SEMI_MAJOR_M * q / 2])


def measured(geometry: Shape) -> dict[str, Any]:
    """The fields of `models.Area` that a shape fills: itself, box, inner point and area.

    Exterior rings go counter-clockwise (RFC 7946, 3.1.6), so that one shape is always stored the same way.
    """
    geometry = shapely.orient_polygons(geometry)
    west, south, east, north = (round(float(value), 7) for value in geometry.bounds)
    inside = geometry.representative_point()
    return {
        "geometry": json.loads(shapely.to_geojson(geometry)),
        "west": west,
        "south": south,
        "east": east,
        "north": north,
        "longitude": round(inside.x, 7),
        "latitude": round(inside.y, 7),
        "area_km2": round(area_km2(geometry), 6),
    }
