"""Tokens of integrations: made, recognised, revoked."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from amb247.territory import models, rules
from amb247.territory.data import AreaCode, NewToken, RequestInfo, TokenInfo, TokenLine
from amb247.territory.domain import audit, people, permissions
from amb247.territory.domain.areas import territory
from amb247.territory.enums import Permission
from amb247.territory.errors import (
    NotAllowed,
    RoleMisplaced,
    TerritoryError,
    TokenLimitRefused,
    TokenScopeRefused,
)
from amb247.territory.models.token import LONGEST_TENANT, LONGEST_TYPE, MOST_NAMES

MARK = "amb"
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # as in `context.domain.tenants`
REFUSED_IN_TYPES = re.compile(r"""[\s"'\\]""")
USE_RESOLUTION = timedelta(minutes=1)  # the last use is no log: one write a minute is enough


def token_urn(token_id: int) -> str:
    return f"urn:ngsi-ld:ApiToken:{token_id}"


@transaction.atomic
def create_token(
    name: str,
    scopes: Collection[str],
    *,
    owner: models.User,
    area_code: str | None,
    organisation_id: int | None,
    expires_at: datetime | None,
    tenants: Iterable[str],
    entity_types: Iterable[str],
    request_info: RequestInfo | None,
) -> NewToken:
    """A token that may do no more than its owner may in that place."""
    if (area_code is None) == (organisation_id is None):
        raise RoleMisplaced(_("Una ficha vale en un área o en una organización, no en ambas ni en ninguna."))
    if not name.strip():
        raise TerritoryError(_("Dé un nombre a la ficha: diga qué programa la usará."))
    if expires_at is not None and expires_at <= timezone.now():
        raise TerritoryError(_("La ficha ya estaría vencida: elija una fecha futura."))
    if not permissions.can(owner, Permission.TOKENS_MANAGE, area_code, organisation_id):
        raise NotAllowed(_("No puede crear fichas en este lugar."))
    _refuse_scopes(owner, scopes, area_code, organisation_id)
    kept_tenants, kept_types = tenant_names(tenants), type_names(entity_types)
    if kept_tenants and not _reaches_tenants(owner):
        raise TokenLimitRefused(
            _("Solo quien puede crear fichas para toda el área metropolitana abre otros inquilinos.")
        )
    prefix, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
    token = models.ApiToken.objects.create(
        name=name.strip()[:120],
        prefix=prefix,
        digest=_digest(secret),
        scopes=sorted(set(scopes)),
        owner=owner,
        area=people.area_of_code(area_code) if area_code else None,
        organisation_id=organisation_id,
        expires_at=expires_at,
        tenants=kept_tenants,
        entity_types=kept_types,
    )
    audit.record(
        owner,
        "token.create",
        token_urn(token.pk),
        area_code=area_code or "",
        after={"name": token.name, "prefix": prefix, "scopes": token.scopes, **_limits(token)},
        request_info=request_info,
    )
    return NewToken(info=as_info(token), secret=f"{MARK}_{prefix}_{secret}")


def _refuse_scopes(
    owner: models.User, scopes: Collection[str], area_code: str | None, organisation_id: int | None
) -> None:
    if not scopes:
        raise TokenScopeRefused(_("Elija al menos un permiso para la ficha."))
    for scope in scopes:
        permission = rules.SCOPE_PERMISSION.get(scope)
        if permission is None:
            raise TokenScopeRefused(_("No existe el permiso «%(scope)s».") % {"scope": scope})
        if not permissions.can(owner, permission, area_code, organisation_id):
            raise TokenScopeRefused(
                _("Usted no tiene el permiso «%(scope)s» en este lugar, y la ficha no puede más que usted.")
                % {"scope": scope}
            )


def _reaches_tenants(owner: models.User) -> bool:
    """A tenant lies in no part of the territory: only who may make tokens for all of it opens one."""
    codes = {str(area.code) for area in permissions.areas_where(owner, Permission.TOKENS_MANAGE)}
    return any(root.area.code in codes for root in territory().roots)


def tenant_names(given: Iterable[str]) -> list[str]:
    """The names sorted, each once; refused when one cannot be a tenant's name or there are too many."""
    names = sorted(set(given))
    for name in names:
        if len(name) > LONGEST_TENANT or not TENANT.fullmatch(name):
            raise TokenLimitRefused(
                _(
                    "«%(name)s» no es un nombre de inquilino: hasta %(longest)s letras de la A a la Z, cifras, "
                    "puntos, guiones y guiones bajos; comience por letra o cifra."
                )
                % {"name": _shown(name), "longest": LONGEST_TENANT}
            )
    _refuse_many(names)
    return names


def type_names(given: Iterable[str]) -> list[str]:
    """The types sorted, each once; refused when one cannot be a name or an IRI or there are too many."""
    names = sorted(set(given))
    for name in names:
        if not 0 < len(name) <= LONGEST_TYPE or REFUSED_IN_TYPES.search(name) or not name.isprintable():
            raise TokenLimitRefused(
                _(
                    "«%(name)s» no es un tipo de entidad: hasta %(longest)s caracteres, sin espacios, comillas ni "
                    "barras invertidas."
                )
                % {"name": _shown(name), "longest": LONGEST_TYPE}
            )
    _refuse_many(names)
    return names


def _refuse_many(names: Collection[str]) -> None:
    if len(names) > MOST_NAMES:
        raise TokenLimitRefused(
            _("Como máximo %(most)s; hay %(count)s.") % {"most": MOST_NAMES, "count": len(names)}
        )


def _shown(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:40]}…"


def token_from(secret: str) -> TokenInfo | None:
    """The token, if it is known, neither revoked nor expired, and its owner still active. Never raises."""
    mark, _first, rest = secret.strip().partition("_")
    prefix, _second, key = rest.partition("_")
    if mark != MARK or not prefix or not key or len(secret) > 200 or "\0" in secret:
        return None
    now = timezone.now()
    token = (
        models.ApiToken.objects.select_related("area", "owner")
        .filter(prefix=prefix, revoked_at__isnull=True, owner__is_active=True)
        .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))
        .first()
    )
    if token is None or not hmac.compare_digest(token.digest, _digest(key)):
        return None
    if token.last_used_at is None or now - token.last_used_at > USE_RESOLUTION:
        models.ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return as_info(token)


def token_allows(token: TokenInfo, scope: str, area_code: str | None) -> bool:
    """The scope was given, its owner still has the permission, and the area lies in the token's."""
    permission = rules.SCOPE_PERMISSION.get(scope)
    if permission is None or scope not in token.scopes:
        return False
    owner = models.User.objects.filter(pk=token.owner_id).first()
    if not permissions.can(owner, permission, token.area_code, token.organisation_id):
        return False
    if area_code is None:
        return True
    now = territory()
    if token.area_code is None or area_code not in now.by_code:
        return False
    return any(area.code == token.area_code for area in now.line_of(area_code))


@transaction.atomic
def revoke_token(token_id: int, *, by: models.User, request_info: RequestInfo | None) -> bool:
    """By its owner, or whoever manages people in its place. False when it was revoked already."""
    token = models.ApiToken.objects.select_for_update(of=("self",)).select_related("area").get(pk=token_id)
    if not may_revoke(by, token):
        raise NotAllowed(_("Solo quien creó la ficha o quien administra el lugar puede revocarla."))
    if token.revoked_at is not None:
        return False
    token.revoked_at, token.revoked_by = timezone.now(), by
    token.save(update_fields=["revoked_at", "revoked_by"])
    audit.record(
        by,
        "token.revoke",
        token_urn(token.pk),
        area_code=token.area.code if token.area else "",
        details={"name": token.name, "prefix": token.prefix, **_limits(token)},
        request_info=request_info,
    )
    return True


def may_revoke(by: models.User, token: models.ApiToken) -> bool:
    if token.owner_id == by.pk and permissions.is_known(by):
        return True
    code = token.area.code if token.area else None
    return permissions.can(by, Permission.PEOPLE_MANAGE, code, token.organisation_id)


def tokens_for(user: models.User) -> list[TokenLine]:
    """The user's own, and those of the places where the user manages people; newest first."""
    reach = people.reach_of(user)
    found = models.ApiToken.objects.select_related("area", "owner")
    if not reach.is_all:
        found = found.filter(
            Q(owner=user) | Q(area__code__in=reach.areas) | Q(organisation__in=reach.organisations)
        )
    return [
        TokenLine(as_info(token), token.owner.email, token.created_at, token.last_used_at, token.revoked_at)
        for token in found
    ]


def token_for(user: models.User, token_id: int) -> TokenLine | None:
    return next((line for line in tokens_for(user) if line.info.id == token_id), None)


def as_info(token: models.ApiToken) -> TokenInfo:
    return TokenInfo(
        id=token.pk,
        name=token.name,
        prefix=token.prefix,
        scopes=frozenset(token.scopes),
        owner_id=token.owner_id,
        area_code=AreaCode(token.area.code) if token.area else None,
        organisation_id=token.organisation_id,
        expires_at=token.expires_at,
        tenants=frozenset(token.tenants),
        entity_types=frozenset(token.entity_types),
    )


def _limits(token: models.ApiToken) -> dict[str, list[str]]:
    return {"tenants": token.tenants, "entity_types": token.entity_types}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
