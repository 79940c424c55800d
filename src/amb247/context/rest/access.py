"""Who asks, and what of the city they may see and change.

A program sends `Authorization: Bearer TOKEN`; a person's browser its session cookie, which only reads. `AMB_NGSI_OPEN=1` lets
programs on this machine in without a token, for trials and conformance suites.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import shapely
from starlette.requests import Request

from amb247.context.domain.places import box_of
from amb247.context.domain.reach import restriction_of
from amb247.context.domain.writing import Attribute, as_list
from amb247.context.ngsi_errors import Forbidden, Unauthorized
from amb247.context.querying.query import Restriction
from amb247.territory import api as territory

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
REMEMBERED_S = 2.0  # a revoked token works at most so long
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="ngsi-ld"'}

# Finds the signed-in person of a Cookie header; the site knows how.
PersonOfCookie = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Access:
    """What the one who asks may do. `restriction` None is the whole city; `tenants` None is every tenant."""

    name: str
    may_read: bool
    may_write: bool
    may_read_history: bool
    restriction: Restriction | None = None
    tenants: frozenset[str] | None = None

    def guard(self, types: Sequence[str], attributes: Mapping[str, Attribute]) -> bool:
        """Whether an entity of these types, at its location, is within reach."""
        return self.restriction is None or permits(self.restriction, types, attributes)


EVERYTHING = Access("open", may_read=True, may_write=True, may_read_history=True)


def permits(restriction: Restriction, types: Sequence[str], attributes: Mapping[str, Attribute]) -> bool:
    """Whether the restriction shows such an entity: one of its types, and the middle of its location's box."""
    if restriction.types is not None and restriction.types.isdisjoint(types):
        return False
    if restriction.areas is None:
        return True
    for one in as_list(attributes.get("location")):
        if one.get("type") == "GeoProperty" and "datasetId" not in one:
            west, south, east, north = box_of(one["value"])
            x, y = (west + east) / 2, (south + north) / 2
            return any(bool(shapely.intersects_xy(area, x, y)) for area in restriction.areas)
    return False


class Gate:
    """Answers who asks; what it found is kept for two seconds, so that a stream of requests costs one look."""

    def __init__(self, person_of_cookie: PersonOfCookie | None = None) -> None:
        self.person_of_cookie = person_of_cookie
        self._known: dict[str, tuple[float, Access | None]] = {}

    def quick(self, request: Request) -> Access | None:
        """What is known without a look into the database; None when one is needed."""
        key = _key(request)
        if key is None:
            return EVERYTHING if is_open(request) else _refuse()
        known = self._known.get(key)
        if known is None or known[0] < time.monotonic():
            return None
        return known[1] or _without(key, request)

    def look(self, request: Request) -> Access:
        """Who asks, by the database; runs on a reading thread."""
        key = _key(request)
        if key is None:
            return EVERYTHING if is_open(request) else _refuse()
        kind, _, secret = key.partition(" ")
        found = _of_token(secret) if kind == "bearer" else self._of_person(secret)
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[key] = (time.monotonic() + REMEMBERED_S, found)
        return found or _without(key, request)

    def _of_person(self, cookie: str) -> Access | None:
        user = self.person_of_cookie(cookie) if self.person_of_cookie is not None else None
        if user is None:
            return None
        reach = territory.person_reach(user)
        if not reach.can_read:
            return None
        return Access(
            name=f"person:{user.pk}",
            may_read=True,
            may_write=False,
            may_read_history=reach.can_read_history,
            restriction=restriction_of(reach),
            tenants=frozenset({""}),
        )


def is_open(request: Request) -> bool:
    """Whether this machine's programs need no token, and this is one of them."""
    return (
        os.environ.get("AMB_NGSI_OPEN") == "1"
        and request.client is not None
        and request.client.host in LOOPBACK
        and "x-forwarded-for" not in request.headers  # a proxy on this machine speaks for others
    )


def _key(request: Request) -> str | None:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip() or len(secret) > 300:
            raise Unauthorized("Authorization: send 'Bearer' and a token of this platform.")
        return f"bearer {secret.strip()}"
    cookie = request.headers.get("cookie")
    return f"cookie {cookie}" if cookie else None


def _without(key: str, request: Request) -> Access:
    """What remains to those whose token or cookie says nothing: any page of the platform may have set a cookie."""
    return EVERYTHING if key.startswith("cookie ") and is_open(request) else _refuse()


def _refuse() -> Access:
    raise Unauthorized("Send a token of this platform: 'Authorization: Bearer …'.")


def _of_token(secret: str) -> Access | None:
    token = territory.token_from(secret)
    if token is None:
        return None
    reach = territory.token_reach(token)
    return Access(
        name=f"token:{token.prefix}",
        may_read=reach.can_read,
        may_write=reach.can_write,
        may_read_history=reach.can_read_history,
        restriction=restriction_of(reach, token.entity_types),
        tenants=token.tenants or frozenset({""}),
    )


def require(access: Access, *, tenant: str, write: bool = False, history: bool = False) -> None:
    """Refuse what the one who asks may not do.

    Raises
    ------
    Forbidden
    """
    if access.tenants is not None and tenant not in access.tenants:
        raise Forbidden("This token does not reach that tenant.")
    if write and not access.may_write:
        raise Forbidden("This access only reads; use a token with the permission context:write.")
    if history and not write and not access.may_read_history:
        raise Forbidden("This token does not read history; use one with the permission history:read.")
    if not write and not history and not access.may_read:
        raise Forbidden("This token does not read entities; use one with the permission context:read.")
