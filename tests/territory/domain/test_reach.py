from __future__ import annotations

from datetime import timedelta

import pytest
import shapely
from django.utils import timezone
from factories import territory as make
from shapely.geometry import Polygon, mapping

from amb247.territory import api, models
from amb247.territory.data import Reach

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

EVERYTHING = ("context:read", "context:write", "history:read")
NOTHING = Reach()


@pytest.fixture
def engineer(areas):
    return make.person_with("data_engineer", areas["68001"])


def made(owner, scopes=EVERYTHING, area_code="68001", **options):
    return api.create_token("Pasarela", scopes, owner=owner, area_code=area_code, **options).info


def may(reach):
    return reach.can_read, reach.can_write, reach.can_read_history


def covered(reach):
    return shapely.union_all([Polygon(rings[0], rings[1:]) for rings in reach.polygons])


def is_shape_of(reach, *areas):
    return covered(reach).equals(shapely.union_all([shapely.geometry.shape(area.geometry) for area in areas]))


# Tokens


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["context:read"], (True, False, False)),
        (["context:write"], (False, True, False)),
        (["history:read"], (False, False, True)),
        (["context:read", "history:read"], (True, False, True)),
        (EVERYTHING, (True, True, True)),
    ],
)
def test_a_token_may_what_its_scopes_say(engineer, scopes, expected):
    token = made(engineer, scopes)
    assert may(api.token_reach(token)) == expected
    assert expected == tuple(api.token_allows(token, scope, "68001") for scope in EVERYTHING)


def test_a_token_of_other_scopes_has_no_reach(engineer):
    assert api.token_reach(made(engineer, ["gtfs:read", "territory:read"])) == NOTHING


def test_a_token_of_the_metropolitan_area_reaches_the_whole_territory(areas):
    reach = api.token_reach(made(make.person_with("data_engineer"), area_code="AMB"))
    assert reach == Reach(can_read=True, can_write=True, can_read_history=True, is_whole_territory=True)
    assert reach.areas is None


@pytest.mark.parametrize("code", ["68001", "68001-02", "68001-01-001"])
def test_a_token_of_a_narrower_area_reaches_its_shape(areas, engineer, code):
    reach = api.token_reach(made(engineer, area_code=code))
    assert not reach.is_whole_territory
    assert reach.areas == reach.polygons
    assert is_shape_of(reach, areas[code])


def test_polygons_are_closed_rings_with_their_holes(areas):
    island = Polygon([(-73, 7), (-72, 7), (-72, 8), (-73, 8)])
    ring = Polygon([(-75, 6), (-74, 6), (-74, 7), (-75, 7)], [[(-74.6, 6.4), (-74.4, 6.4), (-74.4, 6.6)]])
    make.area("90001", geometry=mapping(shapely.MultiPolygon([island, ring])))
    reach = api.token_reach(made(make.person_with("data_engineer"), area_code="90001"))
    assert sorted(len(polygon) for polygon in reach.polygons) == [1, 2]
    assert {type(value) for polygon in reach.polygons for value in (polygon, *polygon, *polygon[0])} == {
        tuple
    }
    assert all(line[0] == line[-1] for polygon in reach.polygons for line in polygon)
    assert covered(reach).equals(shapely.MultiPolygon([island, ring]))
    hash(reach)


def test_an_area_without_shape_is_those_below_it(areas):
    west = models.Area.objects.get(code="68001")
    bare = make.area("90001")
    for number, one in enumerate(["68001-01", "68001-02"]):
        make.area(f"90001-0{number}", level="commune", parent=bare, geometry=areas[one].geometry)
    chief = make.person_with("data_engineer")
    assert is_shape_of(api.token_reach(made(chief, area_code="90001")), west)


def test_an_area_without_any_shape_is_nowhere_and_not_everywhere(areas):
    make.area("90001")
    reach = api.token_reach(made(make.person_with("data_engineer"), area_code="90001"))
    assert (reach.is_whole_territory, reach.polygons, reach.areas) == (False, (), ())


def test_a_changed_shape_is_noticed(areas, engineer):
    token = made(engineer, area_code="68001-02")
    api.token_reach(token)
    models.Area.objects.filter(code="68001-02").update(geometry=areas["68276"].geometry)
    assert is_shape_of(api.token_reach(token), areas["68276"])


def test_a_token_ends_with_the_permission_of_its_owner(areas, engineer):
    token = made(engineer)
    models.Role.objects.filter(user=engineer).update(valid_to=timezone.now())
    assert api.token_reach(token) == NOTHING
    make.role(engineer, "viewer", areas["68001"])
    assert may(api.token_reach(token)) == (True, False, False)
    make.role(engineer, "analyst", "AMB")
    assert may(api.token_reach(token)) == (True, False, True)


def test_a_role_elsewhere_or_below_keeps_no_token_alive(areas, engineer):
    token = made(engineer)
    models.Role.objects.filter(user=engineer).update(valid_to=timezone.now())
    for code in ("68276", "68001-01"):
        make.role(engineer, "administrator", areas[code])
    assert api.token_reach(token) == NOTHING


def test_a_token_whose_owner_is_switched_off_has_no_reach(engineer):
    token = made(engineer)
    models.User.objects.filter(pk=engineer.pk).update(is_active=False)
    assert api.token_reach(token) == NOTHING


def test_a_token_of_an_organisation_reaches_no_area(areas):
    body = make.organisation(area=areas["68001"])
    for owner in (make.person_with("administrator", body), make.person_with("administrator")):
        token = made(owner, area_code=None, organisation_id=body.pk)
        assert api.token_allows(token, "context:read")
        assert not api.token_allows(token, "context:read", "68001")
        assert api.token_reach(token) == NOTHING


def test_the_reach_of_a_token_costs_three_queries(engineer, django_assert_num_queries):
    token = made(engineer)
    api.token_reach(token)
    with django_assert_num_queries(3):
        api.token_reach(token)


# People


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("viewer", (True, False, False)),
        ("operator", (True, False, False)),
        ("analyst", (True, False, True)),
        ("supervisor", (True, False, True)),
        ("data_engineer", (True, True, True)),
        ("administrator", (True, True, True)),
    ],
)
def test_a_person_may_what_the_role_grants(areas, role, expected):
    reach = api.person_reach(make.person_with(role, areas["68001"]))
    assert may(reach) == expected
    assert not reach.is_whole_territory
    assert is_shape_of(reach, areas["68001"])


def test_who_holds_a_role_in_the_metropolitan_area_reaches_all(areas):
    person = make.person_with("viewer")
    make.role(person, "viewer", areas["68276"])
    assert api.person_reach(person) == Reach(can_read=True, is_whole_territory=True)


def test_nobody_reaches_anything(areas):
    now, ended = timezone.now(), make.user()
    make.role(ended, "administrator", valid_from=now - timedelta(days=2), valid_to=now - timedelta(seconds=1))
    for nobody in (
        None,
        make.ANYONE,
        make.user(),
        ended,
        make.person_with("administrator", is_active=False),
        make.person_with("administrator", make.organisation(area=areas["68001"])),
    ):
        assert api.person_reach(nobody) == NOTHING


def test_areas_are_added_and_those_inside_others_not_twice(areas):
    person = make.person_with("viewer", areas["68001-01-001"])
    for code in ("68001-01", "68276"):
        make.role(person, "viewer", areas[code])
    reach = api.person_reach(person)
    assert len(reach.polygons) == 2
    assert is_shape_of(reach, areas["68001-01"], areas["68276"])


def test_writing_in_a_part_is_no_writing_in_the_whole(areas):
    person = make.person_with("viewer")
    make.role(person, "data_engineer", areas["68001"])
    assert may(api.person_reach(person)) == (True, False, False)
    assert api.can(person, "context.write", "68001")


def test_writing_above_is_writing_in_every_part(areas):
    person = make.person_with("data_engineer", areas["68001"])
    make.role(person, "viewer", areas["68001-01"])
    assert may(api.person_reach(person)) == (True, True, True)
    make.role(person, "viewer", areas["68276"])
    assert may(api.person_reach(person)) == (True, False, False)


def test_the_reach_of_a_person_costs_two_queries(areas, django_assert_num_queries):
    person = make.person_with("analyst", areas["68001"])
    api.person_reach(person)
    with django_assert_num_queries(2):
        api.person_reach(person)
