"""What a token or a person may do with the entities of the context, and where, in one value."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from amb247.territory import models, rules
from amb247.territory.data import Reach, RoleHeld, TokenInfo
from amb247.territory.domain import permissions
from amb247.territory.domain.areas import Territory, territory
from amb247.territory.domain.permissions import Someone
from amb247.territory.enums import Permission, Scope

NOWHERE = Reach()


def reach_of_token(token: TokenInfo) -> Reach:
    """A token of an organisation reaches no area, as a role in one does not: it may nothing here."""
    if token.area_code is None:
        return NOWHERE
    owner = models.User.objects.filter(pk=token.owner_id).first()
    roles = permissions.roles_of(owner)
    now = territory()
    places = [token.area_code] if token.area_code in now.by_code else []

    def may(scope: Scope) -> bool:
        return scope in token.scopes and _holds(now, roles, rules.SCOPE_PERMISSION[scope], places)

    return _reach(
        now,
        places,
        can_read=may(Scope.CONTEXT_READ),
        can_write=may(Scope.CONTEXT_WRITE),
        can_read_history=may(Scope.HISTORY_READ),
    )


def reach_of_person(user: Someone) -> Reach:
    """Where the person may read; writing and history only if they hold in all of that."""
    roles = permissions.roles_of(user)
    if not rules.is_permitted_somewhere(roles, Permission.CONTEXT_READ):
        return NOWHERE
    now = territory()
    places = _highest(now, _places(roles, Permission.CONTEXT_READ))
    return _reach(
        now,
        places,
        can_read=_holds(now, roles, Permission.CONTEXT_READ, places),
        can_write=_holds(now, roles, Permission.CONTEXT_WRITE, places),
        can_read_history=_holds(now, roles, Permission.HISTORY_EXPORT, places),
    )


def _reach(
    now: Territory, places: Collection[str], *, can_read: bool, can_write: bool, can_read_history: bool
) -> Reach:
    if not (can_read or can_write or can_read_history):
        return NOWHERE
    is_whole = any(root.area.code in places for root in now.roots)
    return Reach(
        can_read=can_read,
        can_write=can_write,
        can_read_history=can_read_history,
        is_whole_territory=is_whole,
        polygons=() if is_whole else tuple(one for code in places for one in now.polygons_of(code)),
    )


def _holds(
    now: Territory, roles: Collection[RoleHeld], permission: Permission, places: Collection[str]
) -> bool:
    """In every one of the places, and there is one."""
    return bool(places) and all(
        rules.is_permitted_in_area(roles, permission, [area.code for area in now.line_of(code)])
        for code in places
    )


def _places(roles: Iterable[RoleHeld], permission: Permission) -> set[str]:
    return {role.area_code for role in roles if role.area_code and rules.is_granted(role.name, permission)}


def _highest(now: Territory, codes: Collection[str]) -> list[str]:
    """Without those that lie in another of them, nor those that are unknown; sorted."""
    return sorted(
        code
        for code in codes
        if code in now.by_code and not any(area.code in codes for area in now.line_of(code)[1:])
    )
