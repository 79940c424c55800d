"""`amb import` and `amb replay`: which room takes which kind of file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from amb247.site.database import database, migrate
from amb247.site.terminal import OK, REFUSED, USAGE, complain


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="directorio de datos")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="CLASE")
    gtfs = kinds.add_parser("gtfs", help="un GTFS (zip)")
    gtfs.set_defaults(run=lambda chosen: _with_database(_import_gtfs, chosen))
    territory = kinds.add_parser("territory", help="municipios, comunas o barrios (GeoJSON)")
    territory.set_defaults(run=lambda chosen: _with_database(_import_territory, chosen))
    entities = kinds.add_parser("entities", help="entidades NGSI-LD, una por línea")
    entities.set_defaults(run=lambda chosen: _with_database(_import_entities, chosen))
    from amb247.mobility.arguments import add_gtfs_arguments

    add_gtfs_arguments(gtfs)
    territory.add_argument("files", nargs="+", type=Path)
    territory.add_argument("--keep-good", action="store_true", help="toma lo bueno y dice qué se rechazó")
    territory.add_argument("--swap", action="store_true", help="endereza coordenadas latitud, longitud")
    for option, words in (
        ("level", "nivel de las áreas"),
        ("code", "columna del código"),
        ("name", "columna del nombre"),
        ("parent", "columna del área que contiene"),
        ("population", "columna de la población"),
    ):
        territory.add_argument(f"--{option}", help=words)
    entities.add_argument("files", nargs="+", type=Path)
    entities.add_argument("--feed", default="import", help="nombre de la fuente (import)")
    for sub in (gtfs, territory, entities):
        if not any("--data" in action.option_strings for action in sub._actions):
            sub.add_argument("--data", metavar="DIR", default=argparse.SUPPRESS, help="directorio de datos")


def add_replay_arguments(parser: argparse.ArgumentParser) -> None:
    from amb247.mobility.arguments import add_replay_arguments as add

    add(parser)
    if not any("--data" in action.option_strings for action in parser._actions):
        parser.add_argument("--data", metavar="DIR", help="directorio de datos")
    parser.set_defaults(run=lambda chosen: _with_database(_replay, chosen))


def _with_database(function: Callable[[argparse.Namespace], int], chosen: argparse.Namespace) -> int:
    with database():
        migrate()
        return int(function(chosen))


def _import_gtfs(chosen: argparse.Namespace) -> int:
    from amb247.mobility.commands import import_gtfs_command

    return import_gtfs_command(chosen)


def _replay(chosen: argparse.Namespace) -> int:
    from amb247.mobility.commands import replay_command

    return replay_command(chosen)


def _import_territory(chosen: argparse.Namespace) -> int:
    from amb247.territory import api as territory
    from amb247.territory.errors import ImportRefused, TerritoryError

    columns = {
        name: getattr(chosen, name)
        for name in ("level", "code", "name", "parent", "population")
        if getattr(chosen, name)
    }
    mapping = territory.ColumnMapping(**columns) if columns else None
    worst = OK
    for path in chosen.files:
        try:
            report = territory.import_territory(
                path, keep_good=chosen.keep_good, mapping=mapping, swap=chosen.swap
            )
        except ImportRefused as refusal:
            report, worst = refusal.report, REFUSED
            complain(f"{path.name}: no se tomó nada.", "Con --keep-good se toma lo bueno.")
        except TerritoryError as problem:
            complain(f"{path.name}: {problem}")
            worst = REFUSED
            continue
        print(
            f"{path.name}: {report.created} nuevas, {report.updated} cambiadas, {report.unchanged} iguales, "
            f"{len(report.refused)} rechazadas."
        )
        for title, findings in (
            ("Rechazada", report.refused),
            ("Reparada", report.repaired),
            ("Aviso", report.warnings),
        ):
            for finding in findings:
                print(f"  {title} · {finding}")
    return worst


def _import_entities(chosen: argparse.Namespace) -> int:
    from amb247.context import api as context
    from amb247.context.adapters.ngsild_lines import read_lines
    from amb247.context.errors import ContextError

    handle = context.feed(chosen.feed, name=chosen.feed, kind="NGSI-LD")
    worst = OK
    for path in chosen.files:
        try:
            total = context.take_entities(read_lines(path), feed=handle, source=path.name)
        except ContextError as problem:
            complain(str(problem))
            return USAGE
        print(
            f"{path.name}: {total.lines} líneas = {total.taken} tomadas ({total.created} nuevas, {total.updated} "
            f"cambiadas, {total.unchanged} iguales) + {total.refused_total} rechazadas."
        )
        for fault in total.faults[:50]:
            print(f"  línea {fault.line}, {fault.field}: {fault.reason}. {fault.remedy}", file=sys.stderr)
        if total.refused_total:
            worst = REFUSED
    return worst
