"""What the NGSI-LD interface answers when it cannot do what was asked.

References
----------
ETSI GS CIM 009 v1.8.1, 5.5.2 (error types) and 6.3.2 (their HTTP status); RFC 9457 (problem details).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from amb247.context.errors import ContextError

TYPES = "https://uri.etsi.org/ngsi-ld/errors/"


class NgsiError(ContextError):
    """A problem that the client is told.

    Parameters
    ----------
    detail : str
        What is wrong and what to do, naming the field.
    extra : mapping
        Further members of the problem document.
    """

    kind: ClassVar[str] = "InternalError"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    headers: Mapping[str, str] = {}  # of the answer

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra

    def document(self) -> dict[str, Any]:
        return {
            "type": TYPES + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


class InvalidRequest(NgsiError):
    """The request is syntactically wrong: no JSON, a wrong media type's content, an unknown parameter value."""

    kind, status, title = "InvalidRequest", 400, "Invalid request"


class BadRequestData(NgsiError):
    """The request has content that does not meet the requirements of the operation."""

    kind, status, title = "BadRequestData", 400, "Bad request data"


class AlreadyExists(NgsiError):
    kind, status, title = "AlreadyExists", 409, "Already exists"


class Conflict(NgsiError):
    """The operation contradicts a context source registration."""

    kind, status, title = "Conflict", 409, "Conflict"


class OperationNotSupported(NgsiError):
    kind, status, title = "OperationNotSupported", 422, "Operation not supported"


class ResourceNotFound(NgsiError):
    kind, status, title = "ResourceNotFound", 404, "Resource not found"


class NonexistentTenant(NgsiError):
    kind, status, title = "NonexistentTenant", 404, "Tenant does not exist"


class TooComplexQuery(NgsiError):
    kind, status, title = "TooComplexQuery", 403, "Query too complex"


class TooManyResults(NgsiError):
    kind, status, title = "TooManyResults", 403, "Too many results"


class LdContextNotAvailable(NgsiError):
    """A remote @context cannot be read; nothing of it is kept, so that the next request tries again."""

    kind, status, title = "LdContextNotAvailable", 504, "Remote JSON-LD context not available"


class NoMultiTenantSupport(NgsiError):
    kind, status, title = "NoMultiTenantSupport", 501, "No multi-tenant support"


class NotAcceptable(NgsiError):
    kind, status, title = "NotAcceptable", 406, "Not acceptable"


class UnsupportedMediaType(NgsiError):
    kind, status, title = "UnsupportedMediaType", 415, "Unsupported media type"


class Unauthorized(NgsiError):
    kind, status, title = "Unauthorized", 401, "Unauthorized"


class Forbidden(NgsiError):
    kind, status, title = "Forbidden", 403, "Forbidden"
