from __future__ import annotations

import pytest
from django.db import Error, IntegrityError, connection, transaction
from factories import territory as make

from amb247.territory import models
from amb247.territory.domain import audit

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def refused(action) -> bool:
    try:
        with transaction.atomic():
            action()
    except IntegrityError:
        return True
    return False


def test_an_area_below_the_metropolitan_area_needs_a_parent():
    assert refused(lambda: models.Area.objects.create(level="municipality", code="68001", name="Bucaramanga"))


def test_two_areas_never_share_a_code(areas):
    assert refused(lambda: make.area("68001"))


@pytest.mark.parametrize("code", ["", "68 001", "-1", "68001/1", "ñ"])
def test_a_code_is_plain(code, areas):
    assert refused(lambda: make.area(code))


def test_a_shape_without_its_measures_is_refused(areas):
    assert refused(lambda: models.Area.objects.filter(code="68001").update(west=None))


def test_a_role_is_held_in_exactly_one_place(areas):
    person, body = make.user(), make.organisation()
    assert refused(lambda: models.Role.objects.create(user=person, name="viewer"))
    assert refused(
        lambda: models.Role.objects.create(user=person, name="viewer", area=areas["68001"], organisation=body)
    )


def test_an_open_role_is_held_once_in_a_place(areas):
    person = make.person_with("viewer", areas["68001"])
    assert refused(lambda: make.role(person, "viewer", areas["68001"]))
    make.role(person, "viewer", areas["68276"])


def test_an_unknown_role_is_refused(areas):
    assert refused(lambda: make.person_with("emperor", areas["68001"]))


@pytest.mark.parametrize("nit", ["890201222", "890201222-00", "abc-1"])
def test_a_nit_is_stored_with_its_check_digit(nit):
    assert refused(lambda: make.organisation(nit=nit))


def test_an_address_is_stored_in_lower_case():
    assert refused(lambda: make.user("Ana@prueba.example"))


def test_create_user_lowers_the_address_and_hashes_the_password():
    user = models.User.objects.create_user("Ana@Prueba.example", "una-clave-larga")
    assert user.email == "ana@prueba.example"
    assert user.password != "una-clave-larga"
    assert user.check_password("una-clave-larga")


def test_the_audit_log_refuses_update_delete_and_truncate():
    audit.record(None, "test.happen", "urn:ngsi-ld:Thing:1")
    with connection.cursor() as cursor:
        # The test suite switches this one off, because Django empties tables by TRUNCATE.
        cursor.execute("ALTER TABLE territory_auditentry ENABLE TRIGGER audit_refuses_truncate")
        for statement in (
            "UPDATE territory_auditentry SET verb = 'other'",
            "DELETE FROM territory_auditentry",
            "TRUNCATE territory_auditentry",
        ):
            with pytest.raises(Error, match="append-only"), transaction.atomic():
                cursor.execute(statement)
    assert models.AuditEntry.objects.get().verb == "test.happen"


def test_changing_an_area_renews_the_stamp(areas):
    before = models.TerritoryVersion.objects.get().stamp
    models.Area.objects.filter(code="68001").update(name="Otra")
    assert models.TerritoryVersion.objects.get().stamp != before
