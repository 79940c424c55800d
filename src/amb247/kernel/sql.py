"""SQL that is hot or clever lives in named files beside its room; this reads them once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(package: str, name: str) -> str:
    """The text of `sql/<name>.sql` in `package`, such as ``statement("amb247.context", "read_changes")``."""
    return (files(package) / "sql" / f"{name}.sql").read_text(encoding="utf-8")
