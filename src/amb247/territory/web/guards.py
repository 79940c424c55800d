"""What every view of this room begins with."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from amb247.territory import api, models
from amb247.territory.enums import Permission

View = Callable[..., Any]


def needs(permission: Permission) -> Callable[[View], View]:
    """403 for somebody signed in who has the permission nowhere. Views then ask for the place themselves."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not api.can(request.user, permission):
                raise PermissionDenied
            response: HttpResponse = view(request, *args, **kwargs)
            # These pages name people and hold secrets that are shown once.
            response.headers.setdefault("Cache-Control", "no-store, private")
            return response

        return guarded

    return guard


def signed_in(request: HttpRequest) -> models.User:
    """The person, for pages that the login middleware and `needs` let nobody else reach."""
    if not isinstance(request.user, models.User):
        raise PermissionDenied
    return request.user


def reach(request: HttpRequest) -> dict[str, bool]:
    """Which tabs of this room to offer; the pages behind them ask again."""
    held = api.permissions_of(request.user)
    return {
        "people": Permission.PEOPLE_MANAGE in held,
        "tokens": Permission.TOKENS_MANAGE in held,
        "audit": Permission.AUDIT_VIEW in held,
    }
