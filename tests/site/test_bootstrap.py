"""The first minutes on a bare machine, where nothing of ours runs yet: plain words for what can be missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path) -> Path:
    """What of a clone the first start needs."""
    shutil.copy(ROOT / "amb", tmp_path)
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for lock in ROOT.glob("requirements*.lock"):
        shutil.copy(lock, tmp_path)
    return tmp_path


def start(copy: Path, **environment: str) -> subprocess.CompletedProcess:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("AMB_", "PIP_", "PYTHON"))
    }
    return subprocess.run(
        [copy / "amb", "up"], env=clean | environment, cwd=copy, capture_output=True, text=True, timeout=120
    )


def programs(folder: Path, **says: str) -> str:
    """A PATH with a shell's tools and made-up programs."""
    folder.mkdir()
    for tool in ("dirname", "sh", "cat"):
        (folder / tool).symlink_to(shutil.which(tool))
    for name, script in says.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("found", [{"python3": "exit 1"}, {}])
def test_a_python_that_is_too_old_or_absent_is_told_with_the_remedy(copy, found):
    """The fake one answers the question for its version as an old one does."""
    done = start(copy, PATH=programs(copy / "bin", **found))
    assert done.returncode == 69
    assert "necesita Python 3.11" in done.stderr
    assert "apt install python3" in done.stderr
    assert "AMB_PYTHON=" in done.stderr


def test_a_network_that_is_down_is_told_in_words(copy):
    done = start(
        copy, AMB_PYTHON=sys.executable, PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="0", PIP_NO_CACHE_DIR="1",
        PIP_CONFIG_FILE=os.devnull,
    )  # fmt: skip
    assert done.returncode == 70
    assert "No se pudo llegar al índice de paquetes" in done.stderr
    assert "HTTPS_PROXY" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (copy / ".venv" / "amb-locks").exists()


@pytest.fixture
def bootstrap():
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "tools" / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "El disco está lleno"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "no coincide con su huella"),
        ("ERROR: THESE PACKAGES do not match the hashes", "no coincide con su huella"),
        ("Temporary failure in name resolution", "No se pudo llegar al índice"),
        ("something nobody has seen before", "No se pudieron instalar los paquetes."),
    ],
)
def test_what_pip_says_is_turned_into_what_to_do(bootstrap, capsys, output, words):
    with pytest.raises(SystemExit) as ended:
        bootstrap.explain_and_stop(f"noise\n{output}\n")
    said = capsys.readouterr().err
    assert ended.value.code == 70
    assert words in said
    assert output in said, "the tool's own words stay readable"


def test_a_disk_without_room_is_told_before_anything_is_made(bootstrap, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(bootstrap, "MINIMUM_FREE_BYTES", 10**18)
    with pytest.raises(SystemExit):
        bootstrap.make_environment()
    assert "libere al menos" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("order", "tools"), [(["up"], False), ([], False), (["test", "-k", "x"], True), (["bench"], True)]
)
def test_only_developers_orders_install_the_development_lock(bootstrap, order, tools):
    assert bootstrap.needs_tools(order) is tools
