"""Backup, damage, restore: on a small platform of its own, because a restore needs an empty one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import psycopg
import pytest

from amb247.kernel.engine import open_engine
from amb247.site import backup
from amb247.site.backup import MANIFEST, unpack

pytestmark = pytest.mark.integration
FILL = """
import sys
sys.path.insert(0, {tests!r})
from amb247.site.database import database, migrate
with database():
    migrate()
    from factories import territory as make
    from amb247.context import api as context
    make.small_territory()
    make.person_with("administrator", email="ana@prueba.example")
    context.feed("prueba", name="Prueba", kind="NGSI-LD")
    def lamp(n, hour):
        return {{"id": f"urn:ngsi-ld:Streetlight:p:{{n}}", "type": "Streetlight",
            "location": {{"type": "GeoProperty", "value": {{"type": "Point", "coordinates": [-73.1, 7.1]}}}},
            "powerState": {{"type": "Property", "value": "on" if hour % 2 else "off", "observedAt": f"2026-11-22T{{hour:02}}:00:00Z"}}}}
    for hour in range(3):
        context.upsert([lamp(n, hour) for n in range(50)], source="p")
"""


def amb(data: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "AMB_DATABASE_URL"}
    environment["AMB_DATA"] = str(data)
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )


def counts(data: Path) -> dict[str, int]:
    engine = open_engine(data)
    try:
        with psycopg.connect(engine.url) as connection:
            known = {
                row[0]
                for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            }
            return {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
                for name in sorted(known)
                if not name.startswith(("context_change", "context_feed_floor"))  # the feed starts anew
            }
    finally:
        engine.stop()


@pytest.fixture(scope="module")
def folder():
    made = Path(tempfile.mkdtemp(prefix="amb-backup-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def platform(folder) -> Path:
    """A data directory with a little of everything."""
    data = folder / "first"
    done = amb(data, "-c", FILL.format(tests=str(Path(__file__).resolve().parents[1])))
    assert done.returncode == 0, done.stderr
    (data / "demo-accounts.json").write_text(json.dumps({"ana@prueba.example": "clave"}))
    return data


@pytest.fixture(scope="module")
def archive(folder, platform) -> Path:
    done = amb(platform, "-m", "amb247", "backup", str(folder / "copia.tar.gz"))
    assert done.returncode == 0, done.stderr
    assert "Copia en" in done.stderr
    return folder / "copia.tar.gz"


def test_a_restored_platform_has_what_the_first_had(folder, platform, archive):
    other = folder / "other"
    done = amb(other, "-m", "amb247", "restore", str(archive))
    assert done.returncode == 0, done.stderr
    before = counts(platform)
    assert before["territory_area"] == 6
    assert sum(before.values()) > 150
    assert counts(other) == before
    for name in ("secret_key", "demo-accounts.json"):
        assert (other / name).read_text() == (platform / name).read_text()
        assert (other / name).stat().st_mode & 0o077 == (platform / name).stat().st_mode & 0o077
    assert amb(other, "-m", "amb247", "migrate").stderr.strip().endswith("0 migraciones aplicadas.")


def test_the_copy_is_not_readable_by_others(archive):
    assert archive.stat().st_mode & 0o077 == 0, "it holds the secret key and every password's hash"


def test_a_restore_into_a_directory_with_data_is_refused(platform, archive):
    done = amb(platform, "-m", "amb247", "restore", str(archive))
    assert done.returncode == 1
    assert "no está vacío" in done.stderr


def damaged(archive: Path, target: Path, how: str) -> Path:
    content = bytearray(archive.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "turned":
        content[len(content) // 2] ^= 0xFF
    elif how == "text":
        content = bytearray(b"esto no es una copia")
    target.write_bytes(content)
    if how in {"swapped", "missing"}:
        with tarfile.open(archive) as old, tarfile.open(target, "w:gz") as new:
            for member in old:
                if member.name == "secret_key":
                    if how == "missing":
                        continue
                    (target.parent / "other_key").write_text("x" * member.size)
                    new.add(target.parent / "other_key", "secret_key")
                else:
                    new.addfile(member, old.extractfile(member))
    return target


@pytest.mark.parametrize("how", ["cut", "turned", "text", "swapped", "missing"])
def test_a_damaged_copy_is_refused_and_nothing_is_made(tmp_path, archive, how):
    copy = damaged(archive, tmp_path / "copia.tar.gz", how)
    done = amb(tmp_path / "new", "-m", "amb247", "restore", str(copy))
    assert done.returncode == 1
    assert "está dañada; no se restauró nada" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_part_that_would_leave_the_folder_is_refused(tmp_path):
    archive = tmp_path / "mala.tar.gz"
    (tmp_path / "x").write_text("x")
    with tarfile.open(archive, "w:gz") as made:
        made.add(tmp_path / "x", "../fuera")
    (tmp_path / "in").mkdir()
    assert "OutsideDestination" in unpack(archive, tmp_path / "in")[0]
    assert not (tmp_path / "fuera").exists()


def test_a_file_that_is_not_there_is_told(tmp_path):
    done = amb(tmp_path / "new", "-m", "amb247", "restore", str(tmp_path / "ninguna"))
    assert done.returncode == 1
    assert "No such file" in done.stderr


def test_a_backup_into_a_folder_that_is_not_there_is_told(tmp_path, platform):
    done = amb(platform, "-m", "amb247", "backup", str(tmp_path / "no" / "copia.tar.gz"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_the_manifest_names_every_kept_file(archive):
    with tarfile.open(archive) as opened:
        manifest = json.loads(opened.extractfile(MANIFEST).read())
        assert set(opened.getnames()) == {MANIFEST, *manifest["sha256"]}
    assert {"secret_key", "demo-accounts.json", backup.DUMP} <= set(manifest["sha256"])


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [("", 0, "al día"), ("DELETE FROM django_migrations WHERE app = 'territory'", 1, "faltan 3 migraciones")],
)
def test_doctor_says_by_its_code_whether_all_is_well(platform, change, code, word):
    engine = open_engine(platform)
    try:
        with psycopg.connect(engine.url) as connection:
            kept = connection.execute(
                "SELECT app, name, applied FROM django_migrations WHERE app = 'territory'"
            ).fetchall()
            if change:
                connection.execute(change)
        done = amb(platform, "-m", "amb247", "doctor")
        with psycopg.connect(engine.url) as connection:
            if change:
                connection.cursor().executemany(
                    "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)", kept
                )
    finally:
        engine.stop()
    assert done.returncode == code, done.stdout
    assert word in done.stdout
    assert ("MAL" in done.stdout) == bool(code)
