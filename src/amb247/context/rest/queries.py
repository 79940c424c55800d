"""What is asked of entities, by the address or by a posted Query document.

References
----------
ETSI GS CIM 009 v1.8.1, 5.2.23 (Query), 5.7.2, 6.4.3.2, 6.23.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amb247.context.ngsi_errors import BadRequestData
from amb247.context.querying.query import STAMPS, Expr, Query, attributes_of, link_depth
from amb247.context.querying.syntax import (
    parse_csf,
    parse_geo,
    parse_ids,
    parse_order_by,
    parse_pattern,
    parse_q,
    parse_scope,
    parse_selector,
    parse_types,
)
from amb247.context.rest.answers import entities_answer, join_of
from amb247.context.rest.distributed_queries import find_everywhere
from amb247.context.rest.entity_maps import answer_made, make, page_by_map, wants_map
from amb247.context.rest.exchange import CSV, GEO, JSON, LD, Exchange, open_exchange


def query_of(exchange: Exchange, *, needs_filter: bool = True) -> Query:
    """The Query of the address's parameters, within the caller's reach.

    Raises
    ------
    BadRequestData
        Nothing of type, attrs, q or a geo query was given (5.7.2.4), or one of them is wrong.
    """
    context = exchange.context
    types, q, scope = exchange.text("type"), exchange.text("q"), exchange.text("scopeQ")
    ids, pattern, order = exchange.text("id"), exchange.text("idPattern"), exchange.text("orderBy")
    attrs = exchange.names("attrs")
    geo = parse_geo(
        exchange.text("georel"),
        exchange.text("geometry"),
        exchange.text("coordinates"),
        exchange.text("geoproperty"),
        context,
    )
    if csf := exchange.text("csf"):
        parse_csf(csf, context)  # wrong whether there are sources or not (5.7.2.4)
    parsed_q = parse_q(q, context, expand_values=exchange.texts("expandValues")) if q else None
    if needs_filter and not (types or geo or exchange.flag("local") or _has_own(attrs, parsed_q)):
        raise BadRequestData(
            "type: is missing; give at least one of type, attrs, q, a geo query, or local=true. "
            "id, idPattern and scopeQ alone are too wide."
        )
    limit, offset, _ = exchange.page()
    return Query(
        ids=parse_ids(ids) if ids else (),
        id_pattern=parse_pattern(pattern) if pattern else None,
        types=parse_types(types, context) if types else None,
        attrs=attrs,
        q=parsed_q,
        geo=geo,
        scope=parse_scope(scope) if scope else None,
        dataset_ids=exchange.datasets(),
        order_by=parse_order_by(
            order,
            context,
            order_from=exchange.text("orderFrom"),
            order_geometry=exchange.text("orderGeometry"),
        )
        if order
        else (),
        collation=exchange.text("collation"),
        limit=limit,
        offset=offset,
        restriction=exchange.access.restriction,
    )


def _has_own(attrs: Sequence[str], q: Expr | None) -> bool:
    """Whether they name an attribute that is not the system's (5.7.2.4)."""
    return bool({*attrs, *(() if q is None else attributes_of(q))} - STAMPS)


def check_links(exchange: Exchange, query: Query) -> None:
    """`q` may follow relationships no further than the join does (5.7.2.4: too deep a query).

    Raises
    ------
    BadRequestData
    """
    depth = link_depth(query.q)
    join, level = join_of(exchange, exchange.form())
    if depth > (0 if join is None else level):
        raise BadRequestData(
            f"q: follows {depth} relationships in a row; add join=inline or join=flat with joinLevel={depth}."
        )


async def run_query(exchange: Exchange, query: Query) -> Response:
    """Find the page, count if asked, and show it."""
    check_links(exchange, query)
    limit, offset, wants_count = exchange.page()
    form = exchange.form()
    if wants_map(exchange):
        mapped, number, has_more, status = await page_by_map(exchange, query)
        exchange.page_headers(len(mapped), limit, offset, number if wants_count else None, has_more=has_more)
        return await entities_answer(exchange, mapped, form, status)
    # One more than the page says whether there is a next one.
    found, total = await find_everywhere(
        exchange, query, limit=limit + 1 if limit else 0, wants_count=wants_count
    )
    has_more = len(found) > limit
    exchange.page_headers(min(len(found), limit), limit, offset, total, has_more=has_more)
    return await entities_answer(exchange, found[:limit], form)


MOVED = {
    "attrs": "attrs",
    "q": "q",
    "scopeQ": "scopeQ",
    "csf": "csf",
    "lang": "lang",
    "pick": "pick",
    "omit": "omit",
    "datasetId": "datasetId",
    "expandValues": "expandValues",
    "join": "join",
    "joinLevel": "joinLevel",
    "containedBy": "containedBy",
    "jsonKeys": "jsonKeys",
    "format": "format",
    "splitEntities": "splitEntities",
    "entityMap": "entityMap",
    "entityMapLifetime": "entityMapLifetime",
}


async def post_query(request: Request) -> Response:
    """6.23: the same query as a document."""
    exchange = await open_exchange(request, accepts=(JSON, LD, GEO, CSV), needs_context_in_body=False)
    return await run_query(exchange, query_of_document(exchange))


async def make_map(request: Request) -> Response:
    """6.34.3.1: the entities of a query, by id, without the entities themselves."""
    exchange = await open_exchange(request)
    return await _make_map(exchange, query_of(exchange))


async def post_map(request: Request) -> Response:
    """6.34.3.2."""
    exchange = await open_exchange(request, needs_context_in_body=False)
    return await _make_map(exchange, query_of_document(exchange))


async def _make_map(exchange: Exchange, query: Query) -> Response:
    check_links(exchange, query)
    _, made = await make(exchange, query)
    return answer_made(exchange, made)


def query_of_document(exchange: Exchange) -> Query:
    """The Query of a posted document (5.2.23); its members become what the address's parameters would be.

    Raises
    ------
    BadRequestData
        The field, what is wrong, and the remedy.
    """
    document = exchange.body
    if not isinstance(document, dict) or document.get("type") != "Query":
        raise BadRequestData('type: send a document of type "Query".')
    parameters = dict(exchange.parameters)
    for name, parameter in MOVED.items():
        if name in document:
            parameters[parameter] = _as_text(name, document[name])
    aggregation = document.get("aggrParams", {})  # 5.2.44
    if not isinstance(aggregation, dict):
        raise BadRequestData("aggrParams: send an object with aggrMethods and aggrPeriodDuration.")
    parameters |= {
        name: _as_text(f"aggrParams.{name}", aggregation[name])
        for name in ("aggrMethods", "aggrPeriodDuration")
        if name in aggregation
    }
    if "geoQ" in document:
        parameters |= _geo(document["geoQ"])
    parameters |= _ordering(document)
    exchange.parameters = parameters
    for name in ("entities", "attrs", "pick", "omit", "datasetId", "containedBy"):
        if document.get(name) == []:
            raise BadRequestData(f"{name}: is empty; leave it out, or send at least one.")
    selectors = document.get("entities", [])
    if isinstance(selectors, dict):
        selectors = [selectors]
    if not isinstance(selectors, list) or not all(isinstance(one, dict) for one in selectors):
        raise BadRequestData('entities: send a list of selectors such as {"type": "Vehicle"}.')
    if len(selectors) > 100:
        raise BadRequestData("entities: send at most 100 selectors.")
    base = query_of(exchange, needs_filter=not selectors)
    if not selectors:
        return base
    return dataclasses.replace(
        base, selectors=tuple(parse_selector(one, exchange.context) for one in selectors)
    )


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise BadRequestData(f"{name}: send text or a list of texts.")


def _geo(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise BadRequestData("geoQ: send an object with geometry, coordinates and georel.")
    out = {}
    for name in ("geometry", "georel", "geoproperty"):
        if name in given:
            out[name] = _as_text(f"geoQ.{name}", given[name])
    if "coordinates" in given:
        value = given["coordinates"]
        out["coordinates"] = value if isinstance(value, str) else orjson.dumps(value).decode()
    return out


ORDERING = {
    "orderBy": "orderBy",
    "collation": "collation",
    "geometry": "orderGeometry",
    "coordinates": "orderFrom",
}


def _ordering(document: dict[str, Any]) -> dict[str, str]:
    """OrderingParams (5.2.43); `orderBy` may stand outside of them, as earlier versions had it."""
    given = document.get("ordering", {})
    if not isinstance(given, dict):
        raise BadRequestData("ordering: send an object with orderBy.")
    given = {name: document[name] for name in ("orderBy",) if name in document} | given
    out = {}
    for name, parameter in ORDERING.items():
        if name == "coordinates" and isinstance(given.get(name), list):
            out[parameter] = orjson.dumps(given[name]).decode()
        elif name in given:
            out[parameter] = _as_text(f"ordering.{name}", given[name])
    return out


ROUTES = [
    Route("/entityOperations/query", post_query, methods=["POST"]),
    Route("/entityMaps", make_map, methods=["GET"]),
    Route("/entityMaps", post_map, methods=["POST"]),
]
