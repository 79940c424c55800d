"""The street graph: one rotated, bent grid per commune, crossed by the named corridors."""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from amb247.site.demo import facts
from amb247.site.demo.corridors import CORRIDORS, GRID_ORIGIN, PER_CALLE, PER_CARRERA, corridor_points
from amb247.site.demo.plane import Floats, Ints, hashed, waves
from amb247.site.demo.territory import Territory, chaikin

ARTERIAL, SECONDARY, STREET = 0, 1, 2
ROAD_CLASSES = ("arterial", "secondary", "street")
PLATEAU_BEARING = (-17, -14)
PARALLEL_M, PARALLEL_DEGREES = 30.0, 28.0


@dataclass(frozen=True)
class Road:
    """A named line to draw."""

    name: str
    road_class: str
    points: Floats


@dataclass
class Streets:
    """Nodes on the plane, undirected edges between them, and the lines to draw."""

    nodes: Floats
    edges: Ints
    road_class: Ints
    names: list[str]
    commune: Ints
    roads: list[Road]
    _neighbours: dict[int, list[tuple[int, float, int]]] = field(default_factory=dict)

    @property
    def lengths(self) -> Floats:
        steps = self.nodes[self.edges[:, 0]] - self.nodes[self.edges[:, 1]]
        return np.hypot(steps[:, 0], steps[:, 1])

    @property
    def neighbours(self) -> dict[int, list[tuple[int, float, int]]]:
        """Node to (next node, length in m, edge index)."""
        if not self._neighbours:
            found = defaultdict(list)
            lengths = self.lengths.tolist()
            for index, (a, b) in enumerate(self.edges.tolist()):
                found[a].append((b, lengths[index], index))
                found[b].append((a, lengths[index], index))
            self._neighbours = dict(found)
        return self._neighbours


class _Draft:
    """Collects nodes and edges while the city is being laid out."""

    def __init__(self) -> None:
        self.nodes: list[Floats] = []
        self.count = 0
        self.edges: list[tuple[int, int, int, str, int]] = []
        self.roads: list[Road] = []

    def add_nodes(self, points: Floats) -> int:
        first = self.count
        self.nodes.append(points)
        self.count += len(points)
        return first


@dataclass(frozen=True)
class _Lattice:
    """One commune's grid: columns run along axis 0, rows along axis 1."""

    commune: int
    columns: Ints
    rows: Ints
    points: Floats
    inside: np.ndarray
    number: Ints
    """Node number, -1 outside."""


def build_streets(seed: int, territory: Territory) -> Streets:
    draft = _Draft()
    corridors = _corridor_lines(seed)
    barrier = _barrier(territory)
    for index in range(len(territory.communes)):
        _lay_grid(draft, seed, territory, index, corridors=corridors, barrier=barrier)
    _stitch(draft, barrier)
    _cut_corridors(draft, corridors, territory)
    return _finish(draft)


def _corridor_lines(seed: int) -> list[Floats]:
    lines = []
    for corridor in CORRIDORS:
        points = corridor_points(corridor)
        smooth = points if _is_straight(points) else chaikin(points, 3)
        dense = shapely.get_coordinates(shapely.segmentize(shapely.linestrings(smooth), 55.0))
        lines.append(_lean(seed, dense))
    return lines


def _is_straight(points: Floats) -> bool:
    return len(points) == 2


def _lean(seed: int, points: Floats) -> Floats:
    """The bend that grids and corridors share, so that Carrera 27 stays the 27th line of its grid."""
    return waves(seed + 21, points, wavelength_m=1500, amplitude_m=14)


def _barrier(territory: Territory) -> BaseGeometry:
    banks = [line.buffer(width / 2 + 14) for _, width, line in territory.water]
    greens = [park.buffer(5) for _, park in territory.parks]
    barrier = shapely.union_all(banks + greens)
    shapely.prepare(barrier)
    return barrier


def _lay_grid(
    draft: _Draft,
    seed: int,
    territory: Territory,
    index: int,
    *,
    corridors: list[Floats],
    barrier: BaseGeometry,
) -> None:
    fact, area = facts.COMMUNES[index], territory.communes[index]
    origin, along, across = _basis(fact, area.shape)
    columns, rows = _lattice_range(area.shape, origin, along, across)
    grid = origin + columns[:, None, None] * along + rows[None, :, None] * across
    points = _lean(seed, grid)
    if fact.roughness > 0:
        points = waves(seed + 100 + index, points, wavelength_m=520, amplitude_m=34 * fact.roughness)
    inside = _is_free(area.shape.buffer(-9), barrier, points)
    number = np.full(inside.shape, -1)
    number[inside] = draft.add_nodes(points[inside]) + np.arange(int(inside.sum()))
    lattice = _Lattice(index, columns, rows, points, inside, number)
    for axis in (0, 1):
        kept = _edges_kept(seed, lattice, axis, barrier=barrier, corridors=corridors)
        _take_lines(draft, lattice, axis, kept)


def _basis(fact: facts.Commune, shape: BaseGeometry) -> tuple[Floats, Floats, Floats]:
    """Origin and the two steps of a commune's grid; the plateau's communes share one."""
    if fact.bearing in PLATEAU_BEARING:
        return GRID_ORIGIN, PER_CARRERA, PER_CALLE
    angle = math.radians(fact.bearing)
    turn = np.array(((math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))))
    west, north = shape.bounds[0], shape.bounds[3]
    return np.array((west, north)), turn[0] * 94.0, -turn[1] * 61.0


def _lattice_range(shape: BaseGeometry, origin: Floats, along: Floats, across: Floats) -> tuple[Ints, Ints]:
    west, south, east, north = shape.bounds
    corners = np.array(((west, south), (west, north), (east, south), (east, north))) - origin
    index = corners @ np.linalg.inv(np.array((along, across)))
    low, high = np.floor(index.min(axis=0)).astype(int) - 1, np.ceil(index.max(axis=0)).astype(int) + 1
    return np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1)


def _is_free(shape: BaseGeometry, barrier: BaseGeometry, points: Floats) -> np.ndarray:
    shapely.prepare(shape)
    flat = points.reshape(-1, 2)
    free = shapely.contains_xy(shape, flat)
    free[free] = ~shapely.contains_xy(barrier, flat[free])
    return free.reshape(points.shape[:-1])


def _edges_kept(
    seed: int, lattice: _Lattice, axis: int, *, barrier: BaseGeometry, corridors: list[Floats]
) -> np.ndarray:
    """Which steps along an axis of the lattice are streets: both ends free, no twin of a corridor, some gaps."""
    points, inside = lattice.points, lattice.inside
    first, second = (points[:-1], points[1:]) if axis == 0 else (points[:, :-1], points[:, 1:])
    kept = inside[:-1] & inside[1:] if axis == 0 else inside[:, :-1] & inside[:, 1:]
    middle, step = (first + second) / 2, second - first
    kept[kept] = ~shapely.contains_xy(barrier, middle[kept])
    kept[kept] = ~_beside_corridor(middle[kept], step[kept], corridors)
    draw = hashed(seed, 31, lattice.commune, axis, np.arange(kept.size)).reshape(kept.shape)
    chosen: np.ndarray = kept & (draw > 0.025 + 0.13 * facts.COMMUNES[lattice.commune].roughness)
    return chosen


def _beside_corridor(middle: Floats, step: Floats, corridors: list[Floats]) -> np.ndarray:
    starts = np.vstack([line[:-1] for line in corridors])
    ends = np.vstack([line[1:] for line in corridors])
    tree = shapely.STRtree(np.asarray(shapely.linestrings(np.stack([starts, ends], axis=1))))
    near, segment = tree.query(shapely.points(middle), predicate="dwithin", distance=PARALLEL_M)
    way = ends[segment] - starts[segment]
    turn = np.degrees(np.arctan2(step[near, 1], step[near, 0]) - np.arctan2(way[:, 1], way[:, 0])) % 180
    twin = np.zeros(len(middle), dtype=bool)
    twin[near[(turn < PARALLEL_DEGREES) | (turn > 180 - PARALLEL_DEGREES)]] = True
    return twin


def _take_lines(draft: _Draft, lattice: _Lattice, axis: int, kept: np.ndarray) -> None:
    """Each unbroken row of kept steps becomes one road to draw and its edges of the graph."""
    across_index = lattice.rows if axis == 0 else lattice.columns
    index = lattice.commune
    for line in range(len(across_index)):
        steps = kept[:, line] if axis == 0 else kept[line]
        name = _street_name(index, axis, int(across_index[line]))
        for start, end in _runs(steps):
            where = (slice(start, end + 1), line) if axis == 0 else (line, slice(start, end + 1))
            ids = lattice.number[where].tolist()
            draft.roads.append(Road(name, "street", lattice.points[where]))
            draft.edges.extend((a, b, STREET, name, index) for a, b in itertools.pairwise(ids))


def _runs(steps: np.ndarray) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of each block of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], steps, [False])).astype(np.int8)))
    yield from zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True)


def _street_name(index: int, axis: int, number: int) -> str:
    """Steps along axis 0 run east: a calle. The plateau keeps its real numbers, elsewhere they are made up."""
    kind = "Calle" if axis == 0 else "Carrera"
    if facts.COMMUNES[index].bearing in PLATEAU_BEARING:
        return f"{kind} {number}" if number > 0 else f"{kind} {1 - number} {'Norte' if axis == 0 else 'W'}"
    return f"{kind} {abs(number) + 1}{'A' if number < 0 else ''}"


def _stitch(draft: _Draft, barrier: BaseGeometry) -> None:
    """Short links between the loose ends of neighbouring communes' grids."""
    nodes = np.vstack(draft.nodes)
    ends = np.array([edge[:2] for edge in draft.edges])
    home = np.full(len(nodes), -1)
    home[ends[:, 0]] = home[ends[:, 1]] = np.array([edge[4] for edge in draft.edges])
    degree = np.bincount(ends.ravel(), minlength=len(nodes))
    loose = np.flatnonzero((degree > 0) & (degree < 4))
    tree = shapely.STRtree(np.asarray(shapely.points(nodes[loose])))
    a, b = tree.query(shapely.points(nodes[loose]), predicate="dwithin", distance=92.0)
    a, b = loose[a], loose[b]
    other = (home[a] != home[b]) & (a < b)
    a, b = a[other], b[other]
    distance = np.hypot(*(nodes[a] - nodes[b]).T)
    used: set[int] = set()
    for pick in np.argsort(distance, kind="stable").tolist():
        u, v = int(a[pick]), int(b[pick])
        if u in used or v in used or shapely.intersects(barrier, shapely.linestrings(nodes[[u, v]])):
            continue
        used.update((u, v))
        name = f"Calle {u % 60 + 1}"
        draft.edges.append((u, v, STREET, name, int(home[u])))
        draft.roads.append(Road(name, "street", nodes[[u, v]]))


def _cut_corridors(draft: _Draft, corridors: list[Floats], territory: Territory) -> None:
    """Crossings of corridors with streets and with each other become shared nodes."""
    nodes = np.vstack(draft.nodes)
    ends = np.array([edge[:2] for edge in draft.edges])
    streets = shapely.linestrings(nodes[ends])
    lines = np.array([shapely.linestrings(line) for line in corridors])
    marks: list[list[tuple[float, int]]] = [[] for _ in corridors]
    split: dict[int, list[int]] = defaultdict(list)

    corridor_of, street_of = shapely.STRtree(streets).query(lines, predicate="intersects")
    crossings = shapely.intersection(lines[corridor_of], streets[street_of])
    for corridor, street, crossing in zip(corridor_of.tolist(), street_of.tolist(), crossings, strict=True):
        for point in shapely.get_parts(crossing):
            node = draft.add_nodes(shapely.get_coordinates(point)[:1])
            marks[corridor].append((float(shapely.line_locate_point(lines[corridor], point)), node))
            split[street].append(node)
    _split_streets(draft, split)
    _join_corridors(draft, lines, marks)
    _add_corridor_edges(draft, corridors, lines, marks, territory)


def _split_streets(draft: _Draft, split: dict[int, list[int]]) -> None:
    nodes = np.vstack(draft.nodes)
    for street, added in split.items():
        a, b, road_class, name, index = draft.edges[street]
        order = sorted(added, key=lambda node: float(np.hypot(*(nodes[node] - nodes[a]))))
        chain = [a, *order, b]
        pieces = [(u, v, road_class, name, index) for u, v in itertools.pairwise(chain)]
        draft.edges[street] = pieces[0]
        draft.edges.extend(pieces[1:])


def _join_corridors(draft: _Draft, lines: np.ndarray, marks: list[list[tuple[float, int]]]) -> None:
    first, second = shapely.STRtree(lines).query(lines, predicate="dwithin", distance=45.0)
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        if a >= b:
            continue
        crossing = shapely.intersection(lines[a], lines[b])
        points = [part for part in shapely.get_parts(crossing) if part.geom_type == "Point"]
        if not points:  # they nearly touch: an end that stops a few metres short of the other
            shortest = shapely.shortest_line(lines[a], lines[b])
            points = [shapely.centroid(shortest)]
        for point in points:
            node = draft.add_nodes(shapely.get_coordinates(point)[:1])
            for line in (a, b):
                marks[line].append((float(shapely.line_locate_point(lines[line], point)), node))


def _add_corridor_edges(
    draft: _Draft,
    corridors: list[Floats],
    lines: np.ndarray,
    marks: list[list[tuple[float, int]]],
    territory: Territory,
) -> None:
    shapes = shapely.STRtree([area.shape for area in territory.communes])
    for corridor, line, points, marked in zip(CORRIDORS, lines, corridors, marks, strict=True):
        road_class = ROAD_CLASSES.index(corridor.road_class)
        crossings = np.array([place for place, _ in marked]) if marked else np.empty(0)
        own = shapely.line_locate_point(line, shapely.points(points))
        far = [not len(crossings) or float(np.abs(crossings - place).min()) > 18.0 for place in own]
        base = draft.add_nodes(points)
        bends = [(float(place), base + i) for i, place in enumerate(own) if far[i]]
        chain = [node for _, node in sorted([*marked, *bends])]
        middle = shapely.points(points)
        home = shapes.nearest(middle)
        area = int(np.bincount(home).argmax())
        draft.edges.extend((a, b, road_class, corridor.name, area) for a, b in itertools.pairwise(chain))
        draft.roads.append(Road(corridor.name, corridor.road_class, points))


def _finish(draft: _Draft) -> Streets:
    """Drop doubled, zero-length and unconnected edges; number what is left densely."""
    nodes = np.vstack(draft.nodes)
    seen: dict[tuple[int, int], tuple[int, int, int, str, int]] = {}
    for edge in draft.edges:
        key = (min(edge[:2]), max(edge[:2]))
        if key[0] != key[1] and (key not in seen or edge[2] < seen[key][2]):
            seen[key] = edge
    edges = list(seen.values())
    pairs = np.array([edge[:2] for edge in edges])
    connected = _main_component(pairs, len(nodes))
    keep = [edge for edge in edges if connected[edge[0]]]
    pairs = np.array([edge[:2] for edge in keep])
    used = np.unique(pairs)
    renumber = np.full(len(nodes), -1)
    renumber[used] = np.arange(len(used))
    return Streets(
        nodes=nodes[used],
        edges=renumber[pairs],
        road_class=np.array([edge[2] for edge in keep]),
        names=[edge[3] for edge in keep],
        commune=np.array([edge[4] for edge in keep]),
        roads=draft.roads,
    )


def _main_component(pairs: Ints, count: int) -> np.ndarray:
    """Nodes of the largest connected part, by repeated label spreading with pointer jumping."""
    label = np.arange(count)
    while True:
        low = np.minimum(label[pairs[:, 0]], label[pairs[:, 1]])
        spread = label.copy()
        np.minimum.at(spread, pairs[:, 0], low)
        np.minimum.at(spread, pairs[:, 1], low)
        spread = spread[spread]
        if np.array_equal(spread, label):
            break
        label = spread
    linked = np.unique(pairs)
    biggest = np.bincount(label[linked]).argmax()
    connected: np.ndarray = label == biggest
    return connected
