from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from amb247.site.asgi import AnyMount

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("path", ["/ngsi-ld/v1/a", "/ngsi-ld/v1/a%0Ab", "/ngsi-ld/v1/%0A%0A/b%0D%0A"])
def test_a_line_break_in_a_path_reaches_what_is_mounted(path):
    async def mounted(scope, receive, send):
        await PlainTextResponse("here")(scope, receive, send)

    async def asked():
        transport = httpx.ASGITransport(Starlette(routes=[AnyMount("/ngsi-ld", app=mounted)]))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    answer = asyncio.run(asked())
    assert (answer.status_code, answer.text) == (200, "here")
