from __future__ import annotations

import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from factories import territory as make

from amb247.territory import api, models

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def page(client, areas):
    client.force_login(make.person_with("supervisor", areas["68001"]))
    return client


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator", "data_engineer"])
def test_the_log_refuses_who_may_not_read_it(client, areas, role):
    client.force_login(make.person_with(role))
    assert client.get(reverse("territory:audit")).status_code == 403
    assert client.get(reverse("territory:audit-csv")).status_code == 403
    assert models.AuditEntry.objects.count() == 0


def test_lines_of_elsewhere_exist_and_are_not_shown(page):
    api.audit(None, "test.here", "", area_code="68001")
    api.audit(None, "test.elsewhere", "", area_code="68276")
    for url in (reverse("territory:audit"), reverse("territory:audit-csv")):
        response = page.get(url)
        text = (response.getvalue() if response.streaming else response.content).decode()
        assert "test.here" in text
        assert "test.elsewhere" not in text


def test_pages_go_back_in_time(page):
    for number in range(60):
        api.audit(None, f"test.{number:02d}", "", area_code="68001")
    first = page.get(reverse("territory:audit"))
    assert [row["line"].verb for row in first.context["rows"]][:2] == ["test.59", "test.58"]
    assert len(first.context["rows"]) == 50
    second = page.get(reverse("territory:audit"), {"antes": first.context["older"]})
    assert [row["line"].verb for row in second.context["rows"]] == [
        f"test.{number:02d}" for number in range(9, -1, -1)
    ]
    assert second.context["older"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"antes": "x"},
        {"antes": "-5"},
        {"antes": "9" * 30},
        {"start": "nunca"},
        {"verb": "a\0b"},
        {"end": "9999-12-31"},
    ],
)
def test_strange_filters_never_break_the_page(page, query):
    assert page.get(reverse("territory:audit"), query).status_code == 200
    assert page.get(reverse("territory:audit-csv"), query).status_code == 200


def test_the_export_is_safe_for_spreadsheets_and_audited(page):
    api.audit(
        None, "test.run", "=HYPERLINK(1)", area_code="68001",
        request_info=api.RequestInfo(user_agent="@SUM(1)", ip="10.0.0.1"),
    )  # fmt: skip
    response = page.get(reverse("territory:audit-csv"), {"verb": "test."})
    (row,) = list(csv.DictReader(io.StringIO(response.getvalue().decode("utf-8-sig"))))
    assert (row["object_urn"], row["user_agent"], row["ip"]) == ("'=HYPERLINK(1)", "'@SUM(1)", "10.0.0.1")
    line = models.AuditEntry.objects.latest("id")
    assert (line.verb, line.details) == ("audit.export", {"verb": "test."})


def test_the_list_costs_the_same_with_one_and_with_three(page):
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page.get(reverse("territory:audit"))
        return len(queries)

    api.audit(make.user(), "test.run", "", area_code="68001")
    first = (cost(), cost())[1]
    for _number in range(2):
        api.audit(make.user(), "test.run", "", area_code="68001")
    assert cost() == first
