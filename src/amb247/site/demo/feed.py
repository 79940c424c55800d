"""The demonstration city's day as it runs: a step every few seconds, told to the adapters."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from django.db import close_old_connections

from amb247.site.demo.install import installed_city, last_step, note_step, take_step, things_feed
from amb247.site.demo.simulation import Simulation

STEP_S = 3.0
NOTE_EVERY_S = 30.0  # a step told twice changes nothing, so the note may be older than the last one


def run_demo_day(stopping: threading.Event) -> None:
    """Step until told to stop. A step that is late is left out, not caught up with."""
    simulation = Simulation(installed_city(), since=last_step())
    noted = time.monotonic()
    things = things_feed()
    while not stopping.is_set():
        began = time.monotonic()
        now = datetime.now(UTC)
        close_old_connections()
        take_step(simulation.step(now), at=now, things=things)
        if began - noted > NOTE_EVERY_S:
            note_step(now)
            noted = began
        stopping.wait(max(STEP_S - (time.monotonic() - began), 0.2))
