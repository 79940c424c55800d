"""What changes from one version to another."""

from __future__ import annotations

import polars as pl

from amb247.mobility.data import Added, Difference
from amb247.mobility.domain.tables import table_of
from amb247.mobility.models import GtfsVersion

SAMPLES = 12


def difference(old: GtfsVersion, new: GtfsVersion) -> Difference:
    """Routes, stops and trips that `new` has and `old` has not, and the other way round."""
    return Difference(
        routes=_added(old, new, "routes", "route_id", "route_short_name"),
        stops=_added(old, new, "stops", "stop_id", "stop_name"),
        trips=_added(old, new, "trips", "trip_id", "trip_headsign"),
    )


def _added(old: GtfsVersion, new: GtfsVersion, table: str, key: str, label: str) -> Added:
    before, after = _labels(old, table, key, label), _labels(new, table, key, label)
    added, removed = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
    return Added(
        added=len(added),
        removed=len(removed),
        added_samples=tuple(after[one] for one in added[:SAMPLES]),
        removed_samples=tuple(before[one] for one in removed[:SAMPLES]),
    )


def _labels(version: GtfsVersion, table: str, key: str, label: str) -> dict[str, str]:
    """Id -> what to show of it: the id, and the name where there is another."""
    frame = table_of(version.pk, table, columns=[key, label])
    if frame is None:
        return {}
    names = frame[label] if label in frame.columns else pl.Series([None] * frame.height, dtype=pl.String)
    return {
        one: f"{one} ({name})" if name and name != one else one
        for one, name in zip(frame[key].to_list(), names.to_list(), strict=True)
    }
