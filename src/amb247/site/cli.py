"""The command line `amb`: DESIGN section 6. Words for people are Spanish; programs read exit codes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from amb247 import __version__
from amb247.kernel.engine import EngineError
from amb247.site.terminal import BROKEN, OK, complain


def main(arguments: Sequence[str] | None = None) -> int:
    parser = build_parser()
    chosen, left = parser.parse_known_args(arguments)
    if left and not hasattr(chosen, "rest"):
        parser.error(f"argumentos desconocidos: {' '.join(left)}")
    if left:  # argparse keeps options that come first out of the rest: `amb test -k name`
        chosen.rest = [*left, *chosen.rest]
    if getattr(chosen, "data", None):
        os.environ["AMB_DATA"] = str(Path(chosen.data).expanduser().resolve())
    if getattr(chosen, "port", None):
        os.environ["AMB_PORT"] = str(chosen.port)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "amb247.site.settings")
    try:
        return int(chosen.run(chosen) or OK)
    except KeyboardInterrupt:
        return 130
    except EngineError as problem:
        complain("La base de datos no pudo iniciar.", str(problem))
        return BROKEN
    except OSError as problem:
        if problem.errno == 28:
            complain("El disco está lleno: libere espacio y repita la orden.", str(problem))
            return BROKEN
        raise


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="amb", description="AMB 24/7: la plataforma abierta de una área metropolitana inteligente."
    )
    parser.add_argument("--version", action="version", version=f"AMB 24/7 {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="ORDEN")
    _add_serving(commands)
    _add_data(commands)
    _add_care(commands)
    return parser


def _add_serving(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = commands.add_parser("up", help="prepara todo y sirve la plataforma (Ctrl-C la detiene)")
    _data_option(up)
    up.add_argument("--port", type=int, default=None, help="puerto (8247)")
    up.add_argument("--host", default="127.0.0.1", help="dirección en la que escucha (127.0.0.1)")
    up.add_argument("--no-demo", action="store_true", help="sin ciudad de demostración")
    up.add_argument("--scale", type=float, default=1.0, help="tamaño de la ciudad de demostración (1.0)")
    up.add_argument("--seed", type=int, default=247, help="semilla de la ciudad de demostración")
    up.set_defaults(run=_lazy("up", "run_up"))
    web = commands.add_parser("web", help="solo el servidor de páginas, para producción")
    _data_option(web)
    web.add_argument("--port", type=int, default=None)
    web.add_argument("--host", default="127.0.0.1")
    web.set_defaults(run=_lazy("up", "run_web"))
    worker = commands.add_parser("worker", help="solo las tareas de fondo y las fuentes, para producción")
    _data_option(worker)
    worker.add_argument("--demo", action="store_true", help=argparse.SUPPRESS)
    worker.set_defaults(run=_lazy("worker", "run_worker"))


def _add_data(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from amb247.site.importing import add_import_arguments, add_replay_arguments

    add_import_arguments(
        commands.add_parser("import", help="toma archivos: dice qué entró, qué no y por qué")
    )
    add_replay_arguments(commands.add_parser("replay", help="reproduce una grabación como si fuera en vivo"))


def _add_care(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser("doctor", help="qué está configurado, accesible y sano")
    _data_option(doctor)
    doctor.set_defaults(run=_lazy("doctor", "run_doctor"))
    backup = commands.add_parser("backup", help="copia todo a un archivo")
    backup.add_argument("file", type=Path)
    _data_option(backup)
    backup.set_defaults(run=_lazy("backup", "run_backup"))
    restore = commands.add_parser("restore", help="restaura una copia en un directorio de datos vacío")
    restore.add_argument("file", type=Path)
    _data_option(restore)
    restore.set_defaults(run=_lazy("backup", "run_restore"))
    admin = commands.add_parser("admin", help="crea o repara la cuenta de administración")
    admin.add_argument("email")
    _data_option(admin)
    admin.set_defaults(run=_lazy("accounts", "run_admin"))
    migrate = commands.add_parser("migrate", help="pone la base de datos al día")
    _data_option(migrate)
    migrate.set_defaults(run=_lazy("up", "run_migrate"))
    if os.environ.get("AMB_CHECKOUT"):
        _add_development(commands)


def _add_development(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    test = commands.add_parser("test", help="todas las comprobaciones y pruebas")
    test.add_argument(
        "rest", nargs=argparse.REMAINDER, help="argumentos para pytest; con alguno, solo pytest"
    )
    test.set_defaults(run=_lazy("testing", "run_test"))
    bench = commands.add_parser("bench", help="mediciones frente a los pares")
    bench.add_argument("name", help="ingest, live, gtfs, server …")
    bench.add_argument("--json", action="store_true")
    bench.add_argument("rest", nargs=argparse.REMAINDER)
    bench.set_defaults(run=_lazy("testing", "run_bench"))
    messages = commands.add_parser("messages", help="extrae los textos y actualiza los catálogos")
    messages.add_argument("--check", action="store_true", help="solo comprueba que estén al día")
    messages.set_defaults(run=_lazy("messages", "run_messages"))
    pictures = commands.add_parser("pictures", help="hace las imágenes del README con un navegador")
    pictures.set_defaults(run=_lazy("testing", "run_pictures"))
    _data_option(pictures)


def _data_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="directorio de datos")


def _lazy(module: str, function: str) -> Callable[[argparse.Namespace], int | None]:
    """Import a command's module only when it runs: `amb --help` stays quick."""

    def run(chosen: argparse.Namespace) -> int | None:
        from importlib import import_module

        result: int | None = getattr(import_module(f"amb247.site.{module}"), function)(chosen)
        return result

    return run
