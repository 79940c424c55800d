from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from factories import territory as make

from amb247.territory import api

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def viewer(client, areas):
    person = make.person_with("viewer", areas["68001"])
    client.force_login(person)
    return client


def test_pages_send_the_unknown_to_the_door(client, areas):
    for url in (reverse("territory:areas"), reverse("territory:area", args=["68001"])):
        response = client.get(url)
        assert response.status_code == 302
        assert response["Location"].startswith("/cuenta/login/")


def test_pages_refuse_somebody_without_role(client, areas):
    client.force_login(make.user())
    assert client.get(reverse("territory:areas")).status_code == 403
    assert client.get(reverse("territory:area", args=["68001"])).status_code == 403
    assert client.get(reverse("territory:shapes", args=["68001"])).status_code == 403


def test_a_viewer_of_one_municipality_does_not_see_the_other(viewer):
    page = viewer.get(reverse("territory:areas")).content.decode()
    assert "Bucaramanga</a>" in page
    assert "Norte" in page
    assert "Floridablanca" not in page
    assert viewer.get(reverse("territory:area", args=["68276"])).status_code == 404
    assert viewer.get(reverse("territory:shapes", args=["68276"])).status_code == 404
    assert "Floridablanca" not in viewer.get(reverse("territory:areas"), {"q": "flor"}).content.decode()


def test_an_area_shows_its_numbers_with_their_units(viewer):
    page = viewer.get(reverse("territory:area", args=["68001"])).content.decode()
    assert re.search(r"600.000", page)
    assert "km²" in page
    assert "Norte" in page


def test_search_finds_neighbourhoods_by_name_and_code(viewer):
    for words in ("rosal", "68001-01-0"):
        assert "El Rosal" in viewer.get(reverse("territory:areas"), {"q": words}).content.decode()
    assert (
        "Ningún área coincide"
        in viewer.get(reverse("territory:areas"), {"q": "nada\0'\"<script>"}).content.decode()
    )


def test_an_empty_territory_says_what_to_do(client, db):
    client.force_login(make.person_with("administrator"))
    make.metropolitan_area()
    assert client.get(reverse("territory:areas")).status_code == 200


@pytest.mark.parametrize("code", ["nowhere", "68001%00", "..", "' OR 1=1"])
def test_an_unknown_area_is_not_found(viewer, code):
    assert viewer.get(f"/territorio/area/{code}/").status_code == 404


def test_shapes_can_be_taken_away_and_brought_back(viewer):
    response = viewer.get(reverse("territory:shapes", args=["68001"]))
    document = json.loads(response.getvalue())
    assert [one["properties"]["code"] for one in document["features"]] == [
        "68001", "68001-01", "68001-02", "68001-01-001",
    ]  # fmt: skip
    assert api.import_territory(document).unchanged == 4


def test_the_list_costs_the_same_with_few_and_with_more(client, areas):
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("territory:areas"))
        return len(queries)

    client.force_login(make.person_with("viewer"))
    first = (cost(), cost())[1]
    for number in range(3):
        make.area(f"6890{number}")
    assert cost() == first + 1  # the territory is read again after a change
    assert cost() == first
