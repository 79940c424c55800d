from __future__ import annotations

import numpy as np
import pytest
from factories import territory as make

from amb247.territory import api, models

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_no_territory_gives_nothing():
    assert api.areas() == []
    assert api.area_tree() == ()
    assert api.area_of(-73.15, 7.15) is None
    assert api.area_codes_of([[-73.15, 7.15]]).tolist() == [None]


def test_areas_come_by_level_sorted(areas):
    assert [area.code for area in api.areas("commune")] == ["68001-01", "68001-02"]
    assert [area.code for area in api.areas(below="68001")] == [
        "68001",
        "68001-01",
        "68001-01-001",
        "68001-02",
    ]
    assert api.areas(below="nowhere") == []


def test_the_tree_has_children_in_their_place(areas):
    (root,) = api.area_tree()
    assert root.area.code == "AMB"
    assert [node.area.code for node in root.children] == ["68001", "68276"]
    assert [node.area.code for node in root.children[0].children[0].children] == ["68001-01-001"]


def test_the_line_goes_up_to_the_metropolitan_area(areas):
    assert [area.code for area in api.area_line("68001-01-001")] == [
        "68001-01-001",
        "68001-01",
        "68001",
        "AMB",
    ]
    with pytest.raises(api.AreaUnknown):
        api.area_line("nowhere")


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [
        (-73.15, 7.15, "68001-01-001"),
        (-73.19, 7.19, "68001-01"),
        (-73.19, 7.01, "68001-02"),
        (-73.05, 7.10, "68276"),
        (-72.0, 7.10, None),
        (float("nan"), 7.1, None),
        (-73.15, 7.10, "68001-01"),  # the border of two communes: the lower code
    ],
)
def test_a_point_lies_in_the_most_specific_area(areas, lon, lat, code):
    found = api.area_of(lon, lat)
    assert (found.code if found else None) == code
    assert api.area_codes_of([[lon, lat]]).tolist() == [code]


def test_codes_of_many_points_agree_with_one_by_one(areas):
    random = np.random.default_rng(7)
    points = np.column_stack([random.uniform(-73.25, -72.95, 400), random.uniform(6.95, 7.25, 400)])
    points[::50] = np.nan
    found = [api.area_of(lon, lat) for lon, lat in points]
    assert api.area_codes_of(points).tolist() == [area.code if area else None for area in found]


def test_codes_of_one_level(areas):
    points = [[-73.15, 7.15], [-73.05, 7.10], [0, 0]]
    assert api.area_codes_of(points, level="commune").tolist() == ["68001-01", None, None]
    assert api.area_codes_of(points, level="municipality").tolist() == ["68001", "68276", None]


def test_codes_of_no_points_and_of_a_wrong_shape(areas):
    assert api.area_codes_of([]).shape == (0,)
    assert api.area_codes_of(np.empty((0, 2))).shape == (0,)
    with pytest.raises(ValueError, match=r"\(n, 2\)"):
        api.area_codes_of([1.0, 2.0])


def test_a_change_is_seen_at_once(areas):
    assert api.area_of(-73.19, 7.19).name == "Norte"
    models.Area.objects.filter(code="68001-01").update(name="Norte nuevo")
    assert api.area_of(-73.19, 7.19).name == "Norte nuevo"
    assert api.areas("commune")[0].name == "Norte nuevo"


def test_a_kept_territory_costs_one_query(areas, django_assert_num_queries):
    api.area_of(-73.15, 7.15)
    with django_assert_num_queries(1):
        assert api.area_of(-73.15, 7.15).code == "68001-01-001"
    with django_assert_num_queries(1):
        api.area_tree()


def test_shapes_leave_out_areas_without_one(areas):
    assert [one.area.code for one in api.area_shapes("municipality")] == ["68001", "68276"]
    assert "AMB" not in [one.area.code for one in api.area_shapes()]
    assert api.area_shapes("municipality", simplify_m=5)[0].geometry["type"] == "Polygon"


def test_an_area_carries_its_measures(areas):
    west = api.area("68001")
    assert west.bbox == (-73.2, 7.0, -73.1, 7.2)
    assert west.centroid == (-73.15, 7.1)
    # 0.1 degrees of longitude by 0.2 of latitude at 7.1 north: 11.0466 km by 22.1151 km (Snyder's series)
    assert west.area_km2 == pytest.approx(11.0466 * 22.1151, rel=2e-4)


def test_visible_areas_follow_the_roles(areas):
    assert api.areas_visible_to(make.ANYONE) == []
    person = make.person_with("operator", areas["68001"])
    assert [area.code for area in api.areas_visible_to(person)] == [
        "68001",
        "68001-01",
        "68001-01-001",
        "68001-02",
    ]
    assert api.areas_visible_to(person, api.Permission.AUDIT_VIEW) == []
