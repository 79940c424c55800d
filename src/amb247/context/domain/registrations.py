"""Context source registrations: made, read, changed, deleted, and how the asking of their sources goes.

Every change gives `context_registration_revision` another number, by which other processes learn of it. Those that subscribed
to registrations are told after the commit: each change returns what to tell them.

References
----------
ETSI GS CIM 009 v1.8.1, 5.9 (registration), 5.10 (discovery of sources).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection

from amb247.context.documents.registration import (
    apply_fragment,
    parse_registration,
    represent_registration,
)
from amb247.context.documents.times import moment, time_text
from amb247.context.domain.endpoints import is_allowed, parse_address
from amb247.context.domain.registered import Index, Registered, Sought, compile_registration, overlaps
from amb247.context.jsonld.context import Context
from amb247.context.ngsi_errors import AlreadyExists, BadRequestData, Conflict, ResourceNotFound

Json = Any
Document = dict[str, Any]

LOCK = 247_061  # advisory: one who changes registrations at a time
COLUMNS = (
    "r.id, r.document::text, r.created_at, r.modified_at, coalesce(h.times_sent, 0), coalesce(h.times_failed, 0), "
    "h.last_success, h.last_failure"
)
TABLES = "context_registration r LEFT JOIN context_registration_health h ON h.id = r.id"
VALID = "(r.expires_at IS NULL OR r.expires_at > now())"


@dataclass(frozen=True, slots=True)
class Registration:
    """One registration as it is stored, and how the asking goes."""

    id: str
    document: Document
    created_at: datetime
    modified_at: datetime
    times_sent: int
    times_failed: int
    last_success: datetime | None
    last_failure: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a registration: `before` is None for a new one, `after` for one that is gone."""

    before: Document | None
    after: Document | None

    @property
    def id(self) -> str:
        return str((self.after or self.before or {})["id"])


@dataclass(frozen=True, slots=True)
class Tally:
    """How the asking of one source went since the last time it was written down."""

    sent: int = 0
    failed: int = 0
    success: datetime | None = None
    failure: datetime | None = None


def create(raw: Json, context: Context, *, owner: str = "") -> Change:
    """5.9.2: a new registration.

    Raises
    ------
    BadRequestData, AlreadyExists, Conflict
    """
    document = parse_registration(raw, context)
    document.setdefault("id", f"urn:ngsi-ld:ContextSourceRegistration:{uuid.uuid4()}")
    check_endpoint(document["endpoint"])
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute(f"SELECT {VALID} FROM context_registration r WHERE r.id = %s", [document["id"]])
        found = cursor.fetchone()
        if found is not None and found[0]:
            raise AlreadyExists(f"id: there is a registration {document['id']} already.")
        _refuse_conflicts(cursor, document)
        cursor.execute("DELETE FROM context_registration WHERE expires_at <= now()")
        cursor.execute(
            "DELETE FROM context_registration_health h WHERE NOT EXISTS "
            "(SELECT FROM context_registration r WHERE r.id = h.id)"
        )
        cursor.execute(
            "INSERT INTO context_registration (id, document, owner, expires_at, created_at, modified_at) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            [document["id"], _json(document), owner, _end_of(document), now, now],
        )
        cursor.execute("DELETE FROM context_registration_health WHERE id = %s", [document["id"]])
        _raise_revision(cursor)
    return Change(None, document)


def update(registration_id: str, raw: Json, context: Context) -> Change:
    """5.9.3: members of a fragment take the place of those stored.

    Raises
    ------
    BadRequestData, ResourceNotFound, Conflict
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        before = get(registration_id).document
        document = apply_fragment(before, raw, context)
        check_endpoint(document["endpoint"])
        _refuse_conflicts(cursor, document)
        cursor.execute(
            "UPDATE context_registration SET document = %s, expires_at = %s, modified_at = %s WHERE id = %s",
            [_json(document), _end_of(document), datetime.now(UTC), registration_id],
        )
        _raise_revision(cursor)
    return Change(before, document)


def delete(registration_id: str) -> Change:
    """5.9.4.

    Raises
    ------
    ResourceNotFound
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        before = get(registration_id).document
        cursor.execute("DELETE FROM context_registration WHERE id = %s", [registration_id])
        cursor.execute("DELETE FROM context_registration_health WHERE id = %s", [registration_id])
        _raise_revision(cursor)
    return Change(before, None)


def get(registration_id: str) -> Registration:
    """One registration that has not expired.

    Raises
    ------
    ResourceNotFound
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM {TABLES} WHERE r.id = %s AND {VALID}", [registration_id])
        row = cursor.fetchone()
    if row is None:
        raise ResourceNotFound(f"There is no registration {registration_id}.")
    return _registration(row)


def find(sought: Sought) -> list[Registration]:
    """5.10.2: those that fit, in the order in which they were made."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM {TABLES} WHERE {VALID} ORDER BY r.created_at, r.id")
        rows = cursor.fetchall()
    return [one for one in map(_registration, rows) if sought.fits(compile_registration(one.document))]


def represent(
    one: Registration, context: Context, *, sys_attrs: bool = False, secrets: bool = True
) -> Document:
    """The registration as a client reads it, with its counters once its source was asked."""
    shown = represent_registration(one.document, context, secrets=secrets)
    if one.times_sent:
        has_failed = one.last_failure is not None and (
            one.last_success is None or one.last_failure > one.last_success
        )
        shown["status"] = "failed" if has_failed else "ok"
        shown["timesSent"] = one.times_sent
        shown["timesFailed"] = one.times_failed
        if one.last_success is not None:
            shown["lastSuccess"] = time_text(one.last_success)
        if one.last_failure is not None:
            shown["lastFailure"] = time_text(one.last_failure)
    if sys_attrs:
        shown["createdAt"] = time_text(one.created_at)
        shown["modifiedAt"] = time_text(one.modified_at)
    return shown


# --- for those who ask the sources ---------------------------------------------------------------------------------


def revision() -> int:
    """Another number after every change; 0 when there never was one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT revision FROM context_registration_revision")
        row = cursor.fetchone()
    return 0 if row is None else int(row[0])


def load() -> tuple[int, Index]:
    """All valid registrations, ready to be asked, and the revision that they have at least."""
    at = revision()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT r.document::text FROM context_registration r WHERE {VALID} ORDER BY r.created_at, r.id"
        )
        return at, Index([compile_registration(orjson.loads(text)) for (text,) in cursor.fetchall()])


def note(tallies: Mapping[str, Tally]) -> None:
    """Add to the counters of registrations that still exist."""
    rows = [
        {
            "id": registration_id,
            "sent": one.sent,
            "failed": one.failed,
            "success": None if one.success is None else one.success.isoformat(),
            "failure": None if one.failure is None else one.failure.isoformat(),
        }
        for registration_id, one in sorted(tallies.items())
    ]
    with connection.cursor() as cursor:
        cursor.execute(NOTE, [orjson.dumps(rows).decode()])


NOTE = (
    "INSERT INTO context_registration_health AS h (id, times_sent, times_failed, last_success, last_failure) "
    "SELECT t.id, t.sent, t.failed, t.success, t.failure "
    "FROM jsonb_to_recordset(%s::jsonb) AS t(id text, sent bigint, failed bigint, success timestamptz, failure timestamptz) "
    "WHERE EXISTS (SELECT FROM context_registration r WHERE r.id = t.id) ORDER BY t.id "
    "ON CONFLICT (id) DO UPDATE SET times_sent = h.times_sent + EXCLUDED.times_sent, "
    "times_failed = h.times_failed + EXCLUDED.times_failed, "
    "last_success = greatest(h.last_success, EXCLUDED.last_success), "
    "last_failure = greatest(h.last_failure, EXCLUDED.last_failure)"
)


# --- inside --------------------------------------------------------------------------------------------------------


def check_endpoint(uri: str) -> None:
    """Refuse an address that could never be asked: the same rule as for notifications.

    Raises
    ------
    BadRequestData
    """
    try:
        address = parse_address(uri)
    except BadRequestData as problem:
        reason = problem.detail.partition(": ")[2]
        raise BadRequestData(f"endpoint: {reason}") from None
    host = "127.0.0.1" if address.host == "localhost" else address.host
    try:
        allowed = is_allowed(host, address)
    except ValueError:  # a name: what it leads to is looked at before each connection
        return
    if not allowed:
        raise BadRequestData(f"endpoint: {address.host} is closed; AMB_NGSI_NOTIFY_ALLOW opens addresses.")


def _refuse_conflicts(cursor: Any, document: Document) -> None:
    """4.3.6.3: nobody else has what an exclusive registration names: no other proxied source, not the broker itself.

    Raises
    ------
    Conflict
    """
    mine = compile_registration(document)
    if not mine.is_proxy or mine.is_temporal:
        return
    cursor.execute(
        f"SELECT r.document::text FROM context_registration r WHERE {VALID} AND r.id <> %s AND "
        "r.document ->> 'mode' = ANY(%s)",
        [mine.id, ["exclusive", "redirect"] if mine.mode == "exclusive" else ["exclusive"]],
    )
    for (text,) in cursor.fetchall():
        other = compile_registration(orjson.loads(text))
        if not other.is_temporal and overlaps(mine, other):
            raise Conflict(
                f"information: {other.id} ({other.mode}) already has some of these attributes of these entities."
            )
    if mine.mode == "exclusive":
        _refuse_held(cursor, mine)


def _refuse_held(cursor: Any, mine: Registered) -> None:
    for part in mine.information:
        cursor.execute(
            "SELECT id FROM context_entity WHERE id = ANY(%s) AND jsonb_exists_any(doc, %s) LIMIT 1",
            [[one.id for one in part.entities], sorted(part.attributes)],
        )
        row = cursor.fetchone()
        if row is not None:
            raise Conflict(
                f"information: this broker itself has some of these attributes of {row[0]}; delete them first."
            )


def _raise_revision(cursor: Any) -> None:
    """The clock makes the number another one even where the table was emptied in between."""
    cursor.execute(
        "INSERT INTO context_registration_revision AS r (revision) "
        "VALUES ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint) "
        "ON CONFLICT (only_one) DO UPDATE SET revision = greatest(r.revision + 1, EXCLUDED.revision)"
    )


def _registration(row: Sequence[Any]) -> Registration:
    return Registration(row[0], orjson.loads(row[1]), *row[2:])


def _end_of(document: Document) -> datetime | None:
    return moment(document["expiresAt"]) if "expiresAt" in document else None


def _json(value: Json) -> str:
    return orjson.dumps(value).decode()
