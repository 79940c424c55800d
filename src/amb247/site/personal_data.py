"""What every table of the platform says about people, ours and those of the libraries we use.

Our models carry their declaration; a library's cannot, so it stands here. `tests/site/test_personal_data.py` fails
on a model that has none, and on an entry here for a model that is no longer there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.apps import apps
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from amb247.kernel.personal_data import NO_PERSONAL_DATA, Declaration, PersonalData

OURS: Final = "amb247."
SIGN_IN: Final = _("Permitir el ingreso de la persona y protegerlo.")
WITH_ACCOUNT: Final = _("Mientras exista la cuenta.")

LIBRARIES: Final[Mapping[str, Declaration]] = {
    "auth.Permission": NO_PERSONAL_DATA,
    "auth.Group": NO_PERSONAL_DATA,
    "auth.Group_permissions": NO_PERSONAL_DATA,
    "contenttypes.ContentType": NO_PERSONAL_DATA,
    "sessions.Session": PersonalData(
        fields={"session_data": _("Qué persona tiene la sesión abierta, y con qué factor ingresó.")},
        purpose=SIGN_IN,
        retention=_("Doce horas, un turno."),
    ),
    "account.EmailAddress": PersonalData(
        fields={"user": _("De quién es."), "email": _("Correo electrónico.")},
        purpose=SIGN_IN,
        retention=WITH_ACCOUNT,
    ),
    "account.EmailConfirmation": PersonalData(
        fields={"email_address": _("Correo que se confirma.")},
        purpose=SIGN_IN,
        retention=_("Tres días."),
    ),
    "mfa.Authenticator": PersonalData(
        fields={
            "user": _("De quién es."),
            "data": _("Secreto del segundo factor y códigos de recuperación."),
            "last_used_at": _("Último uso."),
        },
        purpose=SIGN_IN,
        retention=_("Hasta que la persona retire el segundo factor, o con su cuenta."),
    ),
    "socialaccount.SocialApp": NO_PERSONAL_DATA,
    "socialaccount.SocialAccount": PersonalData(
        fields={
            "user": _("De quién es."),
            "uid": _("Identificador en la entidad que la autentica (OIDC)."),
            "extra_data": _("Lo que esa entidad dice de la persona: nombre y correo."),
            "last_login": _("Último ingreso."),
            "date_joined": _("Primer ingreso."),
        },
        purpose=SIGN_IN,
        retention=WITH_ACCOUNT,
    ),
    "socialaccount.SocialToken": PersonalData(
        fields={"account": _("De quién es."), "token": _("Permiso otorgado por la entidad que autentica.")},
        purpose=SIGN_IN,
        retention=WITH_ACCOUNT,
    ),
    "procrastinate.ProcrastinateWorker": NO_PERSONAL_DATA,
    # Jobs carry ids, never what a person entered (STYLE 1: tasks take ids and fetch).
    "procrastinate.ProcrastinateJob": NO_PERSONAL_DATA,
    "procrastinate.ProcrastinateEvent": NO_PERSONAL_DATA,
    "procrastinate.ProcrastinatePeriodicDefer": NO_PERSONAL_DATA,
}


def declarations() -> dict[str, Declaration | None]:
    """Model label -> its declaration, None where there is none."""
    return {model._meta.label: declaration_of(model) for model in apps.get_models(include_auto_created=True)}


def declaration_of(model: type[Model]) -> Declaration | None:
    """The model's own, not one inherited: a child table declares what it adds."""
    if not model.__module__.startswith(OURS):
        return LIBRARIES.get(model._meta.label)
    return vars(model).get("personal_data")


def faults() -> list[str]:
    """Every model without a declaration, and every declared field that is not a field."""
    found = [f"{label}: no declaration" for label, declared in declarations().items() if declared is None]
    for model in apps.get_models(include_auto_created=True):
        declared = declaration_of(model)
        if isinstance(declared, PersonalData):
            known = {field.name for field in model._meta.get_fields()}
            found += [
                f"{model._meta.label}: no field {name}" for name in declared.fields if name not in known
            ]
    return found
