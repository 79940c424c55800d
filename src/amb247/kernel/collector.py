"""Python's cyclic garbage collector, tuned for processes that handle large batches of plain data."""

from __future__ import annotations

import gc

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
