"""/entities: creation, reading, change and removal of entities and their attributes.

References
----------
ETSI GS CIM 009 v1.8.1, 6.4 to 6.7.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amb247.context.documents.kinds import Delete
from amb247.context.documents.parse import (
    ENTITY_MEMBERS,
    NOT_REIFIED,
    Parsed,
    Value,
    as_kind,
    parse_attributes,
    parse_entity,
    parse_instance,
)
from amb247.context.documents.values import check_time
from amb247.context.domain import operations
from amb247.context.domain.operations import Updated
from amb247.context.domain.queries.find import find
from amb247.context.domain.writing import Writing
from amb247.context.jsonld.names import iri
from amb247.context.ngsi_errors import BadRequestData
from amb247.context.querying.query import link_depth
from amb247.context.rest.answers import entity_answer
from amb247.context.rest.distributed_writes import Change, everywhere
from amb247.context.rest.exchange import (
    BASE,
    CSV,
    GEO,
    JSON,
    LD,
    Exchange,
    checked_uri,
    open_exchange,
)
from amb247.context.rest.queries import query_of, run_query
from amb247.context.stored import Instance

READS = (JSON, LD, GEO)
SCOPE = "scope"
NO_ATTRIBUTES = ENTITY_MEMBERS | NOT_REIFIED
PURGE = 1_000  # entities removed in one transaction


async def create(request: Request) -> Response:
    exchange = await open_exchange(request, write=True, creates=True)
    parsed = parse_entity(exchange.body, exchange.context)

    def work(writing: Writing, part: Parsed) -> None:
        operations.create(writing, part, exchange.access.guard)

    return await everywhere(
        exchange,
        Change("createEntity", "/entities", parsed.id, parsed, is_whole=True),
        work,
        lambda _: exchange.answer(status=201, headers={"Location": location_of(parsed.id)}),
    )


def location_of(entity_id: str) -> str:
    return f"{BASE}/entities/{quote(entity_id, safe=':')}"


async def query(request: Request) -> Response:
    exchange = await open_exchange(request, accepts=(*READS, CSV))
    return await run_query(exchange, query_of(exchange))


async def retrieve(request: Request) -> Response:
    exchange = await open_exchange(request, accepts=READS)
    return await entity_answer(exchange, exchange.uri("entity_id"), exchange.form())


async def replace(request: Request) -> Response:
    exchange = await open_exchange(request, write=True)
    parsed = fragment(exchange)

    def work(writing: Writing, part: Parsed) -> None:
        operations.replace(writing, part, exchange.access.guard)

    change = Change("replaceEntity", entity_path(parsed.id), parsed.id, parsed)
    return await everywhere(exchange, change, of_type(exchange, change, work), done(exchange))


async def merge(request: Request) -> Response:
    exchange = await open_exchange(request, write=True, needs_context_in_body=False)
    is_simple = exchange.form().kind == "simplified"
    parsed = fragment(exchange, nulls=True, partial=True, form="simplified" if is_simple else "normalized")
    observed = exchange.text("observedAt")
    observed_at = None if observed is None else check_time("observedAt", observed)
    fit = fitting(exchange) if is_simple else None

    def work(writing: Writing, part: Parsed) -> None:
        operations.merge(writing, part, exchange.access.guard, observed_at=observed_at, fit=fit)

    change = Change("mergeEntity", entity_path(parsed.id), parsed.id, parsed)
    return await everywhere(exchange, change, of_type(exchange, change, work), done(exchange))


async def delete(request: Request) -> Response:
    exchange = await open_exchange(request, write=True)
    entity_id = exchange.uri("entity_id")

    def work(writing: Writing, _part: Parsed) -> None:
        operations.delete(writing, entity_id, exchange.access.guard)

    change = Change("deleteEntity", entity_path(entity_id), entity_id)
    return await everywhere(exchange, change, of_type(exchange, change, work), done(exchange))


async def purge(request: Request) -> Response:
    """6.4.3.3: remove all entities that match, or some of their attributes."""
    exchange = await open_exchange(request, write=True)
    wanted = query_of(exchange)
    if link_depth(wanted.q):
        raise BadRequestData("q: a purge looks at no linked entities (5.6.21.4).")
    drop, keep = exchange.names("drop"), exchange.names("keep")
    if drop and keep:
        raise BadRequestData("drop, keep: use one of them, not both.")
    offset = 0
    while True:
        page = dataclasses.replace(wanted, limit=PURGE, offset=offset)
        ids = [one.id for one in await exchange.read(find, page)]
        if ids:
            work = partial(
                operations.purge, entity_ids=ids, guard=exchange.access.guard, drop=drop, keep=keep
            )
            await exchange.write(ids, work)
        if len(ids) < PURGE:
            return exchange.answer(status=204)
        offset += PURGE if drop or keep else 0


async def append_attributes(request: Request) -> Response:
    exchange = await open_exchange(request, write=True)
    parsed = fragment(exchange)
    overwrite = "noOverwrite" not in exchange.options

    def work(writing: Writing, part: Parsed) -> Updated:
        return operations.append(writing, part, exchange.access.guard, overwrite=overwrite)

    change = Change("appendAttrs", f"{entity_path(parsed.id)}/attrs", parsed.id, parsed, by_attribute=True)
    return await everywhere(
        exchange, change, of_type(exchange, change, work), partial(update_answer, exchange)
    )


async def update_attributes(request: Request) -> Response:
    exchange = await open_exchange(request, write=True, needs_context_in_body=False)
    parsed = fragment(exchange, nulls=True)

    def work(writing: Writing, part: Parsed) -> Updated:
        return operations.update(writing, part, exchange.access.guard)

    change = Change("updateEntity", f"{entity_path(parsed.id)}/attrs", parsed.id, parsed, by_attribute=True)
    return await everywhere(
        exchange, change, of_type(exchange, change, work), partial(update_answer, exchange)
    )


async def partial_update(request: Request) -> Response:
    exchange = await open_exchange(request, write=True, needs_context_in_body=False)
    entity_id, name = exchange.uri("entity_id"), attribute_name(exchange)
    given = parse_instance(name, exchange.body, exchange.context, nulls=True, partial=True)

    def work(writing: Writing, _part: Parsed) -> None:
        operations.partial_update(writing, entity_id, name, given, exchange.access.guard)

    change = attribute_change("updateAttrs", exchange, entity_id, name, given)
    return await everywhere(exchange, change, of_type(exchange, change, work), done(exchange))


async def replace_attribute(request: Request) -> Response:
    exchange = await open_exchange(request, write=True, needs_context_in_body=False)
    entity_id, name = exchange.uri("entity_id"), attribute_name(exchange)
    given = parse_instance(name, exchange.body, exchange.context)
    if isinstance(given, Delete):
        raise BadRequestData(f"{name}: null cannot replace an attribute; delete it instead.")

    def work(writing: Writing, _part: Parsed) -> None:
        operations.replace_attribute(writing, entity_id, name, given, exchange.access.guard)

    change = attribute_change("replaceAttrs", exchange, entity_id, name, given)
    return await everywhere(exchange, change, of_type(exchange, change, work), done(exchange))


async def delete_attribute(request: Request) -> Response:
    exchange = await open_exchange(request, write=True)
    entity_id, name = exchange.uri("entity_id"), attribute_name(exchange, SCOPE)
    dataset = exchange.text("datasetId")
    if dataset is not None:
        checked_uri("datasetId", dataset)
    every = exchange.flag("deleteAll")

    def work(writing: Writing, _part: Parsed) -> None:
        operations.delete_attribute(
            writing, entity_id, name, exchange.access.guard, dataset=dataset or "", every=every
        )

    change = attribute_change("deleteAttrs", exchange, entity_id, name)
    return await everywhere(exchange, change, of_type(exchange, change, work), done(exchange))


def attribute_name(exchange: Exchange, *also: str) -> str:
    """The attribute that the address names, as internal name; of the entity's own members only those said.

    Raises
    ------
    BadRequestData
    """
    name = exchange.context.expand(exchange.request.path_params["attribute"])
    if name in NO_ATTRIBUTES and name not in also:
        raise BadRequestData(f"{name}: is no attribute; change it with PATCH or PUT of the entity.")
    return name


def of_type(
    exchange: Exchange, change: Change, work: Callable[[Writing, Parsed], Any]
) -> Callable[[Writing, Parsed], Any]:
    """`work`, on an entity of the types that the address asks for alone."""
    types = exchange.types()
    if types is None:
        return work

    def checked(writing: Writing, part: Parsed) -> Any:
        operations.require_types(writing, change.entity_id, types.fits)
        return work(writing, part)

    return checked


def entity_path(entity_id: str) -> str:
    """Where an entity is at any broker, below /ngsi-ld/v1."""
    return f"/entities/{quote(entity_id, safe=':')}"


def attribute_change(
    operation: str, exchange: Exchange, entity_id: str, name: str, given: Value | None = None
) -> Change:
    """A change of the attribute that the address names."""
    path = f"{entity_path(entity_id)}/attrs/{quote(exchange.request.path_params['attribute'], safe='')}"
    parsed = Parsed(entity_id, None, None, {} if given is None else {name: given})
    return Change(operation, path, entity_id, parsed, attribute=name, by_attribute=True)


def done(exchange: Exchange) -> Callable[[Any], Response]:
    """The answer that has nothing to say."""
    return lambda _: exchange.answer(status=204)


def fitting(exchange: Exchange) -> operations.Fit:
    """How a simplified value takes on the kind of what is stored (5.6.17)."""
    lang = exchange.text("lang")

    def fit(name: str, given: Instance, kind: str) -> Instance:
        return as_kind(given, kind, exchange.context, lang=lang, name=exchange.context.compact(name))

    return fit


def fragment(
    exchange: Exchange, *, nulls: bool = False, partial: bool = False, form: Any = "normalized"
) -> Parsed:
    """The body as a fragment of the entity that the path names.

    Raises
    ------
    BadRequestData
        The body names another entity.
    """
    entity_id = exchange.uri("entity_id")
    parsed = parse_attributes(exchange.body, exchange.context, nulls=nulls, form=form, partial=partial)
    if parsed.id and parsed.id != entity_id:
        raise BadRequestData(f"id: {parsed.id} is not the entity of the address, {entity_id}; leave it out.")
    parsed.id = entity_id
    return parsed


def update_answer(exchange: Exchange, result: Updated | None) -> Response:
    """204 when everything was done, 207 with an UpdateResult otherwise (6.6.3)."""
    if result is None or not result.not_updated:
        return exchange.answer(status=204)
    # 6.3.6: what comes without a @context has full names only.
    return exchange.plain(
        {
            "updated": [iri(name) for name in result.updated],
            "notUpdated": [
                {"attributeName": iri(name), "reason": reason} for name, reason in result.not_updated
            ],
        },
        207,
    )


ROUTES = [
    Route("/entities", create, methods=["POST"]),
    Route("/entities", query, methods=["GET"]),
    Route("/entities", purge, methods=["DELETE"]),
    Route("/entities/{entity_id}", retrieve, methods=["GET"]),
    Route("/entities/{entity_id}", replace, methods=["PUT"]),
    Route("/entities/{entity_id}", merge, methods=["PATCH"]),
    Route("/entities/{entity_id}", delete, methods=["DELETE"]),
    Route("/entities/{entity_id}/attrs", append_attributes, methods=["POST"]),
    Route("/entities/{entity_id}/attrs", update_attributes, methods=["PATCH"]),
    Route("/entities/{entity_id}/attrs/{attribute}", partial_update, methods=["PATCH"]),
    Route("/entities/{entity_id}/attrs/{attribute}", replace_attribute, methods=["PUT"]),
    Route("/entities/{entity_id}/attrs/{attribute}", delete_attribute, methods=["DELETE"]),
]
