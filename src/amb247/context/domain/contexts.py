"""The @contexts that clients use: hosted here, read from elsewhere and kept, or made from what they send inline."""

from __future__ import annotations

from typing import Any

from amb247.context.jsonld.context import CORE, Context
from amb247.context.jsonld.resolve import resolve
from amb247.context.ngsi_errors import LdContextNotAvailable

Json = Any


def context_of(value: Json | None) -> Context:
    """The context that a request carries, in its body or its Link header; the core where it carries none."""
    return CORE if value is None else resolve(value, fetch=_refuse)


def _refuse(url: str) -> Json:
    raise LdContextNotAvailable(f"the @context {url} cannot be read yet")
