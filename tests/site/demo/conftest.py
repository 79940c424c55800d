"""Two cities are enough: a small one for most tests, a full one where numbers matter."""

from datetime import UTC, datetime

import pytest

from amb247.site.demo.city import City, build_city

MORNING = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""A Monday, 07:00 in Bogotá."""
NIGHT = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
"""01:00 in Bogotá."""


@pytest.fixture(scope="session")
def small() -> City:
    return build_city(seed=7, scale=0.02)


@pytest.fixture(scope="session")
def full() -> City:
    return build_city(seed=7)
