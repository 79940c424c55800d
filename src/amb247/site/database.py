"""The database of a command: the embedded server of the data directory, or the one AMB_DATABASE_URL names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import django

from amb247.kernel.collector import calm_collector, share_interpreter
from amb247.kernel.engine import Engine, open_engine
from amb247.site.paths import data_directory


@contextlib.contextmanager
def database() -> Iterator[Engine]:
    """Make `AMB_DATABASE_URL` say where the database is, set Django up, and stop at the end what was started here."""
    given = os.environ.get("AMB_DATABASE_URL")
    engine = Engine(url=given) if given else open_engine(data_directory())
    os.environ["AMB_DATABASE_URL"] = engine.url
    try:
        django.setup()
        calm_collector()
        share_interpreter()
        yield engine
    finally:
        if not given:
            del os.environ["AMB_DATABASE_URL"]
        engine.stop()


def migrate() -> int:
    """Bring the schema and those of the tenants up to date; how many migrations ran. Also makes the partitions of the coming days."""
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    from amb247.context.api import catch_up_tenants, prepare_ahead

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        call_command("migrate", verbosity=0, interactive=False)
    catch_up_tenants()
    prepare_ahead()
    return len(plan)
