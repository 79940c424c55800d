from __future__ import annotations

from pathlib import Path

import pytest
from factories import territory as make

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "bucaramanga"


@pytest.fixture
def areas(db):
    return make.small_territory()


@pytest.fixture
def real_files() -> Path:
    """The municipal files beside the project; loud where they are absent."""
    if not REAL.is_dir():
        pytest.skip(f"REAL DATA ABSENT: {REAL} (tests of the importer on real files did not run)")
    return REAL
