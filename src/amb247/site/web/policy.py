"""The content security policy: nothing inline, nothing from elsewhere, except the city's own basemap and sign-in."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Handler = Callable[[HttpRequest], HttpResponse]


def content_policy() -> str:
    elsewhere = _origin(settings.BASEMAP_STYLE_URL)
    sources = {
        "default-src": "'self'",
        "script-src": "'self'",
        "style-src": "'self'",
        "worker-src": "'self'",
        "img-src": f"'self' data: blob: {elsewhere}".strip(),
        "connect-src": f"'self' {elsewhere}".strip(),
        "font-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'none'",
        # Browsers hold the redirect after a form to this too: the sign-in form ends at the OIDC provider.
        "form-action": f"'self' {_origin(settings.OIDC_URL)}".strip(),
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in sources.items())


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


class ContentPolicyMiddleware:
    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        self.policy = content_policy()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=(self)")
        return response
