"""Limits on every request, its log line and its figures."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amb247.site import metrics

log = logging.getLogger("amb247.web")
BODY_IDLE_S = 30.0  # longest silence while a body is on its way
MAX_URL = 8_192
NGSI = "/ngsi-ld/"
NGSI_TYPE = "https://uri.etsi.org/ngsi-ld/errors/InvalidRequest"
# A request's id is told to whoever asks for help; asking the system for randomness at each request would let go of the
# interpreter and wait for it again behind the database's threads (a third of a millisecond, measured).
PROCESS = secrets.token_hex(4)
_numbers = itertools.count(1)


class TooLarge(OSError):
    """The body exceeds the limit. For the application the client has gone, which it knows how to end quietly."""


class LimitsMiddleware:
    """Refuses bodies that are too large or too slow, and addresses that are too long; counts and logs the rest.

    Parameters
    ----------
    app : ASGI application
    max_body : int
        Bytes.
    """

    def __init__(self, app: ASGIApp, *, max_body: int) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                metrics.SECONDS.labels(scope["method"]).observe(time.perf_counter() - started)
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode()))
            await send(message)

        request_id = f"{PROCESS}{next(_numbers):08x}"
        try:
            await self._guarded(scope, receive, note)
        finally:
            metrics.REQUESTS.labels(scope["method"], str(status)).inc()
            if not scope["path"].startswith(("/static/", "/health/")):
                log.info(
                    "request",
                    extra={
                        "method": scope["method"],
                        "path": scope["path"],
                        "status": status,
                        "request_id": request_id,
                        "ms": round((time.perf_counter() - started) * 1000, 1),
                    },
                )

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL:
            await _refuse(414, "The address is too long.", scope, receive, send)
            return
        try:
            declared = int(headers.get(b"content-length", b"0"))
        except ValueError:
            await _refuse(400, "Content-Length is no number.", scope, receive, send)
            return
        if declared > self.max_body:
            await _refuse(413, f"The body may have {self.max_body:,} bytes.", scope, receive, send)
            return
        received = 0
        is_complete = False
        refusal: tuple[int, str] | None = None
        is_answered = False

        async def limited() -> Message:
            nonlocal received, is_complete, refusal
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout(BODY_IDLE_S):
                    message = await receive()
            except TimeoutError:
                refusal = 408, "The body did not arrive in time."
                raise
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                is_complete = not message.get("more_body", False)
                if received > self.max_body:
                    refusal = 413, f"The body may have {self.max_body:,} bytes."
                    raise TooLarge
            return message

        async def answer(message: Message) -> None:
            """What the application says after a refusal is about a body that it could not read: not sent."""
            nonlocal is_answered
            if refusal is None or is_answered:
                is_answered = True
                await send(message)

        try:
            await self.app(scope, limited, answer)
        except (TooLarge, TimeoutError):
            if refusal is None or is_answered:
                raise
        if refusal is not None and not is_answered:
            await _refuse(*refusal, scope, receive, send)


async def _refuse(status: int, words: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"].startswith(NGSI):  # whose problems have a type, and the media type of GS CIM 009, 5.5.3
        body = {"type": NGSI_TYPE, "title": "Invalid request", "status": status, "detail": words}
        await JSONResponse(body, status)(scope, receive, send)
        return
    body = {"type": "about:blank", "title": words, "status": status}
    await JSONResponse(body, status, media_type="application/problem+json")(scope, receive, send)
