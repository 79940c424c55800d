"""The temporal evolution as rows for those who work with data frames: CSV and Parquet (beyond the standard).

Instances give one row each: entity_id, type, attribute, dataset_id, at, value, unit. Aggregates give one row for each period
and method: start and end in the place of at, and method. Parquet keeps numbers apart from the rest (`value`, `text`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from amb247.context.documents.kinds import VALUE_KEY
from amb247.context.documents.temporal import Aggregated, Evolution, brief
from amb247.context.jsonld.context import Context

Row = tuple[Any, ...]
Units = Mapping[tuple[str, str], str]  # entity id, attribute -> unit code

INSTANCES: Final = ("entity_id", "type", "attribute", "dataset_id", "at", "value", "unit")
AGGREGATES: Final = (
    "entity_id",
    "type",
    "attribute",
    "dataset_id",
    "start",
    "end",
    "value",
    "unit",
    "method",
)


def instance_rows(entities: Iterable[Evolution], context: Context) -> Iterator[Row]:
    for entity in entities:
        kind = _types(entity.types, context)
        for name, taken in entity.attributes.items():
            term = context.compact(name)
            for one in taken:
                instance = one.instance
                yield (
                    entity.id,
                    kind,
                    term,
                    instance.get("datasetId"),
                    one.time,
                    instance[VALUE_KEY[instance["type"]]],
                    instance.get("unitCode"),
                )


def aggregate_rows(entities: Iterable[Aggregated], context: Context, units: Units) -> Iterator[Row]:
    for entity in entities:
        kind = _types(entity.types, context)
        for name, several in entity.attributes.items():
            term, unit = context.compact(name), units.get((entity.id, name))
            for series in several:
                dataset = series.dataset_id or None
                for bucket in series.buckets:
                    for method, value in bucket.figures.items():
                        # A count has no unit, a sum of squares another one.
                        has_unit = method in {"sum", "avg", "min", "max", "stddev"}
                        yield (
                            entity.id, kind, term, dataset, bucket.start, bucket.end, value,
                            unit if has_unit else None, method,
                        )  # fmt: skip


def as_csv(rows: Iterable[Row], columns: tuple[str, ...], *, is_first: bool) -> bytes:
    """RFC 4180, UTF-8; the header with the first part only. Compound values as JSON, flags as true and false."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    if is_first:
        table.writerow(columns)
    for row in rows:
        table.writerow([_cell(value) for value in row])
    return text.getvalue().encode()


def write_part(rows: Iterable[Row], columns: tuple[str, ...], path: Path) -> None:
    """Rows as one Parquet file; many of them are joined by `join_parts`."""
    names = [column for column in columns if column != "value"]
    values = columns.index("value")
    data: dict[str, list[Any]] = {name: [] for name in (*names, "value", "text")}
    for row in rows:
        for name, value in zip(columns, row, strict=True):
            if name != "value":
                data[name].append(value)
        number, text = _split(row[values])
        data["value"].append(number)
        data["text"].append(text)
    # polars takes a third of a second and some 60 MB: only processes that are asked for Parquet pay for it.
    import polars as pl

    moment = pl.Datetime("us", "UTC")
    if "at" in data:
        data["at"] = [datetime.fromisoformat(one) for one in data["at"]]
    order = [*columns[: values + 1], "text", *columns[values + 1 :]]
    types: dict[str, Any] = {"value": pl.Float64, "at": moment, "start": moment, "end": moment}
    schema = {name: types.get(name, pl.String) for name in order}
    pl.DataFrame({name: data[name] for name in order}, schema=schema).write_parquet(path)


def join_parts(folder: Path, path: Path) -> None:
    """One file of the parts in the order of their names, without reading them all into memory."""
    import polars as pl

    pl.scan_parquet(sorted(folder.glob("*.parquet"))).sink_parquet(path, compression="zstd")


def _types(types: list[str], context: Context) -> str:
    return " ".join(context.compact(name) for name in types)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    if isinstance(value, (int, float, str)):
        return value
    return brief(value)


def _split(value: Any) -> tuple[float | None, str | None]:
    """A number, or the text of anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value), None
    return None, value if isinstance(value, str) else orjson.dumps(value).decode()
