"""Tenants: each has a PostgreSQL schema of its own with the same tables, and a request works inside one of them.

The default tenant is the city itself and lives where Django's tables are. No SQL of the context names a schema, so the same
statements serve every tenant and none of them can reach into another.

References
----------
ETSI GS CIM 009 v1.8.1, 4.14 (multi-tenancy), 6.3.14 (header NGSILD-Tenant).
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, transaction

from amb247.context.ngsi_errors import BadRequestData, NonexistentTenant
from amb247.kernel.sql import statement

Result = TypeVar("Result")
DEFAULT = ""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}\Z")
LOCK = 247_002  # advisory: one maker of tenants at a time
# What makes a tenant's schema, in this order; every file can run in an empty schema. What a later release adds here, `catch_up`
# runs in the tenants that are there.
TABLES = (
    "0001_schema",
    "0003_ngsi",
    "0005_subscriptions",
    "0006_registrations",
    "0007_indexes",
    "0008_hourly",
    "0009_entity_maps",
)
# By what a schema made before `context_tenant.applied` was written is known to have had a file: a table, and a column of it.
MARKS = {
    "0005_subscriptions": ("context_subscription", "id"),
    "0006_registrations": ("context_registration", "id"),
    "0007_indexes": ("context_index", "attribute"),
    "0008_hourly": ("context_hour", "spread"),
    "0009_entity_maps": ("context_entity_map", "id"),
}

_here = threading.local()
_known: set[str] = set()


def current_tenant() -> str:
    """The tenant that this thread works in; '' is the city itself."""
    return getattr(_here, "tenant", DEFAULT)


@contextmanager
def inside(tenant: str) -> Iterator[None]:
    """Work in a tenant that exists, in one transaction unless it is the default one.

    Raises
    ------
    NonexistentTenant
    """
    if tenant == current_tenant():
        yield
        return
    if not exists(tenant):
        raise NonexistentTenant(
            f"There is no tenant {tenant!r}; it comes to be with the first thing written to it."
        )
    with _within(tenant):
        yield


@contextmanager
def _within(tenant: str) -> Iterator[None]:
    outer = current_tenant()
    with transaction.atomic():
        _enter(tenant)
        _here.tenant = tenant
        try:
            yield
        finally:
            _here.tenant = outer
            if not connection.needs_rollback:
                _enter(outer)


def _enter(tenant: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f'SET LOCAL search_path TO "{schema_of(tenant)}"'
            if tenant
            else "SET LOCAL search_path TO DEFAULT"
        )


def is_known(tenant: str) -> bool:
    """Whether this process has seen the tenant; asks nobody."""
    return tenant == DEFAULT or tenant in _known


def exists(tenant: str) -> bool:
    if is_known(tenant):
        return True
    if not NAME.match(tenant):
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", [schema_of(tenant)])
        found = bool(cursor.fetchone()[0])
    if found:
        _known.add(tenant)
    return found


def all_tenants() -> list[str]:
    """Every tenant, the default one first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM context_tenant ORDER BY name")
        return [DEFAULT, *(name for (name,) in cursor.fetchall())]


def ensure(tenant: str) -> None:
    """Make the tenant if it is not there.

    Raises
    ------
    BadRequestData
        The name is no tenant's name.
    """
    if not exists(tenant):
        _make(tenant)


def made_with(tenant: str, work: Callable[[], Result]) -> Result:
    """`work` inside the tenant, which comes to be with it where it is not there: both, or neither when `work` raises.

    Raises
    ------
    BadRequestData
        The name is no tenant's name.
    """
    if exists(tenant):
        with inside(tenant):
            return work()
    with transaction.atomic():
        _make(tenant)
        # Not `inside`: it would note the tenant as one that is there before that is so for anybody else.
        with _within(tenant):
            return work()


def _make(tenant: str) -> None:
    if not NAME.match(tenant):
        raise BadRequestData("NGSILD-Tenant: use up to 100 letters, digits, '_', '-' and '.'.")
    schema = schema_of(tenant)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", [schema])
        if not cursor.fetchone()[0]:
            cursor.execute(
                "INSERT INTO context_tenant (name, applied) VALUES (%s, %s) "
                "ON CONFLICT (name) DO UPDATE SET applied = excluded.applied",
                [tenant, list(TABLES)],
            )
            cursor.execute(f'CREATE SCHEMA "{schema}"')
            _run(cursor, schema, TABLES)
    transaction.on_commit(lambda: _known.add(tenant))


def behind() -> dict[str, list[str]]:
    """Tenants made by an earlier release -> the files of `TABLES` that their schemas lack, in order."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, applied FROM context_tenant ORDER BY name")
        for name, applied in cursor.fetchall():
            known = _recognised(cursor, schema_of(name)) if applied is None else frozenset(applied)
            if lacking := [one for one in TABLES if one not in known]:
                found[name] = lacking
    return found


def catch_up() -> int:
    """Bring the schemas of all tenants to this release, each in a transaction of its own; how many lacked something.

    Run after the migrations and before anything is served (`amb migrate`, `amb up`). May be run again at any time.
    """
    names = list(behind())
    for name in names:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            lacking = behind().get(name, [])  # again, now that nobody else is at it
            _run(cursor, schema_of(name), lacking)
            cursor.execute("UPDATE context_tenant SET applied = %s WHERE name = %s", [list(TABLES), name])
    return len(names)


def _run(cursor: Any, schema: str, names: Sequence[str]) -> None:
    cursor.execute("SELECT current_setting('search_path')")
    before = cursor.fetchone()[0]
    cursor.execute(f'SET LOCAL search_path TO "{schema}"')
    for name in names:
        cursor.execute(statement("amb247.context", name))
    cursor.execute("SELECT set_config('search_path', %s, true)", [before])


def _recognised(cursor: Any, schema: str) -> frozenset[str]:
    cursor.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s", [schema]
    )
    there = set(cursor.fetchall())
    return frozenset(one for one in TABLES if one not in MARKS or MARKS[one] in there)


def schema_of(tenant: str) -> str:
    """The schema's name: readable where the tenant's name allows it, never that of another tenant."""
    if re.fullmatch(r"[a-z0-9_]{1,40}", tenant):
        return f"tenant_{tenant}"
    return "tenant-" + hashlib.sha256(tenant.encode()).hexdigest()[:24]


def forget_known() -> None:
    """After the database was swapped under the process (tests, restore)."""
    _known.clear()
