"""`amb import gtfs` and `amb replay`: words for people on the screen, an exit code for programs."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from amb247.mobility import api, phrases
from amb247.mobility.data import Finding, GtfsReport, ReplayReport
from amb247.mobility.errors import UnreadableRecording

OK, REFUSED, USAGE, INTERRUPTED = 0, 1, 2, 130
SHOWN_NOTICES = 8


def import_gtfs_command(chosen: argparse.Namespace) -> int:
    """Import each file; 0 when all were taken, 1 when one was refused, 2 when one cannot be opened."""
    worst = OK
    if _is_bad_name(chosen.feed):
        return USAGE
    for path in chosen.files:
        try:
            report = api.import_gtfs(
                path, feed=chosen.feed or _slug_of(path), name=chosen.name, area_code=chosen.area,
                synthetic=chosen.synthetic, keep_good=chosen.keep_good, activate=chosen.activate,
            )  # fmt: skip
        except OSError as problem:
            _complain(
                _("%(file)s no se puede abrir: %(problem)s") % {"file": path, "problem": problem.strerror}
            )
            worst = max(worst, USAGE)
            continue
        for line in report_lines(report, all_notices=chosen.notices):
            print(line)
        worst = max(worst, REFUSED if report.is_refused else OK)
    return worst


def report_lines(report: GtfsReport, *, all_notices: bool = False) -> Iterator[str]:
    """What was taken, what was refused and why, for a terminal."""
    words = {
        "file": report.file_name,
        "feed": report.feed,
        "version": report.version,
        "seconds": f"{report.seconds:.1f}",
    }
    if report.status == "imported":
        yield _("%(file)s: importado como versión %(version)s de «%(feed)s» en %(seconds)s s.") % words
    elif report.status == "unchanged":
        yield _("%(file)s: sin cambios; es la versión %(version)s de «%(feed)s» (%(seconds)s s).") % words
    else:
        yield _("%(file)s: RECHAZADO, no se guardó nada (%(seconds)s s).") % words
    if not report.is_refused:
        counts = ", ".join(f"{_number(count)} {table}" for table, count in report.counts.items())
        yield "  " + _("Tomado: %(counts)s.") % {"counts": counts}
        if report.service_from and report.service_to:
            days = {"first": report.service_from.isoformat(), "last": report.service_to.isoformat()}
            yield "  " + _("Servicio del %(first)s al %(last)s.") % days
        yield "  " + (
            _("Es la versión activa.")
            if report.activated
            else _("No está activa: use --activate o la página /movilidad/gtfs/.")
        )
    if report.refused_rows:
        counts = ", ".join(f"{_number(count)} {table}" for table, count in report.refused_rows.items())
        yield "  " + _("Filas rechazadas: %(counts)s.") % {"counts": counts}
    for level, title in (
        ("fatal", _("Impide importar")),
        ("rows", _("Filas rechazadas")),
        ("note", _("Nota")),
    ):
        for finding in report.findings:
            if finding.level == level:
                yield from _finding_lines(finding, title)
    yield from _notice_lines(report, all_notices=all_notices)
    if report.would_keep_good:
        yield "  " + _("Con --keep-good se importan las filas buenas y se listan las rechazadas.")
    elif report.is_refused:
        yield "  " + _("--keep-good no alcanza: sin corregir lo anterior no queda un feed utilizable.")


def _finding_lines(finding: Finding, title: str) -> Iterator[str]:
    reason, remedy = phrases.explain(finding)
    count = f" ×{_number(finding.count)}" if finding.count > 1 else ""
    place = phrases.place_of(finding)
    example = phrases.example_of(finding)
    where = " · ".join(part for part in (place, example) if part)
    yield f"  {title}{count}: {reason}" + (f" [{where}]" if where else "")
    if finding.level != "note":
        yield f"    → {remedy}"


def _notice_lines(report: GtfsReport, *, all_notices: bool) -> Iterator[str]:
    if not report.notices:
        return
    total: dict[str, int] = {}
    for notice in report.notices:
        total[notice.severity] = total.get(notice.severity, 0) + notice.count
    counts = ", ".join(f"{_number(count)} {severity}" for severity, count in total.items())
    yield "  " + _("Avisos del validador gtfs-guru (no impiden importar): %(counts)s.") % {"counts": counts}
    shown = report.notices if all_notices else report.notices[:SHOWN_NOTICES]
    for notice in shown:
        yield f"    {notice.severity:<8}{_number(notice.count):>9}  {notice.code}"
    if (rest := len(report.notices) - len(shown)) > 0:
        yield "    " + ngettext("y %(n)s clase más (--notices)", "y %(n)s clases más (--notices)", rest) % {
            "n": rest
        }


def replay_command(chosen: argparse.Namespace) -> int:
    """Replay until the end or Ctrl-C; 0 at the end, 1 when a file was refused, 2 when there is none."""
    stop = threading.Event()
    if _is_bad_name(chosen.feed):
        return USAGE
    try:
        with _stopped_by_signals(stop):
            report = api.replay(
                chosen.files, feed=chosen.feed or _slug_of(Path(chosen.files[0]).resolve().parent), name=chosen.name,
                speed=chosen.speed, loop=chosen.loop, as_of="recorded" if chosen.keep_time else "now",
                keep_good=chosen.keep_good, mapping=chosen.map, separator=chosen.separator,
                speed_unit=chosen.speed_unit, on_progress=lambda now: print(progress_line(now), flush=True), stop=stop,
            )  # fmt: skip
    except UnreadableRecording as problem:
        _complain(explain_unreadable(problem))
        return USAGE if problem.reason in {"no_such_file", "bad_mapping"} else REFUSED
    except OSError as problem:
        _complain(f"{problem.filename}: {problem.strerror}")
        return USAGE
    for line in replay_lines(report):
        print(line)
    return OK if report.finished else INTERRUPTED


def explain_unreadable(problem: UnreadableRecording) -> str:
    """What is wrong with a recording and what to do, in words."""
    sentences = {
        "no_such_file": _("Ningún archivo coincide con %(detail)s. Compruebe la ruta."),
        "wrong_separator": _("La tabla no está separada por comas sino por «%(detail)s». Indíquelo con --separator o exporte con comas."),
        "missing_columns": _("A la tabla le faltan columnas: %(detail)s. Indique cuáles son con --map CAMPO=COLUMNA."),
        "bad_mapping": _("--map no sirve: %(detail)s."),
        "empty_table": _("La tabla está vacía (%(detail)s)."),
        "bad_header": _("No se puede leer el encabezado de la tabla: %(detail)s."),
        "truncated_gzip": _("El archivo .gz está cortado o dañado: %(detail)s. Descárguelo de nuevo."),
        "truncated_message": _("El mensaje GTFS-Realtime está cortado: %(detail)s. Descárguelo de nuevo, o use --keep-good para tomar lo que está entero."),
        "malformed_message": _("El mensaje GTFS-Realtime tiene partes ilegibles: %(detail)s. Use --keep-good para tomar lo que está entero."),
        "not_gtfs_realtime": _("No es un mensaje GTFS-Realtime: %(detail)s. Se esperan archivos .pb o .json de GTFS-Realtime, o tablas .csv."),
        "empty_message": _("El mensaje está vacío: %(detail)s."),
        "too_large": _("El archivo supera el límite: %(detail)s."),
    }  # fmt: skip
    sentence = sentences.get(problem.reason, "%(detail)s")
    return sentence % {"detail": str(problem)}


def progress_line(report: ReplayReport) -> str:
    """One line: the recording's clock, what came in, what was taken and refused."""
    refused = ", ".join(f"{reason} {_number(count)}" for reason, count in sorted(report.refused.items()))
    words = {
        "clock": timezone.localtime(report.clock).strftime("%Y-%m-%d %H:%M:%S") if report.clock else "–",
        "seen": _number(report.seen), "taken": _number(report.taken), "refused": _number(sum(report.refused.values())),
    }  # fmt: skip
    line = _("%(clock)s · recibidas %(seen)s = tomadas %(taken)s + rechazadas %(refused)s") % words
    return f"{line} ({refused})" if refused else line


def replay_lines(report: ReplayReport) -> Iterator[str]:
    """The table at the end of a replay."""
    title = _("Grabación terminada") if report.finished else _("Grabación interrumpida")
    yield f"\n{title} ({report.elapsed_s:.1f} s)"
    rows = [
        (_("archivos"), report.files),
        (_("mensajes"), report.messages),
        (_("vehículos distintos"), report.vehicles),
        (_("posiciones recibidas"), report.seen),
        (_("  tomadas"), report.taken),
        (_("    sin novedad"), report.unchanged),
        (_("    atrasadas (solo al historial)"), report.late),
        (_("  rechazadas"), sum(report.refused.values())),
    ]
    rows += [(f"    {phrases.refusal(reason)}", count) for reason, count in sorted(report.refused.items())]
    rows += [
        (_("actualizaciones de viaje (aún no se usan)"), report.trip_updates),
        (_("avisos (aún no se usan)"), report.alerts),
    ]
    for label, count in rows:
        yield f"  {label:<62}{_number(count):>12}"
    for sample in report.samples[:12]:
        yield f"  · {sample.where}: {phrases.refusal(sample.reason)} {sample.value}".rstrip()


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C ends the replay between two messages; a second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {which: signal.signal(which, ask) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def _is_bad_name(feed: str | None) -> bool:
    if not feed or re.fullmatch(r"[A-Za-z0-9_-]{1,64}", feed):
        return False
    _complain(
        _("--feed «%(feed)s» no sirve: use letras, cifras, guiones y hasta 64 caracteres.") % {"feed": feed}
    )
    return True


def _slug_of(path: Path) -> str:
    name = path.name
    for ending in (".zip", ".csv.gz", ".csv", ".pb"):
        name = name.removesuffix(ending)
    return slugify(name)[:64] or "gtfs"


def _number(value: int) -> str:
    return f"{value:,}".replace(",", ".")


def _complain(words: str) -> None:
    print(words, file=sys.stderr)
