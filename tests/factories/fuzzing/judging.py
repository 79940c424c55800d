"""What an answer must be, whatever was asked."""

from __future__ import annotations

import json
from typing import Any

from .wire import Reply, Request

TYPES = "https://uri.etsi.org/ngsi-ld/errors/"
# 5.5.2 of the standard; NoMultiTenantSupport and others that this broker never needs are faults here.
KINDS = frozenset(
    {"InvalidRequest", "BadRequestData", "AlreadyExists", "OperationNotSupported", "ResourceNotFound", "InternalError", "TooComplexQuery",
     "TooManyResults", "LdContextNotAvailable", "NonexistentTenant", "Conflict", "NotAcceptable", "Unauthorized", "Forbidden"}
)  # fmt: skip
SILENT = frozenset({411, 415})  # without a body: 6.3.4
FROM_SOURCES = frozenset({502, 504, 508})


def fault_of(request: Request, reply: Reply, *, has_sources: bool) -> str | None:
    """What is wrong with an answer; None when nothing is."""
    status = reply.status
    if not request.is_http and status in {400, 431, 414, 405, 404}:
        return None  # what is no HTTP the server answers by itself
    if status >= 500 and not _may_fail(request, reply, has_sources=has_sources):
        return f"status {status}"
    if status == 207:
        return _of_result(reply)
    if status >= 400:
        return _of_problem(request, reply)
    if status == 204 and reply.body:
        return "204 with a body"
    if "json" in reply.headers.get("content-type", "") and request.method != "HEAD":
        try:
            json.loads(reply.body)
        except ValueError:
            return f"status {status}: the body is no JSON"
        if b"NaN" in reply.body or b"Infinity" in reply.body:
            json.loads(reply.body, parse_constant=_refuse)
    return None


def _refuse(name: str) -> Any:
    raise AssertionError(f"{name} in an answer")


def _may_fail(request: Request, reply: Reply, *, has_sources: bool) -> bool:
    if reply.status == 504 and (b"LdContextNotAvailable" in reply.body or request.method == "HEAD"):
        return "context" in request.about or has_sources
    return has_sources and reply.status in FROM_SOURCES


def _of_problem(request: Request, reply: Reply) -> str | None:
    if reply.status in SILENT:
        return f"{reply.status} with a body" if reply.body else None
    if request.method == "HEAD":
        return None
    if reply.headers.get("content-type", "").partition(";")[0] not in {
        "application/json",
        "application/problem+json",
    }:
        return f"{reply.status} as {reply.headers.get('content-type')}"
    try:
        problem = json.loads(reply.body)
    except ValueError:
        return f"{reply.status} without a problem document"
    return of_document(problem, reply.status)


def of_document(problem: Any, status: int | None) -> str | None:
    """What is wrong with a problem document."""
    if not isinstance(problem, dict):
        return f"{status}: the problem is no object"
    kind = str(problem.get("type", ""))
    if not kind.startswith(TYPES) or kind[len(TYPES) :] not in KINDS:
        return f"{status}: problem type {kind!r}"
    if status is not None and problem.get("status") != status:
        return f"{status}: the problem says {problem.get('status')}"
    if not isinstance(problem.get("title"), str) or not isinstance(problem.get("detail"), str):
        return f"{status}: a problem without title or detail"
    if len(problem["detail"]) > 3_000:
        return f"{status}: a detail of {len(problem['detail'])} characters"
    return None


def _of_result(reply: Reply) -> str | None:
    try:
        result = json.loads(reply.body)
    except ValueError:
        return "207 without JSON"
    if "notUpdated" in result:
        return (
            None
            if all("attributeName" in one and "reason" in one for one in result["notUpdated"])
            else "207: notUpdated"
        )
    if set(result) != {"success", "errors"}:
        return f"207 with {sorted(result)}"
    for one in result["errors"]:
        if (wrong := of_document(one.get("error"), None)) is not None:
            return f"207: {wrong}"
    return None


def batch_fault(
    request: Request, reply: Reply, before: dict[str, Any], after: dict[str, Any], *, has_sources: bool
) -> str | None:
    """Where the entities are not as the answer of a batch says."""
    name = request.route.rsplit("/", 1)[1]
    try:
        result = json.loads(reply.body) if reply.body else None
    except ValueError:
        return None
    if reply.status >= 400:
        return (
            None if before == after else f"refused with {reply.status}, and yet {_difference(before, after)}"
        )
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    if reply.status == 201 and not has_sources:
        missing = [one for one in result if one not in after]
        return f"says it made {missing[:3]}, which are not there" if missing else None
    if reply.status != 207 or has_sources:  # a source may have failed what was done here
        return None
    done = set(result["success"])
    failed = {one.get("entityId") for one in result["errors"]} - done
    if name in {"create", "upsert", "update", "merge"}:
        missing = [one for one in done if one not in after and name != "merge"]
        if missing:
            return f"says {missing[:3]} went well, which are not there"
    elif left := [one for one in done if one in after]:
        return f"says it deleted {left[:3]}, which are there"
    if changed & failed:
        return f"says {sorted(map(str, changed & failed))[:3]} failed, which changed"
    if changed - done:
        return f"changed {sorted(changed - done)[:3]} and does not say so"
    return None


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    return f"{changed[:3]} changed"
