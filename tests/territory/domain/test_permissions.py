from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from factories import territory as make

from amb247.territory import api

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_nobody_may_anything(areas):
    for nobody in (None, make.ANYONE, make.user()):
        assert not any(api.can(nobody, permission) for permission in api.Permission)
        assert not any(api.can(nobody, permission, "AMB") for permission in api.Permission)


def test_the_administrator_of_the_metropolitan_area_may_all_below(areas):
    person = make.person_with("administrator")
    assert all(api.can(person, permission, code) for permission in api.Permission for code in areas)


def test_an_operator_of_one_municipality_sees_that_one_only(areas):
    person = make.person_with("operator", areas["68276"])
    assert api.can(person, "centre.view")
    assert api.can(person, "centre.view", "68276")
    assert not api.can(person, "centre.view", "68001")
    assert not api.can(person, "centre.view", "68001-01")
    assert not api.can(person, "centre.view", "AMB")


def test_an_unknown_area_and_an_unknown_permission_are_refused(areas):
    person = make.person_with("administrator")
    assert not api.can(person, "centre.view", "99999")
    assert not api.can(person, "centre.view", "")
    assert not api.can(person, "rule.world")


def test_a_role_counts_only_while_it_is_valid(areas):
    now = timezone.now()
    ended, coming = make.user(), make.user()
    make.role(ended, "viewer", valid_from=now - timedelta(days=2), valid_to=now - timedelta(seconds=1))
    make.role(coming, "viewer", valid_from=now + timedelta(hours=1))
    assert not api.can(ended, "centre.view")
    assert not api.can(coming, "centre.view")


def test_somebody_switched_off_may_nothing(areas):
    assert not api.can(make.person_with("administrator", is_active=False), "centre.view")


def test_a_role_in_an_organisation_holds_there_and_in_no_area(areas):
    body, other = make.organisation(), make.organisation()
    person = make.person_with("administrator", body)
    assert api.can(person, "people.manage", organisation_id=body.pk)
    assert not api.can(person, "people.manage", organisation_id=other.pk)
    assert not api.can(person, "people.manage", "68001")


def test_the_administrator_of_an_area_reaches_its_organisations(areas):
    inside = make.organisation(area=areas["68001-01"])
    outside, nowhere = make.organisation(area=areas["68276"]), make.organisation()
    person = make.person_with("administrator", areas["68001"])
    assert api.can(person, "people.manage", organisation_id=inside.pk)
    assert not api.can(person, "people.manage", organisation_id=outside.pk)
    assert not api.can(person, "people.manage", organisation_id=nowhere.pk)
    assert api.can(make.person_with("administrator"), "people.manage", organisation_id=nowhere.pk)


def test_permissions_of_are_those_held_somewhere(areas):
    assert api.permissions_of(make.ANYONE) == frozenset()
    assert api.permissions_of(make.person_with("viewer", areas["68276"])) == {
        "centre.view",
        "territory.view",
        "context.read",
    }


def test_asking_costs_the_roles_and_the_stamp(areas, django_assert_num_queries):
    person = make.person_with("operator", areas["68001"])
    api.can(person, "centre.view", "68001")
    with django_assert_num_queries(2):
        api.can(person, "centre.view", "68001-01-001")
    with django_assert_num_queries(1):
        api.can(person, "centre.view")
