"""One entity: everything stored, with units, times and links; its history; its representations; who may see it."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from factories import territory as make
from factories.html import inline_code, links

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
LAMP = "urn:ngsi-ld:Streetlight:test:{:06d}".format
METER = "urn:ngsi-ld:https://example.org/vocab#Meter:1"


def address(entity_id: str) -> str:
    return "/contexto/entidades/" + entity_id.replace("#", "%23")


def row(page: str, name: str) -> str:
    """The words of an attribute's row."""
    found = next(
        one for one in re.findall(r"<tr data-depth.*?</tr>", page, re.DOTALL) if f">{name}</code>" in one
    )
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found)).split())


def test_an_attribute_tells_value_unit_kind_and_times(engineer, now):
    page = engineer.get(address(LAMP(1))).content.decode()
    words = row(page, "powerRating")
    assert "Potencia nominal" in words
    assert "Property" in words
    assert "72 W" in words
    assert 'title="unitCode WTT"' in page
    assert now.strftime("%Y-%m-%dT%H:%M:%SZ") in page  # in UTC, in the title of the local time
    assert inline_code(page) == []


def test_places_are_said_and_drawn(engineer):
    page = engineer.get(address(LAMP(1))).content.decode()
    assert "7.150000, -73.150000" in row(page, "location")
    data = json.loads(re.search(r'<script id="place-data" type="application/json">(.*?)</script>', page)[1])
    assert data["features"][0]["geometry"] == {"type": "Point", "coordinates": [-73.15, 7.15]}
    assert "Bucaramanga" in page


def test_names_of_other_vocabularies_languages_links_and_what_belongs_to_them(engineer):
    page = engineer.get(address(METER)).content.decode()
    assert "3.5 MQH" in row(page, "https://example.org/vocab#flow")
    assert "Medidor" in row(page, "label")
    assert address(LAMP(1)) in links(page)
    assert "Poste del parque" in row(page, "at")
    assert row(page, "since").startswith("└ Subatributo since")
    assert "place-map" not in page


def test_links_to_what_is_out_of_reach_tell_no_name(client, city):
    from amb247.context import api as context

    link = {"type": "Relationship", "object": LAMP(4)}
    context.upsert([{"id": LAMP(1), "type": "Streetlight", "refDevice": link}], source="prueba")
    client.force_login(make.person_with("analyst", make.models.Area.objects.get(code="68001")))
    page = client.get(address(LAMP(1))).content.decode()
    assert address(LAMP(4)) in links(page)
    assert "Secreto" not in page


@pytest.mark.parametrize("entity_id", [LAMP(4), LAMP(9), METER, "x"])
def test_what_lies_elsewhere_looks_like_what_does_not_exist(western, entity_id):
    response = western.get(address(entity_id))
    assert response.status_code == 404
    page = response.content.decode().replace(entity_id, "ID")
    assert "Entidad no encontrada" in page
    assert "Secreto" not in page


def test_numbers_have_a_chart_and_every_attribute_its_past(engineer):
    page = engineer.get(address(LAMP(1)) + "?atributo=powerRating").content.decode()
    src = unescape(re.search(r'<time-chart src="([^"]+)"', page)[1])
    series = engineer.get(src).json()
    assert series["v"] == [70.0, 72.0]
    assert (series["label"], series["unit"]) == ("powerRating", "W")
    words = engineer.get(address(LAMP(1)) + "?atributo=status&horas=168").content.decode()
    assert "<time-chart" not in words
    assert words.count("ok (normal)</td>") >= 1


def test_a_month_is_drawn_from_hours(engineer):
    series = engineer.get(
        "/contexto/serie.json", {"id": LAMP(1), "atributo": "powerRating", "horas": "744"}
    ).json()
    assert series["v"] in ([70.0, 72.0], [71.0])  # in two hours, or in one


def test_ids_with_marks_of_addresses_work(engineer):
    flow = "https://example.org/vocab#flow"
    page = engineer.get(address(METER), {"atributo": flow}).content.decode()
    assert "3.5 MQH</td>" in page
    assert "<time-chart" not in page, "one point makes no line"
    assert engineer.get("/contexto/serie.json", {"id": METER, "atributo": flow}).json()["v"] == [3.5]


def test_history_needs_its_permission(client, city):
    client.force_login(make.person_with("operator"))
    page = client.get(address(LAMP(1))).content.decode()
    assert "Sin permiso para leer historia" in page
    assert client.get("/contexto/serie.json", {"id": LAMP(1), "atributo": "powerRating"}).status_code == 404


def test_the_series_of_what_lies_elsewhere_is_not_there(western):
    asked = {"atributo": "powerRating"}
    assert western.get("/contexto/serie.json", asked | {"id": LAMP(1)}).status_code == 200
    assert western.get("/contexto/serie.json", asked | {"id": LAMP(4)}).status_code == 404
    assert western.get("/contexto/serie.json", {"id": LAMP(1), "atributo": "status"}).status_code == 404


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("normalized", '"type": "Property"'),
        ("concise", '"unitCode": "WTT"'),
        ("simplified", '"powerRating": 72'),
        ("geojson", '"type": "Feature"'),
    ],
)
def test_each_representation_has_its_document_and_request(engineer, form, words):
    page = unescape(engineer.get(address(LAMP(1)), {"forma": form}).content.decode())
    assert words in page
    shown = re.search(r'<pre id="api-url"[^>]*><code>(.*?)</code>', page)[1]
    assert shown.startswith(f"http://testserver/ngsi-ld/v1/entities/{LAMP(1)}")
    assert ("Accept: application/geo+json" in page) is (form == "geojson")
