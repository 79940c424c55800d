"""Every page: its headers, nothing inline, its menu, its language, its errors."""

from __future__ import annotations

import pytest
from django.core.exceptions import BadRequest
from django.test import Client
from django.urls import path
from factories import territory as make
from factories.html import inline_code, links, tags

from amb247.site.urls import urlpatterns as real_addresses
from amb247.site.web.context_processors import DOORS
from amb247.site.web.policy import content_policy
from amb247.territory import models

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PUBLIC = [
    "/",
    "/cuenta/login/",
    "/cuenta/logout/",
    "/cuenta/signup/",
    "/cuenta/inactive/",
    "/cuenta/password/reset/",
    "/cuenta/password/reset/done/",
    "/cuenta/password/reset/key/1-bad/",
    "/cuenta/password/reset/key/done/",
    "/cuenta/3rdparty/login/cancelled/",
    "/no-existe/",
]
PERSONAL = [
    "/",
    "/cuenta/logout/",
    "/cuenta/password/change/",
    "/cuenta/email/",
    "/cuenta/2fa/",
    "/cuenta/2fa/totp/activate/",
    "/cuenta/3rdparty/",
    "/cuenta/reauthenticate/",
    "/centro/",
    "/centro/?cosa=Streetlight:prueba:L1",
    "/centro/?estado=fault&q=nada",
    "/centro/lista/",
    "/centro/alertas/",
    "/centro/cosa/Streetlight:prueba:L1/",
    "/centro/cosa/Streetlight:prueba:ninguna/",
    "/fuentes/",
    "/fuentes/prueba/",
    "/fuentes/ninguna/",
    "/contexto/",
    "/contexto/?q=nada",
    "/contexto/entidades/",
    "/contexto/entidades/?type=Nada&q=nada==1&lugar=cerca&lat=7&lon=-73",
    "/contexto/entidades/?q=nada=1",
    "/contexto/entidades/urn:ngsi-ld:Streetlight:prueba:L1",
    "/contexto/entidades/urn:ngsi-ld:Streetlight:prueba:ninguna",
    "/contexto/suscripciones/",
    "/contexto/contextos/",
    "/contexto/registros/",
    "/movilidad/gtfs/",
    "/movilidad/gtfs/subir/",
    "/movilidad/gtfs/prueba/1/",
    "/movilidad/gtfs/prueba/1/activar/",
    "/territorio/",
    "/territorio/area/68001/",
    "/territorio/personas/",
    "/territorio/personas/invitar/",
    "/territorio/personas/{person}/",
    "/territorio/personas/{person}/acceso/",
    "/territorio/fichas/",
    "/territorio/fichas/nueva/",
    "/territorio/bitacora/",
]


@pytest.fixture
def administrator(client, city):
    person = make.person_with("administrator", full_name="Ana Pérez", password=password())
    client.force_login(person)
    client.person = person
    return client


def password() -> str:
    from django.contrib.auth.hashers import make_password

    return make_password("una clave larga", hasher="md5")


def all_pages(client, addresses):
    for address in addresses:
        person = getattr(client, "person", None)
        response = client.get(address.replace("{person}", str(person.pk if person else 0)), follow=True)
        assert response.status_code < 500, address
        assert response["Content-Type"].startswith("text/html"), address
        yield address, response


def assert_clean(address: str, response) -> None:
    page = response.content.decode()
    assert inline_code(page) == [], address
    assert response["Content-Security-Policy"] == content_policy(), address
    assert response["X-Content-Type-Options"] == "nosniff", address
    assert response["X-Frame-Options"] == "DENY", address
    assert response["Referrer-Policy"] == "same-origin", address
    assert response["Cross-Origin-Opener-Policy"] == "same-origin", address
    assert "geolocation=(self)" in response["Permissions-Policy"], address


def test_public_pages_carry_the_policy_and_nothing_inline(client, city):
    for address, response in all_pages(client, PUBLIC):
        assert_clean(address, response)


def test_personal_pages_carry_the_policy_and_nothing_inline(administrator):
    for address, response in all_pages(administrator, PERSONAL):
        assert_clean(address, response)


def test_every_whole_page_names_its_language_and_title_and_has_one_heading(administrator):
    for address, response in all_pages(administrator, PERSONAL):
        page = response.content.decode()
        if "<html" not in page:
            continue
        found = tags(page)
        assert [attributes.get("lang") for tag, attributes in found if tag == "html"] == ["es"], address
        assert [tag for tag, _attributes in found].count("title") == 1, address
        assert [tag for tag, _attributes in found].count("h1") == 1, address
        assert [tag for tag, _attributes in found].count("main") == 1, address
        ids = [attributes["id"] for _tag, attributes in found if attributes.get("id")]
        assert sorted(ids) == sorted(set(ids)), address


def test_the_policy_allows_nothing_inline_and_nothing_foreign():
    policy = dict(part.strip().split(" ", 1) for part in content_policy().split(";"))
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["object-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in content_policy()


def test_a_chosen_base_map_may_be_asked_and_no_other_origin(settings):
    settings.BASEMAP_STYLE_URL = "https://mapas.example:8443/estilo.json?clave=1"
    policy = content_policy()
    assert "connect-src 'self' https://mapas.example:8443;" in policy
    assert "script-src 'self';" in policy


@pytest.mark.parametrize(
    ("role", "doors"),
    [
        ("administrator", ["/centro/", "/contexto/", "/fuentes/", "/movilidad/gtfs/", "/territorio/"]),
        ("operator", ["/centro/", "/contexto/", "/fuentes/", "/movilidad/gtfs/", "/territorio/"]),
        ("viewer", ["/centro/", "/contexto/", "/territorio/"]),
        (None, []),
    ],
)
def test_the_menu_shows_the_doors_that_open(client, city, role, doors):
    person = make.person_with(role) if role else make.user()
    client.force_login(person)
    rail = client.get("/").content.decode().split("</nav>")[0]
    assert sorted(links(rail) - {"/", "#main"}) == sorted(doors)
    for door in DOORS:
        assert client.get(door.url).status_code == (200 if door.url in doors else 403), door.url


def test_the_unknown_have_an_empty_menu(client, city):
    rail = client.get("/").content.decode().split("</nav>")[0]
    assert links(rail) == {"/", "#main"}


def test_the_portal_says_what_is_known_of_the_city(client, city):
    page = client.get("/").content.decode()
    assert "Área Metropolitana de Bucaramanga: la ciudad metropolitana, en vivo" in page
    assert "Bucaramanga · Floridablanca" in page
    assert "Luminarias" in page
    assert "Ciudad sintética" not in page


def test_the_portal_without_a_city_still_opens(client, db):
    response = client.get("/")
    assert response.status_code == 200
    assert "AMB: la ciudad metropolitana, en vivo" in response.content.decode()


def test_a_synthetic_city_is_called_so_on_every_page(administrator, city):
    models.Area.objects.update(synthetic=True)
    models.Area.objects.get(code="68001").save()  # tells the cache of areas
    for address, response in all_pages(administrator, PERSONAL):
        page = response.content.decode()
        if "<html" in page:
            assert "Ciudad sintética de demostración" in page, address


def test_the_language_changes_and_stays(client, city):
    assert '<html lang="es"' in client.get("/").content.decode()
    answer = client.post("/idioma/", {"language": "en", "next": "/cuenta/login/"})
    assert (answer.status_code, answer["Location"]) == (302, "/cuenta/login/")
    assert '<html lang="en"' in client.get("/").content.decode()


def test_the_language_switch_sends_nobody_elsewhere(client, city):
    answer = client.post("/idioma/", {"language": "en", "next": "https://mal.example/"})
    assert "mal.example" not in answer["Location"]


def test_spanish_is_the_language_unless_the_browser_asks_for_another_one_that_exists(client, city):
    assert '<html lang="es"' in client.get("/", headers={"Accept-Language": "fr"}).content.decode()
    assert '<html lang="en"' in client.get("/", headers={"Accept-Language": "en-GB,en"}).content.decode()


def fails(_request):
    raise ZeroDivisionError


def bad(_request):
    raise BadRequest


def erring_addresses():
    from django.contrib.auth.decorators import login_not_required

    return [
        path("falla/", login_not_required(fails)),
        path("mala/", login_not_required(bad)),
        *real_addresses,
    ]


class Erring:
    urlpatterns = erring_addresses()


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/falla/", 500, "Algo falló de nuestro lado y quedó registrado."),
        ("/mala/", 400, "La dirección o los datos enviados no se entienden."),
        ("/no-existe/", 404, "Esta página no existe"),
        ("/fuentes/", 403, "Su cuenta no tiene permiso para ver esta página."),
    ],
)
def test_errors_are_spanish_pages_with_a_way_on(city, settings, address, status, words):
    settings.ROOT_URLCONF = Erring
    browser = Client(raise_request_exception=False)
    browser.force_login(make.user())
    response = browser.get(address)
    page = response.content.decode()
    assert response.status_code == status
    assert words in page
    assert "/" in links(page)
    assert "Traceback" not in page
    assert_clean(address, response)


def test_an_expired_form_says_so(city):
    browser = Client(enforce_csrf_checks=True)
    response = browser.post("/cuenta/login/", {"login": "a@b.example", "password": "x"})
    assert response.status_code == 403
    assert "El formulario caducó" in response.content.decode()
