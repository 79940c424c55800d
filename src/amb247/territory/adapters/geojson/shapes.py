"""One geometry at a time: what is safe is repaired and said, what is not is refused with the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import shapely
from django.utils.translation import gettext as _
from numpy.typing import NDArray

MAX_VERTICES: Final = 1_000_000
MAX_AREA_CHANGE: Final = 0.001
# west, south, east, north of Colombia's mainland and islands
COLOMBIA: Final = (-82.0, -4.3, -66.8, 13.6)


class ShapeRefused(Exception):
    """The geometry cannot be used; field, reason and remedy are for the person who brought the file."""

    def __init__(self, field_name: str, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.field = field_name
        self.reason = reason
        self.remedy = remedy


@dataclass
class Checked:
    """A valid Polygon or MultiPolygon, and what was repaired on the way."""

    shape: shapely.Polygon | shapely.MultiPolygon
    repairs: list[tuple[str, str]] = field(default_factory=list)


def checked_shape(geometry: Any, *, swap: bool = False) -> Checked:
    """A usable shape from GeoJSON.

    Parameters
    ----------
    geometry : object
        The `geometry` member as it came.
    swap : bool
        Turn coordinates round where they are evidently latitude, longitude.

    Returns
    -------
    Checked
        `repairs` holds (field, what was done): rings closed, coordinates turned, self-crossings resolved where the
        area changes by less than 0.1 % and the result stays polygonal.

    Raises
    ------
    ShapeRefused
    """
    repairs: list[tuple[str, str]] = []
    polygons = [_rings(rings, f"coordinates[{at}]", repairs) for at, rings in enumerate(_polygons(geometry))]
    if sum(len(ring) for rings in polygons for ring in rings) > MAX_VERTICES:
        raise ShapeRefused(
            "coordinates",
            _("Tiene más de %(limit)d vértices.") % {"limit": MAX_VERTICES},
            _("Simplifique el polígono (por ejemplo, con mapshaper o QGIS) e importe de nuevo."),
        )
    if _is_turned(polygons, swap=swap):
        polygons = [[ring[:, ::-1] for ring in rings] for rings in polygons]
        repairs.append(("coordinates", _("Las coordenadas venían como latitud, longitud; se invirtieron.")))
    shape = _built(polygons)
    if not shape.is_valid:
        shape = _valid(shape, repairs)
    if shape.area <= 0 or shape.is_empty:
        raise ShapeRefused(
            "coordinates", _("El polígono no encierra ninguna superficie."), _("Dibuje de nuevo el polígono.")
        )
    return Checked(shape, repairs)


def _polygons(geometry: Any) -> Sequence[Any]:
    if geometry is None or geometry == {}:
        raise ShapeRefused("geometry", _("No tiene geometría."), _("Añada el polígono o quite el elemento."))
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if kind not in {"Polygon", "MultiPolygon"}:
        raise ShapeRefused(
            "geometry.type",
            _("La geometría es %(type)s; un área necesita Polygon o MultiPolygon.")
            % {"type": str(kind)[:40]},
            _("Exporte la capa de polígonos, no la de puntos o líneas."),
        )
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list) or not coordinates:
        raise ShapeRefused(
            "coordinates", _("La geometría está vacía."), _("Añada el polígono o quite el elemento.")
        )
    return [coordinates] if kind == "Polygon" else coordinates


def _rings(rings: Any, where: str, repairs: list[tuple[str, str]]) -> list[NDArray[np.float64]]:
    if not isinstance(rings, list) or not rings:
        raise ShapeRefused(where, _("Un polígono no tiene anillos."), _("Exporte de nuevo la capa."))
    return [_ring(ring, f"{where}[{at}]", repairs) for at, ring in enumerate(rings)]


def _ring(ring: Any, where: str, repairs: list[tuple[str, str]]) -> NDArray[np.float64]:
    """A closed ring, (n >= 4, 2); a third coordinate (height) is dropped."""
    try:
        # No dtype: numpy would make numbers of text and NaN of null.
        points = np.array(ring)
    except (ValueError, TypeError, OverflowError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] < 2 or points.dtype.kind not in "if":
        raise ShapeRefused(
            where,
            _("El anillo no es una lista de parejas de números [longitud, latitud]."),
            _("Revise que no haya coordenadas vacías, con texto o incompletas."),
        )
    points = points[:, :2].astype(np.float64)
    if not np.array_equal(points[0], points[-1]):
        points = np.vstack([points, points[:1]])
        repairs.append((where, _("El anillo estaba abierto; se cerró con su primer punto.")))
    if len(points) < 4:
        raise ShapeRefused(
            where, _("El anillo tiene menos de tres puntos distintos."), _("Dibuje de nuevo el polígono.")
        )
    return points


def _is_turned(polygons: list[list[NDArray[np.float64]]], *, swap: bool) -> bool:
    """Whether to turn the coordinates round. Refuses what is no longitude, latitude in degrees at all."""
    points = np.concatenate([rings[0] for rings in polygons])
    x, y = (points.min(axis=0) + points.max(axis=0)) / 2
    fits = np.abs(points[:, 0]).max() <= 180 and np.abs(points[:, 1]).max() <= 90
    fits_turned = np.abs(points[:, 1]).max() <= 180 and np.abs(points[:, 0]).max() <= 90
    if not fits and not fits_turned:
        raise ShapeRefused(
            "coordinates",
            _("Las coordenadas no son grados (x = %(x).1f, y = %(y).1f): parece un sistema plano en metros.")
            % {"x": x, "y": y},
            _("Conviértalo: ogr2ogr -t_srs EPSG:4326 salida.geojson entrada.geojson"),
        )
    is_swapped = not fits or (fits_turned and not _in_colombia(x, y) and _in_colombia(y, x))
    if is_swapped and not swap:
        raise ShapeRefused(
            "coordinates",
            _("Las coordenadas vienen como latitud, longitud (x = %(x).4f, y = %(y).4f).") % {"x": x, "y": y},
            _("Importe con --swap para invertirlas, o corrija el archivo: GeoJSON usa longitud, latitud."),
        )
    return bool(is_swapped)


def _in_colombia(lon: float, lat: float) -> bool:
    west, south, east, north = COLOMBIA
    return west <= lon <= east and south <= lat <= north


def _built(polygons: list[list[NDArray[np.float64]]]) -> shapely.Polygon | shapely.MultiPolygon:
    parts = [shapely.Polygon(rings[0], rings[1:]) for rings in polygons]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _valid(
    shape: shapely.Polygon | shapely.MultiPolygon, repairs: list[tuple[str, str]]
) -> shapely.Polygon | shapely.MultiPolygon:
    reason = shapely.is_valid_reason(shape)
    made = shapely.make_valid(shape)
    change = abs(made.area - shape.area) / shape.area if shape.area > 0 else 1.0
    if isinstance(made, shapely.Polygon | shapely.MultiPolygon) and change < MAX_AREA_CHANGE:
        repairs.append(
            ("coordinates", _("El polígono se cruzaba a sí mismo (%(reason)s).") % {"reason": reason})
        )
        return made
    raise ShapeRefused(
        "coordinates",
        _(
            "El polígono se cruza a sí mismo (%(reason)s) y repararlo cambiaría su superficie en %(change).1f %%."
        )
        % {"reason": reason, "change": 100 * change},
        _("Corríjalo en QGIS (Vectorial > Comprobar validez) e importe de nuevo."),
    )
