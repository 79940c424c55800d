from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.processes import processes_of, wait_until

from amb247.kernel.engine import Engine, open_engine


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory that every account may walk into; pytest's own `tmp_path` is closed to all but us."""
    folder = Path(tempfile.mkdtemp(prefix="amb-engine-"))
    folder.chmod(0o755)
    yield folder
    # A server whose launcher was killed ends by itself, a moment later.
    wait_until(lambda: not processes_of(folder))
    shutil.rmtree(folder)


@pytest.fixture
def engines() -> Iterator[list[Engine]]:
    """Engines put in here are stopped whatever the test finds."""
    made: list[Engine] = []
    yield made
    for engine in made:
        engine.stop()


@pytest.fixture
def start(data, engines):
    """`start()` opens the data directory's engine, again if need be."""

    def run(**arguments) -> Engine:
        engines.append(open_engine(data, **arguments))
        return engines[-1]

    return run
