from __future__ import annotations

import pytest
import shapely

from amb247.territory.adapters.geojson import shapes
from amb247.territory.adapters.geojson.shapes import ShapeRefused, checked_shape

pytestmark = pytest.mark.unit

SQUARE = [[-73.2, 7.0], [-73.1, 7.0], [-73.1, 7.1], [-73.2, 7.1], [-73.2, 7.0]]
BOWTIE = [[-73.2, 7.0], [-73.1, 7.1], [-73.1, 7.0], [-73.2, 7.1], [-73.2, 7.0]]
# A square whose border comes back to touch one of its own points: a ring self-intersection, area unchanged
PINCHED = [[-73.2, 7.0], [-73.1, 7.0], [-73.1, 7.1], [-73.15, 7.1], [-73.14, 7.12], [-73.16, 7.12], [-73.15, 7.1],
           [-73.2, 7.1], [-73.2, 7.0]]  # fmt: skip


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}


def refusal(geometry, **options) -> ShapeRefused:
    with pytest.raises(ShapeRefused) as caught:
        checked_shape(geometry, **options)
    assert caught.value.reason
    assert caught.value.remedy
    return caught.value


def test_a_good_polygon_passes_untouched():
    checked = checked_shape(polygon(SQUARE))
    assert checked.repairs == []
    assert checked.shape.equals(shapely.box(-73.2, 7.0, -73.1, 7.1))


def test_a_multipolygon_and_heights_pass():
    high = [[x, y, 950.0] for x, y in SQUARE]
    checked = checked_shape(
        {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[x + 1, y] for x, y in SQUARE]]]}
    )
    assert checked.shape.geom_type == "MultiPolygon"
    assert not checked_shape(polygon(high)).shape.has_z


def test_an_open_ring_is_closed_and_said():
    checked = checked_shape(polygon(SQUARE[:-1]))
    assert [where for where, _reason in checked.repairs] == ["coordinates[0][0]"]
    assert checked.shape.area == pytest.approx(0.01)


def test_a_pinched_polygon_is_repaired_and_said():
    checked = checked_shape(polygon(PINCHED))
    assert checked.shape.is_valid
    assert checked.shape.area == pytest.approx(shapely.Polygon(PINCHED).area, rel=1e-9)
    assert "Self-intersection" in checked.repairs[0][1]


def test_a_bowtie_is_refused_because_repairing_changes_it():
    assert refusal(polygon(BOWTIE)).field == "coordinates"


def test_a_swapped_polygon_is_refused_with_the_option_and_turned_with_it():
    swapped = polygon([[y, x] for x, y in SQUARE])
    assert "--swap" in refusal(swapped).remedy
    checked = checked_shape(swapped, swap=True)
    assert checked.shape.equals(shapely.box(-73.2, 7.0, -73.1, 7.1))
    assert len(checked.repairs) == 1


def test_swap_leaves_right_coordinates_alone():
    assert checked_shape(polygon(SQUARE), swap=True).repairs == []


def test_another_city_of_the_world_is_not_taken_for_swapped():
    madrid = [[x + 69.5, y + 33.4] for x, y in SQUARE]
    assert checked_shape(polygon(madrid)).shape.bounds[0] == pytest.approx(-3.7)


def test_metres_are_refused_with_the_conversion():
    metres = [[1_105_000.0 + 1000 * x, 1_275_000.0 + 1000 * y] for x, y in SQUARE]
    assert "ogr2ogr" in refusal(polygon(metres)).remedy


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        {},
        [],
        "POLYGON",
        {"type": "Point", "coordinates": [-73, 7]},
        {"type": "GeometryCollection", "geometries": []},
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "Polygon", "coordinates": "text"},
        {"type": "Polygon", "coordinates": [[1, 2, 3]]},
        {"type": "Polygon", "coordinates": [[[1], [2], [3], [1]]]},
        {"type": "Polygon", "coordinates": [[[-73.2, 7], [-73.1, None], [-73.1, 7.1], [-73.2, 7]]]},
        {"type": "Polygon", "coordinates": [[["-73.2", "7"], ["-73.1", "7"], ["-73", "8"], ["-73.2", "7"]]]},
        {"type": "Polygon", "coordinates": [[[True, False], [False, True], [True, True], [True, False]]]},
        {"type": "Polygon", "coordinates": [[[-73.2, 7], [-73.1, 7, 8], [-73.1, 7.1], [-73.2, 7]]]},
        {"type": "Polygon", "coordinates": [[[-73.2, 7], [-73.1, 7], [-73.2, 7]]]},
        {"type": "Polygon", "coordinates": [[[-73.2, 7], [-73.2, 7], [-73.2, 7], [-73.2, 7]]]},
        {"type": "Polygon", "coordinates": [[[-73.2, 7], [-73.1, 7], [-73.0, 7], [-73.2, 7]]]},
        {"type": "Polygon", "coordinates": [[[10**30, 7], [-73.1, 7], [-73.0, 7], [10**30, 7]]]},
        {"type": "MultiPolygon", "coordinates": [SQUARE]},
        {"type": "MultiPolygon", "coordinates": [[SQUARE], None]},
        {"type": "MultiPolygon", "coordinates": {"a": 1}},
    ],
)
def test_no_geometry_makes_it_fall_over(geometry):
    refusal(geometry)


def test_too_many_vertices_are_refused(monkeypatch):
    monkeypatch.setattr(shapes, "MAX_VERTICES", 4)
    assert "vértices" in refusal(polygon(SQUARE)).reason
