"""Where the platform keeps its data. Apart from the settings, which must not be read before the database is known."""

from __future__ import annotations

import os
from pathlib import Path


def data_directory() -> Path:
    if given := os.environ.get("AMB_DATA"):
        return Path(given).expanduser().resolve()
    if checkout := os.environ.get("AMB_CHECKOUT"):
        return Path(checkout) / "data"
    return Path(os.environ.get("XDG_DATA_HOME", "~/.local/share")).expanduser() / "amb247"
