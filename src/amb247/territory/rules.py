"""Who may do what: what each role allows, and where a role reaches. No database here.

A role reaches the area it is held in and everything below, so that the administrator of the metropolitan area
reaches all of it. A role held in an organisation reaches that organisation and no area. What is not granted
here is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from amb247.territory.data import RoleHeld
from amb247.territory.enums import Permission, RoleName, Scope

_P = Permission
_VIEW = frozenset({_P.CENTRE_VIEW, _P.TERRITORY_VIEW, _P.CONTEXT_READ})
_ANALYST = _VIEW | {_P.FEEDS_VIEW, _P.GTFS_VIEW, _P.HISTORY_EXPORT}
_OPERATOR = _VIEW | {_P.FEEDS_VIEW, _P.GTFS_VIEW, _P.CENTRE_OPERATE}
_SUPERVISOR = _OPERATOR | {_P.CENTRE_SUPERVISE, _P.HISTORY_EXPORT, _P.AUDIT_VIEW}
_DATA_ENGINEER = _ANALYST | {
    _P.FEEDS_MANAGE,
    _P.GTFS_MANAGE,
    _P.CONTEXT_WRITE,
    _P.TERRITORY_IMPORT,
    _P.TOKENS_MANAGE,
}

GRANTS: Final[Mapping[str, frozenset[Permission]]] = {
    RoleName.VIEWER: _VIEW,
    RoleName.ANALYST: _ANALYST,
    RoleName.OPERATOR: _OPERATOR,
    RoleName.SUPERVISOR: _SUPERVISOR,
    RoleName.DATA_ENGINEER: _DATA_ENGINEER,
    RoleName.ADMINISTRATOR: frozenset(Permission),
}

SCOPE_PERMISSION: Final[Mapping[str, Permission]] = {
    Scope.CONTEXT_READ: _P.CONTEXT_READ,
    Scope.CONTEXT_WRITE: _P.CONTEXT_WRITE,
    Scope.HISTORY_READ: _P.HISTORY_EXPORT,
    Scope.GTFS_READ: _P.GTFS_VIEW,
    Scope.GTFS_WRITE: _P.GTFS_MANAGE,
    Scope.TERRITORY_READ: _P.TERRITORY_VIEW,
    Scope.TERRITORY_WRITE: _P.TERRITORY_IMPORT,
}


def is_granted(role_name: str, permission: str) -> bool:
    return permission in GRANTS.get(role_name, frozenset())


def is_permitted_somewhere(roles: Iterable[RoleHeld], permission: str) -> bool:
    return any(is_granted(role.name, permission) for role in roles)


def is_permitted_in_area(roles: Iterable[RoleHeld], permission: str, line: Collection[str]) -> bool:
    """`line` holds the area's code and those of the areas above it."""
    return any(role.area_code in line for role in roles if is_granted(role.name, permission))


def is_permitted_in_organisation(roles: Iterable[RoleHeld], permission: str, organisation_id: int) -> bool:
    return any(role.organisation_id == organisation_id for role in roles if is_granted(role.name, permission))
