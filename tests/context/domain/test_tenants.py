"""Tenants made by an earlier release get the tables of this one."""

from __future__ import annotations

import pytest
from django.db import connection

from amb247.context import api
from amb247.context.domain import tenants

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def make_earlier(monkeypatch):
    """Make a tenant as the release did whose last file was this one."""
    names = []

    def make(name, last, *, writes_down=True):
        files = tenants.TABLES[: tenants.TABLES.index(last) + 1]
        with monkeypatch.context() as patched:
            patched.setattr(tenants, "TABLES", files)
            tenants.ensure(name)
        if not writes_down:
            with connection.cursor() as cursor:
                cursor.execute("UPDATE context_tenant SET applied = NULL WHERE name = %s", [name])
        names.append(name)

    yield make
    tenants.forget_known()
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f'DROP SCHEMA "{tenants.schema_of(name)}" CASCADE')
        cursor.execute("DELETE FROM context_tenant")


def columns(tenant):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = %s",
            [tenants.schema_of(tenant)],
        )
        return sorted(cursor.fetchall())


@pytest.mark.parametrize("writes_down", [True, False])
@pytest.mark.parametrize("last", [name for name in tenants.TABLES if name >= "0003_ngsi"][:-1])
def test_a_tenant_of_an_earlier_release_gets_what_it_lacks(make_earlier, last, writes_down):
    make_earlier("old", last, writes_down=writes_down)
    make_earlier("new", tenants.TABLES[-1])
    assert columns("old") != columns("new")
    assert api.tenants_behind() == ["old"]
    assert api.catch_up_tenants() == 1
    assert columns("old") == columns("new")
    assert api.tenants_behind() == []
    assert api.catch_up_tenants() == 0


def test_what_a_tenant_held_is_still_there(make_earlier):
    make_earlier("old", "0008_hourly")
    with tenants.inside("old"):
        api.upsert([{"id": "urn:ngsi-ld:Bus:1", "type": "Bus"}], source="test")
    api.catch_up_tenants()
    with tenants.inside("old"):
        assert api.get("urn:ngsi-ld:Bus:1")["type"] == "Bus"
    assert api.get("urn:ngsi-ld:Bus:1") is None


def test_what_fails_leaves_the_tenant_as_it_was(make_earlier, monkeypatch):
    make_earlier("old", "0007_indexes")
    before = columns("old")
    sound = tenants.statement

    def broken(package, name):
        return "SELECT 1/0" if name == tenants.TABLES[-1] else sound(package, name)

    monkeypatch.setattr(tenants, "statement", broken)
    with pytest.raises(Exception, match="division by zero"):
        api.catch_up_tenants()
    assert columns("old") == before
    assert api.tenants_behind() == ["old"]


def test_bringing_the_database_up_to_date_reaches_the_tenants(make_earlier):
    from amb247.site.database import migrate

    make_earlier("old", "0006_registrations")
    assert migrate() == 0  # no migration of Django's is missing
    assert api.tenants_behind() == []
