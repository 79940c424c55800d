"""Requests of the interface as people copy them: an address, and a `curl` with a placeholder for the token."""

from __future__ import annotations

import shlex

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _


def base_url(request: HttpRequest) -> str:
    """Where programs reach this platform, without a slash at the end."""
    return settings.PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")


def curl(address: str, *, accept: str = "application/json", link: str = "", method: str = "GET") -> str:
    """A command that a shell takes as it is.

    Parameters
    ----------
    link : str
        URL of the @context in which the names of the request are written.
    """
    placeholder = _("SU_FICHA")
    parts = [f"curl -sS {shlex.quote(address)}"]
    if method != "GET":
        parts[0] = f"curl -sS -X {method} {shlex.quote(address)}"
    parts.append(f"-H {shlex.quote('Authorization: Bearer ' + placeholder)}")
    if accept != "application/json":
        parts.append(f"-H {shlex.quote('Accept: ' + accept)}")
    if link:
        header = f'Link: <{link}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
        parts.append(f"-H {shlex.quote(header)}")
    return " \\\n  ".join(parts)
