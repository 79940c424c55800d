"""Who is behind a request on the asynchronous side: the session's person, or a token's."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.db import close_old_connections
from django.utils.crypto import constant_time_compare
from starlette.requests import Request

from amb247.centre.access import Visible, visible_areas


async def visible_in_centre(request: Request) -> tuple[bool, Visible]:
    """Whether the request may watch the control centre, and which areas it shows (None is all)."""
    cookie = request.headers.get("cookie", "")
    return await sync_to_async(_visible, thread_sensitive=False)(cookie)


def _visible(cookie: str) -> tuple[bool, Visible]:
    close_old_connections()
    try:
        user = person_of_cookie(cookie)
        if user is None:
            return False, frozenset()
        return visible_areas(user)
    finally:
        close_old_connections()


def person_of_cookie(header: str) -> Any:
    """The signed-in person of a Cookie header, checked as Django's own middleware does."""
    morsel = SimpleCookie(header).get(settings.SESSION_COOKIE_NAME)
    if morsel is None:
        return None
    session = SessionStore(morsel.value)
    if session.get(BACKEND_SESSION_KEY) is None or session.get(SESSION_KEY) is None:
        return None
    user = get_user_model().objects.filter(pk=session[SESSION_KEY], is_active=True).first()
    if user is None or not constant_time_compare(
        session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()
    ):
        return None
    return user
