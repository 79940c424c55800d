"""`amb test`, `amb bench`, `amb pictures`: what a developer and CI run. Only in a checkout."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from amb247.site import frontend_build
from amb247.site.messages import compile_catalogues
from amb247.site.terminal import BROKEN, OK, REFUSED, complain, say

WORKERS = 2
BROWSERS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


def checkout() -> Path:
    return Path(os.environ["AMB_CHECKOUT"])


def run_test(chosen: argparse.Namespace) -> int:
    """All checks, then all tests; with arguments, pytest alone with these."""
    started = time.monotonic()
    frontend_build.ensure(say)
    compile_catalogues()
    ensure_browser()
    if chosen.rest:
        return run_pytest([part for part in chosen.rest if part != "--"])
    failed = [name for name, command, folder in checks() if not passes(name, command, folder)]
    # Files as tests/conftest.py puts them, long ones first, so that the workers end together.
    if run_pytest(["-n", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder"], servers=WORKERS):
        failed.append("pytest")
    say(
        f"{'Todo pasa' if not failed else 'FALLA: ' + ', '.join(failed)} ({time.monotonic() - started:.0f} s)"
    )
    return REFUSED if failed else OK


def checks() -> list[tuple[str, list[str], Path]]:
    """Name, command and folder of every check that is no test."""
    tools = Path(sys.executable).parent
    root = checkout()
    npm = frontend_build.node_command()
    return [
        ("ruff", [str(tools / "ruff"), "check", "."], root),
        ("ruff format", [str(tools / "ruff"), "format", "--check", "."], root),
        ("import-linter", [str(tools / "lint-imports")], root),
        ("mypy", [str(tools / "mypy")], root),
        ("messages", [sys.executable, "-m", "amb247", "messages", "--check"], root),
        ("tsc and eslint", [*npm, "run", "check", "--silent"], root / "frontend"),
        ("vitest", [*npm, "test", "--silent"], root / "frontend"),
    ]


def passes(name: str, command: list[str], folder: Path) -> bool:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as data:
        environment = frontend_build.environment() | {
            "AMB_DATA": data,
            "DJANGO_SETTINGS_MODULE": "amb247.site.settings",
        }
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    say(f"{'pasa ' if done.returncode == 0 else 'FALLA'} {name} ({time.monotonic() - started:.0f} s)")
    if done.returncode:
        print((done.stdout + done.stderr)[-6000:], file=sys.stderr)
    return done.returncode == 0


def run_pytest(arguments: list[str], *, servers: int = 1) -> int:
    """The tests on servers and a data directory of their own, gone afterwards; `tests/own_server.py` shares them out."""
    from amb247.kernel.engine import open_engine

    with tempfile.TemporaryDirectory(prefix="amb-test-") as folder:
        data = Path(folder)
        data.chmod(0o755)
        given = os.environ.get("AMB_DATABASE_URL")
        engines = []
        if not given:
            for number in range(servers):
                place = data / f"server-{number}"
                place.mkdir(mode=0o755)
                engines.append(open_engine(place))
        environment = os.environ | {
            "AMB_DATABASE_URL": given or engines[0].url,
            "AMB_TEST_URLS": " ".join(engine.url for engine in engines),
            "PYTEST_PLUGINS": "own_server",
            "AMB_DATA": folder,
            "PYTHONPATH": str(checkout() / "tests"),
        }
        try:
            return subprocess.run(
                [sys.executable, "-m", "pytest", *arguments], cwd=checkout(), env=environment, check=False
            ).returncode
        finally:
            for engine in engines:
                engine.stop()


def ensure_browser() -> None:
    """A Chromium for the browser tests: installed from Debian's packages when absent and root, else asked for."""
    if browser() is not None:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("Instalando Chromium para las pruebas de navegador …")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment, **quiet)  # type: ignore[call-overload]
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
            env=environment,
            **quiet,
        )  # type: ignore[call-overload]
    if browser() is None:
        complain("No hay Chromium: las pruebas de navegador se saltan. Debian: sudo apt install chromium")


def browser() -> str | None:
    """Where Chromium is, or None."""
    return next(
        (path for path in (os.environ.get("AMB_CHROMIUM", ""), *BROWSERS) if path and Path(path).exists()),
        None,
    )


def run_bench(chosen: argparse.Namespace) -> int:
    """One benchmark; its module in benchmarks/ has `main(arguments) -> dict` of name -> figures."""
    found = {
        path.stem: path
        for path in sorted(checkout().glob("benchmarks/*/*.py"))
        if not path.stem.startswith("_")
    }
    path = found.get(chosen.name)
    if path is None:
        complain(f"No hay medición {chosen.name}. Hay: {', '.join(found)}.")
        return BROKEN
    spec = importlib.util.spec_from_file_location(f"bench_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    as_json = chosen.json or "--json" in chosen.rest  # argparse gives everything behind the name to `rest`
    results = module.main([part for part in chosen.rest if part != "--json"])
    if as_json:
        print(json.dumps(results))
        return OK
    print(f"\n{'':<44}{'valor':>14} {'unidad':<14}{'par':<34}{'valor del par':>14}{'razón':>8}")
    for name, row in results.items():
        print(
            f"{name:<44}{_figure(row['value']):>14} {row['unit']:<14}{row.get('peer') or '':<34}"
            f"{_figure(row.get('peer_value')):>14}{_figure(row.get('ratio')):>8}"
        )
    return OK


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def run_pictures(_chosen: argparse.Namespace) -> int:
    return subprocess.run([sys.executable, str(checkout() / "tools" / "pictures.py")], check=False).returncode
