"""/entityOperations: the same operation on many entities, each with its own result.

References
----------
ETSI GS CIM 009 v1.8.1, 5.6.7 to 5.6.10, 5.6.20, 6.14 to 6.17, 6.31.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amb247.context.documents.parse import Parsed, parse_entity
from amb247.context.domain import operations
from amb247.context.domain.operations import Guard, Outcome
from amb247.context.domain.writing import Writing
from amb247.context.ngsi_errors import BadRequestData, InvalidRequest, NgsiError
from amb247.context.rest.distributed_writes import Batch, batch_everywhere, error_entry
from amb247.context.rest.exchange import LD, Exchange, check_context, checked_uri, open_exchange, resolve

MAX_BATCH = 10_000
PORTION = 1_000  # entities in one transaction

Work = Callable[[Writing, Parsed], bool]
CREATE = Batch("createBatch", "/entityOperations/create", "createEntity", is_whole=True)
MERGE = Batch("mergeBatch", "/entityOperations/merge", "mergeEntity")
DELETE = Batch("deleteBatch", "/entityOperations/delete", "deleteEntity")


async def create(request: Request) -> Response:
    exchange = await open_exchange(request, write=True, creates=True)

    def work(writing: Writing, parsed: Parsed) -> bool:
        operations.create(writing, parsed, exchange.access.guard)
        return True

    outcomes = await _run(exchange, work, CREATE)
    if any(one.error for one in outcomes):
        return _multi_status(exchange, outcomes)
    return exchange.plain([one.entity_id for one in outcomes], 201)


async def upsert(request: Request) -> Response:
    exchange = await open_exchange(request, write=True, creates=True)
    guard = exchange.access.guard
    replacing = "update" not in exchange.options
    overwrite = "noOverwrite" not in exchange.options

    def work(writing: Writing, parsed: Parsed) -> bool:
        return operations.upsert(writing, parsed, guard, replacing=replacing, overwrite=overwrite)

    names = ("update", "replace", "noOverwrite")
    given = tuple(name for name in names if name in exchange.options)
    everywhere = Batch("upsertBatch", "/entityOperations/upsert", "createEntity", given, is_whole=True)
    outcomes = await _run(exchange, work, everywhere)
    if any(one.error for one in outcomes):
        return _multi_status(exchange, outcomes)
    new = list(dict.fromkeys(one.entity_id for one in outcomes if one.is_new))
    return exchange.plain(new, 201) if new else exchange.answer(status=204)


async def update(request: Request) -> Response:
    exchange = await open_exchange(request, write=True)
    overwrite = "noOverwrite" not in exchange.options

    def work(writing: Writing, parsed: Parsed) -> bool:
        result = operations.append(writing, parsed, exchange.access.guard, overwrite=overwrite)
        if result.not_updated and not result.updated:
            raise BadRequestData(
                "No attribute was added: "
                + ", ".join(name for name, _ in result.not_updated)
                + " exist already."
            )
        return False

    given = () if overwrite else ("noOverwrite",)
    everywhere = Batch("updateBatch", "/entityOperations/update", "appendAttrs", given)
    return _no_content(exchange, await _run(exchange, work, everywhere, need_type=False))


async def merge(request: Request) -> Response:
    exchange = await open_exchange(request, write=True)

    def work(writing: Writing, parsed: Parsed) -> bool:
        operations.merge(writing, parsed, exchange.access.guard)
        return False

    return _no_content(exchange, await _run(exchange, work, MERGE, need_type=False, nulls=True))


async def delete(request: Request) -> Response:
    exchange = await open_exchange(request, write=True, needs_context_in_body=False)
    given = _listed(exchange.body)
    guard: Guard = exchange.access.guard

    def work(writing: Writing, parsed: Parsed) -> bool:
        operations.delete(writing, parsed.id, guard)
        return False

    wanted: list[Parsed] = []
    refused: list[Outcome] = []
    for one in given:
        try:
            wanted.append(Parsed(checked_uri("id", one), None))
        except NgsiError as problem:
            refused.append(Outcome(str(one)[:512], error=problem))
    local = partial(_in_portions, exchange, work=work)
    return _no_content(exchange, refused + await batch_everywhere(exchange, DELETE, wanted, local))


async def _run(
    exchange: Exchange, work: Work, everywhere: Batch, *, need_type: bool = True, nulls: bool = False
) -> list[Outcome]:
    """Parse every entity with its own @context, and do the work on the good ones."""
    given = _listed(exchange.body)
    media = exchange.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    contexts = [exchange.context] * len(given)
    for index, one in enumerate(given):
        if not isinstance(one, dict):
            continue
        inline = one.pop("@context", None)
        if inline is not None or media == LD:
            check_context(media, inline, needs_context=True)
            contexts[index] = await resolve(exchange, inline)
    # Outside the tenant, which may come to be with this batch.
    parsed, refused = (
        await exchange.request.app.state.readers.run("", _parse, given, contexts, need_type, nulls)
        if len(given) > 50
        else _parse(given, contexts, need_type, nulls)
    )
    local = partial(_in_portions, exchange, work=work)
    return refused + await batch_everywhere(exchange, everywhere, parsed, local)


def _parse(
    given: Sequence[Any], contexts: Sequence[Any], need_type: bool, nulls: bool
) -> tuple[list[Parsed], list[Outcome]]:
    parsed: list[Parsed] = []
    refused: list[Outcome] = []
    for index, (one, context) in enumerate(zip(given, contexts, strict=True)):
        try:
            parsed.append(parse_entity(one, context, need_type=need_type, nulls=nulls))
        except NgsiError as problem:
            known = one.get("id") if isinstance(one, dict) else None
            name = known[:512] if isinstance(known, str) else f"(entity {index} of the batch)"
            refused.append(Outcome(name, error=problem))
    return parsed, refused


async def _in_portions(exchange: Exchange, parsed: Sequence[Parsed], work: Work) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for first in range(0, len(parsed), PORTION):
        part = parsed[first : first + PORTION]
        outcomes += await exchange.write(
            [one.id for one in part], partial(operations.batch, entities=part, work=work)
        )
    return outcomes


def _listed(body: Any) -> list[Any]:
    if not isinstance(body, list):
        raise BadRequestData("The body is no list; send an array.")
    if not body:
        raise BadRequestData("The list is empty; send at least one.")
    if any(one is None for one in body):
        raise BadRequestData("The list contains null; leave it out.")
    if len(body) > MAX_BATCH:
        raise InvalidRequest(f"The list has {len(body):,} elements; send at most {MAX_BATCH:,} at once.")
    return body


def _no_content(exchange: Exchange, outcomes: Sequence[Outcome]) -> Response:
    if any(one.error for one in outcomes):
        return _multi_status(exchange, outcomes)
    return exchange.answer(status=204)


def _multi_status(exchange: Exchange, outcomes: Sequence[Outcome]) -> Response:
    """207 with a BatchOperationResult (5.2.16, 5.2.17)."""
    return exchange.plain(
        {
            "success": list(dict.fromkeys(one.entity_id for one in outcomes if one.error is None)),
            "errors": [error_entry(one.entity_id, one.error) for one in outcomes if one.error is not None],
        },
        207,
    )


ROUTES = [
    Route("/entityOperations/create", create, methods=["POST"]),
    Route("/entityOperations/upsert", upsert, methods=["POST"]),
    Route("/entityOperations/update", update, methods=["POST"]),
    Route("/entityOperations/merge", merge, methods=["POST"]),
    Route("/entityOperations/delete", delete, methods=["POST"]),
]
