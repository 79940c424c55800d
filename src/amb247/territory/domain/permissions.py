"""The rules applied to people, with one query for their roles and one for the territory's stamp."""

from __future__ import annotations

from typing import TypeGuard

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.utils import timezone

from amb247.territory import models, rules
from amb247.territory.data import Area, AreaCode, RoleHeld
from amb247.territory.domain.areas import territory
from amb247.territory.enums import Permission

Someone = models.User | AnonymousUser | None


def is_known(user: Someone) -> TypeGuard[models.User]:
    return isinstance(user, models.User) and user.pk is not None and user.is_active


def roles_of(user: Someone) -> tuple[RoleHeld, ...]:
    """Roles valid now. Nobody, and somebody switched off, holds none."""
    if not is_known(user):
        return ()
    now = timezone.now()
    rows = (
        models.Role.objects.filter(user=user, valid_from__lte=now)
        .filter(Q(valid_to__isnull=True) | Q(valid_to__gt=now))
        .select_related("area")
        .order_by("id")
    )
    return tuple(held(role) for role in rows)


def permissions_of(user: Someone) -> frozenset[Permission]:
    return frozenset().union(*(rules.GRANTS.get(role.name, frozenset()) for role in roles_of(user)))


def held(role: models.Role) -> RoleHeld:
    return RoleHeld(
        id=role.pk,
        name=role.name,
        area_code=AreaCode(role.area.code) if role.area else None,
        organisation_id=role.organisation_id,
        valid_from=role.valid_from,
        valid_to=role.valid_to,
    )


def can(user: Someone, permission: str, area_code: str | None, organisation_id: int | None) -> bool:
    roles = roles_of(user)
    if not rules.is_permitted_somewhere(roles, permission):
        return False
    if organisation_id is not None:
        return is_permitted_in_organisation(roles, permission, organisation_id)
    if area_code is None:
        return True
    now = territory()
    if area_code not in now.by_code:
        return False
    return rules.is_permitted_in_area(roles, permission, [area.code for area in now.line_of(area_code)])


def is_permitted_in_organisation(roles: tuple[RoleHeld, ...], permission: str, organisation_id: int) -> bool:
    """Held in the organisation itself, or in the area where the organisation belongs."""
    if rules.is_permitted_in_organisation(roles, permission, organisation_id):
        return True
    code = models.Area.objects.filter(organisations=organisation_id).values_list("code", flat=True).first()
    now = territory()
    line = [area.code for area in now.line_of(code)] if code else [root.area.code for root in now.roots]
    return rules.is_permitted_in_area(roles, permission, line)


def areas_where(user: Someone, permission: str) -> list[Area]:
    """Every area in which the person has the permission, sorted by code."""
    roles = [role for role in roles_of(user) if rules.is_granted(role.name, permission)]
    if not roles:
        return []
    now = territory()
    found = {area.code: area for role in roles if role.area_code for area in now.all_below(role.area_code)}
    return [found[code] for code in sorted(found)]
