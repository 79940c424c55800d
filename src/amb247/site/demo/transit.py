"""Bus routes laid on the streets: paths, shared stops and running times, both directions."""

import heapq
import itertools
from dataclasses import dataclass

import numpy as np
import shapely

from amb247.site.demo import routes as facts
from amb247.site.demo.corridors import PLACES
from amb247.site.demo.plane import Floats, Ints
from amb247.site.demo.streets import ARTERIAL, SECONDARY, STREET, Streets
from amb247.site.demo.territory import Territory

COST = {ARTERIAL: 1.0, SECONDARY: 1.15, STREET: 2.4}
CRUISE_M_S = {ARTERIAL: 10.0, SECONDARY: 7.8, STREET: 6.0}
HIGHWAY_M_S = 12.0
STOP_SPACING_M = 350.0
DWELL_S = 14.0
SIDE_M = 5.0


@dataclass(frozen=True)
class Stop:
    stop_id: str
    name: str
    code: str
    x: float
    y: float
    wheelchair: int


@dataclass(frozen=True)
class Pattern:
    """One direction of a route."""

    route: int
    direction: int
    headsign: str
    line: Floats
    """Vertices of the shape, metres."""
    along: Floats
    """Distance of each vertex from the start, metres."""
    stops: tuple[int, ...]
    stop_at: Floats
    """Distance of each stop along the shape, metres."""
    arrive: Floats
    depart: Floats
    """Seconds after the first departure, off-peak; the last stop has no dwell."""

    @property
    def length_m(self) -> float:
        return float(self.along[-1])

    @property
    def duration_s(self) -> float:
        return float(self.arrive[-1])


@dataclass(frozen=True)
class Transit:
    routes: tuple[facts.BusRoute, ...]
    patterns: tuple[Pattern, ...]
    """Two per route, in order: outbound, inbound."""
    stops: tuple[Stop, ...]


def build_transit(streets: Streets, territory: Territory, *, route_count: int) -> Transit:
    routes = _chosen(route_count)
    stops = _StopBook(streets, territory)
    anchors = _anchors(streets, routes)
    patterns = []
    for number, route in enumerate(routes):
        path, edges = _path(streets, [anchors[place] for place in route.via])
        ends = (_end_name(route, 0), _end_name(route, -1))
        patterns.append(_pattern(streets, stops, path, edges, route=number, direction=0, headsign=ends[1]))
        path, edges = path[::-1], edges[::-1]
        patterns.append(_pattern(streets, stops, path, edges, route=number, direction=1, headsign=ends[0]))
    return Transit(routes, tuple(patterns), tuple(stops.stops))


FEW = ("31", "21", "52", "49", "16", "5")
"""With few routes: long ones that together reach the four municipalities."""


def _chosen(count: int) -> tuple[facts.BusRoute, ...]:
    """All routes, or every n-th of them in a small city."""
    if count <= len(FEW):
        return tuple(route for route in facts.ROUTES if route.code in FEW[:count])
    picks = np.unique(
        np.linspace(0, len(facts.ROUTES) - 1, min(count, len(facts.ROUTES))).round().astype(int)
    )
    return tuple(facts.ROUTES[pick] for pick in picks)


def _end_name(route: facts.BusRoute, which: int) -> str:
    parts = [part.strip() for part in route.name.split(" - ")]
    name = parts[which] if len(parts) > 1 else (parts[0], "Centro")[which]
    return {"UIS": "Universidad UIS", "INEM": "Glorieta INEM"}.get(name, name)


def _path(streets: Streets, anchors: list[int]) -> tuple[list[int], list[int]]:
    """Nodes and edges of the cheapest way through the places, without turning back on itself."""
    nodes, edges = [anchors[0]], []
    for start, end in itertools.pairwise(anchors):
        if start == end:
            continue
        leg_nodes, leg_edges = _shortest(streets, start, end)
        nodes += leg_nodes[1:]
        edges += leg_edges
    return _without_spurs(nodes, edges)


def _anchors(streets: Streets, routes: tuple[facts.BusRoute, ...]) -> dict[str, int]:
    """The node of the main streets nearest to each place that a route passes."""
    major = np.unique(streets.edges[streets.road_class != STREET])
    found = {}
    for place in sorted({place for route in routes for place in route.via}):
        gap = streets.nodes[major] - PLACES[place]
        found[place] = int(major[np.argmin(np.hypot(gap[:, 0], gap[:, 1]))])
    return found


def _shortest(streets: Streets, start: int, end: int) -> tuple[list[int], list[int]]:
    """A* over the street graph; arterials cost their length, lesser streets more."""
    neighbours, kind = streets.neighbours, streets.road_class
    goal = streets.nodes[end]
    ahead = np.hypot(streets.nodes[:, 0] - goal[0], streets.nodes[:, 1] - goal[1])
    best = {start: 0.0}
    came: dict[int, tuple[int, int]] = {}
    queue = [(float(ahead[start]), start)]
    done: set[int] = set()
    while queue:
        _, node = heapq.heappop(queue)
        if node == end:
            break
        if node in done:
            continue
        done.add(node)
        for other, length, edge in neighbours[node]:
            cost = best[node] + length * COST[int(kind[edge])]
            if cost < best.get(other, np.inf):
                best[other] = cost
                came[other] = (node, edge)
                heapq.heappush(queue, (cost + float(ahead[other]), other))
    nodes, edges = [end], []
    while nodes[-1] != start:
        node, edge = came[nodes[-1]]
        nodes.append(node)
        edges.append(edge)
    return nodes[::-1], edges[::-1]


def _without_spurs(nodes: list[int], edges: list[int]) -> tuple[list[int], list[int]]:
    """Take out a, b, a: a waypoint slightly off the way would make the bus go and come back."""
    kept_nodes = [nodes[0]]
    kept_edges: list[int] = []
    for node, edge in zip(nodes[1:], edges, strict=True):
        if kept_edges and kept_edges[-1] == edge:
            kept_nodes.pop()
            kept_edges.pop()
        else:
            kept_nodes.append(node)
            kept_edges.append(edge)
    return kept_nodes, kept_edges


class _StopBook:
    """Stops by the directed edge they lie at the end of, so that routes on one street share them."""

    def __init__(self, streets: Streets, territory: Territory) -> None:
        self.streets = streets
        self.stops: list[Stop] = []
        self.by_edge: dict[tuple[int, int], int] = {}
        self._areas = territory.neighbourhoods
        self._tree = shapely.STRtree([area.shape for area in territory.neighbourhoods])
        self._names: dict[str, int] = {}

    def at(self, before: int, node: int, edge: int) -> int:
        """The stop reached by driving from one node to the next, on the right-hand side."""
        found = self.by_edge.get((before, node))
        if found is None:
            found = self.by_edge[before, node] = len(self.stops)
            self.stops.append(self._new(found, before, node, edge))
        return found

    def _new(self, number: int, before: int, node: int, edge: int) -> Stop:
        a, b = self.streets.nodes[before], self.streets.nodes[node]
        way = b - a
        length = float(np.hypot(*way)) or 1.0
        ahead = way / length
        spot = b - ahead * min(10.0, length / 3) + np.array((ahead[1], -ahead[0])) * SIDE_M
        return Stop(
            stop_id=f"P{number + 1:04d}",
            name=self._name(node, edge),
            code=f"{number + 1:04d}",
            x=float(spot[0]),
            y=float(spot[1]),
            wheelchair=(1, 2, 0, 1)[number % 4],
        )

    def _name(self, node: int, edge: int) -> str:
        own = self.streets.names[edge]
        crossing = sorted(
            {self.streets.names[other] for _, _, other in self.streets.neighbours[node]} - {own}, key=_rank
        )
        if crossing:
            name = f"{own} con {crossing[0]}"
        else:
            place = shapely.points(self.streets.nodes[node])
            name = f"{own} · {self._areas[int(self._tree.nearest(place))].name}"
        self._names[name] = self._names.get(name, 0) + 1
        return name if self._names[name] == 1 else f"{name} ({self._names[name]})"


def _rank(name: str) -> tuple[bool, str]:
    return (name.startswith(("Calle", "Carrera")), name)


def _pattern(
    streets: Streets,
    book: _StopBook,
    path: list[int],
    edges: list[int],
    *,
    route: int,
    direction: int,
    headsign: str,
) -> Pattern:
    line = streets.nodes[path]
    steps = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate(([0.0], np.cumsum(steps)))
    picks = _stop_vertices(book, path, along)
    stops = tuple(_stop_of(book, path, edges, pick) for pick in picks)
    seconds = np.concatenate(([0.0], np.cumsum(steps / _speeds(streets, edges, line))))
    arrive, depart = _times(seconds[picks])
    return Pattern(route, direction, headsign, line, along, stops, along[picks], arrive, depart)


def _stop_vertices(book: _StopBook, path: list[int], along: Floats) -> Ints:
    """Vertices with a stop: an existing one 230-430 m after the last, else the vertex nearest to 350 m."""
    picks = [0]
    last = len(path) - 1
    while along[last] - along[picks[-1]] > 1.5 * STOP_SPACING_M:
        gap = along - along[picks[-1]]
        ahead = np.flatnonzero((gap > 0.65 * STOP_SPACING_M) & (gap < 1.25 * STOP_SPACING_M))
        known = [i for i in ahead.tolist() if (path[i - 1], path[i]) in book.by_edge and i < last]
        best = ahead if not known else np.array(known)
        if not len(best):
            best = np.flatnonzero(gap >= STOP_SPACING_M)[:1]
        picks.append(int(best[np.argmin(np.abs(gap[best] - STOP_SPACING_M))]))
    return np.array([*picks, last])


def _stop_of(book: _StopBook, path: list[int], edges: list[int], pick: int) -> int:
    if pick == 0:  # the terminal: no edge leads to it, it stands beside its first node
        return book.at(path[0], path[0], edges[0])
    return book.at(path[pick - 1], path[pick], edges[pick - 1])


def _speeds(streets: Streets, edges: list[int], line: Floats) -> Floats:
    """Cruising speed of each edge; long open-road edges outside the city are faster."""
    kind = streets.road_class[edges]
    speed = np.vectorize(CRUISE_M_S.get)(kind).astype(float)
    south = line[:-1, 1] < -8200  # the road to Piedecuesta leaves the city here
    return np.where((kind == ARTERIAL) & south, HIGHWAY_M_S, speed)


def _times(running: Floats) -> tuple[Floats, Floats]:
    """Arrival and departure at each stop, whole seconds, each leg at least 15 s."""
    legs = np.maximum(np.round(np.diff(running)), 15.0)
    dwell = np.full(len(legs), DWELL_S)
    depart = np.concatenate(([0.0], np.cumsum(legs + dwell)))
    arrive = np.concatenate(([0.0], depart[1:] - DWELL_S))
    depart[-1] = arrive[-1]
    return arrive, depart
