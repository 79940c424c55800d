"""What runs beside the pages: the job queue, the pollers of live feeds, the demonstration city."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import cast

from django.db import close_old_connections
from procrastinate.contrib.django import app as jobs
from procrastinate.contrib.django.django_connector import DjangoConnector

log = logging.getLogger("amb247.worker")


def background_threads(stopping: threading.Event, *, demo: bool) -> list[threading.Thread]:
    """Threads that end soon after `stopping` is set."""
    parts: list[tuple[str, Callable[[threading.Event], None]]] = [("jobs", run_jobs), ("feeds", poll_feeds)]
    if demo:
        from amb247.site.demo.feed import run_demo_day

        parts.append(("demo", run_demo_day))
    return [
        threading.Thread(target=_guarded, args=(name, part, stopping), name=name, daemon=True)
        for name, part in parts
    ]


def _guarded(name: str, part: Callable[[threading.Event], None], stopping: threading.Event) -> None:
    """Run a part again when it fails, ever more slowly; its failures are logged, never passed over."""
    wait_s = 1.0
    while not stopping.is_set():
        try:
            part(stopping)
            return
        except Exception:
            log.exception("part failed", extra={"part": name})
            close_old_connections()
            stopping.wait(wait_s)
            wait_s = min(wait_s * 2, 60.0)


def run_jobs(stopping: threading.Event) -> None:
    """The queue's worker and its periodic tasks."""

    async def work() -> None:
        async with jobs.with_connector(
            cast("DjangoConnector", jobs.connector).get_worker_connector()
        ).open_async() as app:
            worker = asyncio.create_task(
                app.run_worker_async(
                    wait=True,
                    install_signal_handlers=False,
                    concurrency=2,
                    delete_jobs="successful",
                    shutdown_graceful_timeout=5,
                )
            )
            while not stopping.is_set() and not worker.done():  # noqa: ASYNC110 - set by a thread
                await asyncio.sleep(0.5)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    asyncio.run(work())


def poll_feeds(stopping: threading.Event) -> None:
    """Ask the live feeds that are due."""
    from amb247.mobility import api as mobility

    mobility.poll_until(stopping)
