"""One process, one port: Starlette where it is hot or streams, Django under WSGI in threads for the pages.

Figures and the rejected arrangements: docs/decisions/0003-one-process-two-frameworks.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import django
import numpy as np
from a2wsgi import WSGIMiddleware
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import close_old_connections
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

django.setup()

from amb247.centre.events import EventStream  # noqa: E402 - models need the set-up above
from amb247.centre.live import service  # noqa: E402
from amb247.context.delivery.service import service as delivery  # noqa: E402
from amb247.context.delivery.streams import streams  # noqa: E402
from amb247.context.rest.app import ngsi_app  # noqa: E402
from amb247.site import health, metrics  # noqa: E402
from amb247.site.access import person_of_cookie, visible_in_centre  # noqa: E402
from amb247.site.limits import LimitsMiddleware  # noqa: E402
from amb247.territory import api as territory  # noqa: E402

log = logging.getLogger("amb247.web")
PAGE_THREADS = 8


def find_areas(lon: Any, lat: Any) -> list[str]:
    """Area code of each point, empty outside the territory."""
    close_old_connections()  # on the reader's own thread: a lost connection must not stay
    return [code or "" for code in territory.area_codes_of(np.column_stack([lon, lat]))]


def build_application() -> ASGIApp:
    Path(settings.STATIC_ROOT).mkdir(
        parents=True, exist_ok=True
    )  # WhiteNoise warns of a folder that is not there
    stream = EventStream(visible_in_centre)
    ngsi = ngsi_app(person_of_cookie)
    pages = cast("ASGIApp", WSGIMiddleware(cast("Any", WSGIHandler()), workers=PAGE_THREADS))

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        delivery.start(os.environ["AMB_DATABASE_URL"])
        service.start(os.environ["AMB_DATABASE_URL"], find_areas)
        try:
            yield
        finally:
            stream.closing.set()
            service.stop()
            await streams.stop()
            await asyncio.to_thread(delivery.stop)
            await asyncio.to_thread(ngsi.stop)

    application = Starlette(
        routes=[
            Route("/events/city", stream),
            AnyMount("/ngsi-ld", app=ngsi),
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", figures),
            AnyMount("/", app=pages),
        ],
        lifespan=lifespan,
    )
    application.state.stream = stream
    return LimitsMiddleware(application, max_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE * 25)


class AnyMount(Mount):
    """A mount of every path below it; Starlette's own leaves out those with a line break (`%0A`)."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app=app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


async def live(_request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


async def ready(_request: Request) -> Response:
    """Database reachable and migrated, live picture loaded: traffic may come."""
    problems = await sync_to_async(health.problems, thread_sensitive=False)()
    return JSONResponse({"ready": not problems, "problems": problems}, 200 if not problems else 503)


async def figures(request: Request) -> Response:
    if request.client is None or not metrics.may_read(
        request.client.host, request.headers.get("authorization")
    ):
        return PlainTextResponse(
            "metrics are for this machine, or for the bearer of AMB_METRICS_TOKEN\n", 403
        )
    await sync_to_async(metrics.refresh, thread_sensitive=False)()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
