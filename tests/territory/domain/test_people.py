from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from factories import territory as make

from amb247.territory import api, models
from amb247.territory.domain import people

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def chief(areas):
    return make.person_with("administrator")


def verbs() -> list[str]:
    return list(models.AuditEntry.objects.order_by("id").values_list("verb", flat=True))


def test_inviting_makes_an_account_without_role_or_password(chief):
    person = api.invite_person(" Ana@Prueba.example ", full_name="Ana", by=chief)
    user = models.User.objects.get(pk=person.id)
    assert (user.email, user.has_usable_password(), person.roles) == ("ana@prueba.example", False, ())
    assert verbs() == ["person.invite"]


@pytest.mark.parametrize("address", ["", "ana", "ana@", "a b@c.example"])
def test_inviting_needs_an_address(chief, address):
    with pytest.raises(api.TerritoryError):
        api.invite_person(address, by=chief)


def test_inviting_twice_is_refused(chief):
    api.invite_person("ana@prueba.example", by=chief)
    with pytest.raises(api.PersonExists):
        api.invite_person("ANA@prueba.example", by=chief)


def test_granting_writes_the_role_and_its_line_with_from_where(chief):
    person = make.user()
    where = api.RequestInfo(channel="web", ip="10.1.2.3", user_agent="Firefox")
    role = api.grant_role(person.pk, "operator", area_code="68001", by=chief, request_info=where)
    line = models.AuditEntry.objects.get()
    assert (role.name, role.area_code) == ("operator", "68001")
    assert (line.actor, line.verb, line.object_urn) == (
        chief,
        "role.grant",
        f"urn:ngsi-ld:Person:{person.pk}",
    )
    assert (line.area_code, line.ip, line.channel, line.user_agent) == ("68001", "10.1.2.3", "web", "Firefox")
    assert line.after["role"] == "operator"


def test_granting_twice_changes_nothing(chief):
    person = make.user()
    first = api.grant_role(person.pk, "operator", area_code="68001", by=chief)
    assert api.grant_role(person.pk, "operator", area_code="68001", by=chief) == first
    assert verbs() == ["role.grant"]


def test_another_end_replaces_the_role(chief):
    person = make.user()
    api.grant_role(person.pk, "operator", area_code="68001", by=chief)
    end = timezone.now() + timedelta(days=30)
    api.grant_role(person.pk, "operator", area_code="68001", by=chief, valid_to=end)
    assert [role.valid_to for role in api.roles_of(person)] == [end]


@pytest.mark.parametrize("place", [{}, {"area_code": "68001", "organisation_id": 1}])
def test_a_role_needs_exactly_one_place(chief, place):
    with pytest.raises(api.RoleMisplaced):
        api.grant_role(make.user().pk, "viewer", by=chief, **place)


def test_granting_refuses_nonsense(chief):
    person = make.user()
    with pytest.raises(api.TerritoryError):
        api.grant_role(person.pk, "emperor", area_code="68001", by=chief)
    with pytest.raises(api.TerritoryError):
        api.grant_role(person.pk, "viewer", area_code="68001", by=chief, valid_to=timezone.now())
    with pytest.raises(api.AreaUnknown):
        api.grant_role(person.pk, "viewer", area_code="00000", by=None)
    assert models.Role.objects.filter(user=person).count() == 0


@pytest.mark.parametrize("role", ["supervisor", "data_engineer", "operator", "viewer"])
def test_only_administrators_grant(areas, role):
    with pytest.raises(api.NotAllowed):
        api.grant_role(make.user().pk, "viewer", area_code="68001", by=make.person_with(role))


def test_an_administrator_grants_in_her_own_area_only(areas):
    local = make.person_with("administrator", areas["68276"])
    api.grant_role(make.user().pk, "operator", area_code="68276", by=local)
    for elsewhere in ("68001", "AMB"):
        with pytest.raises(api.NotAllowed):
            api.grant_role(local.pk, "administrator", area_code=elsewhere, by=local)


def test_revoking_ends_the_role_and_writes_its_line(chief):
    person = make.user()
    role = api.grant_role(person.pk, "operator", area_code="68001", by=chief)
    assert api.revoke_role(role.id, by=chief)
    assert not api.can(person, "centre.view")
    assert not api.revoke_role(role.id, by=chief)
    assert verbs() == ["role.grant", "role.revoke"]


def test_revoking_elsewhere_is_refused(chief, areas):
    role = make.role(make.user(), "operator", areas["68001"])
    with pytest.raises(api.NotAllowed):
        api.revoke_role(role.pk, by=make.person_with("administrator", areas["68276"]))


def test_the_last_administrator_stays(chief):
    (own,) = api.roles_of(chief)
    with pytest.raises(api.LastAdministrator):
        api.revoke_role(own.id, by=chief)
    with pytest.raises(api.LastAdministrator):
        api.grant_role(
            chief.pk, "administrator", area_code="AMB", by=chief, valid_to=timezone.now() + timedelta(days=1)
        )
    make.person_with("administrator")
    assert api.revoke_role(own.id, by=chief)


def test_suspending_keeps_roles_and_takes_access(chief):
    person = make.person_with("operator")
    assert people.set_active(person.pk, is_active=False, by=chief, request_info=None)
    person.refresh_from_db()
    assert not api.can(person, "centre.view")
    assert people.set_active(person.pk, is_active=True, by=chief, request_info=None)
    person.refresh_from_db()
    assert api.can(person, "centre.view")
    assert verbs() == ["person.suspend", "person.activate"]


def test_only_the_metropolitan_administrator_suspends(areas):
    local = make.person_with("administrator", areas["68276"])
    with pytest.raises(api.NotAllowed):
        people.set_active(make.user().pk, is_active=False, by=local, request_info=None)


def test_people_of_other_places_and_their_roles_are_not_shown(chief, areas):
    local = make.person_with("administrator", areas["68276"], email="a@prueba.example")
    both = make.person_with("viewer", areas["68276"], email="b@prueba.example")
    make.role(both, "operator", areas["68001"])
    stranger = make.person_with("viewer", areas["68001"], email="c@prueba.example")
    seen, total = people.managed_people(people.reach_of(local), words="", offset=0, limit=10)
    assert [person.email for person in seen] == ["a@prueba.example", "b@prueba.example"]
    assert total == 2
    assert [role.area_code for role in seen[1].roles] == ["68276"]
    assert people.managed_person(local, stranger.pk) is None
    assert people.managed_people(people.reach_of(chief), words="", offset=0, limit=10)[1] == 4


def test_an_organisation_is_made_once_and_audited(chief):
    made = api.register_organisation("government", "Alcaldía", nit="890.201.222", area_code="68001", by=chief)
    again = api.register_organisation("government", "Alcaldía", by=chief)
    assert made.nit == "890201222-0"
    assert again.id == made.id
    assert verbs() == ["organisation.register"]


def test_an_administrator_from_the_command_line(db):
    api.ensure_administrator("Jefa@Prueba.example", password="una-clave-muy-larga")
    again = api.ensure_administrator("jefa@prueba.example", password="otra-clave-muy-larga")
    user = models.User.objects.get()
    assert user.check_password("otra-clave-muy-larga")
    assert api.can(user, "people.manage", "AMB")
    assert len(again.roles) == 1
    with pytest.raises(api.TerritoryError):
        api.ensure_administrator("jefa@prueba.example", password="corta")
