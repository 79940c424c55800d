"""What other systems may ask of the territory: areas, permissions, roles, tokens, the audit log.

Codes are the areas' own (`68001`, `68001-01`). A `user` is what `request.user` is, signed in or not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from numpy.typing import ArrayLike, NDArray

from amb247.territory import models
from amb247.territory.data import (
    Area,
    AreaNode,
    AreaShape,
    ChannelName,
    ColumnMapping,
    DemoAccount,
    Finding,
    ImportReport,
    LevelName,
    NewToken,
    Organisation,
    Person,
    Polygon,
    Reach,
    RequestInfo,
    RoleHeld,
    TokenInfo,
)
from amb247.territory.domain import audit as _audit
from amb247.territory.domain import demo as _demo
from amb247.territory.domain import importing as _importing
from amb247.territory.domain import people as _people
from amb247.territory.domain import permissions as _permissions
from amb247.territory.domain import reach as _reach
from amb247.territory.domain import tokens as _tokens
from amb247.territory.domain.areas import shapes_of, territory
from amb247.territory.enums import Channel, Level, OrganisationKind, Permission, RoleName, Scope
from amb247.territory.errors import (
    AreaUnknown,
    FileRefused,
    ImportRefused,
    LastAdministrator,
    NotAllowed,
    PersonExists,
    RoleMisplaced,
    TerritoryError,
    TokenLimitRefused,
    TokenScopeRefused,
)

__all__ = [
    "Area",
    "AreaNode",
    "AreaShape",
    "AreaUnknown",
    "Channel",
    "ColumnMapping",
    "DemoAccount",
    "FileRefused",
    "Finding",
    "ImportRefused",
    "ImportReport",
    "LastAdministrator",
    "Level",
    "NewToken",
    "NotAllowed",
    "Organisation",
    "OrganisationKind",
    "Permission",
    "Person",
    "PersonExists",
    "Polygon",
    "Reach",
    "RequestInfo",
    "RoleHeld",
    "RoleMisplaced",
    "RoleName",
    "Scope",
    "TerritoryError",
    "TokenInfo",
    "TokenLimitRefused",
    "TokenScopeRefused",
    "area",
    "area_codes_of",
    "area_line",
    "area_of",
    "area_shapes",
    "area_tree",
    "areas",
    "areas_visible_to",
    "audit",
    "can",
    "create_token",
    "ensure_administrator",
    "ensure_demo_accounts",
    "grant_role",
    "import_territory",
    "invite_person",
    "is_synthetic",
    "permissions_of",
    "person_reach",
    "register_organisation",
    "request_info",
    "revoke_role",
    "revoke_token",
    "roles_of",
    "token_allows",
    "token_from",
    "token_reach",
]

Someone: TypeAlias = AbstractBaseUser | AnonymousUser | None


def areas(level: LevelName | Level | None = None, *, below: str | None = None) -> list[Area]:
    """Areas sorted by code.

    Parameters
    ----------
    level : {"metropolitan_area", "municipality", "commune", "neighbourhood"}, optional
        Only this level.
    below : str, optional
        Only this area and what lies below it.

    Returns
    -------
    list of Area
        Empty when nothing was imported, or `below` is unknown.
    """
    now = territory()
    found = now.all_below(below) if below is not None else list(now.by_code.values())
    return sorted((one for one in found if level is None or one.level == level), key=lambda one: one.code)


def area(code: str) -> Area | None:
    """The area with this code, or None."""
    return territory().by_code.get(code)


def is_synthetic() -> bool:
    """Whether a municipality of the territory is a demonstration one: every page then says so."""
    return any(one.synthetic for one in areas(Level.MUNICIPALITY))


def area_tree() -> tuple[AreaNode, ...]:
    """The whole territory as a tree: one node for each metropolitan area, children sorted by code."""
    return territory().roots


def area_line(code: str) -> tuple[Area, ...]:
    """The area and those above it, the metropolitan area last.

    Raises
    ------
    AreaUnknown     no area has this code
    """
    return territory().line_of(code)


def area_shapes(level: LevelName | Level | None = None, *, simplify_m: float = 0.0) -> list[AreaShape]:
    """Areas that have a shape, with it.

    Parameters
    ----------
    level : str, optional
        Only this level.
    simplify_m : float, m, >= 0
        Tolerance of Douglas-Peucker; shapes stay valid, but neighbours may part by as much.

    Returns
    -------
    list of AreaShape
        Sorted by level, then code; geometry as GeoJSON (RFC 7946), WGS84.
    """
    return shapes_of(str(level) if level else None, simplify_m)


def area_of(lon: float, lat: float) -> Area | None:
    """The most specific area at a point.

    Parameters
    ----------
    lon, lat : float
        WGS84 degrees.

    Returns
    -------
    Area or None
        A neighbourhood, else a commune, municipality or metropolitan area; on a border the lowest code; None
        outside all of them, and for NaN.
    """
    return territory().area_at(lon, lat) if np.isfinite(lon) and np.isfinite(lat) else None


def area_codes_of(lon_lat: ArrayLike, *, level: LevelName | Level | None = None) -> NDArray[np.object_]:
    """The area of each of many points: 100,000 in 0.2 s for one level, 0.45 s for all (real layers, one core).

    Parameters
    ----------
    lon_lat : (n, 2) float64
        Longitude, latitude, WGS84 degrees; NaN and infinity are allowed.
    level : str, optional
        The area of this level instead of the most specific one: `"commune"` labels things with their commune.

    Returns
    -------
    (n,) object
        Codes as str; None where no area lies, and where a coordinate is not finite.

    Raises
    ------
    ValueError      `lon_lat` has another shape
    """
    points = np.asarray(lon_lat, dtype=np.float64)
    if points.size == 0:
        return np.empty(0, dtype=object)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"lon_lat must be (n, 2), not {points.shape}")
    return territory().codes_at(points, str(level) if level else None)


def areas_visible_to(user: Someone, permission: Permission | str = Permission.CENTRE_VIEW) -> list[Area]:
    """Every area in which the person has the permission, sorted by code; empty for who is not signed in."""
    return _permissions.areas_where(_someone(user), permission)


def can(
    user: Someone,
    permission: Permission | str,
    area_code: str | None = None,
    *,
    organisation_id: int | None = None,
) -> bool:
    """Whether the person may do this there. The answer to anything not granted is False.

    Parameters
    ----------
    user : User, AnonymousUser or None
    permission : Permission
        For instance `"centre.operate"`; an unknown one is never granted.
    area_code : str, optional
        Where. Without a place the question is "anywhere at all?": right for showing a menu entry, wrong for
        guarding one thing. An unknown area is refused.
    organisation_id : int, optional
        Where, for what belongs to an organisation; a role in the organisation's area counts too.

    Returns
    -------
    bool

    Notes
    -----
    One query for the roles, one for the territory's stamp when a place is given.
    """
    return _permissions.can(_someone(user), permission, area_code, organisation_id)


def permissions_of(user: Someone) -> frozenset[Permission]:
    """Everything the person may do somewhere, in one query: for menus and tabs, never to guard a thing."""
    return _permissions.permissions_of(_someone(user))


def roles_of(user: Someone) -> tuple[RoleHeld, ...]:
    """Roles that are valid now; empty for who is not signed in or switched off."""
    return _permissions.roles_of(_someone(user))


def invite_person(
    email: str,
    *,
    full_name: str = "",
    language: str = "es",
    by: AbstractBaseUser | None,
    request_info: RequestInfo | None = None,
) -> Person:
    """Make an account without password and without role, and audit it.

    Raises
    ------
    TerritoryError      the address is not an e-mail address
    PersonExists        somebody has it already
    """
    return _people.invite_person(
        email, full_name=full_name, language=language, by=_user(by), request_info=request_info
    )


def grant_role(
    user_id: int,
    role: RoleName | str,
    *,
    area_code: str | None = None,
    organisation_id: int | None = None,
    by: AbstractBaseUser | None,
    valid_to: datetime | None = None,
    request_info: RequestInfo | None = None,
) -> RoleHeld:
    """Give a role in exactly one place; audited in the same transaction. Idempotent.

    Parameters
    ----------
    by : User or None
        Who grants; None is the platform itself (first start, command line), which is not asked for permission.
    valid_to : datetime, aware, optional
        When it ends by itself; another end than the one held replaces the role.

    Raises
    ------
    RoleMisplaced       not exactly one of area and organisation
    NotAllowed          `by` does not manage people there
    AreaUnknown         no such area
    TerritoryError      no such role, or it would end before it begins
    """
    return _people.grant_role(
        user_id,
        str(role),
        area_code=area_code,
        organisation_id=organisation_id,
        by=_user(by),
        valid_to=valid_to,
        request_info=request_info,
    )


def revoke_role(
    role_id: int, *, by: AbstractBaseUser | None, request_info: RequestInfo | None = None
) -> bool:
    """End a role now; audited in the same transaction. False when it had ended already.

    Raises
    ------
    NotAllowed              `by` does not manage people there
    LastAdministrator       nobody else administers the metropolitan area
    """
    return _people.revoke_role(role_id, by=_user(by), request_info=request_info)


def register_organisation(
    kind: OrganisationKind | str,
    name: str,
    *,
    nit: str = "",
    area_code: str | None = None,
    by: AbstractBaseUser | None,
    request_info: RequestInfo | None = None,
) -> Organisation:
    """The organisation of this kind and name, made when absent.

    Raises
    ------
    TerritoryError      the NIT is malformed or its check digit is wrong
    AreaUnknown         no such area
    """
    return _people.register_organisation(
        str(kind), name, nit=nit, area_code=area_code, by=_user(by), request_info=request_info
    )


def create_token(
    name: str,
    scopes: Collection[Scope | str],
    *,
    owner: AbstractBaseUser,
    area_code: str | None = None,
    organisation_id: int | None = None,
    expires_at: datetime | None = None,
    tenants: Iterable[str] = (),
    entity_types: Iterable[str] = (),
    request_info: RequestInfo | None = None,
) -> NewToken:
    """Make a token for an integration; audited. `NewToken.secret` is shown this once and kept nowhere.

    Parameters
    ----------
    tenants : str, at most 50
        NGSI-LD tenants that the token opens, `[A-Za-z0-9][A-Za-z0-9_.-]{0,99}`. None: the city itself, the
        default tenant; which a token that names tenants does not open. A tenant lies in no part of the territory, so
        naming one needs the permission to make tokens for the whole metropolitan area.
    entity_types : str, at most 50 of at most 512 characters
        Short names or IRIs, kept as given: what a short name stands for is the context's to say. None: all types.

    Raises
    ------
    RoleMisplaced           not exactly one of area and organisation
    NotAllowed              the owner may not make tokens there
    TokenScopeRefused       a scope is unknown, or more than the owner may do there
    TokenLimitRefused       a tenant or type is malformed, there are too many, or tenants are not the owner's to open
    TerritoryError          no name, or an expiry in the past
    """
    user = _user(owner)
    assert user is not None
    return _tokens.create_token(
        name,
        [str(scope) for scope in scopes],
        owner=user,
        area_code=area_code,
        organisation_id=organisation_id,
        expires_at=expires_at,
        tenants=tenants,
        entity_types=entity_types,
        request_info=request_info,
    )


def token_from(secret: str) -> TokenInfo | None:
    """The token that this secret opens; None when unknown, revoked, expired or its owner switched off.

    One query by the prefix, compared in constant time; at most one write a minute for the last use.
    """
    return _tokens.token_from(secret)


def token_allows(token: TokenInfo, scope: Scope | str, area_code: str | None = None) -> bool:
    """Whether the token may do this there: scope given, owner still allowed, area inside the token's own."""
    return _tokens.token_allows(token, str(scope), area_code)


def token_reach(token: TokenInfo) -> Reach:
    """What the token may do with entities of the context now, and where.

    Returns
    -------
    Reach
        `can_read`, `can_write`, `can_read_history`: the scope was given and the owner still has its permission in
        the token's area, as `token_allows` says for that area. `is_whole_territory`: the area is the metropolitan
        area itself. Else `polygons` is the area's shape, or those of the areas below one that has none; an area
        without any shape reaches nothing.

        A token of an organisation may nothing: by `rules` what is held in an organisation reaches that organisation
        and no area, and `token_allows` refuses it every area. Whatever is not allowed gives `Reach()`.

    Notes
    -----
    Three queries; shapes are read once for each version of the territory. Whether the token itself is still valid
    was `token_from`'s answer and is not asked again. Tenants and types are the token's own: `TokenInfo.enters`,
    `TokenInfo.entity_types`.
    """
    return _reach.reach_of_token(token)


def person_reach(user: Someone) -> Reach:
    """What the person may do with entities of the context now, and where; the city itself, no other tenant.

    Returns
    -------
    Reach
        The areas in which a role lets the person read entities (`context.read`). `can_write` (`context.write`) and
        `can_read_history` (`history.export`) only when they hold in all of them: who reads the metropolitan area and
        writes in one municipality may write by `can(user, "context.write", area)`, not by this. `Reach()` for
        who is not signed in, was switched off, or holds roles in organisations only.

    Notes
    -----
    Two queries; one for who may nothing.
    """
    return _reach.reach_of_person(_someone(user))


def revoke_token(token_id: int, *, by: AbstractBaseUser, request_info: RequestInfo | None = None) -> bool:
    """Revoke a token; audited. False when it was revoked already.

    Raises
    ------
    NotAllowed      `by` neither made it nor manages people in its place
    """
    user = _user(by)
    assert user is not None
    return _tokens.revoke_token(token_id, by=user, request_info=request_info)


def audit(
    actor: AbstractBaseUser | TokenInfo | int | None,
    verb: str,
    object_urn: str,
    *,
    area_code: str = "",
    details: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    request_info: RequestInfo | None = None,
) -> int:
    """Append to the audit log, in the caller's transaction: deed and line stand or fall together.

    Parameters
    ----------
    actor : User, TokenInfo, int (a person's id) or None (the platform itself)
    verb : str
        `thing.verb`, such as `gtfs.activate`; at most 80 characters.
    object_urn : str
        What it was done to; at most 300 characters.
    area_code : str
        Where it belongs: who may read the log there sees the line. Empty: the metropolitan area's readers only.
    details, before, after : mapping, JSON
        Values whose name contains a word like password, secret or token are masked.

    Returns
    -------
    int         the line's number
    """
    who = actor if isinstance(actor, TokenInfo | int) or actor is None else _user(actor)
    return _audit.record(
        who,
        verb,
        object_urn,
        area_code=area_code,
        details=details,
        before=before,
        after=after,
        request_info=request_info,
    )


def request_info(request: HttpRequest, *, channel: ChannelName = "web") -> RequestInfo:
    """From where a request came, for `audit`: the peer's address as the server saw it, and the user agent."""
    return RequestInfo(
        channel=channel,
        ip=request.META.get("REMOTE_ADDR") or None,
        user_agent=str(request.META.get("HTTP_USER_AGENT", ""))[:300],
    )


def import_territory(
    given: Path | Mapping[str, Any],
    *,
    keep_good: bool = False,
    mapping: ColumnMapping | None = None,
    swap: bool = False,
    source: str = "",
    by: AbstractBaseUser | None = None,
    request_info: RequestInfo | None = None,
) -> ImportReport:
    """Import areas from GeoJSON: all of the file or nothing, in one transaction, audited.

    Parameters
    ----------
    given : Path or mapping
        A file (UTF-8, at most 200 MB, 200,000 features, a million vertices each) or a FeatureCollection in memory.
    keep_good : bool
        Import what is right and only report the rest, instead of refusing the file.
    mapping : ColumnMapping, optional
        Which property holds what; without it the layout is recognised: our own (level, code, name, parent,
        population, synthetic), DANE's municipalities (MPIO_*), communes (COD_COMUNA), neighbourhoods (NOMBRE with
        CATEGORIA or TIPO).
    swap : bool
        Turn round coordinates that are evidently latitude, longitude.
    source : str
        Kept with each area that changes; the file's name by default.
    by : User, optional
        Who imports, who needs `territory.import` for the whole metropolitan area; None is the platform itself.

    Returns
    -------
    ImportReport
        Each feature is counted once in created, updated, unchanged or refused. Importing a file twice changes
        nothing. `repaired` and `warnings` say what was mended, proposed or is missing.

    Raises
    ------
    FileRefused         the file as a whole is not usable
    ImportRefused       features were refused and `keep_good` is not set; nothing was written; `.report` has them all
    NotAllowed          `by` may not

    References
    ----------
    RFC 7946 (The GeoJSON Format); DANE, DIVIPOLA.
    """
    return _importing.import_territory(
        given,
        keep_good=keep_good,
        mapping=mapping,
        swap=swap,
        source=source,
        by=_user(by),
        request_info=request_info,
    )


def ensure_administrator(email: str, *, password: str) -> Person:
    """Give the platform an administrator from the command line: account and role made when absent, password set.

    Whoever may run commands on the machine owns its database: nobody is asked, but it is audited.

    Raises
    ------
    TerritoryError      the address is not an e-mail address, or the password is too weak (Django's validators)
    """
    return _people.ensure_administrator(email, password=password)


def ensure_demo_accounts(folder: Path) -> Sequence[DemoAccount]:
    """Accounts to try the platform with, one for each role worth seeing.

    Parameters
    ----------
    folder : Path
        The data directory: random passwords are made once and kept there in `demo-accounts.json`, mode 600.

    Returns
    -------
    sequence of DemoAccount
        The same at every start; one whose person changed the password is left out.

    Notes
    -----
    Makes the metropolitan area when there is no territory yet. Import the territory first, so that the
    municipal account gets its municipality.
    """
    return _demo.ensure_demo_accounts(folder)


def _user(someone: AbstractBaseUser | None) -> models.User | None:
    if someone is None:
        return None
    if not isinstance(someone, models.User) or someone.pk is None:
        raise NotAllowed("Nobody is signed in.")
    return someone


def _someone(someone: Someone) -> models.User | None:
    """`request.user` is a lazy wrapper that `isinstance` sees through; anybody unknown is nobody."""
    return someone if isinstance(someone, models.User) and someone.pk is not None else None
