"""Municipalities, communes and neighbourhoods: one Voronoi partition, bent, so nothing overlaps."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry

from amb247.site.demo import facts
from amb247.site.demo.plane import Floats, hashed, to_degrees, to_plane, waves


@dataclass(frozen=True)
class Area:
    """One polygon of the territory, on the plane."""

    level: str
    code: str
    name: str
    parent: str | None
    population: int | None
    shape: BaseGeometry


@dataclass(frozen=True)
class Territory:
    municipalities: tuple[Area, ...]
    communes: tuple[Area, ...]
    neighbourhoods: tuple[Area, ...]
    water: tuple[tuple[str, float, LineString], ...]
    woods: tuple[tuple[str, BaseGeometry], ...]
    parks: tuple[tuple[str, BaseGeometry], ...]

    @property
    def areas(self) -> tuple[Area, ...]:
        return self.municipalities + self.communes + self.neighbourhoods


def build_territory(seed: int) -> Territory:
    urban = _urban_outline(seed)
    cells = _cells()
    faces = _faces(seed, cells, urban)
    communes = _communes(faces)
    municipalities = _municipalities(faces)
    neighbourhoods = [child for area in communes for child in _neighbourhoods(seed, area)]
    built_up = shapely.union_all([area.shape for area in communes])
    return Territory(
        municipalities=tuple(municipalities),
        communes=tuple(communes),
        neighbourhoods=tuple(neighbourhoods),
        water=tuple((name, width, _curve(seed, line)) for name, width, line in facts.RIVERS),
        woods=_woods(seed, built_up),
        parks=_parks(seed, built_up),
    )


def _cells() -> list[tuple[str, str | None, BaseGeometry]]:
    """(municipality, commune or None for rural land, cell) of one Voronoi diagram over all known points."""
    owners: list[tuple[str, str | None]] = []
    places: list[facts.Coordinate] = []
    for commune in facts.COMMUNES:
        owners.append((commune.code[:5], commune.code))
        places.append(commune.centre)
    for municipality in facts.MUNICIPALITIES:
        for point in municipality.outside:
            owners.append((municipality.code, None))
            places.append(point)
    points = to_plane(places)
    return [(*owner, cell) for owner, cell in zip(owners, voronoi(points, _frame()), strict=True)]


def voronoi(points: Floats, frame: BaseGeometry) -> list[BaseGeometry]:
    """The Voronoi cell of each point, clipped to the frame, in the order of the points."""
    if len(points) == 1:
        return [frame]
    diagram = shapely.voronoi_polygons(shapely.MultiPoint(points), extend_to=frame)
    cells = list(diagram.geoms)
    tree = shapely.STRtree(cells)
    found = tree.query(shapely.points(points), predicate="within")
    order = dict(zip(found[0].tolist(), found[1].tolist(), strict=True))
    return [shapely.intersection(cells[order[index]], frame) for index in range(len(points))]


def _frame() -> Polygon:
    corners = to_plane([(-73.208, 7.198), (-73.135, 7.214), (-73.062, 7.200), (-73.030, 7.140), (-73.012, 7.060),
                        (-73.000, 6.985), (-73.015, 6.938), (-73.075, 6.935), (-73.150, 6.950), (-73.205, 6.990),
                        (-73.218, 7.080)])  # fmt: skip
    return Polygon(corners).buffer(250)


def _urban_outline(seed: int) -> BaseGeometry:
    """Discs of the communes' area grown together; the notches left between them are the escarpments."""
    discs = []
    for index, commune in enumerate(facts.COMMUNES):
        radius = math.sqrt(commune.area_km2 * 1e6 / math.pi) * 1.12
        turn = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        phase = hashed(seed, 11, index, np.arange(3)) * 2 * math.pi
        wobble = 1 + sum(0.09 * np.sin((k + 2) * turn + phase[k]) for k in range(3))
        centre = to_plane(commune.centre)
        ring = centre + (radius * wobble)[:, None] * np.c_[np.cos(turn), np.sin(turn)]
        discs.append(Polygon(ring))
    grown = shapely.union_all(discs).buffer(230).buffer(-330).buffer(100)
    return shapely.union_all(grown)


def _faces(
    seed: int, cells: list[tuple[str, str | None, BaseGeometry]], urban: BaseGeometry
) -> list[tuple[str, str | None, BaseGeometry]]:
    """(municipality, commune or None outside the urban outline, polygon) after bending.

    The lines are bent, not the polygons: neighbours share every vertex, so no overlap and no gap can appear.
    """
    lines = shapely.union_all([cell.boundary for _, _, cell in cells] + [urban.boundary])
    bent = shapely.transform(shapely.segmentize(lines, 140), lambda points: _bent(seed, points))
    tree = shapely.STRtree([cell for _, _, cell in cells])
    faces = []
    for face in shapely.get_parts(shapely.polygonize(shapely.get_parts(bent).tolist())):
        inside = _unbent(seed, np.asarray(face.representative_point().coords[0]))
        point = Point(*inside)
        owner, commune, _ = cells[int(tree.nearest(point))]
        faces.append((owner, commune if urban.contains(point) else None, face))
    return faces


def _bent(seed: int, points: Floats) -> Floats:
    coarse = waves(seed + 1, points, wavelength_m=2600, amplitude_m=75)
    return waves(seed + 2, coarse, wavelength_m=750, amplitude_m=16)


def _unbent(seed: int, point: Floats) -> Floats:
    guess = point.copy()
    for _ in range(8):
        guess = point - (_bent(seed, guess) - guess)
    return guess


def _communes(faces: list[tuple[str, str | None, BaseGeometry]]) -> list[Area]:
    areas = []
    for commune in facts.COMMUNES:
        shape = largest(shapely.union_all([face for _, code, face in faces if code == commune.code]))
        areas.append(Area("commune", commune.code, commune.name, commune.code[:5], commune.population, shape))
    return areas


def _municipalities(faces: list[tuple[str, str | None, BaseGeometry]]) -> list[Area]:
    areas = []
    for municipality in facts.MUNICIPALITIES:
        land = shapely.union_all([face for owner, _, face in faces if owner == municipality.code])
        areas.append(Area("municipality", municipality.code, municipality.name, None, None, land))
    return areas


def _neighbourhoods(seed: int, commune: Area) -> list[Area]:
    names = next(fact.neighbourhoods for fact in facts.COMMUNES if fact.code == commune.code)
    points = _spread(seed + int(commune.code.replace("-", "")), commune.shape, len(names))
    cells = [largest(cell) for cell in voronoi(points, commune.shape)]
    # from the north-west, so that codes run over the commune in reading order
    order = np.argsort([-cell.centroid.y + 0.3 * cell.centroid.x for cell in cells])
    return [
        Area("neighbourhood", f"{commune.code}-{rank + 1:03d}", name, commune.code, None, cells[index])
        for rank, (index, name) in enumerate(zip(order, names, strict=True))
    ]


def _spread(seed: int, shape: BaseGeometry, count: int) -> Floats:
    """Points inside a shape, evened out by three rounds of Lloyd's relaxation."""
    rng = np.random.default_rng(seed)
    west, south, east, north = shape.bounds
    points = np.empty((0, 2))
    while len(points) < count:
        tried = rng.uniform((west, south), (east, north), (count * 4, 2))
        points = np.vstack([points, tried[shapely.contains_xy(shape, tried)]])
    points = points[:count]
    for _ in range(3):
        cells = voronoi(points, shape)
        points = np.array([cell.representative_point().coords[0] if not cell.contains(cell.centroid)
                           else cell.centroid.coords[0] for cell in cells])  # fmt: skip
    return points


def largest(shape: BaseGeometry) -> BaseGeometry:
    """The biggest polygon of a shape: slivers beyond a notch belong to nobody."""
    polygons = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    return max(polygons, key=lambda part: part.area) if polygons else Polygon()


def _curve(seed: int, line: tuple[facts.Coordinate, ...]) -> LineString:
    points = chaikin(to_plane(line), 3)
    return LineString(waves(seed + 5, points, wavelength_m=900, amplitude_m=45))


def chaikin(points: Floats, rounds: int) -> Floats:
    """Corner cutting: a smooth line through the neighbourhood of its control points, ends kept."""
    for _ in range(rounds):
        cut = np.empty((2 * (len(points) - 1), 2))
        cut[0::2] = 0.75 * points[:-1] + 0.25 * points[1:]
        cut[1::2] = 0.25 * points[:-1] + 0.75 * points[1:]
        points = np.vstack([points[:1], cut, points[-1:]])
    return points


def _woods(seed: int, built_up: BaseGeometry) -> tuple[tuple[str, BaseGeometry], ...]:
    clearing = built_up.buffer(70)
    woods = []
    for name, *corners in facts.WOODS:
        ring = chaikin(np.vstack([to_plane(corners), to_plane(corners[:1])]), 3)
        shape = Polygon(waves(seed + 7, ring, wavelength_m=1100, amplitude_m=70)).buffer(0)
        left = shapely.difference(shape, clearing).buffer(-40).buffer(40)
        woods.append((name, shapely.simplify(left, 6)))
    return tuple(woods)


def _parks(seed: int, built_up: BaseGeometry) -> tuple[tuple[str, BaseGeometry], ...]:
    parks = []
    for index, (name, lon, lat, size) in enumerate(facts.PARKS):
        centre = to_plane((lon, lat))
        corners = 4 if size < 100 else 9
        turn = np.linspace(0, 2 * math.pi, corners, endpoint=False) + math.radians(45 - 17)
        radius = size * 0.62 * (1 + 0.18 * (hashed(seed, 13, index, np.arange(corners)) - 0.5))
        shape = Polygon(centre + radius[:, None] * np.c_[np.cos(turn), np.sin(turn)])
        if corners > 4:
            shape = Polygon(chaikin(np.asarray(shape.exterior.coords), 2))
        if built_up.buffer(150).contains(Point(*centre)):
            parks.append((name, shape))
    return tuple(parks)


def geojson(shape: BaseGeometry) -> dict[str, Any]:
    """A shape on the plane as a GeoJSON geometry in degrees."""
    result: dict[str, Any] = shapely.geometry.mapping(shapely.transform(shape, to_degrees))
    return result


def as_multipolygon(shape: BaseGeometry) -> MultiPolygon:
    return MultiPolygon([part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"])
