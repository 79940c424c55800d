"""What the importer carries along: features on their way in, and what is to be said about them."""

from __future__ import annotations

from dataclasses import dataclass, field

import shapely

from amb247.territory.adapters.geojson.layouts import Candidate
from amb247.territory.data import Finding


@dataclass
class Row:
    """A candidate on its way in: `shape` is None where the area has none."""

    candidate: Candidate
    shape: shapely.Polygon | shapely.MultiPolygon | None = None
    is_named_by_file: bool = True

    @property
    def point(self) -> shapely.Point | None:
        return None if self.shape is None else self.shape.representative_point()


@dataclass
class Ledger:
    """What is to be said about the file."""

    refused: list[Finding] = field(default_factory=list)
    repaired: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def refuse(self, row: Row, field_name: str, reason: str, remedy: str = "") -> None:
        self.refused.append(_finding(row, field_name, reason, remedy))

    def repair(self, row: Row, field_name: str, reason: str) -> None:
        self.repaired.append(_finding(row, field_name, reason, ""))

    def warn(self, row: Row, field_name: str, reason: str, remedy: str = "") -> None:
        self.warnings.append(_finding(row, field_name, reason, remedy))


def _finding(row: Row, field_name: str, reason: str, remedy: str) -> Finding:
    one = row.candidate
    return Finding(one.index, one.code or one.name, field_name, reason, remedy)
