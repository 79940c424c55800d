from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from factories import territory as make

from amb247.territory import api, models

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def chief(areas):
    return make.person_with("administrator", email="jefa@prueba.example")


@pytest.fixture
def local(areas):
    return make.person_with("administrator", areas["68276"], email="local@prueba.example")


@pytest.fixture
def page(client, chief):
    client.force_login(chief)
    return client


def invitation(**changes):
    return {
        "email": "ana@prueba.example", "full_name": "Ana", "language": "es", "role": "operator",
        "place": "area:68001", "until": "",
    } | changes  # fmt: skip


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator", "supervisor", "data_engineer"])
def test_every_page_refuses_all_but_administrators(client, areas, role):
    person = make.person_with(role)
    held = person.roles.get()
    client.force_login(person)
    for url in (
        reverse("territory:people"),
        reverse("territory:invite"),
        reverse("territory:person", args=[person.pk]),
        reverse("territory:suspend", args=[person.pk]),
        reverse("territory:revoke-role", args=[person.pk, held.pk]),
    ):
        assert client.get(url).status_code == 403
        assert client.post(url, invitation()).status_code in {403, 405}
    assert models.User.objects.count() == 1


def test_the_unknown_are_sent_to_the_door(client, areas):
    assert client.get(reverse("territory:people")).status_code == 302


def test_inviting_gives_account_role_and_a_link_that_sets_the_password(page):
    response = page.post(reverse("territory:invite"), invitation())
    link = re.search(r'value="http://testserver([^"]+)"', response.content.decode()).group(1)
    ana = models.User.objects.get(email="ana@prueba.example")
    assert response["Cache-Control"] == "no-store, private"
    assert api.can(ana, "centre.operate", "68001")
    assert not ana.has_usable_password()
    page.logout()
    page.get(link, follow=True)
    page.post(
        page.get(link)["Location"], {"password1": "cerro-alto-92-rio", "password2": "cerro-alto-92-rio"}
    )
    ana.refresh_from_db()
    assert ana.check_password("cerro-alto-92-rio")
    assert models.AuditEntry.objects.filter(verb="account.set_password", actor=ana).count() == 1


def test_inviting_somebody_known_grants_the_role_without_a_link(page):
    known = make.user("ana@prueba.example")
    response = page.post(reverse("territory:invite"), invitation())
    assert response.status_code == 302
    assert api.can(known, "centre.operate", "68001")


@pytest.mark.parametrize(
    "changes",
    [{"email": "nada"}, {"role": "emperor"}, {"place": "area:99999"}, {"place": ""}, {"until": "2001-01-01"},
     {"full_name": ""}, {"email": "a\0b@c.example"}, {"place": "area:68001-01-001"}, {"place": "organisation:1"}],
)  # fmt: skip
def test_a_wrong_invitation_is_shown_again_and_makes_nobody(page, changes):
    response = page.post(reverse("territory:invite"), invitation(**changes))
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert models.User.objects.count() == 1


def test_a_local_administrator_invites_to_her_own_place_only(client, local):
    client.force_login(local)
    client.post(reverse("territory:invite"), invitation(place="area:68001"))
    assert not models.User.objects.filter(email="ana@prueba.example").exists()
    client.post(reverse("territory:invite"), invitation(place="area:68276"))
    assert models.User.objects.filter(email="ana@prueba.example").exists()


def test_a_local_administrator_does_not_see_people_of_other_places(client, local, areas):
    stranger = make.person_with("operator", areas["68001"], email="otra@prueba.example")
    client.force_login(local)
    assert "otra@prueba.example" not in client.get(reverse("territory:people")).content.decode()
    assert client.get(reverse("territory:person", args=[stranger.pk])).status_code == 404
    url = reverse("territory:revoke-role", args=[stranger.pk, stranger.roles.get().pk])
    assert client.post(url).status_code == 404
    assert client.post(reverse("territory:suspend", args=[local.pk])).status_code == 403
    assert api.can(stranger, "centre.view", "68001")


def test_a_role_of_elsewhere_cannot_be_revoked_through_somebody_of_here(client, local, areas):
    both = make.person_with("viewer", areas["68276"])
    foreign = make.role(both, "operator", areas["68001"])
    client.force_login(local)
    assert client.post(reverse("territory:revoke-role", args=[both.pk, foreign.pk])).status_code == 404
    assert api.can(both, "centre.operate", "68001")


def test_granting_and_revoking_with_a_question_before(page, areas):
    person = make.user("ana@prueba.example")
    url = reverse("territory:person", args=[person.pk])
    page.post(url, {"role": "analyst", "place": "area:68001", "until": ""})
    role = person.roles.get()
    revoke = reverse("territory:revoke-role", args=[person.pk, role.pk])
    assert "¿Revocar" in page.get(revoke).content.decode()
    assert api.can(person, "history.export")
    assert page.post(revoke).status_code == 302
    assert not api.can(person, "history.export")


def test_a_role_in_an_organisation_can_be_granted(page):
    body, person = make.organisation("Universidad", kind="university"), make.user()
    url = reverse("territory:person", args=[person.pk])
    page.post(url, {"role": "viewer", "place": f"organisation:{body.pk}", "until": ""})
    assert api.can(person, "centre.view", organisation_id=body.pk)
    assert "Universidad" in page.get(url).content.decode()


def test_the_last_administrator_is_kept_and_told_why(page, chief):
    url = reverse("territory:revoke-role", args=[chief.pk, chief.roles.get().pk])
    response = page.post(url)
    assert response.status_code == 409
    assert "último administrador" in response.content.decode()


def test_suspending_with_a_question_before(page):
    person = make.person_with("viewer")
    url = reverse("territory:suspend", args=[person.pk])
    assert "¿Suspender" in page.get(url).content.decode()
    page.post(url)
    person.refresh_from_db()
    assert not person.is_active
    page.post(url)
    person.refresh_from_db()
    assert person.is_active


def test_nobody_suspends_herself(page, chief):
    assert page.post(reverse("territory:suspend", args=[chief.pk])).status_code == 403


def test_search_and_strange_pages(page):
    make.person_with("viewer", email="ana@prueba.example")
    found = page.get(reverse("territory:people"), {"q": "ANA"}).content.decode()
    assert "ana@prueba.example" in found
    for query in (
        {"pagina": "x"},
        {"pagina": "-1"},
        {"pagina": "999999999999999999999"},
        {"q": "a\0b"},
        {"q": "%_'"},
    ):
        assert page.get(reverse("territory:people"), query).status_code == 200
    assert page.get("/territorio/personas/99999999999999999999999/").status_code == 404


@pytest.mark.parametrize("name", ["people", "invite"])
def test_a_list_costs_the_same_with_one_and_with_three(page, areas, name):
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page.get(reverse(f"territory:{name}"))
        return len(queries)

    make.person_with("viewer", make.organisation(area=areas["68001"]))
    first = (cost(), cost())[1]
    for _number in range(2):
        make.person_with("viewer", make.organisation())
    assert cost() == first
