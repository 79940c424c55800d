"""Which column of a table says what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amb247.mobility.errors import UnreadableTable

REQUIRED = ("vehicle_id", "timestamp", "latitude", "longitude")
# Names met in AVL exports; the first is ours (and Austin's, as GTFS-Realtime spells it).
KNOWN: Mapping[str, tuple[str, ...]] = {
    "vehicle_id": ("vehicle_id", "vehicle", "vehicleid", "veh_id", "bus_id", "busid", "bus", "id_vehiculo", "vehiculo", "movil"),
    "timestamp": ("timestamp", "time", "datetime", "date_time", "gps_time", "observed_at", "fecha_hora", "fechahora"),
    "latitude": ("latitude", "lat", "latitud", "position_latitude"),
    "longitude": ("longitude", "lon", "lng", "long", "longitud", "position_longitude"),
    "speed": ("speed", "velocidad"),
    "bearing": ("bearing", "heading", "azimuth", "rumbo"),
    "route_id": ("route_id", "route", "routeid", "rt", "ruta", "linea"),
    "trip_id": ("trip_id", "trip", "tripid", "viaje"),
    "trip_headsign": ("trip_headsign", "headsign", "destination", "destino"),
    "label": ("label", "vehicle_label"),
    "license_plate": ("license_plate", "plate", "placa"),
    "start_date": ("start_date",),
    "start_time": ("start_time",),
    "occupancy_status": ("occupancy_status",),
    "stop_sequence": ("current_stop_sequence", "stop_sequence"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Field -> position in the row."""

    places: Mapping[str, int]

    @classmethod
    def found(cls, header: Sequence[str], mapping: Mapping[str, str] | None = None) -> Columns:
        """By the mapping given (field -> column name), else by known names.

        Raises
        ------
        UnreadableTable    the mapping names an unknown field or an absent column, or a required field has no column
        """
        names = {name.strip().strip('"').lower(): index for index, name in reversed(list(enumerate(header)))}
        places = {
            field: names[known]
            for field, aliases in KNOWN.items()
            for known in reversed(aliases)
            if known in names
        }
        for field, column in (mapping or {}).items():
            if field not in KNOWN:
                raise UnreadableTable(
                    f"unknown field {field}; known: {', '.join(KNOWN)}", reason="bad_mapping"
                )
            if column.strip().lower() not in names:
                shown = ", ".join(name.strip() for name in header)
                raise UnreadableTable(f"no column {column}; columns: {shown[:300]}", reason="bad_mapping")
            places[field] = names[column.strip().lower()]
        if missing := [field for field in REQUIRED if field not in places]:
            shown = ", ".join(name.strip() for name in header)
            raise UnreadableTable(f"{', '.join(missing)}; columns: {shown[:300]}", reason="missing_columns")
        return cls(places)
