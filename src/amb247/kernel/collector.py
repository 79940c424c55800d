"""Python's interpreter, tuned for processes that handle large batches of plain data beside a server's event loop."""

from __future__ import annotations

import gc
import sys

YOUNG_OBJECTS = 50_000


def calm_collector() -> None:
    """Collect less often, and never again look at what was loaded so far. Call once, after the imports.

    A batch of a thousand entities makes some ten thousand dictionaries without a cycle; with Python's default of one
    collection each 700 objects, a quarter of a batch's processor time went into looking for cycles (measured by
    `amb bench ingest` with the collector on and off).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)


SWITCH_S = 0.003  # 1 ms costs batches a tenth of their speed, 5 ms makes single requests beside them wait


def share_interpreter() -> None:
    """Let waiting threads have the interpreter sooner than after Python's 5 ms. Call once.

    The event loop lets go of it at each read and write of a socket; behind a thread that merges a batch it would wait 5 ms
    each time to go on.
    """
    sys.setswitchinterval(SWITCH_S)
