"""What `amb import gtfs` and `amb replay` may be told. Light: nothing of Django or of the data is loaded."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_gtfs_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="ARCHIVO", help="zip GTFS")
    parser.add_argument("--feed", help="nombre corto del feed (sin él, el del archivo)")
    parser.add_argument("--name", default="", help="nombre que se muestra")
    parser.add_argument("--area", default="", help="código del área (68001)")
    parser.add_argument(
        "--keep-good", action="store_true", help="toma las filas buenas aunque otras se rechacen"
    )
    parser.add_argument("--activate", action="store_true", help="pone la versión en servicio")
    parser.add_argument("--synthetic", action="store_true", help="marca el feed como sintético")
    parser.add_argument(
        "--notices", action="store_true", help="muestra también todos los avisos del validador"
    )


def add_replay_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="ARCHIVO",
        help="mensajes GTFS-Realtime (.pb, .json) o tablas AVL (.csv, .csv.gz); admite * y carpetas",
    )
    parser.add_argument(
        "--speed", type=_speed, default=1.0, help="segundos de la grabación por segundo; 0 = sin pausas (1)"
    )
    parser.add_argument("--feed", help="feed GTFS al que pertenecen los vehículos (sin él, el de la carpeta)")
    parser.add_argument("--name", default="", help="nombre de la fuente que se muestra")
    parser.add_argument("--loop", action="store_true", help="vuelve a empezar hasta Ctrl-C")
    parser.add_argument(
        "--keep-time", action="store_true", help="guarda las horas de la grabación en lugar de la actual"
    )
    parser.add_argument(
        "--keep-good", action="store_true", help="pasa por alto los archivos ilegibles y los cuenta"
    )
    parser.add_argument(
        "--map",
        default={},
        type=_mapping,
        metavar="CAMPO=COLUMNA,…",
        help="columnas de la tabla: vehicle_id=bus,timestamp=hora",
    )
    parser.add_argument("--separator", default=",", type=_separator, help="separador de la tabla (,)")
    parser.add_argument(
        "--speed-unit", choices=("kmh", "mph", "ms", "knots"), help="unidad de la columna de velocidad"
    )


def _speed(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError("debe estar entre 0 y 1000000")
    return value


def _mapping(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not all(equals and field.strip() and column.strip() for field, equals, column in pairs):
        raise argparse.ArgumentTypeError("escriba CAMPO=COLUMNA, separados por comas")
    return {field.strip(): column.strip() for field, _equals, column in pairs}


def _separator(text: str) -> str:
    mark = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(mark) != 1:
        raise argparse.ArgumentTypeError("debe ser un solo carácter (o tab)")
    return mark
