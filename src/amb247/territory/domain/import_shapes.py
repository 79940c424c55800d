"""First half of an import: usable shapes, no duplicates, no leftovers of communes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import shapely
from django.utils.translation import gettext as _

from amb247.territory.adapters.geojson.known import plain
from amb247.territory.adapters.geojson.layouts import Candidate
from amb247.territory.adapters.geojson.shapes import ShapeRefused, checked_shape
from amb247.territory.data import Finding
from amb247.territory.domain.import_ledger import Ledger, Row
from amb247.territory.domain.measures import area_km2
from amb247.territory.enums import Level

SMALLEST_KM2: Final = 1e-6
# A commune of which this share of the border runs along neighbourhoods that all lie outside it is what was left when
# they were cut out. Measured on the municipal layer: 0.36 to 0.77 for its communes, up to 0.32 for its rural parts.
REMAINDER_BORDER: Final = 0.34
BORDER_DEGREES: Final = 2e-6  # 0.2 m: layers of one origin differ by less


def shaped_rows(candidates: Iterable[Any], ledger: Ledger, *, swap: bool) -> list[Row]:
    rows = []
    for one in candidates:
        if not isinstance(one, Candidate):
            index, label, refusal = one
            ledger.refused.append(Finding(index, label, refusal.field, refusal.reason, refusal.remedy))
            continue
        row = Row(one, is_named_by_file=one.code is not None)
        if one.geometry is not None or one.level != Level.METROPOLITAN_AREA:
            try:
                checked = checked_shape(one.geometry, swap=swap)
            except ShapeRefused as refusal:
                ledger.refuse(row, refusal.field, refusal.reason, refusal.remedy)
                continue
            if area_km2(checked.shape) < SMALLEST_KM2:
                ledger.refuse(row, "coordinates", _("El polígono mide menos de un metro cuadrado."))
                continue
            row.shape = checked.shape
            one.repairs += checked.repairs
        for field_name, reason in one.repairs:
            ledger.repair(row, field_name, reason)
        rows.append(row)
    return rows


def without_twins(rows: list[Row], ledger: Ledger) -> list[Row]:
    """The first of several with one code, one name (where there is no code) or one shape; the others are refused."""
    seen: dict[tuple[str, ...], Row] = {}
    kept = []
    for row in rows:
        one = row.candidate
        keys: list[tuple[tuple[str, ...], str, str, str]] = []
        if one.code:
            keys.append((("code", one.code), "code", _("Repite el código del elemento %(first)d."), ""))
        else:
            keys.append(
                (
                    ("name", one.level, plain(one.name)),
                    "name",
                    _("Repite el nombre del elemento %(first)d, y ninguno tiene código."),
                    _(
                        "Si son partes de la misma área, únalas en un MultiPolygon; si no, dé un código a cada una."
                    ),
                )
            )
        if row.shape is not None:
            shape_key = row.shape.normalize().wkb_hex
            keys.append(
                (
                    ("shape", one.level, shape_key),
                    "geometry",
                    _("Repite la forma del elemento %(first)d."),
                    "",
                )
            )
        repeated = next((key for key in keys if key[0] in seen), None)
        if repeated is not None:
            key, field_name, reason, remedy = repeated
            first = seen[key].candidate.index
            ledger.refuse(row, field_name, reason % {"first": first}, remedy or _("Quite el que sobra."))
            continue
        seen |= {key[0]: row for key in keys}
        kept.append(row)
    return kept


def without_remainders(rows: list[Row], ledger: Ledger) -> list[Row]:
    """Communes from which their neighbourhoods were cut out keep their name and lose their shape."""
    communes = [row for row in rows if row.candidate.level == Level.COMMUNE and row.shape is not None]
    shapes = [
        row.shape for row in rows if row.candidate.level == Level.NEIGHBOURHOOD and row.shape is not None
    ]
    if not communes or not shapes:
        return rows
    tree = shapely.STRtree([shape.representative_point() for shape in shapes])
    around = shapely.union_all(shapes).buffer(BORDER_DEGREES)
    for row in communes:
        assert row.shape is not None
        if len(tree.query(row.shape, predicate="contains")):
            continue
        border = row.shape.boundary
        share = border.intersection(around).length / border.length
        if share >= REMAINDER_BORDER:
            row.shape = None
            ledger.repair(
                row,
                "geometry",
                _(
                    "La forma no se usó: es lo que queda de la comuna tras recortarle sus barrios (%(share)d %% del borde)."
                )
                % {"share": round(100 * share)},
            )
    return rows
