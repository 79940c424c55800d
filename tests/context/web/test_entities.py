"""The query builder: what it finds, what it says of faults, why it finds nothing, and what it never tells."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from html import unescape
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from factories import territory as make
from factories.html import inline_code, links

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
PAGE = "/contexto/entidades/"
LAMP = "urn:ngsi-ld:Streetlight:test:{:06d}".format
HTMX = {"HX-Request": "true", "HX-Target": "found"}


def ids(page: str) -> list[str]:
    """The entities in the list of results."""
    return [
        unescape(unquote(one))
        for one in re.findall(r'<div class="who"><a href="/contexto/entidades/([^"]+)"', page)
    ]


def text_of(page: str, identity: str) -> str:
    return unescape(re.search(rf'<pre id="{identity}"[^>]*><code>(.*?)</code>', page, re.DOTALL)[1])


def fault(page: str, name: str) -> str:
    return unescape(
        re.sub("<[^>]+>", "", re.search(rf'<div id="fault-{name}"[^>]*>(.*?)</div>', page, re.DOTALL)[1])
    )


def test_the_open_page_lists_everything_within_reach(engineer):
    page = engineer.get(PAGE).content.decode()
    assert sorted(ids(page)) == sorted(
        [*(LAMP(n) for n in (1, 2, 3, 4)), "urn:ngsi-ld:https://example.org/vocab#Meter:1"]
    )
    assert "5 entidades coinciden." in page
    assert inline_code(page) == []


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({"type": "Streetlight"}, [1, 2, 3, 4]),
        ({"type": "Streetlight", "q": 'status!="ok"'}, [2]),
        ({"type": "Streetlight", "q": "powerRating>=100;powerRating<200"}, [2, 3]),
        ({"id": f"{LAMP(2)},{LAMP(3)}"}, [2, 3]),
        ({"idPattern": "0003$"}, [3]),
        ({"buscar": "PARQUE"}, [1]),
        ({"buscar": "test:000002"}, [2]),
        ({"buscar": "000", "q": "powerRating>100"}, [3, 4]),
        ({"lugar": "cerca", "lat": "7.15", "lon": "-73.15", "metros": "200"}, [1]),
        ({"lat": "7.15, -73.15", "metros": "200"}, [1]),
        ({"lat": "7,15", "lon": "−73,15", "metros": "1500"}, [1, 2]),
        ({"lugar": "caja", "caja": "-73.06,7.1,-73.0,7.2"}, [4]),
        ({"lugar": "otra", "georel": "within", "geometry": "Polygon",
          "coordinates": "[[[-73.2,7],[-73.1,7],[-73.1,7.1],[-73.2,7.1],[-73.2,7]]]"}, [3]),
        ({"attrs": "name"}, [1, 4]),
    ],
)  # fmt: skip
def test_each_condition_finds_what_it_says(engineer, asked, numbers):
    assert sorted(ids(engineer.get(PAGE, asked).content.decode())) == [LAMP(n) for n in numbers]


def test_the_address_shown_asks_the_same_of_the_interface(engineer):
    page = engineer.get(
        PAGE, {"type": "Streetlight", "q": 'name=="l\'été & más"', "lat": "7.15", "lon": "-73.15", "sysAttrs": "1",
               "format": "concise", "limit": "10", "offset": "20", "pick": "id,name"}
    ).content.decode()  # fmt: skip
    address = urlsplit(text_of(page, "api-url"))
    assert address.path == "/ngsi-ld/v1/entities"
    assert dict(parse_qsl(address.query)) == {
        "type": "Streetlight", "q": 'name=="l\'été & más"', "georel": "near;maxDistance==300", "geometry": "Point",
        "coordinates": "[-73.15,7.15]", "pick": "id,name", "format": "concise", "options": "sysAttrs",
        "count": "true", "limit": "10", "offset": "20",
    }  # fmt: skip


def test_the_command_is_one_that_a_shell_reads_as_meant(engineer):
    page = engineer.get(PAGE, {"q": 'name=="l\'été"', "accept": "geojson"}).content.decode()
    words = shlex.split(text_of(page, "curl").replace("\\\n", " "))
    assert words[:2] == ["curl", "-sS"]
    assert words[2] == text_of(page, "api-url")
    assert words[3:] == ["-H", "Authorization: Bearer SU_FICHA", "-H", "Accept: application/geo+json"]


def test_without_any_filter_the_address_says_that_it_is_meant(engineer):
    page = engineer.get(PAGE).content.decode()
    assert "local=true" in text_of(page, "api-url")


@pytest.mark.parametrize(
    ("asked", "name", "words"),
    [
        ({"q": "status=ok"}, "q", "q:"),
        ({"q": 'status=="ok'}, "q", "no closing quote"),
        ({"type": "(A;"}, "type", "type:"),
        ({"id": "lampara"}, "id", "is no URI"),
        ({"idPattern": "("}, "idPattern", "no regular expression"),
        ({"scopeQ": "/a b"}, "scopeQ", "scopeQ:"),
        ({"lugar": "cerca", "lat": "97", "lon": "-73"}, "lat", "entre −90 y 90"),
        ({"lugar": "cerca", "lat": "7", "lon": "x"}, "lon", "entre −180 y 180"),
        ({"lugar": "cerca", "lat": "7", "lon": "-73", "metros": "0"}, "metros", "mayor que cero"),
        ({"lugar": "caja", "caja": "-73,7,-73.2,7.2"}, "caja", "oeste, sur, este y norte"),
        ({"lugar": "otra", "georel": "beside"}, "otra", "must come together"),
        ({"pick": "a{"}, "pick", "pick:"),
        ({"orderBy": "a;sideways"}, "orderBy", "orderBy:"),
        ({"attrs": "1x"}, "attrs", "no name"),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_beside_its_field_and_nowhere_else(engineer, asked, name, words):
    page = engineer.get(PAGE, asked).content.decode()
    assert words in fault(page, name)
    others = set(re.findall(r'<div id="fault-([\w-]+)" class="error"', page))
    assert others == {name}
    assert ids(page) == []
    assert "Hay campos por corregir" in page


def test_a_change_in_the_form_brings_only_what_follows_from_it(engineer):
    response = engineer.get(PAGE, {"type": "Streetlight", "limit": "20"}, headers=HTMX)
    page = response.content.decode()
    assert "<html" not in page
    assert "<form" not in page
    assert response["HX-Replace-Url"] == "/contexto/entidades/?type=Streetlight"
    assert len(ids(page)) == 4


def test_a_fault_leaves_the_last_good_result_in_its_place(engineer):
    response = engineer.get(PAGE, {"q": "status=ok"}, headers=HTMX)
    assert response["HX-Reswap"] == "none"
    assert "q:" in fault(response.content.decode(), "q")


def test_pages_lead_on_and_back(engineer):
    first = engineer.get(PAGE, {"type": "Streetlight", "limit": "10", "offset": "0"}).content.decode()
    assert "page-next" not in first
    assert "page-previous" not in first
    beyond = engineer.get(PAGE, {"type": "Streetlight", "offset": "40"}).content.decode()
    assert "Esta página queda después de la última" in beyond


def test_more_than_a_page_is_paged(engineer, now):
    from factories.context import streetlight

    from amb247.context import api as context

    context.upsert([streetlight(n, at=now) for n in range(10, 25)], source="prueba")
    first = engineer.get(PAGE, {"type": "Streetlight", "limit": "10"}).content.decode()
    following = unescape(re.search(r'id="page-next"[^>]*href="([^"]+)"', first)[1])
    second = engineer.get(following).content.decode()
    assert len(ids(first)) == 10
    assert len(ids(second)) == 9
    assert not set(ids(first)) & set(ids(second))


def test_the_attributes_of_the_asked_type_are_at_hand(engineer):
    def names(asked: dict, **options) -> list[str]:
        page = engineer.get(PAGE, asked, **options).content.decode()
        known = re.search(r'<div id="known-attributes".*?</div>', page, re.DOTALL)[0]
        return re.findall(r"<code>(.*?)</code>", known)

    assert "powerRating" in names({"type": "Streetlight"})
    assert "powerRating" in names({"type": "Streetlight"}, headers=HTMX)
    assert names({}) == []


def test_attributes_of_what_lies_elsewhere_are_not_named(western):
    page = western.get(PAGE, {"type": "https://example.org/vocab#Meter"}).content.decode()
    assert "vocab#flow" not in page


# --- why nothing ----------------------------------------------------------------------------------------------------


def left_out(page: str) -> dict[str, str]:
    return {
        unescape(text): number
        for text, number in re.findall(
            r'<tr><td><code>(.*?)</code></td><td class="num">(\d+)</td></tr>', page
        )
    }


def test_with_no_result_each_condition_is_left_out_once(engineer):
    page = engineer.get(
        PAGE, {"type": "Streetlight", "q": 'status=="ok";powerRating>1000', "lat": "7.15", "lon": "-73.15"}
    ).content.decode()
    assert "Ninguna entidad coincide" in page
    assert left_out(page) == {
        "type=Streetlight": "0",
        'q=status=="ok"': "0",
        "q=powerRating>1000": "1",
        "georel=near;maxDistance==300": "0",
    }


def test_the_search_is_one_condition_beside_q(engineer):
    page = engineer.get(PAGE, {"buscar": "parque", "q": 'status=="off";powerRating>1'}).content.decode()
    assert left_out(page) == {"buscar=parque": "0", 'q=status=="off"': "1", "q=powerRating>1": "0"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"type": "streetlight"}, "¿Quiso decir «Streetlight»?"),
        ({"type": "Streetlights"}, "¿Quiso decir «Streetlight»?"),
        ({"type": "Meter"}, "otro @context"),
        ({"type": "Streetlight", "q": "powerrating>1"}, "¿Quiso decir «powerRating»?"),
        ({"type": "Streetlight", "q": 'powerRating=="70"'}, "«powerRating» guarda números"),
        ({"type": "Streetlight", "q": "status==1"}, "«status» guarda textos"),
        ({"type": "Streetlight", "q": "nada==1"}, "Ninguna entidad de estas tiene el atributo «nada»"),
        ({"lat": "-73.15", "lon": "7.15"}, "intercambiadas quedaría dentro"),
        ({"lat": "40", "lon": "10"}, "fuera del territorio: revise"),
    ],
)
def test_slips_are_named(engineer, asked, words):
    assert words in unescape(engineer.get(PAGE, asked).content.decode())


# --- files and map --------------------------------------------------------------------------------------------------


def test_the_map_shows_what_the_list_shows(engineer):
    found = engineer.get("/contexto/mapa.geojson", {"type": "Streetlight", "q": "powerRating>=100"}).json()
    assert sorted(one["properties"]["url"] for one in found["features"]) == [
        PAGE + LAMP(n) for n in (2, 3, 4)
    ]
    assert engineer.get("/contexto/mapa.geojson", {"q": "="}).json()["features"] == []


def test_everything_found_comes_as_a_file(engineer):
    asked = {"type": "Streetlight", "q": "powerRating>=100", "format": "simplified", "limit": "10"}
    answer = engineer.get("/contexto/descargar/", asked)
    assert [one["powerRating"] for one in answer.json()] == [100, 150, 250]
    assert answer["Content-Disposition"] == 'attachment; filename="entidades.json"'
    table = engineer.get("/contexto/descargar/", asked | {"archivo": "csv"}).content.decode()
    assert [row["powerRating"] for row in csv.DictReader(io.StringIO(table))] == ["100", "150", "250"]
    features = json.loads(engineer.get("/contexto/descargar/", asked | {"archivo": "geojson"}).content)[
        "features"
    ]
    assert [one["geometry"]["type"] for one in features] == ["Point"] * 3


def test_a_wrong_query_is_no_file(engineer):
    answer = engineer.get("/contexto/descargar/", {"q": "="})
    assert answer.status_code == 400
    assert answer.content.decode().startswith("q: ")


# --- who may --------------------------------------------------------------------------------------------------------


def test_who_reads_one_municipality_sees_and_counts_only_that(western):
    page = western.get(PAGE).content.decode()
    assert sorted(ids(page)) == [LAMP(1), LAMP(2), LAMP(3)]
    assert "3 entidades coinciden." in page
    assert "Secreto" not in page
    assert "vocab#Meter" not in page


def test_nobody_learns_by_counting_what_lies_elsewhere(western):
    """Neither the counts without a condition, nor hints, nor files, nor the map tell of the other side."""
    asked = {"type": "Streetlight", "q": "powerRating==250", "lugar": "caja", "caja": "-73.06,7.1,-73.0,7.2"}
    page = western.get(PAGE, asked).content.decode()
    assert left_out(page) == {"type=Streetlight": "0", "q=powerRating==250": "0", "georel=within": "0"}
    assert western.get("/contexto/mapa.geojson", {"q": "powerRating==250"}).json()["features"] == []
    assert western.get("/contexto/descargar/", {"q": "powerRating==250"}).json() == []
    meter = unescape(western.get(PAGE, {"type": "https://example.org/vocab#Metr"}).content.decode())
    assert "vocab#Meter" not in meter


@pytest.mark.parametrize("address", [PAGE, "/contexto/", "/contexto/buscar/?q=a", "/contexto/mapa.geojson",
                                     "/contexto/descargar/", "/contexto/serie.json", PAGE + LAMP(1)])  # fmt: skip
def test_who_reads_nowhere_is_refused(client, city, address):
    client.force_login(make.user())
    assert client.get(address).status_code == 403
    client.force_login(make.person_with("administrator", make.organisation()))
    assert client.get(address).status_code == 403
    client.logout()
    assert client.get(address).status_code == 302


def test_nothing_is_kept_by_browsers_or_proxies(engineer):
    assert engineer.get(PAGE)["Cache-Control"] == "no-store, private"


def test_tokens_are_offered_to_those_who_make_them(engineer, client):
    assert "/territorio/fichas/nueva/" in links(engineer.get(PAGE).content.decode())
    client.force_login(make.person_with("viewer"))
    assert "/territorio/fichas/nueva/" not in links(client.get(PAGE).content.decode())


@pytest.mark.parametrize("text", ["\x00", "é" * 9_000, '"' * 200, "(" * 300, "%", "a" * 5_000])
@pytest.mark.parametrize("name", ["buscar", "type", "q", "id", "idPattern", "scopeQ", "attrs", "lat", "caja", "offset", "pick"])  # fmt: skip
def test_hostile_values_are_answered(engineer, name, text):
    assert engineer.get(PAGE, {name: text, "lugar": "cerca" if name == "lat" else ""}).status_code == 200
