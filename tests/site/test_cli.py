from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from amb247.kernel.engine.errors import NoBinaries
from amb247.site import cli, up
from amb247.site.cli import main

pytestmark = pytest.mark.unit


def test_an_unknown_order_is_refused_and_the_known_are_listed(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["volar"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "volar" in said
    assert "doctor" in said


def test_an_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--rapido"])
    assert ended.value.code == 2
    assert "--rapido" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given", [["-k", "engine", "-x"], ["tests/kernel", "-x"], ["-n", "2", "tests/kernel"]]
)
def test_what_follows_test_reaches_pytest_in_its_order(monkeypatch, given):
    seen = []
    monkeypatch.setenv("AMB_CHECKOUT", "/somewhere")
    monkeypatch.setattr(cli, "_lazy", lambda *_names: lambda chosen: seen.append(chosen.rest))
    assert main(["test", *given]) == 0
    assert seen == [given]


@pytest.mark.parametrize("order", [[], ["up"], ["import"], ["replay"], ["backup"], ["doctor"], ["worker"]])
def test_every_order_explains_itself(capsys, order):
    with pytest.raises(SystemExit) as ended:
        main([*order, "--help"])
    assert ended.value.code == 0
    assert "usage: amb" in capsys.readouterr().out


def test_help_needs_no_database_and_no_settings(tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "amb247", "--help"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_told_with_the_way_out(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["up", "--port", str(port)]) == 70
    assert f"El puerto {port} está ocupado" in (said := capsys.readouterr().err)
    assert f"--port {port + 1}" in said


def test_an_address_that_is_not_ours_is_told(capsys, monkeypatch):
    assert not up._is_free("203.0.113.7", 8247)
    assert "No se puede escuchar en 203.0.113.7:8247" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (NoBinaries("No PostgreSQL 15 or later found."), "La base de datos no pudo iniciar."),
        (OSError(28, "No space left on device"), "El disco está lleno"),
    ],
)
def test_what_people_can_mend_is_told_without_a_traceback(monkeypatch, capsys, problem, words):
    def fails(_chosen):
        raise problem

    monkeypatch.setattr(cli, "_lazy", lambda *_names: fails)
    assert main(["doctor"]) == 70
    assert words in capsys.readouterr().err


def test_ctrl_c_ends_with_the_shells_own_code(monkeypatch):
    def stopped(_chosen):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_lazy", lambda *_names: stopped)
    assert main(["doctor"]) == 130


@pytest.fixture(autouse=True)
def same_environment(monkeypatch):
    """`main` sets AMB_DATA and AMB_PORT for the rest of its process."""
    for name in ("AMB_DATA", "AMB_PORT"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
        if not os.environ[name]:
            monkeypatch.delenv(name)
