"""The NGSI-LD interface as one application, mounted by the site at /ngsi-ld."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import unquote

import orjson
from django.db import DatabaseError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from amb247.context.domain import tenants
from amb247.context.domain.queries.find import get_many
from amb247.context.errors import ConcurrentChange
from amb247.context.ngsi_errors import NgsiError, ResourceNotFound, TooComplexQuery, Unauthorized
from amb247.context.rest import (
    batch,
    contexts,
    discovery,
    entities,
    entity_maps,
    openapi,
    queries,
    registrations,
    subscriptions,
    temporal,
)
from amb247.context.rest.access import CHALLENGE, Gate, PersonOfCookie
from amb247.context.rest.sources import Sources
from amb247.context.rest.threads import Committers, Lookups, Readers

log = logging.getLogger("amb247.ngsi")
PROBLEM = "application/json"  # not RFC 9457's own, "so that old clients are not broken": 5.5.3, 6.3.3
SILENT = frozenset({411, 415})  # without a body: 6.3.4
READ_TYPES = {"Accept": "application/json, application/ld+json"}  # RFC 9110, 12.5.1
Handler = Callable[[Request], Awaitable[Response]]
PREFIX = "/v1"


class State:
    """What handlers find at `request.app.state`."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.readers = Readers()
        self.committers = Committers()
        self.lookups = Lookups(self.readers, get_many)
        self.fetchers = Readers()
        self.beat = registrations.Beat()
        self.sources = Sources(self.beat)


class NgsiApp:
    """Routes by the raw path, so that an id may hold an encoded slash; answers every problem as the standard says.

    Parameters
    ----------
    routes : sequence of Route
        Paths below /ngsi-ld/v1; a part in braces takes one segment, decoded.
    gate : Gate
        Who may do what.
    """

    def __init__(self, routes: Sequence[Route], gate: Gate) -> None:
        self.state = State(gate)
        self._by_length: dict[int, list[tuple[tuple[str, ...], dict[str, Handler]]]] = {}
        for route in routes:
            parts = tuple(route.path.strip("/").split("/"))
            table = self._by_length.setdefault(len(parts), [])
            methods = next((found for known, found in table if known == parts), None)
            if methods is None:
                methods = {}
                table.append((parts, methods))
            for method in route.methods or ():
                methods.setdefault(method, route.endpoint)
        for table in self._by_length.values():
            table.sort(key=lambda row: sum(part.startswith("{") for part in row[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        scope["app"] = self
        request = Request(scope, receive, send)
        response = await self._answer(request)
        await response(scope, receive, send)

    def stop(self) -> None:
        """Commit what waits, close the connections."""
        self.state.committers.stop()
        self.state.readers.stop()
        self.state.fetchers.stop()
        self.state.sources.stop()

    async def _answer(self, request: Request) -> Response:
        try:
            handler = self._find(request)
            if isinstance(handler, Response):
                return handler
            response = await handler(request)
        except NgsiError as problem:
            response = problem_response(problem)
        except ConcurrentChange as problem:
            response = _document(503, "InternalError", "Busy", str(problem), {"Retry-After": "1"})
        except DatabaseError as problem:
            if getattr(problem.__cause__, "sqlstate", "") == "57014":  # statement_timeout
                response = problem_response(
                    TooComplexQuery("The query takes too long; narrow it by type, id, place or time.")
                )
            else:
                log.exception("database", extra={"path": request.url.path})
                response = _document(503, "InternalError", "Database not available", "Try again.", {})
        except Exception:
            log.exception("unforeseen", extra={"path": request.url.path})
            response = _document(
                500, "InternalError", "Internal error", "It was logged; nothing was written.", {}
            )
        tenant = request.headers.get("ngsild-tenant", "")
        if response.status_code >= 400 and tenants.NAME.match(tenant):
            response.headers["NGSILD-Tenant"] = tenant  # 5.5.10: of every answer
        return response

    def _find(self, request: Request) -> Handler | Response:
        raw = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        _, _, rest = raw.partition(PREFIX + "/")
        segments = [unquote(part, errors="replace") for part in rest.rstrip("/").split("/")]
        for parts, methods in self._by_length.get(len(segments), ()):
            values = {}
            for part, segment in zip(parts, segments, strict=True):
                if part.startswith("{"):
                    values[part[1:-1]] = segment
                elif part != segment:
                    break
            else:
                handler = methods.get(request.method)
                if handler is None and request.method == "HEAD":
                    handler = methods.get("GET")
                if handler is None:
                    return _document(
                        405,
                        "OperationNotSupported",
                        "Method not allowed",
                        f"{request.method} is not defined here.",
                        {"Allow": ", ".join(sorted(methods))},
                    )
                request.scope["path_params"] = values
                return handler
        raise ResourceNotFound(f"There is no resource {raw[:200]}.")


def problem_response(problem: NgsiError) -> Response:
    headers = dict(CHALLENGE if isinstance(problem, Unauthorized) else problem.headers)
    if problem.status in SILENT:
        return Response(status_code=problem.status, headers=headers | READ_TYPES)
    return Response(orjson.dumps(problem.document()), problem.status, headers, media_type=PROBLEM)


def _document(status: int, kind: str, title: str, detail: str, headers: dict[str, str]) -> Response:
    body = {
        "type": f"https://uri.etsi.org/ngsi-ld/errors/{kind}",
        "title": title,
        "status": status,
        "detail": detail,
    }
    return Response(orjson.dumps(body), status, headers, media_type=PROBLEM)


def ngsi_app(person_of_cookie: PersonOfCookie | None = None) -> NgsiApp:
    """The interface with all its parts."""
    parts = (
        contexts,
        entities,
        batch,
        queries,
        entity_maps,
        discovery,
        temporal,
        subscriptions,
        registrations,
        openapi,
    )
    return NgsiApp([route for part in parts for route in part.ROUTES], Gate(person_of_cookie))
