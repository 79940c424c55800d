"""`amb doctor`: what is configured, reachable and healthy; the exit code says it too."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator

from amb247 import __version__
from amb247.site import frontend_build
from amb247.site.database import database
from amb247.site.paths import data_directory
from amb247.site.terminal import OK, REFUSED

Finding = tuple[bool, str, str]


def run_doctor(_chosen: argparse.Namespace) -> int:
    healthy = True
    for is_good, what, detail in _findings():
        healthy &= is_good
        print(f"  {'bien' if is_good else 'MAL '}  {what:<28} {detail}")
    return OK if healthy else REFUSED


def _findings() -> Iterator[Finding]:
    yield True, "versión", f"AMB 24/7 {__version__}, Python {sys.version.split()[0]}"
    folder = data_directory()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    yield free > 2_000_000_000, "directorio de datos", f"{folder} ({free / 1e9:.0f} GB libres)"
    built = (frontend_build.OUTPUT / "manifest.json").exists()
    yield built, "interfaz", "construida" if built else "falta: ./amb up la construye"
    for name in (
        "AMB_DATABASE_URL",
        "AMB_PUBLIC_URL",
        "AMB_OIDC_URL",
        "AMB_BASEMAP_STYLE_URL",
        "AMB_MQTT_URL",
    ):
        value = os.environ.get(name, "")
        shown = "definida" if value and name == "AMB_DATABASE_URL" else value or "sin definir"
        yield True, name, shown
    with database() as engine:
        yield from _database_findings(
            engine.binaries.source if engine.binaries else "externa o de otra orden"
        )


def _database_findings(source: str) -> Iterator[Finding]:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    from amb247.context import api as context

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        version = cursor.fetchone()[0]
        yield int(version.split(".")[0]) >= 15, "PostgreSQL", f"{version} ({source})"
        cursor.execute("SHOW synchronous_commit")
        durable = cursor.fetchone()[0]
        yield durable != "off", "escritura durable", f"synchronous_commit = {durable}"
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    yield not missing, "esquema", f"faltan {len(missing)} migraciones: ./amb migrate" if missing else "al día"
    if missing:
        return
    behind = context.tenants_behind()
    yield (
        not behind,
        "inquilinos NGSI-LD",
        f"{len(behind)} con tablas de una versión anterior: ./amb migrate" if behind else "al día",
    )
    counts = context.count_by_type()
    yield True, "entidades", ", ".join(f"{name} {number}" for name, number in counts.items()) or "ninguna"
    for status in context.feed_statuses():
        last = status.last_message_at.isoformat(timespec="seconds") if status.last_message_at else "nunca"
        yield status.state != "quiet", f"fuente {status.slug}", f"{status.state}, último mensaje {last}"
