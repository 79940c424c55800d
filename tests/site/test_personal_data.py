from __future__ import annotations

import pytest
from django.apps import apps
from django.db import models as fields
from django.test.utils import isolate_apps

from amb247.kernel.personal_data import NO_PERSONAL_DATA, PersonalData
from amb247.site import personal_data
from amb247.territory.models import User

pytestmark = pytest.mark.unit


def test_every_model_of_the_platform_declares_its_personal_data():
    assert personal_data.faults() == []


def test_the_table_of_libraries_names_only_what_is_there():
    assert set(personal_data.LIBRARIES) <= {
        model._meta.label for model in apps.get_models(include_auto_created=True)
    }


def test_every_model_that_points_to_a_person_declares_that():
    """`NO_PERSONAL_DATA` beside a foreign key to a person would be a false declaration."""
    wrong = [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.get_fields()
        if field.many_to_one and field.related_model is User
        and field.name not in getattr(personal_data.declaration_of(model), "fields", {})
    ]  # fmt: skip
    assert wrong == []


@isolate_apps("amb247.territory")
def test_a_planted_model_without_declaration_is_found():
    class Planted(fields.Model):
        class Meta:
            app_label = "territory"

    Planted.__module__ = "amb247.territory.models"
    assert personal_data.declaration_of(Planted) is None
    Planted.personal_data = NO_PERSONAL_DATA
    assert personal_data.declaration_of(Planted) is NO_PERSONAL_DATA


@isolate_apps("amb247.territory")
def test_a_declaration_is_not_inherited():
    class Child(User):
        class Meta:
            app_label = "territory"

    Child.__module__ = "amb247.territory.models"
    assert personal_data.declaration_of(Child) is None


@pytest.mark.parametrize("missing", ["fields", "purpose", "retention", "legal_basis"])
def test_a_declaration_is_whole(missing):
    whole = {"fields": {"email": "e"}, "purpose": "p", "retention": "r", "legal_basis": "l"}
    PersonalData(**whole)
    with pytest.raises(ValueError, match="declaration"):
        PersonalData(**whole | {missing: type(whole[missing])()})


def test_the_law_is_named():
    assert "1581" in str(User.personal_data.legal_basis)
