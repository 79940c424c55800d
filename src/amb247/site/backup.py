"""`amb backup` and `amb restore`: database and files in one archive, each part with its hash, verified on reading."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from amb247 import __version__
from amb247.kernel.engine.binaries import find_binaries
from amb247.site.database import database
from amb247.site.paths import data_directory
from amb247.site.terminal import OK, REFUSED, complain, say

MANIFEST = "manifest.json"
DUMP = "database.dump"
# Files of the data directory that belong to the platform's state; the engine's own and the built static ones do not.
KEPT = ("secret_key", "demo.json", "demo-accounts.json", "gtfs")


def run_backup(chosen: argparse.Namespace) -> int:
    """Write the archive beside its final name, then rename: a half-written copy never looks like a whole one."""
    target: Path = chosen.file.resolve()
    if not os.access(target.parent, os.W_OK | os.X_OK):
        complain(f"No se puede escribir en {target.parent}: elija una carpeta que exista y sea suya.")
        return REFUSED
    with database() as engine, tempfile.TemporaryDirectory(dir=target.parent) as folder:
        dump = Path(folder) / DUMP
        program = find_binaries().folder / "pg_dump"
        done = subprocess.run(
            [program, "--format=custom", "--file", dump, "--dbname", engine.url],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            complain("La base de datos no se pudo copiar.", done.stderr[-800:])
            return REFUSED
        making = Path(folder) / "archive"
        with tarfile.open(making, "w:gz", compresslevel=1) as archive:
            parts = {DUMP: dump} | _files()
            hashes = {name: _digest(path) for name, path in parts.items()}
            manifest = {"made": datetime.now(UTC).isoformat(), "version": __version__, "sha256": hashes}
            body = json.dumps(manifest, indent=1).encode()
            info = tarfile.TarInfo(MANIFEST)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
            for name, path in parts.items():
                archive.add(path, arcname=name)
        with making.open("rb") as file:
            os.fsync(file.fileno())
        making.chmod(0o600)  # it holds the secret key and the hashes of passwords
        making.replace(target)
    say(f"Copia en {target} ({target.stat().st_size / 1e6:.1f} MB, {len(hashes)} partes).")
    return OK


def run_restore(chosen: argparse.Namespace) -> int:
    data = data_directory()
    if data.exists() and any(path.name != "engine" for path in data.iterdir()):
        complain(f"{data} no está vacío: restaure en un directorio nuevo (--data DIR).")
        return REFUSED
    with tempfile.TemporaryDirectory() as folder:
        wrong = unpack(chosen.file, Path(folder))
        if wrong:
            complain(f"La copia {chosen.file} está dañada; no se restauró nada.", "; ".join(wrong))
            return REFUSED
        data.mkdir(parents=True, exist_ok=True)
        with database() as engine:
            program = find_binaries().folder / "pg_restore"
            done = subprocess.run(
                [
                    program,
                    "--exit-on-error",
                    "--single-transaction",
                    "--no-owner",
                    "--dbname",
                    engine.url,
                    Path(folder) / DUMP,
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                complain("La base de datos no se pudo restaurar.", done.stderr[-800:])
                return REFUSED
            _settle_feed()
        for name in KEPT:
            source = Path(folder) / name
            if source.exists():
                shutil.move(source, data / name)
    say(f"Restaurado en {data}.")
    return OK


def unpack(archive_path: Path, folder: Path) -> list[str]:
    """Unpack into `folder` and check every part; what is wrong, in words."""
    try:
        with tarfile.open(archive_path, "r:gz") as archive:
            archive.extractall(folder, filter="data")
        manifest = json.loads((folder / MANIFEST).read_text())
        expected = dict(manifest["sha256"])
    except (OSError, EOFError, ValueError, KeyError, tarfile.TarError) as problem:
        return [f"{type(problem).__name__}: {problem}"]
    wrong = []
    for name, digest in expected.items():
        path = folder / name
        if not path.exists():
            wrong.append(f"falta {name}")
        elif _digest(path) != digest:
            wrong.append(f"{name} no coincide con su huella")
    return wrong


def _settle_feed() -> None:
    """Transaction numbers of another server mean nothing here: readers of the feed start anew."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE context_change")
        cursor.execute("DELETE FROM context_feed_floor")
        cursor.execute("DELETE FROM context_delivery")
        cursor.execute("UPDATE context_subscription SET made_tx = '0'")


def _files() -> dict[str, Path]:
    data = data_directory()
    found = {}
    for name in KEPT:
        root = data / name
        for path in [root] if root.is_file() else sorted(root.rglob("*")) if root.is_dir() else []:
            if path.is_file():
                found[str(path.relative_to(data))] = path
    return found


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
