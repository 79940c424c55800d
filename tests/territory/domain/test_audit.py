from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import RequestFactory
from django.utils import timezone
from factories import territory as make

from amb247.territory import api, models
from amb247.territory.data import AuditFilter
from amb247.territory.domain import audit

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def lines(user, wanted=None, before_id=None, limit=50):
    found = audit.lines_for(user, wanted or AuditFilter(), before_id=before_id, limit=limit)
    return [line.verb for line in found]


def test_a_line_says_who_what_when_and_from_where(areas):
    person = make.user()
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.7", HTTP_USER_AGENT="F" * 500)
    number = api.audit(
        person, "gtfs.activate", "urn:x:1", area_code="AMB", details={"version": 3},
        request_info=api.request_info(request, channel="api"),
    )  # fmt: skip
    line = models.AuditEntry.objects.get(pk=number)
    assert (line.actor, line.verb, line.object_urn, line.area_code) == (
        person,
        "gtfs.activate",
        "urn:x:1",
        "AMB",
    )
    assert (line.ip, line.channel, len(line.user_agent), line.details) == (
        "10.0.0.7",
        "api",
        300,
        {"version": 3},
    )
    assert timezone.now() - line.at < timedelta(minutes=1)


def test_a_line_falls_with_the_deed():
    def deed():
        with transaction.atomic():
            api.audit(None, "test.fail", "")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        deed()
    assert models.AuditEntry.objects.count() == 0


def test_the_actor_may_be_a_token_a_number_or_nobody(areas):
    person = make.person_with("administrator")
    token = api.create_token("x", ["context:read"], owner=person, area_code="AMB").info
    for actor in (token, person.pk, None):
        api.audit(actor, "test.act", "")
    found = (
        models.AuditEntry.objects.filter(verb="test.act").order_by("id").values_list("actor_id", "token_id")
    )
    assert list(found) == [(person.pk, token.id), (person.pk, None), (None, None)]


def test_secrets_are_masked_at_any_depth():
    given = {
        "password": "x",
        "user": {"new_password1": "y", "name": "Ana"},
        "ApiToken": "z",
        "Contraseña": "w",
    }
    assert audit.without_secrets(given) == {
        "password": "•••",
        "user": {"new_password1": "•••", "name": "Ana"},
        "ApiToken": "•••",
        "Contraseña": "•••",
    }


def test_readers_of_one_area_see_its_lines_only(areas):
    for code in ("68001", "68001-01", "68276", "AMB", ""):
        api.audit(None, f"test.{code or 'nowhere'}", "", area_code=code)
    local = make.person_with("supervisor", areas["68001"])
    assert lines(local) == ["test.68001-01", "test.68001"]
    assert len(lines(make.person_with("supervisor"))) == 5
    assert lines(make.person_with("operator")) == []


def test_filters_and_pages(areas):
    chief = make.person_with("administrator", email="jefa@prueba.example")
    api.audit(chief, "role.grant", "urn:ngsi-ld:Person:1")
    api.audit(None, "role.revoke", "urn:ngsi-ld:Person:2")
    api.audit(None, "token.create", "urn:ngsi-ld:ApiToken:2")
    assert lines(chief, AuditFilter(verb="role.")) == ["role.revoke", "role.grant"]
    assert lines(chief, AuditFilter(actor="JEFA")) == ["role.grant"]
    assert lines(chief, AuditFilter(object_urn="person:2")) == ["role.revoke"]
    assert lines(chief, AuditFilter(start=timezone.now() + timedelta(hours=1))) == []
    assert lines(chief, AuditFilter(end=timezone.now() + timedelta(hours=1)), limit=1) == ["token.create"]
    newest = models.AuditEntry.objects.latest("id").pk
    assert lines(chief, before_id=newest) == ["role.revoke", "role.grant"]
