"""`/jsonldContexts`: host, list, serve, forget and read again the @contexts (GS CIM 009, 6.29 and 6.30)."""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from amb247.context.documents.text import read_json
from amb247.context.domain import contexts
from amb247.context.ngsi_errors import InvalidRequest, UnsupportedMediaType
from amb247.context.rest.exchange import JSON, LD, open_exchange

BODY_TYPES: Final = frozenset({JSON, LD})
SHARED: Final = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=60"}


async def add(request: Request) -> Response:
    """POST: 201 with the Location of the hosted context."""
    exchange = await open_exchange(request, write=True, body=False)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in BODY_TYPES:
        raise UnsupportedMediaType(f"Content-Type: send {JSON} or {LD}, not {media[:60]!r}")
    try:
        raw = await request.body()
    except ClientDisconnect as problem:
        raise InvalidRequest("the body did not arrive") from problem
    local_id = await _off_loop(request, _host, raw)
    return exchange.answer(status=201, headers={"Location": f"{contexts.PATH}{local_id}"})


async def enumerate_all(request: Request) -> Response:
    """GET: the URLs of what is kept, or with details=true what is known of each."""
    exchange = await open_exchange(request)
    found = await _off_loop(
        request, contexts.listed, kind=exchange.text("kind"), details=exchange.flag("details")
    )
    return exchange.plain(found)


async def serve(request: Request) -> Response:
    """GET of one: its document, which anybody may read as any JSON-LD processor does, or with details=true what is known.

    Words are no secret, ids cannot be guessed, and what is served is what a client asked us to publish.
    """
    context_id = request.path_params["contextId"]
    if "details" in request.query_params:
        exchange = await open_exchange(request)
        if exchange.flag("details"):
            return exchange.plain(await _off_loop(request, contexts.metadata, context_id))
    document = await _off_loop(request, contexts.served, context_id)
    media = LD if LD in request.headers.get("accept", "") else JSON
    return Response(orjson.dumps(document), headers=SHARED, media_type=media)


async def remove(request: Request) -> Response:
    """DELETE: forget it, or with reload=true read a cached one again."""
    exchange = await open_exchange(request, write=True)
    await _off_loop(
        request, contexts.delete, request.path_params["contextId"], reload=exchange.flag("reload")
    )
    return exchange.answer(status=204)


def _host(raw: bytes) -> str:
    return contexts.host(read_json(raw))


async def _off_loop(request: Request, work: Any, *args: Any, **kwargs: Any) -> Any:
    """On a reading thread, in the tenant of all: contexts are shared."""
    return await request.app.state.readers.run("", work, *args, **kwargs)


ROUTES: Final = [
    Route("/jsonldContexts", add, methods=["POST"]),
    Route("/jsonldContexts", enumerate_all, methods=["GET"]),
    Route("/jsonldContexts/{contextId}", serve, methods=["GET"]),
    Route("/jsonldContexts/{contextId}", remove, methods=["DELETE"]),
]
