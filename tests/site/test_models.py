"""What holds for the tables of all rooms together."""

from __future__ import annotations

import io

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import models

from amb247.kernel.personal_data import NO_PERSONAL_DATA, PersonalData

pytestmark = pytest.mark.unit

ORDER = ["territory", "context", "mobility", "centre", "site"]  # DESIGN 3; what is below is known above
# (model that points, model it points to). STYLE 2: things of other rooms are named by URN, not by foreign key.
# Only these may be pointed at from above, and each pair is listed when it is first needed.
SHARED = {"territory.User", "territory.Area", "territory.Organisation"}
ALLOWED: set[tuple[str, str]] = set()


def our_models() -> list[type[models.Model]]:
    return [model for model in apps.get_models(include_auto_created=True) if model._meta.app_label in ORDER]


def relations_between_rooms(all_models: list[type[models.Model]]) -> set[tuple[str, str]]:
    found = set()
    for model in all_models:
        for field in model._meta.get_fields(include_hidden=True):
            other = field.related_model if field.is_relation and not field.auto_created else None
            if isinstance(other, type) and other._meta.app_label != model._meta.app_label:
                found.add((model._meta.label, other._meta.label))
    return {(one, other) for one, other in found if other.split(".")[0] in ORDER}


def test_there_are_models_to_look_at():
    assert {model._meta.app_label for model in our_models()} >= {"territory", "context", "mobility"}


def test_rooms_do_not_point_into_each_other():
    assert relations_between_rooms(our_models()) == ALLOWED


def test_what_is_allowed_points_downwards_at_what_is_shared():
    for one, other in ALLOWED:
        assert other in SHARED
        assert ORDER.index(one.split(".")[0]) > ORDER.index(other.split(".")[0])


def test_a_pointer_into_another_room_would_be_found():
    """The planted fault: a string foreign key, which import-linter cannot see."""

    class Planted(models.Model):
        personal_data = NO_PERSONAL_DATA
        feed = models.ForeignKey("mobility.GtfsFeed", models.CASCADE)

        class Meta:
            app_label = "centre"
            apps = apps
            managed = False

    try:
        assert relations_between_rooms(our_models()) - ALLOWED == {("centre.Planted", "mobility.GtfsFeed")}
    finally:
        del apps.all_models["centre"]["planted"]
        apps.clear_cache()


@pytest.mark.parametrize("model", our_models(), ids=lambda model: model._meta.label)
def test_every_table_says_what_it_knows_about_people(model):
    declared = vars(model).get("personal_data")
    assert declared is not None, f"{model._meta.label} declares nothing: see kernel/personal_data.py"
    assert declared is NO_PERSONAL_DATA or isinstance(declared, PersonalData)
    if isinstance(declared, PersonalData):
        assert set(declared.fields) <= {field.name for field in model._meta.get_fields()}


@pytest.mark.parametrize("model", our_models(), ids=lambda model: model._meta.label)
def test_a_table_that_points_at_people_or_names_them_is_personal(model):
    telling = {
        field.name
        for field in model._meta.get_fields()
        if field.concrete
        and (
            (field.is_relation and field.related_model._meta.label == "territory.User")
            or isinstance(field, models.EmailField | models.GenericIPAddressField)
            or field.name in {"full_name", "phone", "document", "user_agent"}
        )
    }
    declared = vars(model).get("personal_data")
    if telling:
        assert isinstance(declared, PersonalData), f"{model._meta.label}: {sorted(telling)}"
        assert telling <= set(declared.fields), (
            f"{model._meta.label}: {sorted(telling - set(declared.fields))}"
        )


@pytest.mark.django_db
def test_no_migration_is_missing():
    said = io.StringIO()
    try:
        call_command("makemigrations", "--check", "--dry-run", stdout=said, stderr=said)
    except SystemExit:
        pytest.fail(said.getvalue())


def test_django_finds_nothing_to_check():
    assert run_checks() == []
