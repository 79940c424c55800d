"""The territory's pages: the tree as a table, one area, and its shapes to take away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from amb247.territory import api
from amb247.territory.data import Area, AreaCode, AreaNode
from amb247.territory.domain.areas import territory
from amb247.territory.enums import Level, Permission
from amb247.territory.web.guards import needs, reach

MOST_FOUND = 200


@dataclass(frozen=True)
class Line:
    """An area in the table: how deep it lies, and how many areas lie directly below."""

    area: Area
    depth: int
    below: int

    @property
    def level_label(self) -> str:
        return str(Level(self.area.level).label)

    @property
    def indent(self) -> range:
        return range(self.depth)

    @property
    def density(self) -> float | None:
        """People per km²."""
        if self.area.population is None or not self.area.area_km2:
            return None
        return self.area.population / self.area.area_km2


@require_safe
@needs(Permission.TERRITORY_VIEW)
def index(request: HttpRequest) -> HttpResponse:
    """Down to the commune; neighbourhoods stand on the page of theirs, or are found by name or code."""
    seen = {area.code for area in api.areas_visible_to(request.user, Permission.TERRITORY_VIEW)}
    words = request.GET.get("q", "").replace("\0", "").strip()[:80]
    lines = _found(words, seen) if words else list(_lines(api.area_tree(), seen))
    context = {
        "lines": lines,
        "words": words,
        "is_cut": words and len(lines) == MOST_FOUND,
        "counts": [
            (
                level.label,
                sum(Level(one.level) is level for one in territory().by_code.values() if one.code in seen),
            )
            for level in Level
        ],
        "can_import": api.can(request.user, Permission.TERRITORY_IMPORT),
        "reach": reach(request),
    }
    return render(request, "territory/areas.html", context)


def _lines(nodes: tuple[AreaNode, ...], seen: set[AreaCode], depth: int = 0) -> Iterator[Line]:
    for node in nodes:
        if Level(node.area.level) is Level.NEIGHBOURHOOD:
            continue
        is_seen = node.area.code in seen
        if is_seen:
            yield Line(node.area, depth, len(node.children))
        yield from _lines(node.children, seen, depth + is_seen)


def _found(words: str, seen: set[AreaCode]) -> list[Line]:
    now = territory()
    low = words.casefold()
    found = [
        Line(area, 0, len(now.below.get(area.code, [])))
        for area in now.by_code.values()
        if area.code in seen and (low in area.name.casefold() or area.code.casefold().startswith(low))
    ]
    return found[:MOST_FOUND]


@require_safe
@needs(Permission.TERRITORY_VIEW)
def detail(request: HttpRequest, code: str) -> HttpResponse:
    area = _visible(request, code)
    now = territory()
    children = [Line(one, 0, len(now.below.get(one.code, []))) for one in now.below.get(area.code, [])]
    context = {
        "line": Line(area, 0, len(children)),
        "above": list(reversed(api.area_line(code)[1:])),
        "children": children,
        "known_population": sum(child.area.population or 0 for child in children) or None,
        "people": api.can(request.user, Permission.PEOPLE_MANAGE, code),
        "reach": reach(request),
    }
    return render(request, "territory/area.html", context)


@require_safe
@needs(Permission.TERRITORY_VIEW)
def shapes(request: HttpRequest, code: str) -> StreamingHttpResponse:
    """The area and all below it as GeoJSON, in the layout that the importer takes back."""
    _visible(request, code)
    wanted = {area.code for area in api.areas(below=code)}
    response = StreamingHttpResponse(_features(wanted), content_type="application/geo+json")
    response["Content-Disposition"] = f'attachment; filename="{code}.geojson"'
    return response


def _features(wanted: set[AreaCode]) -> Iterator[str]:
    yield '{"type":"FeatureCollection","features":['
    for number, one in enumerate(shape for shape in api.area_shapes() if shape.area.code in wanted):
        properties = asdict(one.area)
        feature = {"type": "Feature", "properties": properties, "geometry": one.geometry}
        yield ("," if number else "") + json.dumps(feature, ensure_ascii=False, separators=(",", ":"))
    yield "]}"


def _visible(request: HttpRequest, code: str) -> Area:
    """404 for an area that is not there and for one that is not hers to see: the answer tells neither apart."""
    area = api.area(code)
    if area is None or not api.can(request.user, Permission.TERRITORY_VIEW, code):
        raise Http404
    return area
