"""/subscriptions: made, read, changed, deleted; beyond the standard their events as a stream, and their dead letters.

References
----------
ETSI GS CIM 009 v1.8.1, 5.8 (operations), 6.10 and 6.11 (resources); WHATWG HTML 9.2 (server-sent events).
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from amb247.context.data import Cursor
from amb247.context.delivery.service import database_url
from amb247.context.delivery.streams import BEAT_S, streams
from amb247.context.documents.times import time_text
from amb247.context.domain import subscriptions, tenants
from amb247.context.domain.selection import stored_restriction
from amb247.context.domain.subscriptions import DeadLetter
from amb247.context.ngsi_errors import BadRequestData, Forbidden, NgsiError, OperationNotSupported
from amb247.context.rest.access import Access, require
from amb247.context.rest.exchange import BASE, JSON, LD, Exchange, open_exchange

Json = Any
EVENTS = "text/event-stream"


async def create(request: Request) -> Response:
    exchange = await _open(request, body=True)
    work = partial(
        subscriptions.create,
        exchange.body,
        exchange.context,
        given=exchange.context.source,
        owner=exchange.access.name,
        restriction=stored_restriction(exchange.access.restriction),
    )
    made = await request.app.state.readers.run("", tenants.made_with, exchange.tenant, work)
    return exchange.answer(status=201, headers={"Location": f"{BASE}/subscriptions/{quote(made, safe=':')}"})


async def query(request: Request) -> Response:
    exchange = await _open(request)
    limit, offset, wants_count = exchange.page()
    owner = _owner(exchange.access)
    found = await exchange.read(subscriptions.page, limit=limit + 1, offset=offset, owner=owner)
    total = await exchange.read(subscriptions.count, owner=owner) if wants_count else None
    page = found[:limit]
    exchange.page_headers(len(page), limit, offset, total, has_more=len(found) > limit)
    return exchange.answer([_represent(exchange, one) for one in page])


async def retrieve(request: Request) -> Response:
    exchange = await _open(request)
    found = await exchange.read(subscriptions.get, _id(exchange), owner=_owner(exchange.access))
    return exchange.answer(_represent(exchange, found))


async def update(request: Request) -> Response:
    exchange = await _open(request, body=True, needs_context_in_body=False)
    await exchange.read(
        subscriptions.update,
        _id(exchange),
        exchange.body,
        exchange.context,
        given=exchange.context.source,
        owner=_owner(exchange.access),
        restriction=stored_restriction(exchange.access.restriction),
        takes_over=exchange.access.restriction is not None,
    )
    return exchange.answer(status=204)


async def delete(request: Request) -> Response:
    exchange = await _open(request, body=False)
    await exchange.read(subscriptions.delete, _id(exchange), owner=_owner(exchange.access))
    return exchange.answer(status=204)


# --- beyond the standard -------------------------------------------------------------------------------------------


async def dead_letters(request: Request) -> Response:
    """What was given up: the notification, the endpoint, when, why, after how many attempts."""
    exchange = await _open(request)
    limit, offset, wants_count = exchange.page()
    subscription_id = _id(exchange)
    found = await exchange.read(
        subscriptions.dead_letters,
        subscription_id,
        limit=limit + 1,
        offset=offset,
        owner=_owner(exchange.access),
    )
    total = await exchange.read(subscriptions.count_dead_letters, subscription_id) if wants_count else None
    page = found[:limit]
    exchange.page_headers(len(page), limit, offset, total, has_more=len(found) > limit)
    return exchange.plain([_letter(subscription_id, one) for one in page])


async def replay_all(request: Request) -> Response:
    exchange = await _open(request, body=False, changes=True)
    count = await exchange.read(subscriptions.replay, _id(exchange), owner=_owner(exchange.access))
    return exchange.plain({"replayed": count}, 202)


async def replay_one(request: Request) -> Response:
    exchange = await _open(request, body=False, changes=True)
    count = await exchange.read(
        subscriptions.replay,
        _id(exchange),
        ids=[exchange.uri("notification_id")],
        owner=_owner(exchange.access),
    )
    return exchange.plain({"replayed": count}, 202)


async def forget_all(request: Request) -> Response:
    exchange = await _open(request, body=False, changes=True)
    await exchange.read(subscriptions.forget_dead_letters, _id(exchange), owner=_owner(exchange.access))
    return exchange.answer(status=204)


async def forget_one(request: Request) -> Response:
    exchange = await _open(request, body=False, changes=True)
    await exchange.read(
        subscriptions.forget_dead_letters,
        _id(exchange),
        ids=[exchange.uri("notification_id")],
        owner=_owner(exchange.access),
    )
    return exchange.answer(status=204)


async def events(request: Request) -> Response:
    """The notifications of a subscription as they happen; `Last-Event-ID` goes on behind an event that was seen."""
    exchange = await open_exchange(request, accepts=(EVENTS,))
    found = await exchange.read(subscriptions.get, _id(exchange), owner=_owner(exchange.access))
    if "timeInterval" in found.document:
        raise OperationNotSupported("A periodic subscription follows no changes and has no events.")
    last = request.headers.get("last-event-id") or exchange.text("lastEventId")
    stream = streams.events(database_url(), exchange.tenant, found.id, _cursor(last))
    return StreamingResponse(
        _while_allowed(exchange, stream),
        media_type=EVENTS,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _while_allowed(
    exchange: Exchange, stream: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """A token that is revoked, or shows something else, ends what it opened."""
    looked = time.monotonic()
    try:
        async for frame in stream:
            if time.monotonic() - looked > BEAT_S:
                looked = time.monotonic()
                try:
                    await _look_again(exchange)
                except NgsiError:
                    return
            yield frame
    finally:
        await stream.aclose()


async def _look_again(exchange: Exchange) -> None:
    gate = exchange.request.app.state.gate
    access = await exchange.request.app.state.readers.run("", gate.look, exchange.request)
    require(access, tenant=exchange.tenant)
    if stored_restriction(access.restriction) != stored_restriction(exchange.access.restriction):
        raise Forbidden("The access has changed.")


def _cursor(text: str | None) -> Cursor | None:
    if not text:
        return None
    try:
        return Cursor.parse(text)
    except ValueError:
        raise BadRequestData("Last-Event-ID: send the id of an event, such as 4711-42.") from None


# --- inside --------------------------------------------------------------------------------------------------------


async def _open(
    request: Request,
    *,
    body: bool | None = None,
    changes: bool | None = None,
    needs_context_in_body: bool = True,
) -> Exchange:
    """Subscribing is reading; but a signed-in browser, which others could steer, changes nothing here."""
    exchange = await open_exchange(
        request, body=body, accepts=(JSON, LD), needs_context_in_body=needs_context_in_body
    )
    is_change = request.method in {"POST", "PATCH", "DELETE"} if changes is None else changes
    if is_change and exchange.access.name.startswith("person:"):
        raise Forbidden("Subscriptions are made and changed with a token.")
    return exchange


def _owner(access: Access) -> str | None:
    """Who sees the whole city sees every subscription; the others see their own."""
    return None if access.restriction is None else access.name


def _id(exchange: Exchange) -> str:
    return exchange.uri("subscription_id")


def _represent(exchange: Exchange, one: subscriptions.Subscription) -> Json:
    return subscriptions.represent(one, exchange.context, sys_attrs=exchange.form().sys_attrs)


def _letter(subscription_id: str, one: DeadLetter) -> Json:
    return {
        "id": one.id,
        "endpoint": one.endpoint,
        "reason": one.reason,
        "attempts": one.attempts,
        "givenUpAt": time_text(one.dead_at),
        "notification": {
            "id": one.id,
            "type": "Notification",
            "subscriptionId": subscription_id,
            "notifiedAt": one.notified_at,
            "data": one.entities,
        },
    }


ONE = "/subscriptions/{subscription_id}"
LETTERS = f"{ONE}/deadLetters"
ROUTES = [
    Route("/subscriptions", create, methods=["POST"]),
    Route("/subscriptions", query, methods=["GET"]),
    Route(ONE, retrieve, methods=["GET"]),
    Route(ONE, update, methods=["PATCH"]),
    Route(ONE, delete, methods=["DELETE"]),
    Route(f"{ONE}/events", events, methods=["GET"]),
    Route(LETTERS, dead_letters, methods=["GET"]),
    Route(LETTERS, replay_all, methods=["POST"]),
    Route(LETTERS, forget_all, methods=["DELETE"]),
    Route(f"{LETTERS}/{{notification_id}}", replay_one, methods=["POST"]),
    Route(f"{LETTERS}/{{notification_id}}", forget_one, methods=["DELETE"]),
]
