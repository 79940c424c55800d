"""/entityMaps: made by queries, read, put off and deleted; and pages of a query by its map.

References
----------
ETSI GS CIM 009 v1.9.1, 5.5.9.3, 5.5.14, 5.14, 6.4.3.2, 6.32, 6.34, 6.35.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amb247.context.domain import entity_maps
from amb247.context.domain.entity_maps import EntityMap, Kind
from amb247.context.ngsi_errors import Forbidden, ResourceNotFound, TooManyResults
from amb247.context.querying.query import Query
from amb247.context.rest.access import Access
from amb247.context.rest.distributed_queries import MOST, find_everywhere
from amb247.context.rest.exchange import BASE, Exchange, checked_uri, open_exchange
from amb247.context.stored import Stored

HEADER: Final = "NGSILD-EntityMap"
CHUNK: Final = 100  # entities asked for by id at once: an address has to hold them


def wants_map(exchange: Exchange) -> bool:
    """Whether the query is to be made of a map, or to make one (6.4.3.2)."""
    lifetime = exchange.text("entityMapLifetime")
    if lifetime is not None:
        entity_maps.lifetime_of(lifetime)
    return exchange.flag("entityMap") or bool(exchange.request.headers.get(HEADER))


async def page_by_map(exchange: Exchange, query: Query) -> tuple[list[Stored], int, bool, int]:
    """The page of the query out of the map that the request names, or of one that is made now.

    Returns
    -------
    (entities, how many the map has in all, whether there are more behind the page, status 200 or 201)
    """
    limit, offset, _ = exchange.page()
    known = await _named(exchange)
    if known is None:
        found, made = await make(exchange, query)
        _name(exchange, made)
        return found[offset : offset + limit], len(found), len(found) > offset + limit, 201
    meant = frozenset(query.ids)
    ids = [entity_id for entity_id in known.entries if not meant or entity_id in meant]
    page: list[Stored] = []
    gone: list[str] = []
    at = offset
    while at < len(ids) and len(page) < limit:
        chunk = ids[at : at + min(CHUNK, limit - len(page))]
        fitting = {one.id: one for one in await _again(exchange, query, known, chunk)}
        page += [fitting[entity_id] for entity_id in chunk if entity_id in fitting]
        gone += [entity_id for entity_id in chunk if entity_id not in fitting]
        at += len(chunk)
    if gone and "NGSILD-Warning" not in exchange.headers:  # a source that did not answer may have them still
        await exchange.read(entity_maps.remove, known.id, gone)
    _name(exchange, known)
    return page, len(ids) - len(gone), at < len(ids), 200


async def make(exchange: Exchange, query: Query) -> tuple[list[Stored], EntityMap]:
    """All that the query finds, and the map of it.

    Raises
    ------
    TooManyResults
        More than a map can hold.
    """
    origins: dict[str, list[str]] = {}
    whole = dataclasses.replace(query, offset=0)
    found, total = await find_everywhere(exchange, whole, limit=MOST, wants_count=True, origins=origins)
    if total is not None and total > MOST:
        raise TooManyResults(
            f"entityMap: the query finds {total:,} entities; a map holds {MOST:,}. Narrow it."
        )
    entries = {one.id: origins.get(one.id, [entity_maps.HERE]) for one in found}
    return found, await keep(exchange, entries, "entities")


async def keep(exchange: Exchange, entries: Mapping[str, Sequence[str]], kind: Kind) -> EntityMap:
    return await exchange.read(
        entity_maps.create,
        entries,
        kind=kind,
        owner=exchange.access.name,
        lifetime=entity_maps.lifetime_of(exchange.text("entityMapLifetime")),
    )


async def ids_by_map(exchange: Exchange) -> tuple[str, ...] | None:
    """The entities of the map that a temporal query names; None when it names none that is there."""
    known = await _named(exchange)
    if known is None:
        return None
    _name(exchange, known)
    return tuple(known.entries)


async def _again(exchange: Exchange, query: Query, known: EntityMap, ids: Sequence[str]) -> list[Stored]:
    """Those of the entities that still fit, asked only of who had them."""
    sources = frozenset(source for entity_id in ids for source in known.entries[entity_id])
    asked = dataclasses.replace(query, ids=tuple(ids), offset=0)
    found, _ = await find_everywhere(exchange, asked, limit=len(ids), wants_count=False, only=sources)
    return found


async def _named(exchange: Exchange) -> EntityMap | None:
    """The map of the header `NGSILD-EntityMap`; None when there is no header, or the map has ended: a new one is made then."""
    given = exchange.request.headers.get(HEADER)
    if not given:
        return None
    map_id = checked_uri(HEADER, given.rpartition("/entityMaps/")[2])
    try:
        return await exchange.read(entity_maps.get, map_id, owner=owner_of(exchange.access))
    except ResourceNotFound:
        return None


def _name(exchange: Exchange, one: EntityMap) -> None:
    exchange.headers[HEADER] = f"{BASE}/entityMaps/{quote(one.id, safe=':')}"


def answer_made(exchange: Exchange, made: EntityMap) -> Response:
    _name(exchange, made)
    return exchange.answer(entity_maps.represent(made), 201)


def owner_of(access: Access) -> str | None:
    """Who sees the whole city sees every map; the others see their own."""
    return None if access.restriction is None else access.name


async def retrieve(request: Request) -> Response:
    exchange = await open_exchange(request)
    found = await exchange.read(entity_maps.get, _id(exchange), owner=owner_of(exchange.access))
    return exchange.answer(entity_maps.represent(found))


async def update(request: Request) -> Response:
    exchange = await _open_change(request)
    await exchange.read(entity_maps.change, _id(exchange), exchange.body, owner=owner_of(exchange.access))
    return exchange.answer(status=204)


async def delete(request: Request) -> Response:
    exchange = await _open_change(request)
    await exchange.read(entity_maps.delete, _id(exchange), owner=owner_of(exchange.access))
    return exchange.answer(status=204)


async def _open_change(request: Request) -> Exchange:
    """A map is its reader's own; but a signed-in browser, which others could steer, changes nothing here."""
    exchange = await open_exchange(request, needs_context_in_body=False)
    if exchange.access.name.startswith("person:"):
        raise Forbidden("Entity maps are changed with a token.")
    return exchange


def _id(exchange: Exchange) -> str:
    return exchange.uri("entity_map_id")


ONE = "/entityMaps/{entity_map_id}"
ROUTES = [
    Route(ONE, retrieve, methods=["GET"]),
    Route(ONE, update, methods=["PATCH"]),
    Route(ONE, delete, methods=["DELETE"]),
]
