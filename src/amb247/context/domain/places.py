"""Where an entity lies, as one number that an ordinary B-tree can search.

The world (360 x 180 degrees) is a quad tree of 16 levels; the smallest quads are about 610 m wide at the equator. An entity's
cell is the smallest quad that holds the whole box of its location. Numbers follow S2's scheme: the path from the
root, two bits a level, then a 1, then zeros; so all that lies inside a quad is one range of numbers.

Compared with a GiST index on the box: a moving thing keeps its number for most steps, and PostgreSQL can then update its
row without touching any index (HOT).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEVELS = 16
MAX_RANGES = 48
Box = tuple[float, float, float, float]  # west, south, east, north in degrees


def cell_of(west: float, south: float, east: float, north: float) -> int:
    """The number of the smallest quad that holds the box; degrees, WGS84."""
    if west == east and south == north:
        return (2 * (_spread(_column(west)) | (_spread(_row(south)) << 1))) + 1
    x1, y1, x2, y2 = _column(west), _row(south), _column(east), _row(north)
    up = max((x1 ^ x2).bit_length(), (y1 ^ y2).bit_length())
    return _number(x1 >> up, y1 >> up, LEVELS - up)


def box_of(geometry: Mapping[str, Any]) -> Box:
    """The box of a GeoJSON geometry whose form was checked; degrees."""
    coordinates = geometry["coordinates"]
    if geometry["type"] == "Point":
        return (coordinates[0], coordinates[1], coordinates[0], coordinates[1])
    positions: list[Any] = [coordinates]
    while isinstance(positions[0][0], (list, tuple)):
        positions = [inner for part in positions for inner in part]
    lons, lats = [p[0] for p in positions], [p[1] for p in positions]
    return (min(lons), min(lats), max(lons), max(lats))


def cell_ranges(box: Box) -> tuple[list[tuple[int, int]], list[int]]:
    """What an entity's cell must be for its box to be able to touch this one: one of some ranges, or of some numbers.

    The ranges hold everything inside the quads that cover the box, the numbers are the larger quads around them.
    """
    x1, y1, x2, y2 = _column(box[0]), _row(box[1]), _column(box[2]), _row(box[3])
    up = 0
    while ((x2 >> up) - (x1 >> up) + 1) * ((y2 >> up) - (y1 >> up) + 1) > MAX_RANGES:
        up += 1
    level = LEVELS - up
    ranges: list[tuple[int, int]] = []
    around: set[int] = set()
    for x in range(x1 >> up, (x2 >> up) + 1):
        for y in range(y1 >> up, (y2 >> up) + 1):
            centre = _number(x, y, level)
            reach = (1 << (2 * up)) - 1
            ranges.append((centre - reach, centre + reach))
            around.update(_number(x >> step, y >> step, level - step) for step in range(1, level + 1))
    return _joined(sorted(ranges)), sorted(around)


def cells_condition(box: Box, *, column: str = "cell") -> tuple[str, list[Any]]:
    """SQL and parameters that leave out most of what cannot touch the box; the exact test comes after it."""
    ranges, around = cell_ranges(box)
    parts = [f"{column} BETWEEN %s AND %s"] * len(ranges) + [f"{column} = ANY(%s)"]
    parameters: list[Any] = [bound for pair in ranges for bound in pair]
    return f"({' OR '.join(parts)})", [*parameters, around]


def fill_cells(cursor: Any) -> None:
    """Give a cell to every entity that has a box and none."""
    cursor.execute(
        "SELECT id, (bbox[1])[0], (bbox[1])[1], (bbox[0])[0], (bbox[0])[1] FROM context_entity "
        "WHERE bbox IS NOT NULL AND cell IS NULL"
    )
    rows = [(row[0], cell_of(*row[1:])) for row in cursor.fetchall()]
    for first in range(0, len(rows), 5_000):
        part = rows[first : first + 5_000]
        cursor.execute(
            "UPDATE context_entity e SET cell = r.cell FROM unnest(%s::text[], %s::bigint[]) r (id, cell) "
            "WHERE e.id = r.id",
            [[row[0] for row in part], [row[1] for row in part]],
        )


SIZE = 1 << LEVELS


def _column(lon: float) -> int:
    return min(max(int((lon + 180.0) * (SIZE / 360.0)), 0), SIZE - 1)


def _row(lat: float) -> int:
    return min(max(int((lat + 90.0) * (SIZE / 180.0)), 0), SIZE - 1)


def _number(x: int, y: int, level: int) -> int:
    path = _spread(x) | (_spread(y) << 1)
    return (2 * path + 1) << (2 * (LEVELS - level))


def _spread(value: int) -> int:
    """The bits of a 16-bit number with a zero between any two."""
    value = (value | (value << 8)) & 0x00FF00FF
    value = (value | (value << 4)) & 0x0F0F0F0F
    value = (value | (value << 2)) & 0x33333333
    return (value | (value << 1)) & 0x55555555


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbouring ranges as one: the numbers between them (even ones) are no quads."""
    joined: list[tuple[int, int]] = []
    for low, high in ranges:
        if joined and low - joined[-1][1] <= 2:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined
