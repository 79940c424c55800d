"""Accounts of the demonstration: made at first start, printed at every one."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from django.db import transaction
from django.utils.translation import gettext as _

from amb247.territory import models
from amb247.territory.data import DemoAccount
from amb247.territory.domain import audit, people
from amb247.territory.domain.areas import territory
from amb247.territory.enums import Level, RoleName

FILE = "demo-accounts.json"
# e-mail, name, role, level it is held at: the least that shows what a role and a place change
ACCOUNTS = (
    ("admin@amb.example", "Administración de demostración", RoleName.ADMINISTRATOR, Level.METROPOLITAN_AREA),
    ("supervisor@amb.example", "Supervisión de demostración", RoleName.SUPERVISOR, Level.METROPOLITAN_AREA),
    ("operador@amb.example", "Operación de demostración", RoleName.OPERATOR, Level.METROPOLITAN_AREA),
    (
        "datos@amb.example",
        "Ingeniería de datos de demostración",
        RoleName.DATA_ENGINEER,
        Level.METROPOLITAN_AREA,
    ),
    ("municipio@amb.example", "Operación municipal de demostración", RoleName.OPERATOR, Level.MUNICIPALITY),
    ("consulta@amb.example", "Consulta de demostración", RoleName.VIEWER, Level.METROPOLITAN_AREA),
)


@transaction.atomic
def ensure_demo_accounts(folder: Path) -> list[DemoAccount]:
    """Make what is missing and give all; one whose person has since changed the password is left out."""
    path = folder / FILE
    known = _read(path)
    people.ensure_metropolitan_area()
    found = []
    for email, name, role, level in ACCOUNTS:
        place = _place(level)
        if place is None:
            continue
        user = models.User.objects.filter(email=email).first()
        if user is None:
            user = models.User.objects.create_user(email, full_name=name)
            audit.record(
                None, "person.invite", people.person_urn(user.pk), details={"email": email, "demo": True}
            )
        if email not in known:
            known[email] = secrets.token_urlsafe(9)
            user.set_password(known[email])
            user.save(update_fields=["password"])
            audit.record(
                None, "person.reset", people.person_urn(user.pk), details={"email": email, "demo": True}
            )
        people.grant_role(
            user.pk, role, area_code=place, organisation_id=None, by=None, valid_to=None, request_info=None
        )
        if user.check_password(known[email]):
            found.append(DemoAccount(email, known[email], role, place))
    _write(path, known)
    return found


def _place(level: Level) -> str | None:
    areas = [area for area in territory().by_code.values() if area.level == level]
    # The second municipality rather than the capital: there the difference to "everything" is visible.
    return areas[min(1, len(areas) - 1)].code if areas else None


def _read(path: Path) -> dict[str, str]:
    try:
        return {str(email): str(password) for email, password in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as wrong:
        raise ValueError(_("El archivo %(path)s está dañado: bórrelo.") % {"path": path}) from wrong


def _write(path: Path, passwords: dict[str, str]) -> None:
    """Readable by its owner only, and never half-written."""
    making = path.with_suffix(".new")
    making.unlink(missing_ok=True)
    handle = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(passwords, file, indent=2)
        file.write("\n")
    making.replace(path)
