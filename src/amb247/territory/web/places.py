"""Places to choose in a form: areas down to the commune, and organisations."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from amb247.territory import api, models
from amb247.territory.domain import people
from amb247.territory.enums import Level, Permission


@dataclass(frozen=True)
class Place:
    """Exactly one of the two, as `api.grant_role` and `api.create_token` take them."""

    area_code: str | None = None
    organisation_id: int | None = None


def place_of(value: str) -> Place:
    kind, _separator, key = value.partition(":")
    return Place(organisation_id=int(key)) if kind == "organisation" else Place(area_code=key)


def choices_for(user: models.User, permission: Permission) -> list[tuple[str, list[tuple[str, str]]]]:
    """Grouped for a select; only places where the person has the permission, so that nothing else validates."""
    areas = api.areas_visible_to(user, permission)
    groups = [
        (
            str(level.label),
            [(f"area:{one.code}", f"{one.name} ({one.code})") for one in areas if Level(one.level) is level],
        )
        for level in Level
        if level != Level.NEIGHBOURHOOD
    ]
    if permission == Permission.PEOPLE_MANAGE:
        organisations = people.managed_organisations(user)
        groups.append((_("Organizaciones"), [(f"organisation:{one.id}", one.name) for one in organisations]))
    return [group for group in groups if group[1]]


def names_of(organisation_ids: set[int]) -> dict[int, str]:
    return people.organisation_names(organisation_ids) if organisation_ids else {}
