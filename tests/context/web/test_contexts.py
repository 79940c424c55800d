"""@contexts for people: what is kept, how it is used, and who may read it again or delete it."""

from __future__ import annotations

import re

import pytest
from factories import territory as make
from factories.html import inline_code, links

from amb247.context.domain import contexts
from amb247.territory import models

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
LIST = "/contexto/contextos/"
REMOTE = "https://normas.example/alumbrado.jsonld"


@pytest.fixture
def kept(city, monkeypatch):
    """One hosted, one copied from elsewhere."""
    from amb247.context.adapters.remote_contexts import Fetched

    def page(url: str) -> Fetched:
        return Fetched({"@context": {"lampara": "https://normas.example/lampara"}}, 3_600.0)

    monkeypatch.setattr(contexts, "fetch_remote", page)
    contexts.forget()
    hosted = contexts.host({"@context": {"flujo": "https://example.org/vocab#flow"}})
    contexts.context_of(REMOTE)
    yield {"hosted": hosted, "cached": contexts.metadata(REMOTE)["localId"]}
    contexts.forget()


def test_each_kept_context_tells_kind_and_use(kept, engineer):
    page = engineer.get(LIST).content.decode()
    assert REMOTE in page
    assert f"/ngsi-ld/v1/jsonldContexts/{kept['hosted']}" in links(page)
    assert len(re.findall(r"<td>(Hosted|Cached)<small>", page)) == 2
    assert inline_code(page) == []
    assert REMOTE not in engineer.get(LIST, {"kind": "Hosted"}).content.decode()


def test_only_copies_are_read_again(kept, engineer):
    page = engineer.get(LIST).content.decode()
    assert sum("/recargar/" in link for link in links(page)) == 1
    assert sum("/eliminar/" in link for link in links(page)) == 2


def test_a_copy_is_read_again_after_asking(kept, engineer):
    asked = engineer.get(f"{LIST}accion/recargar/", {"id": kept["cached"]}).content.decode()
    assert REMOTE in asked
    page = engineer.post(f"{LIST}accion/recargar/", {"id": kept["cached"]}, follow=True).content.decode()
    assert "La copia se leyó otra vez" in page
    assert models.AuditEntry.objects.latest("id").verb == "context.reload"


def test_a_copy_whose_server_is_away_stays_and_the_page_says_why(kept, engineer, monkeypatch):
    from amb247.context.ngsi_errors import LdContextNotAvailable

    def away(url: str):
        raise LdContextNotAvailable(f"{url} did not answer")

    monkeypatch.setattr(contexts, "fetch_remote", away)
    answer = engineer.post(f"{LIST}accion/recargar/", {"id": kept["cached"]})
    assert answer.status_code == 422
    assert "did not answer" in answer.content.decode()
    assert contexts.metadata(REMOTE)


def test_a_context_is_deleted_after_asking(kept, engineer):
    engineer.get(f"{LIST}accion/eliminar/", {"id": kept["hosted"]})
    assert contexts.metadata(kept["hosted"])
    engineer.post(f"{LIST}accion/eliminar/", {"id": kept["hosted"]})
    assert [one["kind"] for one in contexts.listed(details=True)] == ["Cached"]
    assert models.AuditEntry.objects.latest("id").verb == "context.delete"


@pytest.mark.parametrize(
    ("role", "place"), [("viewer", "AMB"), ("analyst", "AMB"), ("administrator", "68001")]
)
def test_readers_see_them_and_change_nothing(kept, client, role, place):
    client.force_login(make.person_with(role, make.models.Area.objects.get(code=place)))
    page = client.get(LIST).content.decode()
    assert REMOTE in page
    assert not any("/accion/" in link for link in links(page))
    for deed in ("recargar", "eliminar"):
        assert client.get(f"{LIST}accion/{deed}/", {"id": kept["cached"]}).status_code == 403
        assert client.post(f"{LIST}accion/{deed}/", {"id": kept["cached"]}).status_code == 403
    assert len(contexts.listed()) == 2


def test_who_reads_nowhere_sees_none(kept, client):
    client.force_login(make.user())
    assert client.get(LIST).status_code == 403
    assert client.post(f"{LIST}accion/eliminar/", {"id": kept["cached"]}).status_code == 403


def test_unknown_ones_are_not_there(kept, engineer):
    assert engineer.get(f"{LIST}accion/eliminar/", {"id": "x"}).status_code == 404
    assert engineer.get(f"{LIST}accion/volar/", {"id": kept["hosted"]}).status_code == 404


def test_none_kept_says_how_one_comes_about(engineer):
    assert "Ningún contexto guardado" in engineer.get(LIST).content.decode()
