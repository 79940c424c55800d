"""Subscriptions: made, read, changed and deleted; whom the writer of changes must serve; what could not be delivered.

Every change here raises `context_subscription_revision` and brings `context_interest` up to date in its own
transaction, so that the delivery engine and the writer know of a subscription as soon as its maker does.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import IntegrityError, connection, transaction

from amb247.context.documents.subscription import (
    Document,
    apply_patch,
    interest_of,
    parse_fragment,
    parse_subscription,
    represent_subscription,
)
from amb247.context.documents.times import time_text
from amb247.context.domain.endpoints import check_uri
from amb247.context.domain.selection import check_queries
from amb247.context.domain.tenants import current_tenant
from amb247.context.jsonld.context import Context
from amb247.context.ngsi_errors import AlreadyExists, ResourceNotFound

Json = Any
CHANNEL = (
    "context_delivery"  # wakes the delivery engine: a subscription changed, or dead letters shall be replayed
)
LOCK = 247_051  # advisory: one maker of interest at a time
COLUMNS = (
    "s.id, s.document::text, s.context::text, s.owner, s.restriction::text, s.is_active, s.expires_at, "
    "s.created_at, s.modified_at, s.made_tx::text::bigint, s.revision, h.times_sent, h.times_failed, "
    "h.last_notification, h.last_success, h.last_failure, h.last_error, h.next_at"
)
TABLES = "context_subscription s LEFT JOIN context_subscription_health h ON h.id = s.id"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription as it is stored, and how its delivery goes."""

    id: str
    document: Document
    context: Json | None
    owner: str
    restriction: Json | None
    is_active: bool
    expires_at: datetime | None
    created_at: datetime
    modified_at: datetime
    made_tx: int
    revision: int
    times_sent: int
    times_failed: int
    last_notification: datetime | None
    last_success: datetime | None
    last_failure: datetime | None
    last_error: str | None
    next_at: datetime | None

    def status(self, now: datetime) -> str:
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active" if self.is_active else "paused"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A notification that was given up: the entities that were not taken, why, after how many attempts."""

    id: str
    endpoint: str
    entity_id: str
    notified_at: str
    entities: list[Json]
    attempts: int
    dead_at: datetime
    reason: str


def create(
    raw: Json, context: Context, *, given: Json | None, owner: str = "", restriction: Json | None = None
) -> str:
    """Make a subscription; its id.

    `given` is the @context as the request carried it, to be looked up again later. `restriction` is what the maker's
    token may see; it is applied to every notification.

    Raises
    ------
    BadRequestData, AlreadyExists
    """
    document = parse_subscription(raw, context)
    subscription_id = document.setdefault("id", f"urn:ngsi-ld:Subscription:{uuid.uuid4()}")
    _remember_query_context(document, document, given)
    check_uri(document["notification"]["endpoint"]["uri"])
    check_queries(document, given)
    now = datetime.now(UTC)
    with transaction.atomic(), connection.cursor() as cursor:
        revision = _next_revision(cursor)
        try:
            with transaction.atomic():
                cursor.execute(
                    "INSERT INTO context_subscription (id, document, context, owner, restriction, interest, is_active, "
                    "expires_at, created_at, modified_at, revision) VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)",
                    [
                        subscription_id,
                        _json(document),
                        _json(given),
                        owner,
                        _json(restriction),
                        interest_of(document),
                        document.get("isActive", True),
                        document.get("expiresAt"),
                        now,
                        now,
                        revision,
                    ],
                )
        except IntegrityError:
            raise AlreadyExists(f"id: there is a subscription {subscription_id} already.") from None
        cursor.execute(
            "INSERT INTO context_subscription_health (id, next_at) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING",
            [subscription_id, None],
        )
        _begin_delivery(cursor)
        _settle(cursor)
    return str(subscription_id)


def get(subscription_id: str, *, owner: str | None = None) -> Subscription:
    """One subscription. With `owner` those of others are as if they were not there."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM {TABLES} WHERE s.id = %s AND (%s::text IS NULL OR s.owner = %s)",
            [subscription_id, owner, owner],
        )
        row = cursor.fetchone()
    if row is None:
        raise ResourceNotFound(f"There is no subscription {subscription_id}.")
    return from_row(row)


def page(*, limit: int, offset: int = 0, owner: str | None = None) -> list[Subscription]:
    """Subscriptions in the order in which they were made."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM {TABLES} WHERE (%s::text IS NULL OR s.owner = %s) ORDER BY s.created_at, s.id "
            "LIMIT %s OFFSET %s",
            [owner, owner, limit, offset],
        )
        return [from_row(row) for row in cursor.fetchall()]


def count(*, owner: str | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM context_subscription s WHERE (%s::text IS NULL OR s.owner = %s)",
            [owner, owner],
        )
        return int(cursor.fetchone()[0])


def update(
    subscription_id: str,
    raw: Json,
    context: Context,
    *,
    given: Json | None,
    owner: str | None = None,
    restriction: Json | None = None,
    takes_over: bool = False,
) -> None:
    """Merge a fragment into a subscription.

    `takes_over`: whoever changes it answers for it from now on, with the `restriction` of their own token.
    """
    patch = parse_fragment(raw, context, subscription_id=subscription_id)
    with transaction.atomic(), connection.cursor() as cursor:
        revision = _next_revision(cursor)
        stored = get(subscription_id, owner=owner)
        document = apply_patch(stored.document, patch)
        _remember_query_context(document, patch.document, given)
        check_uri(document["notification"]["endpoint"]["uri"])
        check_queries(document, stored.context if given is None else given)
        cursor.execute(
            "UPDATE context_subscription SET document = %s, context = coalesce(%s, context), interest = %s, "
            "is_active = %s, expires_at = %s, modified_at = %s, revision = %s, "
            "restriction = CASE WHEN %s THEN %s::jsonb ELSE restriction END WHERE id = %s",
            [
                _json(document),
                _json(given),
                interest_of(document),
                document.get("isActive", True),
                document.get("expiresAt"),
                datetime.now(UTC),
                revision,
                takes_over,
                _json(restriction),
                subscription_id,
            ],
        )
        if "timeInterval" in patch.document:
            cursor.execute(
                "UPDATE context_subscription_health SET next_at = NULL WHERE id = %s", [subscription_id]
            )
        _settle(cursor)


def delete(subscription_id: str, *, owner: str | None = None) -> None:
    """Delete a subscription, with what was not delivered yet and its dead letters."""
    with transaction.atomic(), connection.cursor() as cursor:
        _next_revision(cursor)
        cursor.execute(
            "DELETE FROM context_subscription WHERE id = %s AND (%s::text IS NULL OR owner = %s)",
            [subscription_id, owner, owner],
        )
        if cursor.rowcount == 0:
            raise ResourceNotFound(f"There is no subscription {subscription_id}.")
        cursor.execute("DELETE FROM context_subscription_health WHERE id = %s", [subscription_id])
        cursor.execute("DELETE FROM context_notification WHERE subscription_id = %s", [subscription_id])
        _settle(cursor)


def expire(now: datetime | None = None) -> None:
    """Take what has expired out of the interest. Cheap; called by the delivery engine now and then."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        refresh_interest(cursor, now or datetime.now(UTC))


def represent(
    one: Subscription, context: Context, *, sys_attrs: bool = False, now: datetime | None = None
) -> Document:
    """The subscription as a client reads it, with status and counters."""
    document = represent_subscription(one.document, context)
    document["isActive"] = one.is_active
    document["status"] = one.status(now or datetime.now(UTC))
    notification = document["notification"]
    notification["timesSent"] = one.times_sent
    notification["timesFailed"] = one.times_failed
    for key, moment in (
        ("lastNotification", one.last_notification),
        ("lastSuccess", one.last_success),
        ("lastFailure", one.last_failure),
    ):
        if moment is not None:
            notification[key] = time_text(moment)
    if one.last_notification is not None:
        has_failed = one.last_failure is not None and (
            one.last_success is None or one.last_failure > one.last_success
        )
        notification["status"] = "failed" if has_failed else "ok"
    if sys_attrs:
        document["createdAt"] = time_text(one.created_at)
        document["modifiedAt"] = time_text(one.modified_at)
    return document


# --- dead letters --------------------------------------------------------------------------------------------------


def dead_letters(
    subscription_id: str, *, limit: int, offset: int = 0, owner: str | None = None
) -> list[DeadLetter]:
    """What was given up, oldest first."""
    get(subscription_id, owner=owner)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, endpoint, entity_id, notified_at, entities, attempts, dead_at, reason "
            "FROM context_notification WHERE subscription_id = %s AND dead_at IS NOT NULL ORDER BY number "
            "LIMIT %s OFFSET %s",
            [subscription_id, limit, offset],
        )
        return [
            DeadLetter(
                letter, endpoint, entity, at, orjson.loads(f"[{text}]"), attempts, dead_at, reason or ""
            )
            for letter, endpoint, entity, at, text, attempts, dead_at, reason in cursor.fetchall()
        ]


def count_dead_letters(subscription_id: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM context_notification WHERE subscription_id = %s AND dead_at IS NOT NULL",
            [subscription_id],
        )
        return int(cursor.fetchone()[0])


def count_waiting(subscription_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Subscription -> how many notifications wait for their receiver, and how many are dead."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT subscription_id, count(*) FILTER (WHERE dead_at IS NULL), count(dead_at) "
            "FROM context_notification WHERE subscription_id = ANY(%s) GROUP BY 1",
            [list(subscription_ids)],
        )
        return {name: (waiting, dead) for name, waiting, dead in cursor.fetchall()}


def replay(subscription_id: str, *, ids: Sequence[str] | None = None, owner: str | None = None) -> int:
    """Try dead letters again, all or the given ones, at the subscription's present endpoint; how many they are."""
    one = get(subscription_id, owner=owner)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE context_notification SET dead_at = NULL, reason = NULL, attempts = 0, replay = true, "
            "made_at = now(), endpoint = %s "
            "WHERE subscription_id = %s AND dead_at IS NOT NULL AND (%s::text[] IS NULL OR id = ANY(%s))",
            [
                one.document["notification"]["endpoint"]["uri"],
                subscription_id,
                None if ids is None else list(ids),
                None if ids is None else list(ids),
            ],
        )
        replayed = cursor.rowcount
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, current_tenant()])
    if ids is not None and replayed == 0:
        raise ResourceNotFound(f"There is no such dead letter of {subscription_id}.")
    return int(replayed)


def forget_dead_letters(
    subscription_id: str, *, ids: Sequence[str] | None = None, owner: str | None = None
) -> int:
    """Delete dead letters, all or the given ones."""
    get(subscription_id, owner=owner)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM context_notification WHERE subscription_id = %s AND dead_at IS NOT NULL "
            "AND (%s::text[] IS NULL OR id = ANY(%s))",
            [subscription_id, *([None if ids is None else list(ids)] * 2)],
        )
        return int(cursor.rowcount)


# --- inside --------------------------------------------------------------------------------------------------------


def from_row(row: Sequence[Any]) -> Subscription:
    """A row of `COLUMNS`."""
    (
        subscription_id,
        document,
        context,
        owner,
        restriction,
        is_active,
        expires_at,
        created_at,
        modified_at,
        made_tx,
        revision,
        sent,
        failed,
        *times,
    ) = row
    return Subscription(
        subscription_id,
        orjson.loads(document),
        None if context is None else orjson.loads(context),
        owner,
        None if restriction is None else orjson.loads(restriction),
        is_active,
        expires_at,
        created_at,
        modified_at,
        made_tx,
        revision,
        sent or 0,
        failed or 0,
        *times,
    )


def refresh_interest(cursor: Any, now: datetime) -> None:
    """Make `context_interest` say what the active subscriptions ask for; the caller holds `LOCK`."""
    cursor.execute(REFRESH_INTEREST, [now])


REFRESH_INTEREST = (
    "WITH wanted AS (SELECT DISTINCT unnest(interest) AS type FROM context_subscription "
    "WHERE is_active AND (expires_at IS NULL OR expires_at > %s)), "
    "gone AS (DELETE FROM context_interest WHERE type NOT IN (SELECT type FROM wanted)) "
    "INSERT INTO context_interest SELECT type FROM wanted ON CONFLICT DO NOTHING"
)


def _next_revision(cursor: Any) -> int:
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    cursor.execute("UPDATE context_subscription_revision SET revision = revision + 1 RETURNING revision")
    row = cursor.fetchone()
    if row is None:  # the table was emptied: by a restore, by tests
        # No number that a running engine may know already.
        cursor.execute(
            "INSERT INTO context_subscription_revision (revision) "
            "VALUES ((extract(epoch FROM clock_timestamp()) * 1000)::bigint) RETURNING revision"
        )
        row = cursor.fetchone()
    return int(row[0])


def _begin_delivery(cursor: Any) -> None:
    """The feed is delivered from the first subscription on, also when no engine runs yet."""
    cursor.execute(
        "INSERT INTO context_delivery (tx, seq) SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, "
        "9223372036854775807 ON CONFLICT DO NOTHING"
    )


def _settle(cursor: Any) -> None:
    refresh_interest(cursor, datetime.now(UTC))
    cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, current_tenant()])


def _remember_query_context(document: Document, changed: Document, given: Json | None) -> None:
    """`q` stays as the client wrote it; its names mean what they meant in the request that brought it."""
    if "q" in changed and given is not None:
        document["qContext"] = given
    elif "q" in changed or "q" not in document:
        document.pop("qContext", None)


def _json(value: Json | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
