"""The territory in memory: the tree of areas and the search by point, cached until an area changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np
import shapely
from django.db.models import TextField
from django.db.models.functions import Cast
from numpy.typing import NDArray

from amb247.territory import models
from amb247.territory.data import Area, AreaCode, AreaNode, AreaShape, Polygon, Ring
from amb247.territory.enums import Level
from amb247.territory.errors import AreaUnknown

COLUMNS = (
    "code",
    "level",
    "name",
    "parent__code",
    "population",
    "population_year",
    "population_source",
    "area_km2",
    "west",
    "south",
    "east",
    "north",
    "longitude",
    "latitude",
    "synthetic",
    "source",
)
KEPT = 2  # a transaction that has changed areas, and everybody else


@dataclass(frozen=True)
class Shapes:
    """Shapes of one level, sorted by code, with the index that finds them."""

    codes: NDArray[np.object_]
    geometries: NDArray[np.object_]
    tree: shapely.STRtree


class Territory:
    """All areas of one version."""

    def __init__(self, areas: Iterable[Area]) -> None:
        self.by_code: dict[str, Area] = {
            area.code: area for area in sorted(areas, key=lambda area: area.code)
        }
        self.below: dict[str | None, list[Area]] = {}
        for area in self.by_code.values():
            self.below.setdefault(area.parent, []).append(area)
        self._lock = threading.Lock()
        self._shapes: dict[str, Shapes] | None = None
        self._polygons: dict[str, tuple[Polygon, ...]] = {}

    def line_of(self, code: str) -> tuple[Area, ...]:
        """The area and those above it, the metropolitan area last; AreaUnknown for an unknown code."""
        if code not in self.by_code:
            raise AreaUnknown(code)
        line = [self.by_code[code]]
        while (above := line[-1].parent) is not None:
            line.append(self.by_code[above])
        return tuple(line)

    def all_below(self, code: str) -> list[Area]:
        """The area and everything below it, parents before children."""
        found = [self.by_code[code]] if code in self.by_code else []
        for area in found:
            found += self.below.get(area.code, [])
        return found

    @cached_property
    def roots(self) -> tuple[AreaNode, ...]:
        return tuple(self._node(area) for area in self.below.get(None, []))

    def _node(self, area: Area) -> AreaNode:
        return AreaNode(area, tuple(self._node(child) for child in self.below.get(area.code, [])))

    @property
    def shapes(self) -> Mapping[str, Shapes]:
        """By level; read on first use, because most requests need no shape."""
        with self._lock:
            if self._shapes is None:
                self._shapes = {level: _load_shapes(level) for level in Level.values}
        return self._shapes

    def polygons_of(self, code: str) -> tuple[Polygon, ...]:
        """The area's shape; of one without a shape, the shapes of those below. Empty where there is none."""
        found = self._polygons.get(code)
        if found is None:
            found = self._polygons[code] = self._find_polygons(code)
        return found

    def _find_polygons(self, code: str) -> tuple[Polygon, ...]:
        area = self.by_code.get(code)
        if area is None:
            return ()
        shapes = self.shapes[area.level]
        place = int(np.searchsorted(shapes.codes, code))
        if place < len(shapes.codes) and shapes.codes[place] == code:
            return _polygons(shapes.geometries[place])
        return tuple(one for child in self.below.get(code, []) for one in self.polygons_of(child.code))

    def area_at(self, lon: float, lat: float) -> Area | None:
        point = shapely.Point(lon, lat)
        for level in reversed(Level.values):
            shapes = self.shapes[level]
            near = np.sort(shapes.tree.query(point))
            hits = near[shapely.intersects(shapes.geometries[near], point)]
            if len(hits):
                return self.by_code[shapes.codes[hits[0]]]
        return None

    def codes_at(self, lon_lat: NDArray[np.float64], level: str | None) -> NDArray[np.object_]:
        """The polygons search the points, not the other way round: GEOS can then use the prepared polygons.

        From the neighbourhoods up; each level looks only for what the ones below left over.
        """
        found = np.full(len(lon_lat), None, dtype=object)
        left = np.flatnonzero(np.isfinite(lon_lat).all(axis=1))
        for name in [level] if level else reversed(Level.values):
            shapes = self.shapes[name]
            if not len(left) or not len(shapes.codes):
                continue
            points = np.asarray(shapely.points(lon_lat[left]), dtype=object)
            areas, hits = shapely.STRtree(points).query(shapes.geometries, predicate="intersects")
            order = np.argsort(-areas, kind="stable")  # on a shared border the lowest code wins
            found[left[hits[order]]] = shapes.codes[areas[order]]
            left = np.delete(left, hits)
        return found


_kept: dict[UUID, Territory] = {}
_kept_lock = threading.Lock()


def territory() -> Territory:
    """The territory as this transaction sees it: one query for the stamp, more only after a change."""
    stamp = models.TerritoryVersion.objects.values_list("stamp", flat=True).first()
    if stamp is None:
        return Territory(_load_areas())
    known = _kept.get(stamp)
    if known is None:
        known = Territory(_load_areas())
        with _kept_lock:
            _kept[stamp] = known
            for old in list(_kept)[:-KEPT]:
                del _kept[old]
    return known


def shapes_of(level: str | None, simplify_m: float) -> list[AreaShape]:
    """Areas that have a shape, simplified by at most `simplify_m`, neighbours apart by as much."""
    now = territory()
    found = []
    for name in [level] if level else Level.values:
        shapes = now.shapes[name]
        geometries = (
            shapely.simplify(shapes.geometries, simplify_m / 111_000.0) if simplify_m else shapes.geometries
        )
        found += [
            AreaShape(now.by_code[code], json.loads(shapely.to_geojson(geometry)))
            for code, geometry in zip(shapes.codes, geometries, strict=True)
        ]
    return found


def _load_areas() -> list[Area]:
    return [_area(row) for row in models.Area.objects.order_by("code").values(*COLUMNS)]


def _area(row: Mapping[str, Any]) -> Area:
    has_shape = row["west"] is not None
    return Area(
        code=AreaCode(row["code"]),
        level=row["level"],
        name=row["name"],
        parent=row["parent__code"],
        population=row["population"],
        population_year=row["population_year"],
        population_source=row["population_source"],
        area_km2=row["area_km2"],
        bbox=(row["west"], row["south"], row["east"], row["north"]) if has_shape else None,
        centroid=(row["longitude"], row["latitude"]) if has_shape else None,
        synthetic=row["synthetic"],
        source=row["source"],
    )


def _polygons(geometry: shapely.Geometry) -> tuple[Polygon, ...]:
    return tuple(
        (_ring(part.exterior), *(_ring(hole) for hole in part.interiors))
        for part in shapely.get_parts(geometry)
    )


def _ring(ring: shapely.LinearRing) -> Ring:
    return tuple((lon, lat) for lon, lat in shapely.get_coordinates(ring).tolist())


def _load_shapes(level: str) -> Shapes:
    rows: Sequence[tuple[str, str]] = list(
        models.Area.objects.filter(level=level, geometry__isnull=False)
        .order_by("code")
        .values_list("code", Cast("geometry", TextField()))
    )
    codes = np.array([code for code, _text in rows], dtype=object)
    geometries = np.asarray(shapely.from_geojson([text for _code, text in rows]), dtype=object).reshape(
        len(rows)
    )
    shapely.prepare(geometries)
    # GEOS builds a prepared shape's index at its first use, and not safely from two threads: use each once, here.
    shapely.intersects(geometries, shapely.point_on_surface(geometries))
    return Shapes(codes=codes, geometries=geometries, tree=shapely.STRtree(geometries))
