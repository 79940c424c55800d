"""Delivery inside a server process: a thread with an event loop of its own, started and stopped with the server."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

from django.db import connection
from psycopg.conninfo import make_conninfo

from amb247.context.delivery.engine import Engine
from amb247.context.delivery.policy import Policy, policy_from_environment

log = logging.getLogger(__name__)


class DeliveryService:
    """`start(url)` and `stop()`; between them this process delivers, or stands by while another does."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.engine: Engine | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    def start(self, url: str | None = None, *, policy: Policy | None = None) -> None:
        """Begin. Returns at once; what is late is delivered as soon as the lock is ours.

        Without `url` it is Django's database.
        """
        if self.thread is not None:
            return
        url = url or database_url()
        chosen = policy or policy_from_environment()
        begun = threading.Event()
        self.thread = threading.Thread(
            target=self._run, args=(url, chosen, begun), name="delivery", daemon=True
        )
        self.thread.start()
        begun.wait(10)

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """End in order: what is under way is broken off, what was acknowledged is written down."""
        thread, self.thread = self.thread, None
        if thread is None:
            return
        if self.loop is not None and self.engine is not None:
            try:
                self.loop.call_soon_threadsafe(self.engine.stop)
            except RuntimeError:  # it ended by itself
                log.debug("delivery had ended")
        thread.join(timeout_s)

    @property
    def is_leading(self) -> bool:
        """Whether it is this process that delivers."""
        return self.engine is not None and self.engine.is_leading.is_set()

    def counts(self) -> dict[str, Any]:
        """How delivery is going, when this process delivers; empty otherwise."""
        return {} if self.engine is None else self.engine.counts()

    def _run(self, url: str, policy: Policy, begun: threading.Event) -> None:
        async def run() -> None:
            self.loop = asyncio.get_running_loop()
            self.engine = Engine(url, policy)
            begun.set()
            await self.engine.run()

        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run())


def database_url() -> str:
    """Django's own database as psycopg names it."""
    settings = connection.settings_dict
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    options = {name: value for name, value in settings["OPTIONS"].items() if isinstance(value, str)}
    named = {name: settings[key] for name, key in names.items() if settings[key]}
    return make_conninfo(**options | named)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


service = DeliveryService()
