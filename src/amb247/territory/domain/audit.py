"""Writing and reading the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amb247.territory import models
from amb247.territory.data import RequestInfo, TokenInfo

SECRET_WORDS = ("password", "secret", "token", "contraseña", "clave")
MASK = "•••"
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
        verb=verb[:80],
        object_urn=object_urn[:300],
        area_code=area_code,
        channel=where.channel,
        ip=where.ip,
        user_agent=where.user_agent[:300],
        details=without_secrets(details or {}),
        before=None if before is None else without_secrets(before),
        after=None if after is None else without_secrets(after),
    )
    return entry.pk


def without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, those whose name says that they are secret masked, at any depth."""
    return {
        str(name): MASK
        if _is_secret(str(name))
        else without_secrets(value)
        if isinstance(value, Mapping)
        else value
        for name, value in values.items()
    }


def _is_secret(name: str) -> bool:
    low = name.lower()
    return any(word in low for word in SECRET_WORDS)


def _person_id(actor: models.User | TokenInfo | int | None) -> int | None:
    if isinstance(actor, TokenInfo):
        return actor.owner_id
    if isinstance(actor, int) or actor is None:
        return actor
    return actor.pk
