"""Real processes for tests: who still runs for a data directory, and patience that ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import psutil


def processes_of(data: Path) -> list[psutil.Process]:
    """Living processes that work inside `data` or name it: PostgreSQL works inside its cluster, ours name theirs."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and _is_about(process, str(data)):
                found.append(process)
    return found


def _is_about(process: psutil.Process, data: str) -> bool:
    if process.cwd().startswith(data) or any(data in part for part in process.cmdline()):
        return True
    return process.environ().get("AMB_DATA") == data and "amb247" in " ".join(process.cmdline())


def wait_until(condition: Callable[[], bool], limit_s: float = 20.0) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
