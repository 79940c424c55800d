from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from factories import territory as people
from factories.mobility import TABLES, changed, gtfs_zip

from amb247.mobility import api
from amb247.mobility.models import GtfsVersion
from amb247.mobility.web import forms
from amb247.territory.models import AuditEntry

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
LIST, UPLOAD = "/movilidad/gtfs/", "/movilidad/gtfs/subir/"


@pytest.fixture(autouse=True)
def city():
    return people.small_territory()


@pytest.fixture
def feed(tmp_path):
    return gtfs_zip(tmp_path / "amb.zip")


@pytest.fixture
def other(tmp_path):
    return gtfs_zip(tmp_path / "amb-2.zip", changed("stops.txt", "Provenza", "Provenza Norte"))


def sign_in(client, role, place="AMB"):
    person = people.user()
    people.role(person, role, place)
    client.force_login(person)
    return person


def upload(client, path, **fields):
    file = SimpleUploadedFile(path.name, path.read_bytes(), "application/zip")
    return client.post(UPLOAD, {"file": file, "feed": "amb", **fields})


@pytest.mark.parametrize(
    "address", [LIST, UPLOAD, "/movilidad/gtfs/amb/1/", "/movilidad/gtfs/amb/1/activar/"]
)
def test_strangers_are_sent_to_the_sign_in(client, feed, address):
    api.import_gtfs(feed, feed="amb")
    response = client.get(address)
    assert (response.status_code, response.url.split("?")[0]) == (302, "/cuenta/login/")


def test_a_person_without_role_sees_nothing(client, feed):
    api.import_gtfs(feed, feed="amb", name="Secreto SA")
    client.force_login(people.user())
    assert client.get(LIST).status_code == 403
    assert client.get(UPLOAD).status_code == 403
    assert client.get("/movilidad/gtfs/amb/1/").status_code == 404
    assert client.post("/movilidad/gtfs/amb/1/activar/").status_code == 404
    assert client.post("/movilidad/gtfs/amb/volver/").status_code == 404
    assert GtfsVersion.objects.get().state == "imported"


def test_an_analyst_sees_but_changes_nothing(client, feed):
    api.import_gtfs(feed, feed="amb", activate=True)
    sign_in(client, "analyst")
    page = client.get(LIST).content.decode()
    assert "Versión 1" in page
    assert "Subir un GTFS" not in page
    assert "/activar/" not in client.get("/movilidad/gtfs/amb/1/").content.decode()
    assert upload(client, feed).status_code == 403
    assert client.get("/movilidad/gtfs/amb/1/activar/").status_code == 403
    assert client.post("/movilidad/gtfs/amb/1/activar/").status_code == 403
    assert client.post("/movilidad/gtfs/amb/volver/").status_code == 403


def test_a_municipality_sees_its_own_feeds_only(client, feed):
    api.import_gtfs(feed, feed="bga", name="Bucaramanga SA", area_code="68001")
    api.import_gtfs(feed, feed="flo", name="Florida SA", area_code="68276")
    api.import_gtfs(feed, feed="amb", name="Metrolínea SA")
    sign_in(client, "data_engineer", "68001")
    page = client.get(LIST).content.decode()
    assert "Bucaramanga SA" in page
    assert "Florida SA" not in page
    assert "Metrolínea SA" not in page
    assert client.get("/movilidad/gtfs/flo/1/").status_code == 404
    assert client.post("/movilidad/gtfs/bga/1/activar/").status_code == 302
    assert client.post("/movilidad/gtfs/amb/1/activar/").status_code == 404
    assert upload(client, feed, feed="flo").status_code == 403
    assert upload(client, feed, feed="nuevo").status_code == 302
    assert GtfsVersion.objects.get(feed__slug="nuevo").feed.area_code == "68001"


def test_upload_imports_and_shows_the_version(client, feed):
    person = sign_in(client, "data_engineer")
    response = upload(client, feed, name="Metrolínea", activate="on")
    assert (response.status_code, response.url) == (302, "/movilidad/gtfs/amb/1/")
    version = GtfsVersion.objects.get()
    assert (version.state, version.imported_by, version.activated_by) == (
        "active",
        str(person.pk),
        str(person.pk),
    )
    page = client.get(response.url).content.decode()
    assert "Metrolínea, versión 1" in page
    assert "stop_times.txt" in page
    entry = AuditEntry.objects.get(verb="gtfs.activate")
    assert (entry.actor_id, entry.channel) == (person.pk, "web")
    assert upload(client, feed).url == "/movilidad/gtfs/amb/1/"
    assert GtfsVersion.objects.count() == 1


def test_upload_too_large_for_memory_is_imported_from_disk(client, feed, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    sign_in(client, "data_engineer")
    assert upload(client, feed).status_code == 302


def test_refused_upload_says_why_and_keeps_nothing(client, tmp_path):
    sign_in(client, "data_engineer")
    bad = gtfs_zip(tmp_path / "bad.zip", changed("stop_times.txt", "06:20:00,", "25:61:00,"))
    response = upload(client, bad)
    page = response.content.decode()
    assert response.status_code == 422
    for words in (
        "bad.zip fue rechazado",
        "25:61:00",
        "stop_times.txt, línea 3",
        "HH:MM:SS",
        "No se guardó nada",
    ):
        assert words in page
    assert not GtfsVersion.objects.exists()
    assert upload(client, bad, keep_good="on").status_code == 302
    assert GtfsVersion.objects.get().refused_rows == {"stop_times": 1}


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_what_is_no_zip_never_breaks_the_page(client, content):
    sign_in(client, "data_engineer")
    file = SimpleUploadedFile("x.zip", content)
    assert client.post(UPLOAD, {"file": file, "feed": "amb"}).status_code == 422


def test_upload_beyond_the_limit_is_refused(client, feed, monkeypatch):
    monkeypatch.setattr(forms, "MOST_UPLOAD_MB", 0)
    sign_in(client, "data_engineer")
    response = upload(client, feed)
    assert response.status_code == 422
    assert "supera los 0 MB" in response.content.decode()


def test_form_without_file_or_with_a_bad_name(client, feed):
    sign_in(client, "data_engineer")
    assert client.post(UPLOAD, {"feed": "amb"}).status_code == 422
    assert upload(client, feed, feed="../otro").status_code == 422


def test_activation_is_confirmed_with_the_difference(client, feed, tmp_path):
    api.import_gtfs(feed, feed="amb", activate=True)
    more = {"stops.txt": TABLES["stops.txt"] + "D,Cañaveral,7.07,-73.10,004,0\n"}
    api.import_gtfs(gtfs_zip(tmp_path / "b.zip", more), feed="amb")
    sign_in(client, "data_engineer")
    page = client.get("/movilidad/gtfs/amb/2/activar/").content.decode()
    assert "D (Cañaveral)" in page
    assert GtfsVersion.objects.get(number=2).state == "imported"
    assert client.post("/movilidad/gtfs/amb/2/activar/").status_code == 302
    assert GtfsVersion.objects.get(number=2).state == "active"


def test_rolling_back(client, feed, other):
    api.import_gtfs(feed, feed="amb", activate=True)
    sign_in(client, "data_engineer")
    response = client.post("/movilidad/gtfs/amb/volver/", follow=True)
    assert "No hay una versión anterior" in response.content.decode()
    api.import_gtfs(other, feed="amb", activate=True)
    assert "Volver a la versión 1" in client.get(LIST).content.decode()
    assert client.get("/movilidad/gtfs/amb/volver/").status_code == 405
    assert client.post("/movilidad/gtfs/amb/volver/").url == "/movilidad/gtfs/amb/1/"
    assert GtfsVersion.objects.get(number=1).state == "active"


def test_unknown_versions_are_not_found(client, feed):
    api.import_gtfs(feed, feed="amb")
    sign_in(client, "data_engineer")
    assert client.get("/movilidad/gtfs/amb/9/").status_code == 404
    assert client.get("/movilidad/gtfs/nada/1/").status_code == 404
    assert client.post("/movilidad/gtfs/amb/9/activar/").status_code == 404


def test_list_costs_the_same_with_more_feeds(client, feed, other):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(LIST).status_code == 200
        return len(captured)

    sign_in(client, "data_engineer")
    api.import_gtfs(feed, feed="uno")
    client.get(LIST)
    one = queries()
    for name in ("dos", "tres"):
        api.import_gtfs(feed, feed=name, activate=True)
        api.import_gtfs(other, feed=name)
    assert queries() == one


def test_home_leads_to_the_list(client):
    sign_in(client, "analyst")
    assert client.get("/movilidad/").url == LIST
