"""What must hold inside and between the tables for a planner to use the feed."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from amb247.mobility.adapters.gtfs.text import ROW
from amb247.mobility.adapters.gtfs.typed import BAD, KEYS, Table

Tables = dict[str, Table]
LATITUDE_OF = {"stops": ("stop_lat", "stop_lon"), "shapes": ("shape_pt_lat", "shape_pt_lon")}
# table, column, tables that hold the key, key column
REFERENCES = (
    ("trips", "route_id", ("routes",), "route_id"),
    ("trips", "service_id", ("calendar", "calendar_dates"), "service_id"),
    ("stop_times", "trip_id", ("trips",), "trip_id"),
    ("stop_times", "stop_id", ("stops",), "stop_id"),
    ("frequencies", "trip_id", ("trips",), "trip_id"),
)
NEAR_DEG = 0.5
FAR_DEG = 3.0


def check(tables: Tables) -> None:
    """Run all checks; each names its rows on the table it concerns."""
    _check_time_zones(tables)
    _check_values(tables)
    _check_coordinates(tables)
    for table in tables.values():
        _check_keys(table)
    _check_references(tables)


def drop_orphans(tables: Tables) -> None:
    """Refuse the rows that hang on refused rows (a trip whose route is refused), as deep as it goes."""
    for name, column, holders, key in REFERENCES:
        if name not in tables or column not in tables[name].frame.columns:
            continue
        kept = _keys_of(tables, holders, key, only_good=True)
        every = _keys_of(tables, holders, key, only_good=False)
        is_orphan = (
            pl.col(column).is_not_null()
            & ~pl.col(BAD)
            & ~pl.col(column).is_in(kept.implode())
            & pl.col(column).is_in(every.implode())
        )
        tables[name].refuse(
            "hangs_on_refused", is_orphan, column=column, detail=", ".join(f"{h}.txt" for h in holders)
        )


def _keys_of(tables: Tables, holders: tuple[str, ...], key: str, *, only_good: bool) -> pl.Series:
    parts = [
        (tables[name].good if only_good else tables[name].frame)[key].drop_nulls()
        for name in holders
        if name in tables and key in tables[name].frame.columns
    ]
    return pl.concat(parts).unique() if parts else pl.Series(key, [], dtype=pl.String)


def _check_references(tables: Tables) -> None:
    for name, column, holders, key in REFERENCES:
        if name not in tables or column not in tables[name].frame.columns:
            continue
        known = _keys_of(tables, holders, key, only_good=False)
        unknown = pl.col(column).is_not_null() & ~pl.col(column).is_in(known.implode())
        detail = ", ".join(f"{holder}.txt" for holder in holders)
        tables[name].refuse("unknown_reference", unknown, column=column, detail=detail)
    trips = tables.get("trips")
    if trips is not None and "shape_id" in trips.frame.columns:
        known = _keys_of(tables, ("shapes",), "shape_id", only_good=False)
        unknown = pl.col("shape_id").is_not_null() & ~pl.col("shape_id").is_in(known.implode())
        trips.refuse("unknown_shape", unknown, column="shape_id", level="note")


def _check_keys(table: Table) -> None:
    key = [column for column in KEYS.get(table.name, ()) if column in table.frame.columns]
    if not key or len(key) != len(KEYS[table.name]) or table.frame.height < 2:
        return
    keys = table.frame.select(key)
    if keys.n_unique() == keys.height:
        return
    # the first of two stays; one that says the very same is no fault, only superfluous
    filled = pl.all_horizontal(pl.col(column).is_not_null() for column in key)
    is_repeated = ~pl.struct(key).is_first_distinct() & filled & ~pl.col(BAD)
    columns = [column for column in table.frame.columns if column not in {ROW, BAD}]
    is_same = ~pl.struct(columns).is_first_distinct()
    if table.refuse("identical_row", is_repeated & is_same, column=", ".join(key), level="note"):
        table.frame = table.frame.filter(~(is_repeated & is_same))
    is_repeated = ~pl.struct(key).is_first_distinct() & filled & ~pl.col(BAD)
    table.refuse("repeated_key", is_repeated, column=", ".join(key))


def _check_values(tables: Tables) -> None:
    if (dates := tables.get("calendar_dates")) is not None and "exception_type" in dates.frame.columns:
        dates.refuse(
            "bad_value", ~pl.col("exception_type").is_in([1, 2]), column="exception_type", detail="1, 2"
        )
    if (calendar := tables.get("calendar")) is not None:
        for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"):
            if day in calendar.frame.columns:
                calendar.refuse("bad_value", ~pl.col(day).is_in([0, 1]), column=day, detail="0, 1")
    if (frequencies := tables.get("frequencies")) is not None and "headway_secs" in frequencies.frame.columns:
        frequencies.refuse("bad_value", pl.col("headway_secs") <= 0, column="headway_secs", detail="> 0")
    if (times := tables.get("stop_times")) is not None and "stop_id" in times.frame.columns:
        flexible = [name for name in ("location_group_id", "location_id") if name in times.frame.columns]
        elsewhere = [pl.col(name).is_not_null() for name in flexible]
        is_nowhere = pl.col("stop_id").is_null() & ~pl.any_horizontal(pl.lit(value=False), *elsewhere)
        times.refuse("missing_value", is_nowhere, column="stop_id")


def _check_time_zones(tables: Tables) -> None:
    agency = tables.get("agency")
    if agency is None or "agency_timezone" not in agency.frame.columns:
        return
    zones = agency.frame["agency_timezone"].drop_nulls().unique().to_list()
    if unknown := [zone for zone in zones if _offset_hours(zone) is None]:
        agency.refuse("bad_time_zone", pl.col("agency_timezone").is_in(unknown), column="agency_timezone")


def _offset_hours(zone: str) -> float | None:
    try:
        offset = datetime(2024, 1, 15, tzinfo=ZoneInfo(zone)).utcoffset()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return offset.total_seconds() / 3600 if offset is not None else None


def _check_coordinates(tables: Tables) -> None:
    for name, (lat, lon) in LATITUDE_OF.items():
        table = tables.get(name)
        if table is None or not {lat, lon} <= set(table.frame.columns):
            continue
        both = f"{lat}, {lon}"
        if name == "stops":
            needs_place = (
                pl.col("location_type").fill_null(0) <= 2
                if "location_type" in table.frame.columns
                else pl.lit(value=True)
            )
            is_nowhere = (pl.col(lat).is_null() | pl.col(lon).is_null()) & needs_place & ~pl.col(BAD)
            table.refuse("missing_value", is_nowhere, column=both)
        is_null_island = (pl.col(lat).abs() < 0.01) & (pl.col(lon).abs() < 0.01)
        table.refuse("zero_coordinates", is_null_island, column=both)
        is_turned = (pl.col(lat).abs() > 90) & (pl.col(lat).abs() <= 180) & (pl.col(lon).abs() <= 90)
        is_turned = is_turned | _looks_turned(tables, name, lat, lon)
        table.refuse("swapped_coordinates", is_turned & ~pl.col(BAD), column=both)
        is_outside = ~pl.col(lat).is_between(-90, 90) | ~pl.col(lon).is_between(-180, 180)
        table.refuse("bad_coordinates", is_outside & ~pl.col(BAD), column=both)


def _looks_turned(tables: Tables, name: str, lat: str, lon: str) -> pl.Expr:
    """Points that lie far from where the feed is, and inside it once latitude and longitude change places.

    Where the feed is: the longitude that the agency's time zone has, then the shapes, then the stops' own middle.
    """
    table = tables[name]
    middle_lat, middle_lon = table.good[lat].median(), table.good[lon].median()
    if not isinstance(middle_lat, float) or not isinstance(middle_lon, float):
        return pl.lit(value=False)
    expected = _expected_longitude(tables)
    if expected is not None and _apart(middle_lon, expected) > 60 and _apart(middle_lat, expected) < 45:
        return pl.lit(value=True)
    south, north, west, east = (
        middle_lat - FAR_DEG,
        middle_lat + FAR_DEG,
        middle_lon - FAR_DEG,
        middle_lon + FAR_DEG,
    )
    shapes = tables.get("shapes")
    if (
        name == "stops"
        and shapes is not None
        and {"shape_pt_lat", "shape_pt_lon"} <= set(shapes.frame.columns)
    ):
        good = shapes.good
        edges = [
            good["shape_pt_lat"].min(),
            good["shape_pt_lat"].max(),
            good["shape_pt_lon"].min(),
            good["shape_pt_lon"].max(),
        ]
        if all(isinstance(edge, float) for edge in edges):
            south, north, west, east = (float(edge) for edge in edges)  # type: ignore[arg-type]  # checked above
            south, north, west, east = south - NEAR_DEG, north + NEAR_DEG, west - NEAR_DEG, east + NEAR_DEG
    is_inside = pl.col(lat).is_between(south, north) & pl.col(lon).is_between(west, east)
    would_be = pl.col(lon).is_between(south, north) & pl.col(lat).is_between(west, east)
    return ~is_inside & would_be


def _expected_longitude(tables: Tables) -> float | None:
    agency = tables.get("agency")
    if agency is None or "agency_timezone" not in agency.frame.columns:
        return None
    zones = agency.good["agency_timezone"].drop_nulls()
    hours = _offset_hours(zones[0]) if len(zones) else None
    return None if hours is None else hours * 15.0


def _apart(one: float, other: float) -> float:
    return abs((one - other + 180.0) % 360.0 - 180.0)
