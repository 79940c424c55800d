"""Import of territory files: check everything, say everything, then write all of it or nothing.

The steps, in order: read (adapter) -> shapes and duplicates (`import_shapes`) -> parents and codes, level by level
from above (`import_places`) -> compare with what is stored -> write in one transaction with its audit line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import shapely
from django.db import transaction
from django.utils.translation import gettext as _

from amb247.territory import models
from amb247.territory.adapters.geojson import candidates_of, read_collection, recognise
from amb247.territory.adapters.geojson.known import COMMUNES
from amb247.territory.adapters.geojson.reading import features_of
from amb247.territory.data import ColumnMapping, Finding, ImportReport, RequestInfo
from amb247.territory.domain import audit, people, permissions
from amb247.territory.domain.import_ledger import Ledger, Row
from amb247.territory.domain.import_places import Place, placed_rows, shape_of, stored_places
from amb247.territory.domain.import_shapes import shaped_rows, without_remainders, without_twins
from amb247.territory.domain.measures import measured
from amb247.territory.enums import Level, Permission
from amb247.territory.errors import ImportRefused, NotAllowed

COMPARED: Final = ("level", "name", "parent_id", "population", "geometry", "synthetic")


def import_territory(
    given: Path | Mapping[str, Any],
    *,
    keep_good: bool,
    mapping: ColumnMapping | None,
    swap: bool,
    source: str,
    by: models.User | None,
    request_info: RequestInfo | None,
) -> ImportReport:
    """See `api.import_territory`."""
    name = given.name if isinstance(given, Path) else source or "territory"
    features = read_collection(given) if isinstance(given, Path) else features_of(given, name)
    layout = recognise(features, mapping)
    ledger = Ledger()
    rows = shaped_rows(candidates_of(features, layout), ledger, swap=swap)
    rows = without_remainders(without_twins(rows, ledger), ledger)
    with transaction.atomic():
        # One import at a time: codes proposed by two at once would collide.
        root = models.Area.objects.select_for_update().get(pk=people.ensure_metropolitan_area().pk)
        if by is not None and not permissions.can(by, Permission.TERRITORY_IMPORT, root.code, None):
            raise NotAllowed(_("No tiene permiso para importar el territorio."))
        found = placed_rows(rows, stored_places(), root, ledger)
        if ledger.refused and not keep_good:
            # Raised inside the transaction: even the root made above is taken back.
            raise ImportRefused(_report(name, layout.name, ledger, {}, is_written=False))
        counts = _write(found, source or name)
        _renew_root(root, found)
        _warn_of_gaps(found, ledger)
        report = _report(name, layout.name, ledger, counts, is_written=True)
        if report.taken:
            audit.record(
                by,
                "territory.import",
                people.area_urn(root.code),
                area_code=root.code,
                details={
                    "file": name,
                    "layout": layout.name,
                    "created": report.created,
                    "updated": report.updated,
                    "unchanged": report.unchanged,
                    "refused": len(report.refused),
                },
                request_info=request_info,
            )
    return report


def _report(
    file: str, layout: str, ledger: Ledger, counts: Mapping[str, int], *, is_written: bool
) -> ImportReport:
    def sorted_by_feature(findings: list[Finding]) -> tuple[Finding, ...]:
        return tuple(sorted(findings, key=lambda one: one.index))

    return ImportReport(
        file=file,
        layout=layout,
        created=counts.get("created", 0),
        updated=counts.get("updated", 0),
        unchanged=counts.get("unchanged", 0),
        refused=sorted_by_feature(ledger.refused),
        repaired=sorted_by_feature(ledger.repaired),
        warnings=sorted_by_feature(ledger.warnings),
        is_written=is_written,
    )


def _write(found: list[tuple[Row, Place]], source: str) -> dict[str, int]:
    counts = {"created": 0, "updated": 0, "unchanged": 0}
    stored = {area.code: area for area in models.Area.objects.all()}
    for row, place in found:
        area = stored.get(place.code)
        is_new = area is None
        if area is None:
            area = models.Area(code=place.code)
        before = [getattr(area, name) for name in COMPARED]
        _fill(area, row, place, stored)
        if not is_new and before == [getattr(area, name) for name in COMPARED]:
            counts["unchanged"] += 1
            continue
        area.source = source[:200]
        area.save()
        stored[area.code] = area
        counts["created" if is_new else "updated"] += 1
    return counts


def _fill(area: models.Area, row: Row, place: Place, stored: Mapping[str, models.Area]) -> None:
    one = row.candidate
    area.level, area.name, area.synthetic = place.level, place.name, one.synthetic
    area.parent = stored[place.parent] if place.parent else None
    if one.population is not None:  # a file that knows no population does not take away a known one
        area.population = one.population
    if row.shape is not None:
        for name, value in measured(row.shape).items():
            setattr(area, name, value)


def _renew_root(root: models.Area, found: list[tuple[Row, Place]]) -> None:
    """The metropolitan area is what its municipalities cover, unless a file gave it a shape of its own."""
    if not any(place.level == Level.MUNICIPALITY for _row, place in found):
        return
    if any(place.level == Level.METROPOLITAN_AREA and row.shape is not None for row, place in found):
        return
    root.refresh_from_db()
    shapes = [shape_of(one.geometry) for one in root.children.exclude(geometry=None)]
    union = shapely.union_all(shapes)
    if not isinstance(union, shapely.Polygon | shapely.MultiPolygon):
        return
    fields = measured(union)
    if fields["geometry"] != root.geometry:
        for name, value in fields.items():
            setattr(root, name, value)
        root.synthetic = all(one.synthetic for one in root.children.all())
        root.save()


def _warn_of_gaps(found: list[tuple[Row, Place]], ledger: Ledger) -> None:
    """Known communes that are still missing, for each municipality of which the file brought some."""
    touched = {place.parent for _row, place in found if place.level == Level.COMMUNE and place.parent}
    for municipality in sorted(touched & COMMUNES.keys()):
        stored = set(
            models.Area.objects.filter(parent__code=municipality, level=Level.COMMUNE).values_list(
                "code", flat=True
            )
        )
        known = COMMUNES[municipality]
        missing = [number for number in known if f"{municipality}-{number:02d}" not in stored]
        if missing:
            names = ", ".join(f"{number} ({known[number][0]})" for number in missing)
            ledger.warnings.append(
                Finding(
                    0,
                    municipality,
                    "code",
                    _("Faltan %(missing)d de %(all)d comunas: %(names)s.")
                    % {"missing": len(missing), "all": len(known), "names": names},
                    _("Importe un archivo que las tenga."),
                )
            )
