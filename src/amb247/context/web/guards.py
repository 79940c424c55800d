"""Who reads the explorer, and what of the city they see: the same reach as through the programming interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from amb247.context.domain.reach import restriction_of
from amb247.context.querying.query import Restriction
from amb247.territory import api as territory

View = Callable[..., HttpResponse]
Permission = territory.Permission


@dataclass(frozen=True, slots=True)
class Reader:
    """A signed-in person who reads entities. `restriction` None is the whole city."""

    user: Any
    restriction: Restriction | None
    may_read_history: bool
    may_see_delivery: bool
    may_manage: bool


def reader_of(request: HttpRequest) -> Reader:
    """
    Raises
    ------
    PermissionDenied
        The person reads entities nowhere.
    """
    reach = territory.person_reach(request.user)
    if not reach.can_read:
        raise PermissionDenied
    is_whole = reach.is_whole_territory
    return Reader(
        user=request.user,
        restriction=restriction_of(reach),
        may_read_history=reach.can_read_history,
        may_see_delivery=is_whole and holds_everywhere(request.user, Permission.FEEDS_VIEW),
        may_manage=is_whole and holds_everywhere(request.user, Permission.FEEDS_MANAGE),
    )


def holds_everywhere(user: Any, permission: Permission) -> bool:
    """Subscriptions, contexts and registrations belong to no area: only a role in the whole territory reaches them."""
    roots = territory.areas(territory.Level.METROPOLITAN_AREA)
    return any(territory.can(user, permission, root.code) for root in roots)


def explorer_view(view: Callable[..., HttpResponse]) -> View:
    """Only for people who read entities somewhere; the view is told what they may see."""

    @wraps(view)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
        response = view(request, reader_of(request), **arguments)
        # What is shown depends on the person.
        response.headers.setdefault("Cache-Control", "no-store, private")
        return response

    return guarded


def delivery_view(view: Callable[..., HttpResponse]) -> View:
    """Only for people who see all feeds: what goes out to whom is nothing of one area."""

    @wraps(view)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
        reader = reader_of(request)
        if not reader.may_see_delivery:
            raise PermissionDenied
        response = view(request, reader, **arguments)
        response.headers.setdefault("Cache-Control", "no-store, private")
        return response

    return guarded
