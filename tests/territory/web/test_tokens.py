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
def engineer(areas):
    return make.person_with("data_engineer", areas["68001"])


@pytest.fixture
def page(client, engineer):
    client.force_login(engineer)
    return client


@pytest.fixture
def chief_page(client, areas):
    client.force_login(make.person_with("data_engineer", areas["AMB"]))
    return client


def wish(**changes):
    return {"name": "Pasarela", "place": "area:68001", "scopes": ["context:read"], "days": "30"} | changes


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator", "supervisor"])
def test_every_page_refuses_who_may_not_make_tokens(client, areas, engineer, role):
    token = api.create_token("x", ["context:read"], owner=engineer, area_code="68001").info
    client.force_login(make.person_with(role))
    for url in (
        reverse("territory:tokens"),
        reverse("territory:token-new"),
        reverse("territory:revoke-token", args=[token.id]),
    ):
        assert client.get(url).status_code == 403
        assert client.post(url, wish()).status_code in {403, 405}
    assert models.ApiToken.objects.get().revoked_at is None


def test_the_secret_is_shown_once(page):
    response = page.post(reverse("territory:token-new"), wish())
    secret = re.search(r'value="(amb_[^"]+)"', response.content.decode()).group(1)
    assert response["Cache-Control"] == "no-store, private"
    assert api.token_from(secret).scopes == {"context:read"}
    listed = page.get(reverse("territory:tokens")).content.decode()
    assert secret not in listed
    assert "_".join(secret.split("_")[:2]) in listed


@pytest.mark.parametrize(
    "changes",
    [{"name": ""}, {"scopes": []}, {"scopes": ["people:manage"]}, {"place": "area:68276"}, {"place": "area:AMB"},
     {"days": "-1"}, {"days": "100000"}, {"tenants": "alfa\n-beta"}, {"tenants": "dos nombres"},
     {"tenants": "\n".join(f"n{number}" for number in range(51))}, {"entity_types": "A\nDos palabras"},
     {"entity_types": "T" * 513}, {"entity_types": "a\0b"}],
)  # fmt: skip
def test_a_wrong_wish_is_shown_again(page, changes):
    response = page.post(reverse("territory:token-new"), wish(**changes))
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert models.ApiToken.objects.count() == 0


def test_tenants_and_types_are_given_one_a_line_and_listed(chief_page):
    page = chief_page
    given = {"tenants": " alfa \r\n\r\nbeta\r\nalfa", "entity_types": "Streetlight\nhttps://x.example/ñ#A,b"}
    response = page.post(reverse("territory:token-new"), wish(**given))
    secret = re.search(r'value="(amb_[^"]+)"', response.content.decode()).group(1)
    token = api.token_from(secret)
    assert token.tenants == {"alfa", "beta"}
    assert token.entity_types == {"Streetlight", "https://x.example/ñ#A,b"}
    listed = page.get(reverse("territory:tokens")).content.decode()
    for name in (*token.tenants, *token.entity_types):
        assert f">{name}</code>" in listed


def test_without_limits_the_list_says_so(page):
    page.post(reverse("territory:token-new"), wish(tenants=" \r\n", entity_types=""))
    row = models.ApiToken.objects.get()
    assert (row.tenants, row.entity_types) == ([], [])
    listed = page.get(reverse("territory:tokens")).content.decode()
    assert "<td>Todos\n" in listed
    assert "<td>La ciudad\n" in listed


def test_a_tenant_is_not_for_who_holds_a_part_of_the_territory(page):
    response = page.post(reverse("territory:token-new"), wish(tenants="alfa"))
    assert "toda el área metropolitana abre otros inquilinos" in response.content.decode()
    assert not models.ApiToken.objects.exists()


def test_what_is_wrong_is_said_beside_the_field(page):
    content = page.post(reverse("territory:token-new"), wish(tenants="<b>\nalfa")).content.decode()
    assert "«&lt;b&gt;» no es un nombre de inquilino" in content
    assert "<b>\n" not in content


def test_who_may_not_make_tokens_makes_none_with_limits(client, areas):
    client.force_login(make.person_with("viewer", areas["68001"]))
    assert client.post(reverse("territory:token-new"), wish(tenants="alfa")).status_code == 403
    assert not models.ApiToken.objects.exists()


def test_revoking_with_a_question_before(page, engineer):
    token = api.create_token("Pasarela", ["context:read"], owner=engineer, area_code="68001")
    url = reverse("territory:revoke-token", args=[token.info.id])
    assert "¿Revocar" in page.get(url).content.decode()
    assert api.token_from(token.secret) is not None
    assert page.post(url).status_code == 302
    assert api.token_from(token.secret) is None
    assert "Revocada" in page.get(reverse("territory:tokens")).content.decode()


def test_a_colleagues_token_is_not_there(page, areas):
    colleague = make.person_with("data_engineer", areas["68001"])
    token = api.create_token("Ajena", ["context:read"], owner=colleague, area_code="68001").info
    assert "Ajena" not in page.get(reverse("territory:tokens")).content.decode()
    assert page.post(reverse("territory:revoke-token", args=[token.id])).status_code == 404


def test_the_list_costs_the_same_with_one_and_with_three(page, engineer):
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page.get(reverse("territory:tokens"))
        return len(queries)

    api.create_token("1", ["context:read"], owner=engineer, area_code="68001")
    first = (cost(), cost())[1]
    for name in "23":
        api.create_token(name, ["context:read"], owner=engineer, area_code="68001")
    assert cost() == first
