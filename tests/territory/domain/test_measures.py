from __future__ import annotations

import math

import pytest
import shapely

from amb247.territory.domain.measures import area_km2, measured

pytestmark = pytest.mark.unit


def test_the_whole_ellipsoid_has_its_known_area():
    # 510,065,621.7 km² for GRS80 (Moritz, Geodetic Reference System 1980)
    assert area_km2(shapely.box(-180, -90, 180, 90)) == pytest.approx(510_065_621.7, rel=1e-8)


def test_a_small_square_at_the_equator_is_flat():
    side = 0.001
    east, north = 111.319_490_8, 110.574_275_8  # km in a degree at the equator, GRS80
    assert area_km2(shapely.box(0, 0, side, side)) == pytest.approx(side * side * east * north, rel=1e-6)


def test_holes_are_left_out():
    whole, hole = shapely.box(-73.2, 7.0, -73.1, 7.1), shapely.box(-73.18, 7.02, -73.16, 7.04)
    assert area_km2(whole.difference(hole)) == pytest.approx(area_km2(whole) - area_km2(hole))


def test_one_shape_is_stored_one_way():
    clockwise = shapely.Polygon([(0, 0), (0, 1), (1, 1), (1, 0)])
    assert measured(clockwise) == measured(shapely.Polygon([(0, 0), (0, 1), (1, 1), (1, 0)], []))
    assert shapely.is_ccw(
        shapely.from_geojson(str(measured(clockwise)["geometry"]).replace("'", '"')).exterior
    )


def test_the_inner_point_lies_inside():
    crescent = shapely.Point(0, 0).buffer(1).difference(shapely.Point(0.3, 0).buffer(0.95))
    fields = measured(crescent)
    assert crescent.contains(shapely.Point(fields["longitude"], fields["latitude"]))
    assert math.isfinite(fields["area_km2"])
