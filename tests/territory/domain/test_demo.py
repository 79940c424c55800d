from __future__ import annotations

import json
import stat

import pytest
from factories import territory as make

from amb247.territory import api, models

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_accounts_are_the_same_at_every_start(areas, tmp_path):
    first = api.ensure_demo_accounts(tmp_path)
    roles, lines = models.Role.objects.count(), models.AuditEntry.objects.count()
    assert api.ensure_demo_accounts(tmp_path) == first
    assert (models.Role.objects.count(), models.AuditEntry.objects.count()) == (roles, lines)
    assert {one.role for one in first} == {
        "administrator",
        "supervisor",
        "operator",
        "data_engineer",
        "viewer",
    }
    for one in first:
        user = models.User.objects.get(email=one.email)
        assert user.check_password(one.password)
        assert api.can(user, "centre.view", one.area_code)


def test_passwords_are_random_and_for_the_owners_eyes_only(areas, tmp_path):
    accounts = api.ensure_demo_accounts(tmp_path)
    path = tmp_path / "demo-accounts.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {one.email: one.password for one in accounts}
    assert len({one.password for one in accounts}) == len(accounts)


def test_one_account_is_of_a_municipality_only(areas, tmp_path):
    (local,) = [one for one in api.ensure_demo_accounts(tmp_path) if one.area_code != "AMB"]
    user = models.User.objects.get(email=local.email)
    assert api.can(user, "centre.view", "68276")
    assert not api.can(user, "centre.view", "68001")


def test_a_changed_password_is_no_longer_printed(areas, tmp_path):
    (first, *_rest) = api.ensure_demo_accounts(tmp_path)
    user = models.User.objects.get(email=first.email)
    user.set_password("ahora-es-mia")
    user.save()
    assert first.email not in {one.email for one in api.ensure_demo_accounts(tmp_path)}


def test_a_lost_file_gives_new_passwords(areas, tmp_path):
    first = api.ensure_demo_accounts(tmp_path)
    (tmp_path / "demo-accounts.json").unlink()
    again = api.ensure_demo_accounts(tmp_path)
    assert [one.email for one in again] == [one.email for one in first]
    assert {one.password for one in again}.isdisjoint(one.password for one in first)


def test_without_a_territory_the_root_is_made_and_nobody_gets_too_much(tmp_path):
    accounts = api.ensure_demo_accounts(tmp_path)
    assert [area.code for area in api.areas()] == ["AMB"]
    assert "municipio@amb.example" not in {one.email for one in accounts}
    assert make.metropolitan_area().code == "AMB"
