"""From rows of text to the types of GTFS; what does not fit is named, never silently lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from gtfs_parquet.schema import ALL_SCHEMAS, GtfsFileSchema, date_columns, time_columns

from amb247.mobility.adapters.gtfs.text import ROW, SAMPLES, RawTable
from amb247.mobility.data import Finding, Sample

BAD = "__bad"

# A row is of no use without these. Other columns may be absent, empty or wrong: then the value is left out.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "agency": ("agency_timezone",),
    "stops": ("stop_id",),
    "routes": ("route_id", "route_type"),
    "trips": ("trip_id", "route_id", "service_id"),
    "stop_times": ("trip_id", "stop_id", "stop_sequence"),
    "calendar": (
        "service_id", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
        "start_date", "end_date",
    ),
    "calendar_dates": ("service_id", "date", "exception_type"),
    "shapes": ("shape_id", "shape_pt_lat", "shape_pt_lon", "shape_pt_sequence"),
    "frequencies": ("trip_id", "start_time", "end_time", "headway_secs"),
}  # fmt: skip
# Columns whose wrong values make the row useless although they may be empty.
STRICT: Mapping[str, tuple[str, ...]] = {
    "stops": ("stop_lat", "stop_lon"),
    "stop_times": ("arrival_time", "departure_time"),
}
KEYS: Mapping[str, tuple[str, ...]] = {
    "stops": ("stop_id",),
    "routes": ("route_id",),
    "trips": ("trip_id",),
    "stop_times": ("trip_id", "stop_sequence"),
    "calendar": ("service_id",),
    "calendar_dates": ("service_id", "date"),
    "shapes": ("shape_id", "shape_pt_sequence"),
}
COORDINATES = {"stop_lat", "stop_lon", "shape_pt_lat", "shape_pt_lon"}
CODE_OF_KIND = {"time": "bad_time", "date": "bad_date", "number": "bad_number"}


@dataclass
class Table:
    """One GTFS table: typed columns, the row's index in `__row`, and in `__bad` whether the row is refused."""

    name: str
    raw: RawTable
    frame: pl.DataFrame
    findings: list[Finding] = field(default_factory=list)

    @property
    def file(self) -> str:
        return self.raw.file

    @property
    def good(self) -> pl.DataFrame:
        return self.frame.filter(~pl.col(BAD))

    def refuse(
        self, code: str, where: pl.Expr, *, column: str = "", detail: str = "", level: str = "rows"
    ) -> int:
        """Name the rows where the expression holds; refuse them unless it is only a note."""
        mask = self.frame.select(where.fill_null(value=False).alias("mask"))["mask"]
        count = int(mask.sum())
        if not count:
            return 0
        rows = self.frame.filter(mask)[ROW].head(SAMPLES).to_list()
        samples = tuple(Sample(self.raw.line(row), self._value(row, column)) for row in rows)
        kind = "rows" if level == "rows" else "note"
        self.findings.append(Finding(code, kind, self.file, column, count, samples, detail))  # type: ignore[arg-type]  # mypy does not narrow the str
        if level == "rows":
            self.frame = self.frame.with_columns((pl.col(BAD) | mask).alias(BAD))
        return count

    def _value(self, row: int, column: str) -> str:
        names = [name for name in column.split(", ") if name in self.raw.frame.columns]
        found = self.raw.frame.filter(pl.col(ROW) == row).select(names) if names else pl.DataFrame()
        return (
            ", ".join(str(value if value is not None else "")[:80] for value in found.row(0)) if names else ""
        )


def typed_table(name: str, raw: RawTable) -> Table:
    """Cast every known column, name what does not fit.

    Parameters
    ----------
    name : str       of the table ("stops")
    raw : RawTable   its rows of text

    Returns
    -------
    Table     times as durations since midnight of the service day (beyond 24 h allowed), dates, numbers, trimmed
              text; unknown columns stay text. Coordinates are float64: float32 would move a stop by up to 0.4 m.
    """
    schema = ALL_SCHEMAS[name]
    kinds = _kinds(raw.frame, schema)
    casts = [_cast(column, kind, schema) for column, kind in kinds.items()]
    frame = raw.frame.select(pl.col(ROW), *casts)
    table = Table(name, raw, frame.with_columns(pl.lit(value=False).alias(BAD)), list(raw.findings))
    _name_what_did_not_fit(table, kinds)
    needed = NEEDED.get(name, ())
    for column in needed:
        if column in kinds and not (name == "stop_times" and column == "stop_id"):
            was_empty = pl.Series(_trimmed(raw.frame, column).is_null())
            if was_empty.any():
                table.refuse("missing_value", pl.lit(was_empty), column=column)
    return table


def _kinds(frame: pl.DataFrame, schema: GtfsFileSchema) -> dict[str, str]:
    times, dates = set(time_columns(schema)), set(date_columns(schema))
    kinds = {}
    for column in frame.columns:
        kind = schema.columns.get(column)
        if column == ROW:
            continue
        if column in times:
            kinds[column] = "time"
        elif column in dates:
            kinds[column] = "date"
        elif kind is not None and kind.is_numeric():
            kinds[column] = "number"
        else:
            kinds[column] = "text"
    return kinds


def _text(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars().replace("", None)


def _trimmed(frame: pl.DataFrame, column: str) -> pl.Series:
    return frame.select(_text(column))[column]


def _cast(column: str, kind: str, schema: GtfsFileSchema) -> pl.Expr:
    text = _text(column)
    if kind == "time":
        return _seconds(text).cast(pl.Int64).mul(1000).cast(pl.Duration("ms")).alias(column)
    if kind == "date":
        is_whole = text.str.len_bytes() == 8
        return pl.when(is_whole).then(text).str.to_date("%Y%m%d", strict=False).alias(column)
    if kind == "number":
        dtype = pl.Float64 if column in COORDINATES else schema.columns[column]
        return text.cast(dtype, strict=False).alias(column)
    return text.alias(column)


def _seconds(text: pl.Expr) -> pl.Expr:
    """Seconds of H:MM:SS or HHH:MM:SS; null where it is anything else."""
    parts = text.str.split_exact(":", 2)
    hours, minutes, seconds = (parts.struct.field(f"field_{index}") for index in range(3))
    is_shaped = (
        (minutes.str.len_bytes() == 2)
        & (seconds.str.len_bytes() == 2)
        & (hours.str.len_bytes() <= 3)
        & ~text.str.contains("[-+]")
    )
    h, m, s = (part.cast(pl.Int32, strict=False) for part in (hours, minutes, seconds))
    return pl.when(is_shaped & (m < 60) & (s < 60)).then(h * 3600 + m * 60 + s)


def _name_what_did_not_fit(table: Table, kinds: Mapping[str, str]) -> None:
    checked = [column for column, kind in kinds.items() if kind != "text"]
    if not checked:
        return
    was_given = table.raw.frame.select(_text(column).is_not_null() for column in checked)
    misfits = was_given.select(
        (pl.col(column) & table.frame[column].is_null()).alias(column) for column in checked
    )
    schema = ALL_SCHEMAS[table.name]
    for column in checked:
        if not misfits[column].any():
            continue
        mask = misfits[column]
        if kinds[column] == "number" and schema.columns[column].is_integer():
            mask = _accept_whole_decimals(table, column, mask)
            if not mask.any():
                continue
        is_strict = column in NEEDED.get(table.name, ()) + STRICT.get(table.name, ())
        table.refuse(
            CODE_OF_KIND[kinds[column]] if is_strict else "value_ignored",
            pl.lit(mask),
            column=column,
            level="rows" if is_strict else "note",
        )


def _accept_whole_decimals(table: Table, column: str, mask: pl.Series) -> pl.Series:
    """Spreadsheets write 3 as 3.0; that is still the number 3."""
    as_float = _trimmed(table.raw.frame, column).cast(pl.Float64, strict=False)
    whole = pl.when(as_float == as_float.floor()).then(as_float).cast(table.frame[column].dtype, strict=False)
    fixed = table.frame.select(pl.col(column).fill_null(whole).alias(column))[column]
    table.frame = table.frame.with_columns(fixed)
    return mask & fixed.is_null()
