"""A version's tables as Parquet rows in the database: whole or not at all, seen by every process, in the backup."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import polars as pl

from amb247.mobility.models import GtfsTable, GtfsVersion

# Level 3 takes half the time of gtfs-parquet's 9 for 12 % more bytes (Sacramento: 0.04 s, 1.1 MB).
COMPRESSION_LEVEL = 3


def packed(frames: Mapping[str, pl.DataFrame]) -> dict[str, bytes]:
    """Each table as the bytes of a Parquet file."""
    result = {}
    for name, frame in frames.items():
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="zstd", compression_level=COMPRESSION_LEVEL)
        result[name] = buffer.getvalue()
    return result


def store_tables(version: GtfsVersion, contents: Mapping[str, bytes], *, counts: Mapping[str, int]) -> None:
    """Write the tables of a new version, in the caller's transaction."""
    GtfsTable.objects.bulk_create(
        GtfsTable(version=version, name=name, row_count=counts[name], content=content)
        for name, content in contents.items()
    )


def table_of(version_id: int, name: str, *, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """One table of a version, or None when it has none; of `columns` those that exist."""
    row = GtfsTable.objects.filter(version_id=version_id, name=name).values_list("content", flat=True).first()
    if row is None:
        return None
    source = io.BytesIO(bytes(row))
    if columns is None:
        return pl.read_parquet(source)
    known = pl.read_parquet_schema(source)
    source.seek(0)
    return pl.read_parquet(source, columns=[column for column in columns if column in known])


def tables_of(version_id: int) -> dict[str, pl.DataFrame]:
    """All tables of a version by name."""
    rows = GtfsTable.objects.filter(version_id=version_id).values_list("name", "content")
    return {name: pl.read_parquet(io.BytesIO(bytes(content))) for name, content in rows}
