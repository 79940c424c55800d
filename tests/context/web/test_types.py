"""The front page: types with counts and attributes within reach, and the search for one entity."""

from __future__ import annotations

import re

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
LAMP = "urn:ngsi-ld:Streetlight:test:{:06d}".format


def rows(page: str) -> dict[str, str]:
    """Type -> number of entities."""
    return dict(re.findall(r'data-row>([^<]+)</a>.*?<td class="num">([\d.]+)</td>', page, re.DOTALL))


def test_types_have_their_count_and_attributes(engineer):
    page = engineer.get("/contexto/").content.decode()
    assert rows(page) == {"Streetlight": "4", "https://example.org/vocab#Meter": "1"}
    assert ">powerRating</code>" in page
    assert page.count("fuera del vocabulario") == 1


def test_who_reads_one_municipality_counts_only_that(western):
    assert rows(western.get("/contexto/").content.decode()) == {"Streetlight": "3"}


@pytest.mark.parametrize("words", ["lumina", "STREET", "powerRat", "potencia nom"])
def test_types_are_found_by_name_word_or_attribute(engineer, words):
    assert list(rows(engineer.get("/contexto/", {"q": words}).content.decode())) == ["Streetlight"]


def test_nothing_found_says_what_to_try(engineer):
    assert (
        "Ningún tipo ni atributo coincide con «zzz»"
        in engineer.get("/contexto/", {"q": "zzz"}).content.decode()
    )


def test_a_known_id_leads_to_its_entity(engineer):
    for words in (LAMP(1), LAMP(1).removeprefix("urn:ngsi-ld:")):
        assert engineer.get("/contexto/buscar/", {"q": words})["Location"] == f"/contexto/entidades/{LAMP(1)}"


def test_other_words_lead_to_what_holds_them(engineer):
    assert (
        engineer.get("/contexto/buscar/", {"q": "parque"})["Location"] == "/contexto/entidades/?buscar=parque"
    )
    assert engineer.get("/contexto/buscar/")["Location"] == "/contexto/entidades/"


def test_an_id_elsewhere_leads_to_the_search_as_an_unknown_one_does(western):
    for words in (LAMP(4), LAMP(9)):
        assert (
            western.get("/contexto/buscar/", {"q": words})["Location"]
            == f"/contexto/entidades/?buscar={words}"
        )


def test_the_explorer_speaks_english_too(engineer):
    engineer.cookies["django_language"] = "en"
    page = engineer.get("/contexto/").content.decode()
    assert "Data explorer" in page
    assert "Streetlight" in page
    assert "Explorador" not in page
