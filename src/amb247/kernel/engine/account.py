"""Which account runs the server: PostgreSQL refuses root, and root's folders refuse everybody else."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amb247.kernel.engine.errors import NoUnprivilegedUser

# `initdb` refuses a uid without a passwd entry, so an existing account it must be.
CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """The uid and gid to drop to; both None when the process is not root."""

    uid: int | None = None
    gid: int | None = None

    @property
    def popen_arguments(self) -> dict[str, Any]:
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, path: Path) -> bool:
        """Whether this account may walk down to `path` and read it."""
        if self.uid is None:
            return os.access(path, os.R_OK | os.X_OK)
        check = subprocess.run(
            ["test", "-r", str(path), "-a", "-x", str(path)], cwd="/", check=False, **self.popen_arguments
        )
        return check.returncode == 0


def unprivileged_account() -> Account:
    if os.geteuid() != 0:
        return Account()
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise NoUnprivilegedUser(f"Create one of the accounts {', '.join(CANDIDATES)}, or set AMB_DATABASE_URL.")
