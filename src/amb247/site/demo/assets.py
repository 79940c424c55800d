"""Where the city's things stand: luminaires on feeders and cabinets, WiFi zones, camera nodes, stations."""

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import Point

from amb247.site.demo import facts
from amb247.site.demo.plane import Floats, Ints, hashed, to_plane
from amb247.site.demo.streets import STREET, Streets
from amb247.site.demo.territory import Territory

FULL = {"lamps": 60_000, "wifi": 80, "cameras": 800, "air": 24, "weather": 16}
LAMPS_PER_FEEDER = 88
FEEDERS_PER_CABINET = 6
CAMERAS_PER_NODE = 20
TOWN_EDGE_M = 300.0
LIT_OPEN_ROADS = {"Autopista Piedecuesta", "Anillo Vial", "Vía Chimitá"}
LAMP_POWER_W = np.array((150.0, 100.0, 60.0))
LAMP_HEIGHT_M = np.array((12.0, 9.0, 7.0))


@dataclass(frozen=True)
class Assets:
    """Parallel arrays; an index into them is the thing's number."""

    lamp_xy: Floats
    lamp_class: Ints
    lamp_feeder: Ints
    feeder_xy: Floats
    feeder_cabinet: Ints
    cabinet_xy: Floats
    cabinet_commune: Ints
    wifi_xy: Floats
    wifi_names: tuple[str, ...]
    wifi_commune: Ints
    node_xy: Floats
    node_names: tuple[str, ...]
    camera_xy: Floats
    camera_node: Ints
    air_xy: Floats
    air_names: tuple[str, ...]
    weather_xy: Floats
    weather_names: tuple[str, ...]

    @property
    def lamp_power_w(self) -> Floats:
        return LAMP_POWER_W[self.lamp_class]


def build_assets(seed: int, scale: float, territory: Territory, streets: Streets) -> Assets:
    wanted = {kind: max(4, round(count * scale)) for kind, count in FULL.items()}
    lamps = _lamps(seed, wanted["lamps"], territory, streets)
    wifi = _wifi(seed, wanted["wifi"], territory)
    nodes = _camera_nodes(seed, wanted["cameras"], territory, streets)
    air = _stations(seed + 3, wanted["air"], territory, facts.AIR_STATIONS, "Calidad del aire")
    weather = _stations(seed + 4, wanted["weather"], territory, (), "Meteorológica")
    lamp_xy, lamp_class, lamp_feeder, feeder_xy, feeder_cabinet, cabinet_xy, cabinet_commune = lamps
    wifi_xy, wifi_names, wifi_commune = wifi
    node_xy, node_names, camera_xy, camera_node = nodes
    return Assets(
        lamp_xy, lamp_class, lamp_feeder, feeder_xy, feeder_cabinet, cabinet_xy, cabinet_commune,
        wifi_xy, wifi_names, wifi_commune, node_xy, node_names, camera_xy, camera_node, *air, *weather,
    )  # fmt: skip


def _lamps(
    seed: int, count: int, territory: Territory, streets: Streets
) -> tuple[Floats, Ints, Ints, Floats, Ints, Floats, Ints]:
    """Luminaires at even spacing along the streets, gathered commune by commune into feeders."""
    spread = max(count, FULL["lamps"])
    xy, road_class, commune = _along_streets(seed, spread, streets, _lit_edges(territory, streets))
    feeder = np.empty(spread, dtype=np.int64)
    cabinet_of: list[int] = []
    cabinet_commune: list[int] = []
    for area in np.unique(commune).tolist():
        members = np.flatnonzero(commune == area)
        for cabinet in _split(xy, members, LAMPS_PER_FEEDER * FEEDERS_PER_CABINET):
            for group in _split(xy, cabinet, LAMPS_PER_FEEDER):
                feeder[group] = len(cabinet_of)
                cabinet_of.append(len(cabinet_commune))
            cabinet_commune.append(area)
    keep = _whole_feeders(seed, feeder, np.array(cabinet_of), count)
    return _renumbered(
        xy[keep], road_class[keep], feeder[keep], np.array(cabinet_of), np.array(cabinet_commune)
    )


def _lit_edges(territory: Territory, streets: Streets) -> Ints:
    """Streets in town and the open roads that are lit; commune by commune."""
    town = shapely.union_all([area.shape for area in territory.communes]).buffer(TOWN_EDGE_M)
    shapely.prepare(town)
    inside = shapely.contains_xy(town, streets.nodes[streets.edges].mean(axis=1))
    open_road = np.array([name in LIT_OPEN_ROADS for name in streets.names])
    lit = np.flatnonzero(inside | open_road)
    return lit[np.argsort(streets.commune[lit], kind="stable")]


def _along_streets(seed: int, count: int, streets: Streets, order: Ints) -> tuple[Floats, Ints, Ints]:
    lengths = streets.lengths[order]
    total = np.concatenate(([0.0], np.cumsum(lengths)))
    at = (np.arange(count) + 0.5) * total[-1] / count
    edge = np.minimum(np.searchsorted(total, at, side="right") - 1, len(order) - 1)
    share = np.clip((at - total[edge]) / np.maximum(lengths[edge], 1e-6), 0, 1)
    picked = order[edge]
    start, end = streets.nodes[streets.edges[picked, 0]], streets.nodes[streets.edges[picked, 1]]
    way = (end - start) / np.maximum(lengths[edge], 1e-6)[:, None]
    side = np.where(hashed(seed, 51, picked) < 0.5, -1.0, 1.0)
    wide = streets.road_class[picked] != STREET
    side = np.where(wide & (np.arange(count) % 2 == 0), -side, side)  # both sides of an avenue
    away = side * np.where(wide, 8.5, 4.5)
    xy = start + (end - start) * share[:, None] + np.c_[-way[:, 1], way[:, 0]] * away[:, None]
    return xy, streets.road_class[picked], streets.commune[picked]


def _split(xy: Floats, members: Ints, size: int) -> list[Ints]:
    """Equal compact groups by cutting the longer side again and again."""
    pieces = max(1, round(len(members) / size))
    if pieces == 1:
        return [members]
    points = xy[members]
    axis = int(np.argmax(np.ptp(points, axis=0)))
    order = members[np.argsort(points[:, axis], kind="stable")]
    cut = round(len(order) * (pieces // 2) / pieces)
    return [*_split(xy, order[:cut], size), *_split(xy, order[cut:], size)]


def _whole_feeders(seed: int, feeder: Ints, cabinet_of: Ints, count: int) -> Ints:
    """All luminaires, or in a small city those of a few feeders spread over it, exactly `count` of them."""
    if count >= len(feeder):
        return np.arange(len(feeder))
    turn = hashed(seed, 53, np.arange(len(cabinet_of)))
    rank = np.empty(len(turn), dtype=np.int64)
    rank[np.argsort(turn, kind="stable")] = np.arange(len(turn))
    order = np.argsort(rank[feeder], kind="stable")[:count]
    return np.sort(order)


def _renumbered(
    xy: Floats, road_class: Ints, feeder: Ints, cabinet_of: Ints, cabinet_commune: Ints
) -> tuple[Floats, Ints, Ints, Floats, Ints, Floats, Ints]:
    feeders, lamp_feeder = np.unique(feeder, return_inverse=True)
    cabinets, feeder_cabinet = np.unique(cabinet_of[feeders], return_inverse=True)
    feeder_xy = _first_nearest_centre(xy, lamp_feeder, len(feeders))
    cabinet_xy = _first_nearest_centre(feeder_xy, feeder_cabinet, len(cabinets)) + (6.0, -6.0)  # noqa: RUF005 - arithmetic on an array, not a join
    return xy, road_class, lamp_feeder, feeder_xy, feeder_cabinet, cabinet_xy, cabinet_commune[cabinets]


def _first_nearest_centre(xy: Floats, group: Ints, count: int) -> Floats:
    """The member nearest to each group's mean: a feeder starts where its lamps are, not between them."""
    size = np.bincount(group, minlength=count)[:, None]
    centre = np.c_[np.bincount(group, xy[:, 0], count), np.bincount(group, xy[:, 1], count)] / size
    away = np.hypot(*(xy - centre[group]).T)
    order = np.lexsort((away, group))
    first = np.concatenate(([0], np.cumsum(size[:-1, 0])))
    return xy[order[first]]


def _wifi(seed: int, count: int, territory: Territory) -> tuple[Floats, tuple[str, ...], Ints]:
    """The real zones' names at their rough places; a bigger city repeats them a little aside, numbered."""
    points, names = [], []
    for number in range(count):
        name, lon, lat = facts.WIFI_ZONES[number % len(facts.WIFI_ZONES)]
        again = number // len(facts.WIFI_ZONES)
        points.append(
            to_plane((lon, lat)) + (hashed(seed, 61, number, np.arange(2)) - 0.5) * (60 + 500 * again)
        )
        names.append(f"{name} {again + 1}" if again else name)
    xy = _into_town(territory, np.array(points))
    return xy, tuple(names), _commune_of(territory, xy)


def _into_town(territory: Territory, xy: Floats) -> Floats:
    """Points outside the synthetic outline move to its edge."""
    town = shapely.union_all([area.shape for area in territory.communes]).buffer(-40)
    outside = ~shapely.contains_xy(town, xy)
    edge = [
        shapely.get_coordinates(shapely.shortest_line(town, point))[0]
        for point in [Point(place) for place in xy[outside]]
    ]
    moved = xy.copy()
    if edge:
        moved[outside] = edge
    return moved


def _commune_of(territory: Territory, xy: Floats) -> Ints:
    tree = shapely.STRtree([area.shape for area in territory.communes])
    return np.asarray(tree.nearest(shapely.points(xy)), dtype=np.int64)


def _camera_nodes(
    seed: int, count: int, territory: Territory, streets: Streets
) -> tuple[Floats, tuple[str, ...], Floats, Ints]:
    """Cameras at crossings of avenues, wired to the node of their part of the city, about 20 each."""
    degree = np.bincount(streets.edges.ravel(), minlength=len(streets.nodes))
    major = np.unique(streets.edges[streets.road_class != STREET])
    corners = major[degree[major] >= 3]
    turn = hashed(seed, 63, corners)
    picked = corners[np.argsort(turn, kind="stable")[: min(count, len(corners))]]
    camera_xy = streets.nodes[np.resize(picked, count)] + (7.0, 7.0)
    camera_node = np.empty(count, dtype=np.int64)
    groups = _split(camera_xy, np.arange(count), CAMERAS_PER_NODE)
    for number, group in enumerate(groups):
        camera_node[group] = number
    node_xy = _first_nearest_centre(camera_xy, camera_node, len(groups)) + (-12.0, 4.0)  # noqa: RUF005 - arithmetic on an array, not a join
    tree = shapely.STRtree([area.shape for area in territory.neighbourhoods])
    near = [
        territory.neighbourhoods[i].name
        for i in np.atleast_1d(tree.nearest(shapely.points(node_xy))).tolist()
    ]
    names = tuple(f"Nodo {number + 1:02d} · {name}" for number, name in enumerate(near))
    return node_xy, names, camera_xy, camera_node


def _stations(
    seed: int, count: int, territory: Territory, known: tuple[tuple[str, float, float], ...], label: str
) -> tuple[Floats, tuple[str, ...]]:
    """Known stations first, then one per commune in turn."""
    points = [to_plane((lon, lat)) for _, lon, lat in known][:count]
    names = [name for name, _, _ in known][:count]
    areas = territory.communes
    start = int(hashed(seed, 67) * len(areas))
    for number in range(count - len(points)):
        area = areas[(start + number * 7) % len(areas)]
        spot = area.shape.representative_point()
        shift = (hashed(seed, 68, number, np.arange(2)) - 0.5) * 300
        points.append(np.array((spot.x, spot.y)) + shift)
        municipality = next(m.name for m in facts.MUNICIPALITIES if m.code == area.parent)
        names.append(f"{label} · {area.name}, {municipality}")
    return np.array(points), tuple(names)
