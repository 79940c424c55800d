"""Second half of an import: where each feature belongs, and the code of those that bring none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import shapely
from django.utils.translation import gettext as _

from amb247.territory import models
from amb247.territory.adapters.geojson.known import COMMUNES, commune_name, commune_number, plain
from amb247.territory.adapters.geojson.layouts import Candidate
from amb247.territory.domain.import_ledger import Ledger, Row
from amb247.territory.domain.measures import Shape
from amb247.territory.enums import Level

NO_COMMUNE: Final = "00"


@dataclass
class Place:
    """An area that may become a parent: stored, or taken from the file."""

    code: str
    level: str
    parent: str | None
    name: str
    shape: Shape | None


def stored_places() -> dict[str, Place]:
    rows = models.Area.objects.values_list("code", "level", "parent__code", "name", "geometry")
    return {
        code: Place(code, level, parent, name, shape_of(geometry))
        for code, level, parent, name, geometry in rows
    }


def shape_of(geometry: Any) -> Shape | None:
    """A stored shape; the database holds none but polygons."""
    shape = None if geometry is None else shapely.from_geojson(json.dumps(geometry))
    return shape if isinstance(shape, shapely.Polygon | shapely.MultiPolygon) else None


class Places:
    """What is stored and what the file adds, searched by code, by name and by point."""

    def __init__(self, stored: dict[str, Place]) -> None:
        self.by_code = dict(stored)
        self._trees: dict[str, tuple[list[Place], shapely.STRtree]] = {}
        self._names: dict[tuple[str, str | None, str], Place] = {}
        self._last: dict[str, int] = {}
        for place in stored.values():
            self._name(place)

    def add(self, place: Place) -> None:
        known = self.by_code.get(place.code)
        if place.shape is None and known is not None:
            place.shape = known.shape
        self.by_code[place.code] = place
        self._name(place)
        self._trees.pop(place.level, None)

    def _name(self, place: Place) -> None:
        self._names.setdefault((place.level, self.municipality_of(place.code), plain(place.name)), place)

    def named(self, level: str, municipality: str | None, name: str) -> Place | None:
        return self._names.get((level, municipality, plain(name)))

    def containing(self, level: str, point: shapely.Point) -> Place | None:
        if level not in self._trees:
            places = [one for one in self.by_code.values() if one.level == level and one.shape is not None]
            places.sort(key=lambda one: one.code)
            self._trees[level] = (
                places,
                shapely.STRtree([one.shape for one in places if one.shape is not None]),
            )
        places, tree = self._trees[level]
        hits = tree.query([point], predicate="intersects")[1]
        return places[int(hits.min())] if len(hits) else None

    def municipality_of(self, code: str | None) -> str | None:
        while code is not None and code in self.by_code:
            if self.by_code[code].level == Level.MUNICIPALITY:
                return code
            code = self.by_code[code].parent
        return None

    def next_code(self, prefix: str) -> str:
        """`prefix-001`, or one more than the highest there is."""
        if prefix not in self._last:
            tails = [
                code.removeprefix(f"{prefix}-") for code in self.by_code if code.startswith(f"{prefix}-")
            ]
            self._last[prefix] = max((int(tail) for tail in tails if tail.isdecimal()), default=0)
        self._last[prefix] += 1
        return f"{prefix}-{self._last[prefix]:03d}"


def placed_rows(
    rows: list[Row], stored: dict[str, Place], root: models.Area, ledger: Ledger
) -> list[tuple[Row, Place]]:
    """Each row with its code and parent, parents first."""
    places = Places(stored)
    found = []
    for row in sorted(rows, key=lambda one: one.candidate.level.depth):
        place = _place_of(row, places, root, ledger)
        if place is None:
            continue
        known = stored.get(place.code)
        if known is not None and known.level != place.level:
            ledger.refuse(
                row,
                "code",
                _("El código %(code)s ya es de otro nivel (%(level)s).")
                % {"code": place.code, "level": Level(known.level).label},
                _("Use otro código."),
            )
            continue
        places.add(place)
        found.append((row, place))
    return found


def _place_of(row: Row, places: Places, root: models.Area, ledger: Ledger) -> Place | None:
    one = row.candidate
    if one.level == Level.METROPOLITAN_AREA:
        return _root_place(row, root, ledger)
    parent = _parent_of(row, places, root, ledger)
    if parent is None:
        return None
    code = one.code or _proposed_code(row, parent, places, ledger)
    if code is None:
        return None
    name = one.name
    known = places.by_code.get(code)
    if known is not None and not row.is_named_by_file:
        name = known.name  # found by its name: another spelling of it is no change
    return Place(code, one.level, parent.code, name, row.shape)


def _root_place(row: Row, root: models.Area, ledger: Ledger) -> Place | None:
    """There is one metropolitan area; the first that is imported renames the one made at the start."""
    code = row.candidate.code or root.code
    if code != root.code:
        if root.children.exists():
            ledger.refuse(
                row,
                "code",
                _("El área metropolitana ya existe con el código %(code)s.") % {"code": root.code},
                _("Use ese código."),
            )
            return None
        root.code = code
        root.save(update_fields=["code"])
    return Place(code, Level.METROPOLITAN_AREA, None, row.candidate.name, row.shape)


def _parent_of(row: Row, places: Places, root: models.Area, ledger: Ledger) -> Place | None:
    one = row.candidate
    above = one.level.above
    if above == Level.METROPOLITAN_AREA:
        return places.by_code.get(root.code) or Place(root.code, above, None, root.name, None)
    told = one.parent or _prefix_parent(one.code, places)
    point = row.point
    if told is not None:
        parent = _told_parent(row, told, places, ledger)
        if parent is None or one.code or parent.level == above or point is None:
            return parent
        # Only the municipality was told: the commune in it can still be found.
        inside = places.containing(above or "", point)
        return inside if inside is not None and places.municipality_of(inside.code) == told else parent
    for level in (Level.COMMUNE, Level.MUNICIPALITY):
        if level.depth < one.level.depth and point is not None:
            found = places.containing(level, point)
            if found is not None:
                if level != above:
                    ledger.warn(
                        row,
                        "parent",
                        _("Ninguna comuna lo contiene: queda directamente bajo %(name)s.")
                        % {"name": found.name},
                        _("Importe las comunas que faltan y luego este archivo otra vez."),
                    )
                return found
    municipality = _only_municipality_of_known_commune(one, places)
    if municipality is not None:
        return municipality
    ledger.refuse(
        row,
        "parent",
        _("Ningún municipio importado contiene esta área."),
        _("Importe antes los municipios, o diga a cuál pertenece con --parent."),
    )
    return None


def _prefix_parent(code: str | None, places: Places) -> str | None:
    """`68001-01` for `68001-01-003`, if there is such an area; above that `68001`."""
    while code and "-" in code:
        code = code.rpartition("-")[0]
        if code in places.by_code:
            return code
    return None


def _told_parent(row: Row, told: str, places: Places, ledger: Ledger) -> Place | None:
    parent = places.by_code.get(told)
    if parent is None:
        ledger.refuse(
            row,
            "parent",
            _("No existe el área superior «%(code)s».") % {"code": told},
            _("Importe antes el nivel superior, o corrija el código."),
        )
        return None
    if Level(parent.level).depth >= row.candidate.level.depth:
        ledger.refuse(
            row,
            "parent",
            _("El área superior «%(code)s» es de nivel %(level)s, que no está por encima.")
            % {"code": told, "level": Level(parent.level).label},
            _("Corrija el código del área superior."),
        )
        return None
    point = row.point
    if point is not None and parent.shape is not None and not parent.shape.intersects(point):
        ledger.warn(
            row,
            "geometry",
            _("Su punto interior está fuera de %(name)s, de la que dice ser parte.") % {"name": parent.name},
            _("Revise el código o la forma."),
        )
    return parent


def _only_municipality_of_known_commune(one: Candidate, places: Places) -> Place | None:
    """For a commune whose shape was not usable: the one stored municipality that has a commune of this name."""
    if one.level != Level.COMMUNE:
        return None
    having = [
        places.by_code[code]
        for code in COMMUNES
        if code in places.by_code and commune_number(code, one.name) is not None
    ]
    return having[0] if len(having) == 1 else None


def _proposed_code(row: Row, parent: Place, places: Places, ledger: Ledger) -> str | None:
    """The code of the area already stored under this name, that of a known commune, or the next free one."""
    one = row.candidate
    municipality = places.municipality_of(parent.code)
    known = places.named(one.level, municipality, one.name)
    if known is not None:
        return known.code
    if municipality is None or one.level == Level.MUNICIPALITY:
        ledger.refuse(row, "code", _("No tiene código."), _("Dé el código DIVIPOLA del municipio."))
        return None
    if one.level == Level.COMMUNE:
        return _commune_code(row, municipality, places, ledger)
    prefix = parent.code if parent.level == Level.COMMUNE else f"{municipality}-{NO_COMMUNE}"
    code = places.next_code(prefix)
    ledger.repair(row, "code", _("No tenía código; se propone %(code)s.") % {"code": code})
    return code


def _commune_code(row: Row, municipality: str, places: Places, ledger: Ledger) -> str:
    one = row.candidate
    number = commune_number(municipality, one.name)
    if number is not None:
        code = f"{municipality}-{number:02d}"
        # The stored name is kept by whoever called; a new commune gets the known spelling.
        proper = commune_name(municipality, number)
        if proper is not None and code not in places.by_code:
            one.name = proper
    else:
        digits = "".join(letter for letter in one.name if letter.isdecimal())
        code = f"{municipality}-R{digits}" if digits else places.next_code(f"{municipality}-R")
        if not digits:
            code = f"{municipality}-R{code.rpartition('-')[2].lstrip('0')}"
    if code not in places.by_code:
        ledger.repair(row, "code", _("No tenía código; se propone %(code)s.") % {"code": code})
    return code
