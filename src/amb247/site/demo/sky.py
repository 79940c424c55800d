"""Sun and local time of the city."""

import math
from datetime import UTC, datetime, timedelta, timezone

from amb247.site.demo.plane import ORIGIN

BOGOTA = timezone(timedelta(hours=-5), "America/Bogota")
"""Colombia keeps UTC-5 all year: no zone data needed."""


def local(now: datetime) -> datetime:
    return now.astimezone(BOGOTA)


def sun_hours(day_of_year: int) -> tuple[float, float]:
    """Sunrise and sunset as local hours, by the NOAA short formulae; within a minute or two.

    The 0.833 degrees are refraction and the sun's radius.
    """
    turn = 2 * math.pi * (day_of_year - 1) / 365
    equation_min = 229.18 * (
        0.000075 + 0.001868 * math.cos(turn) - 0.032077 * math.sin(turn)
        - 0.014615 * math.cos(2 * turn) - 0.040849 * math.sin(2 * turn)
    )  # fmt: skip
    tilt = (
        0.006918 - 0.399912 * math.cos(turn) + 0.070257 * math.sin(turn)
        - 0.006758 * math.cos(2 * turn) + 0.000907 * math.sin(2 * turn)
        - 0.002697 * math.cos(3 * turn) + 0.00148 * math.sin(3 * turn)
    )  # fmt: skip
    lat = math.radians(ORIGIN[1])
    cosine = math.cos(math.radians(90.833)) / (math.cos(lat) * math.cos(tilt)) - math.tan(lat) * math.tan(
        tilt
    )
    half = math.degrees(math.acos(cosine))
    noon_min = 720 - 4 * ORIGIN[0] - equation_min - 300
    return (noon_min - 4 * half) / 60, (noon_min + 4 * half) / 60


def iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
