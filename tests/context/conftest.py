from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from amb247.context.domain.writing import forget_caches


@pytest.fixture(autouse=True)
def fresh_caches():
    """A test that rolls back takes its partitions with it: what the process remembers of them goes too."""
    forget_caches()
    yield
    forget_caches()


@pytest.fixture
def now() -> datetime:
    """A moment a little ago, in whole seconds: observations at it are never in the future."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
