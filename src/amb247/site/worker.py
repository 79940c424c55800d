"""`amb worker`: background tasks, live feeds, and the demonstration city's day."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from types import FrameType

from amb247.site.database import database
from amb247.site.terminal import OK

log = logging.getLogger("amb247.worker")


def run_worker(chosen: argparse.Namespace) -> int:
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with database():
        from amb247.site.background import background_threads

        threads = background_threads(stopping, demo=chosen.demo)
        for thread in threads:
            thread.start()
        while not stopping.wait(1.0):
            dead = [thread.name for thread in threads if not thread.is_alive()]
            if dead:
                log.error("a part of the worker has ended", extra={"parts": dead})
                stopping.set()
        for thread in threads:
            thread.join(8)
    return OK
