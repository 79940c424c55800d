"""How django-allauth behaves here: closed sign-up, everything audited, the person's language kept.

Allauth's hooks are overridden rather than its signals received, so that what happens reads in order (STYLE 2).
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from amb247.territory import api, models
from amb247.territory.domain.people import person_urn


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth carries no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002  # allauth's signature
        """Nobody signs up: an administrator invites (also for OIDC, whose adapter asks here)."""
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            _audit_failure(request, "account.login_limited", credentials)
            raise

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        super().authentication_failed(request, **credentials)
        _audit_failure(request, "account.login_failed", credentials)

    def login(self, request: HttpRequest, user: models.User) -> None:
        super().login(request, user)
        api.audit(user, "account.login", person_urn(user.pk), request_info=api.request_info(request))

    def logout(self, request: HttpRequest) -> None:
        user = request.user
        super().logout(request)
        if isinstance(user, models.User):
            api.audit(user.pk, "account.logout", person_urn(user.pk), request_info=api.request_info(request))

    def set_password(self, user: models.User, password: str) -> None:
        super().set_password(user, password)
        where = api.request_info(self.request) if self.request else None
        api.audit(user.pk, "account.set_password", person_urn(user.pk), request_info=where)

    def send_notification_mail(
        self, template_prefix: str, user: models.User, *args: Any, **kwargs: Any
    ) -> None:
        """Allauth calls this for each change of a second factor or an address, whether or not mail is sent."""
        what = template_prefix.rsplit("/", 1)[-1]
        where = api.request_info(self.request) if self.request else None
        api.audit(user.pk, f"account.{what}", person_urn(user.pk), request_info=where)
        super().send_notification_mail(template_prefix, user, *args, **kwargs)

    def post_login(self, request: HttpRequest, user: models.User, **kwargs: Any) -> HttpResponse:
        """The language chosen in this browser becomes the person's; without one, the person's becomes the browser's."""
        response: HttpResponse = super().post_login(request, user, **kwargs)
        chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME)
        if chosen is None:
            response.set_cookie(
                settings.LANGUAGE_COOKIE_NAME,
                user.language,
                max_age=365 * 24 * 3600,
                samesite="Lax",
                secure=settings.SESSION_COOKIE_SECURE,
            )
        elif known_language(chosen) == chosen != user.language:
            user.language = chosen
            user.save(update_fields=["language"])
        return response


def known_language(code: str | None) -> str:
    return code if code in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def masked(email: str) -> str:
    """`m•••@bucaramanga.gov.co`: enough to recognise a colleague, not what somebody typed into the wrong field."""
    name, at, domain = email.strip()[:254].rpartition("@")
    return f"{name[:1]}•••@{domain}" if at else "•••"


def _audit_failure(request: HttpRequest, verb: str, credentials: dict[str, Any]) -> None:
    email = str(credentials.get("email") or "")
    user = models.User.objects.filter(email=email.lower()).first() if email and "\0" not in email else None
    api.audit(
        None,
        verb,
        person_urn(user.pk) if user else "",
        details={"email": masked(email)},
        request_info=api.request_info(request),
    )
