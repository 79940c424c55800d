from __future__ import annotations

import pytest

from amb247.territory import rules
from amb247.territory.data import AreaCode, RoleHeld
from amb247.territory.enums import Permission, RoleName, Scope

pytestmark = pytest.mark.unit


def test_every_role_has_its_permissions_written():
    assert set(rules.GRANTS) == set(RoleName)


def test_every_scope_stands_for_a_permission():
    assert set(rules.SCOPE_PERMISSION) == set(Scope)


def test_only_the_administrator_manages_people():
    assert [role for role in RoleName if rules.is_granted(role, Permission.PEOPLE_MANAGE)] == [
        RoleName.ADMINISTRATOR
    ]


def test_a_viewer_changes_nothing():
    assert rules.GRANTS[RoleName.VIEWER] == {"centre.view", "territory.view", "context.read"}


def test_an_unknown_role_and_an_unknown_permission_grant_nothing():
    assert not rules.is_granted("emperor", Permission.CENTRE_VIEW)
    assert not rules.is_granted(RoleName.ADMINISTRATOR, "everything")


def test_a_role_reaches_its_area_and_below_not_beside_or_above():
    roles = [RoleHeld(1, RoleName.OPERATOR, AreaCode("68001"))]
    assert rules.is_permitted_in_area(roles, Permission.CENTRE_VIEW, ["68001-01", "68001", "AMB"])
    assert not rules.is_permitted_in_area(roles, Permission.CENTRE_VIEW, ["68276", "AMB"])
    assert not rules.is_permitted_in_area(roles, Permission.CENTRE_VIEW, ["AMB"])


def test_a_role_in_an_organisation_reaches_no_area():
    roles = [RoleHeld(1, RoleName.ADMINISTRATOR, organisation_id=7)]
    assert not rules.is_permitted_in_area(roles, Permission.CENTRE_VIEW, ["68001", "AMB"])
    assert rules.is_permitted_in_organisation(roles, Permission.CENTRE_VIEW, 7)
    assert not rules.is_permitted_in_organisation(roles, Permission.CENTRE_VIEW, 8)
