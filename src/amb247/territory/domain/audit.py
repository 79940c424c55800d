"""Writing and reading the audit log."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Q, QuerySet

from amb247.territory import models
from amb247.territory.data import AuditFilter, AuditLine, RequestInfo, TokenInfo
from amb247.territory.domain import permissions
from amb247.territory.domain.areas import territory
from amb247.territory.enums import Permission

SECRET_WORDS = ("password", "secret", "token", "contraseña", "clave")
MASK = "•••"
LONGEST = 2_000
NOWHERE = RequestInfo(channel="job")


def record(
    actor: models.User | TokenInfo | int | None,
    verb: str,
    object_urn: str,
    *,
    area_code: str = "",
    details: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    request_info: RequestInfo | None = None,
) -> int:
    """Append one line in the transaction of the caller; what it describes and the line stand or fall together."""
    where = request_info or NOWHERE
    entry = models.AuditEntry.objects.create(
        actor_id=_person_id(actor),
        token_id=actor.id if isinstance(actor, TokenInfo) else None,
        verb=_text(verb)[:80],
        object_urn=_text(object_urn)[:300],
        area_code=area_code,
        channel=where.channel,
        ip=where.ip,
        user_agent=_text(where.user_agent)[:300],
        details=without_secrets(details or {}),
        before=None if before is None else without_secrets(before),
        after=None if after is None else without_secrets(after),
    )
    return entry.pk


def without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values as plain JSON, those whose name says that they are secret masked, at any depth."""
    return {_text(name): MASK if _is_secret(str(name)) else _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """JSON that PostgreSQL takes: no NUL, no NaN, no endless text; an object it does not know as its words."""
    if isinstance(value, Mapping):
        return without_secrets(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _text(value)


def _text(value: Any) -> str:
    return str(value).replace("\0", "")[:LONGEST]


def _is_secret(name: str) -> bool:
    low = name.lower()
    return any(word in low for word in SECRET_WORDS)


def _person_id(actor: models.User | TokenInfo | int | None) -> int | None:
    if isinstance(actor, TokenInfo):
        return actor.owner_id
    if isinstance(actor, int) or actor is None:
        return actor
    return actor.pk


def lines_for(
    user: models.User, wanted: AuditFilter, *, before_id: int | None, limit: int
) -> list[AuditLine]:
    """Newest first; pages go by id, so that lines written meanwhile shift nothing."""
    found = _visible(user, wanted)
    if before_id is not None:
        found = found.filter(pk__lt=before_id)
    return [_line(entry) for entry in found[:limit]]


def all_lines_for(user: models.User, wanted: AuditFilter, *, limit: int) -> Iterator[AuditLine]:
    """For an export: read in pieces, never all in memory."""
    for entry in _visible(user, wanted)[:limit].iterator(chunk_size=1000):
        yield _line(entry)


def _visible(user: models.User, wanted: AuditFilter) -> QuerySet[models.AuditEntry]:
    """Lines of the areas where the person may read the log; those of no area only for the whole metropolitan area."""
    codes = {str(area.code) for area in permissions.areas_where(user, Permission.AUDIT_VIEW)}
    found = models.AuditEntry.objects.select_related("actor").order_by("-id")
    if not any(root.area.code in codes for root in territory().roots):
        found = found.filter(area_code__in=codes)
    if wanted.verb:
        found = found.filter(verb__startswith=wanted.verb)
    if wanted.actor:
        found = found.filter(
            Q(actor__email__icontains=wanted.actor) | Q(actor__full_name__icontains=wanted.actor)
        )
    if wanted.object_urn:
        found = found.filter(object_urn__icontains=wanted.object_urn)
    if wanted.start:
        found = found.filter(at__gte=wanted.start)
    if wanted.end:
        found = found.filter(at__lt=wanted.end)
    return found


def _line(entry: models.AuditEntry) -> AuditLine:
    return AuditLine(
        id=entry.pk,
        at=entry.at,
        actor=entry.actor.email if entry.actor else "",
        verb=entry.verb,
        object_urn=entry.object_urn,
        area_code=entry.area_code,
        channel=entry.channel,
        ip=entry.ip,
        user_agent=entry.user_agent,
        details=entry.details,
        before=entry.before,
        after=entry.after,
    )
