"""Whether this process may be sent traffic, and what is wrong when not."""

from __future__ import annotations

from django.db import close_old_connections, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import Error

from amb247.centre.live import service
from amb247.context.api import tenants_behind

_is_migrated = False


def problems() -> list[str]:
    """What keeps the process from being ready, in words; empty when nothing does."""
    found = []
    close_old_connections()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _migrated():
            found.append("database: migrations are missing")
    except Error as problem:
        found.append(f"database: {str(problem).splitlines()[0][:200]}")
    live = service.current()
    if live is None or not live.is_ready:
        found.append("live picture: still loading")
    elif not live.tail.is_alive():
        found.append("live picture: its reader has stopped")
    return found


def _migrated() -> bool:
    global _is_migrated  # noqa: PLW0603 - once migrated, always migrated: asked only until then
    if not _is_migrated:
        executor = MigrationExecutor(connection)
        _is_migrated = (
            not executor.migration_plan(executor.loader.graph.leaf_nodes()) and not tenants_behind()
        )
    return _is_migrated
