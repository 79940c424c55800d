"""The event stream `/events/city`: one response per browser, written only as fast as the browser reads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from amb247.centre.live import service
from amb247.context.data import Cursor

BEAT_S = 10.0
WRITE_LIMIT_S = 60.0  # a browser that takes nothing for so long is gone: it comes back by itself
MAX_STREAMS = 2_000

Visible = frozenset[str] | None
# Who is asking: the areas that they may see; None when they may not see any.
FindVisible = Callable[[Request], Awaitable[tuple[bool, Visible]]]


class EventStream:
    """ASGI application of the stream.

    Parameters
    ----------
    find_visible : Callable
        Request -> (allowed, areas), asked once when the stream opens.

    Attributes
    ----------
    closing : asyncio.Event
        Set when the server stops, so that open streams end at once.
    """

    def __init__(self, find_visible: FindVisible) -> None:
        self.find_visible = find_visible
        self.closing = asyncio.Event()
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        live = service.current()
        if live is None or not live.is_ready or self.open >= MAX_STREAMS:
            await JSONResponse({"title": "not ready"}, 503, {"Retry-After": "2"})(scope, receive, send)
            return
        is_allowed, visible = await self.find_visible(request)
        if not is_allowed:
            await JSONResponse({"title": "not allowed"}, 403)(scope, receive, send)
            return
        await self._stream(live, visible, _last_seen(request), receive, send)

    async def _stream(
        self, live: service.LiveCity, visible: Visible, last: Cursor | None, receive: Receive, send: Send
    ) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"cache-control", b"no-store"),
                    (b"x-accel-buffering", b"no"),
                ],
            }
        )
        self.open += 1
        tasks = {
            asyncio.create_task(self._write(live, visible, last, send)),
            asyncio.create_task(_until_gone(receive)),
            asyncio.create_task(self.closing.wait()),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.open -= 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(OSError, RuntimeError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, live: service.LiveCity, visible: Visible, last: Cursor | None, send: Send) -> None:
        async with contextlib.aclosing(live.topic(visible).follow(last, beat_s=BEAT_S)) as payloads:
            async for payload in payloads:
                async with asyncio.timeout(WRITE_LIMIT_S):
                    await send({"type": "http.response.body", "body": payload, "more_body": True})


def _last_seen(request: Request) -> Cursor | None:
    text = request.headers.get("last-event-id") or request.query_params.get("last_event_id") or ""
    try:
        return Cursor.parse(text)
    except ValueError:
        return None


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
