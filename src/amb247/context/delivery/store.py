"""What delivery reads and writes in the database, on connections of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from django.db import close_old_connections, connection

from amb247.context.data import Cursor
from amb247.context.delivery.compiled import Compiled, compile_subscription
from amb247.context.delivery.lanes import Item
from amb247.context.documents.subscription import interest_of
from amb247.context.domain.queries.find import find, get_many
from amb247.context.domain.subscriptions import (
    COLUMNS,
    LOCK,
    REFRESH_INTEREST,
    TABLES,
    Subscription,
    from_row,
)
from amb247.context.domain.tenants import inside
from amb247.context.stored import Stored

log = logging.getLogger(__name__)

Row = Sequence[Any]
NEWEST = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1"
ITEM = (
    "number, id, subscription_id, endpoint, entity_id, notified_at, accept, entities, held, attempts, made_at"
)


async def position(cursor: Any) -> Cursor:
    """How far the feed is delivered; from now on, where nothing is written."""
    await cursor.execute("SELECT tx, seq FROM context_delivery")
    row = await cursor.fetchone()
    if row is None:
        await cursor.execute(
            f"INSERT INTO context_delivery (tx, seq) SELECT ({NEWEST}), 9223372036854775807 "
            "ON CONFLICT (only_one) DO UPDATE SET tx = context_delivery.tx RETURNING tx, seq"
        )
        row = await cursor.fetchone()
    place = Cursor(*row)
    if await is_dropped(cursor, place):
        log.error(
            "changes were dropped from the feed before they were delivered",
            extra={"delivered_to": str(place)},
        )
    return place


async def is_dropped(cursor: Any, place: Cursor) -> bool:
    """Whether the feed no longer reaches back to this place."""
    await cursor.execute("SELECT dropped_tx FROM context_feed_floor")
    floor = await cursor.fetchone()
    return floor is not None and place.tx < floor[0]


async def newest(cursor: Any) -> Cursor:
    await cursor.execute(NEWEST)
    return Cursor((await cursor.fetchone())[0], 2**63 - 1)


class Look(NamedTuple):
    revision: int  # of the subscriptions
    is_coming: bool  # the feed has rows that only wait for an earlier transaction to end
    has_replays: bool


async def look(cursor: Any, place: Cursor) -> Look:
    """What else may have to be done; one statement, as it is asked after each portion of the feed."""
    await cursor.execute(
        "SELECT (SELECT revision FROM context_subscription_revision), "
        "EXISTS (SELECT FROM context_change WHERE (tx, seq) > (%s::text::xid8, %s)), "
        "EXISTS (SELECT FROM context_notification WHERE replay)",
        [str(place.tx), place.seq],
    )
    revision, is_coming, has_replays = await cursor.fetchone()
    return Look(revision or 0, is_coming, has_replays)


async def last_number(cursor: Any) -> int:
    await cursor.execute("SELECT coalesce(max(number), 0) FROM context_notification")
    return int((await cursor.fetchone())[0])


async def waiting(cursor: Any) -> list[tuple[str, int, int]]:
    """Endpoint -> first and last number of what waits for it."""
    await cursor.execute(
        "SELECT endpoint, min(number), max(number) FROM context_notification WHERE dead_at IS NULL GROUP BY 1"
    )
    return list(await cursor.fetchall())


class Changed(NamedTuple):
    changed: list[Row]
    gone: list[str]


async def changed_subscriptions(cursor: Any, known: Mapping[str, int]) -> Changed:
    await cursor.execute("SELECT id, revision FROM context_subscription")
    revisions = dict(await cursor.fetchall())
    other = [key for key, number in revisions.items() if known.get(key) != number]
    rows = await subscription_rows(cursor, other) if other else []
    return Changed(rows, [key for key in known if key not in revisions])


async def subscription_rows(cursor: Any, ids: Sequence[str]) -> list[Row]:
    await cursor.execute(f"SELECT {COLUMNS} FROM {TABLES} WHERE s.id = ANY(%s)", [list(ids)])
    return list(await cursor.fetchall())


def compile_all(rows: Sequence[Row], tenant: str) -> list[Compiled]:
    """On a thread: contexts may have to be read."""
    compiled = []
    try:
        for row in rows:
            one: Subscription = from_row(row)
            try:
                with inside(tenant):
                    compiled.append(compile_subscription(one, tenant))
            except Exception:  # it was checked when it was made; whatever it is now, the others go on
                log.exception("a subscription cannot be delivered", extra={"id": one.id})
    finally:
        connection.close()
    return compiled


def interest(one: Compiled) -> list[str]:
    return interest_of(one.row.document)


def find_all(one: Compiled, tenant: str) -> list[bytes]:
    """On a thread: the texts of all entities that match a periodic subscription now."""
    close_old_connections()
    try:
        with inside(tenant):
            found: list[Stored] = []
            while page := find(replace(one.query, offset=len(found))):
                found += page
                if len(page) < one.query.limit:
                    break
            return _shown(one, found)
    finally:
        connection.close()


def joined(one: Compiled, stored: Stored, tenant: str) -> bytes:
    """On a thread: one entity with those that it points to."""
    close_old_connections()
    try:
        with inside(tenant):
            return b",".join(_shown(one, [stored]))
    finally:
        connection.close()


def _shown(one: Compiled, found: Sequence[Stored]) -> list[bytes]:
    if one.join is None:
        return [one.represent(stored) for stored in found]
    return one.represent_joined(found, lambda ids: get_many(ids, one.query.restriction))


async def states(cursor: Any, ids: Sequence[str]) -> dict[str, Stored]:
    """The present state of entities."""
    await cursor.execute(
        "SELECT id, type, scope, doc::text, created_at, modified_at, expires_at FROM context_entity WHERE id = ANY(%s)",
        [list(ids)],
    )
    return {
        row[0]: Stored(
            row[0],
            row[1],
            row[2],
            orjson.loads(row[3]),
            row[4].astimezone(UTC),
            row[5].astimezone(UTC),
            row[6] and row[6].astimezone(UTC),
        )
        for row in await cursor.fetchall()
    }


async def load(cursor: Any, endpoint: str, after: int, to: int, limit: int) -> list[Row]:
    await cursor.execute(
        f"SELECT {ITEM} FROM context_notification WHERE endpoint = %s AND dead_at IS NULL AND NOT replay "
        "AND number > %s AND number <= %s ORDER BY number LIMIT %s",
        [endpoint, after, to, limit],
    )
    return list(await cursor.fetchall())


REPLAYS = 1_000_000  # taken up at once at most


async def take_replays(cursor: Any, *, behind: int) -> list[tuple[str, int]]:
    """Dead letters that somebody wants tried again take their place behind all others; endpoint and new number of each."""
    await cursor.execute(
        "UPDATE context_notification n SET number = %s + again.place, replay = false "
        "FROM (SELECT number, row_number() OVER (ORDER BY number) AS place FROM context_notification WHERE replay LIMIT %s) again "
        "WHERE n.number = again.number RETURNING n.endpoint, n.number",
        [behind, REPLAYS],
    )
    return list(await cursor.fetchall())


async def give_up(cursor: Any, endpoint: str, after: int, to: int, seconds: float) -> None:
    await cursor.execute(
        "UPDATE context_notification SET dead_at = now(), reason = %s WHERE endpoint = %s AND dead_at IS NULL "
        "AND number > %s AND number <= %s AND made_at < now() - make_interval(secs => %s)",
        [f"not taken within {seconds:g} s: the endpoint was in trouble", endpoint, after, to, seconds],
    )


async def forget(cursor: Any, *, keep_dead_days: float) -> None:
    """Old dead letters, and what belongs to subscriptions that are gone; the interest of expired ones."""
    await cursor.execute(
        "DELETE FROM context_notification n WHERE dead_at < now() - make_interval(secs => %s)",
        [keep_dead_days * 86_400],
    )
    await cursor.execute(
        "SELECT EXISTS (SELECT FROM context_subscription WHERE expires_at <= now() AND is_active) "
        "AND EXISTS (SELECT FROM context_interest)"
    )
    if (await cursor.fetchone())[0]:
        async with cursor.connection.transaction():
            await cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            await cursor.execute(REFRESH_INTEREST, [datetime.now(UTC)])


@dataclass(frozen=True, slots=True)
class Flush:
    """What is written down together."""

    place: Cursor | None
    notifications: Sequence[Item]
    deleted: Sequence[int]
    buried: Mapping[int, tuple[int, str]]
    tried: Mapping[int, int]
    moved: Mapping[int, str]
    health: Mapping[str, Any]
    due: Mapping[str, datetime | None]

    @property
    def is_empty(self) -> bool:
        return self.place is None and not (
            self.notifications
            or self.deleted
            or self.buried
            or self.tried
            or self.moved
            or self.health
            or self.due
        )


COPY = (
    "COPY context_notification (number, id, subscription_id, endpoint, entity_id, notified_at, accept, entities, held, "
    "attempts, dead_at, reason, made_at) FROM STDIN"
)
HEALTH = """
UPDATE context_subscription_health h
SET times_sent = h.times_sent + r.sent, times_failed = h.times_failed + r.failed,
    last_notification = greatest(h.last_notification, r.last_notification),
    last_success = greatest(h.last_success, r.last_success),
    last_failure = greatest(h.last_failure, r.last_failure),
    last_error = coalesce(r.last_error, h.last_error)
FROM jsonb_to_recordset(%s::jsonb) AS r (id text, sent bigint, failed bigint, last_notification timestamptz,
     last_success timestamptz, last_failure timestamptz, last_error text)
WHERE h.id = r.id
"""


async def write(connection: Any, flush: Flush) -> None:
    """One transaction, on the connection that holds the engine's lock: who has lost it writes nothing."""
    async with connection.transaction(), connection.cursor() as cursor:
        await cursor.execute("SET LOCAL synchronous_commit = off")
        if flush.notifications:
            now = datetime.now(UTC)
            async with cursor.copy(COPY) as copy:
                for item in flush.notifications:
                    await copy.write_row(
                        (
                            item.number,
                            item.id,
                            item.subscription_id,
                            item.endpoint,
                            item.entity_id,
                            item.notified_at,
                            item.accept,
                            item.entities.decode(),
                            item.is_held,
                            item.attempts,
                            now if item.dead_reason is not None else None,
                            item.dead_reason,
                            datetime.fromtimestamp(item.made_at, UTC),
                        )
                    )
        if flush.deleted:
            await cursor.execute(
                "DELETE FROM context_notification WHERE number = ANY(%s)", [list(flush.deleted)]
            )
        if flush.buried:
            rows = [{"n": n, "a": attempts, "r": reason} for n, (attempts, reason) in flush.buried.items()]
            await cursor.execute(
                "UPDATE context_notification c SET dead_at = now(), attempts = r.a, reason = r.r "
                "FROM jsonb_to_recordset(%s::jsonb) AS r (n bigint, a int, r text) WHERE c.number = r.n",
                [orjson.dumps(rows).decode()],
            )
        if flush.tried:
            rows = [{"n": n, "a": attempts} for n, attempts in flush.tried.items()]
            await cursor.execute(
                "UPDATE context_notification c SET attempts = r.a "
                "FROM jsonb_to_recordset(%s::jsonb) AS r (n bigint, a int) WHERE c.number = r.n",
                [orjson.dumps(rows).decode()],
            )
        if flush.moved:
            rows = [{"n": n, "e": endpoint} for n, endpoint in flush.moved.items()]
            await cursor.execute(
                "UPDATE context_notification c SET endpoint = r.e "
                "FROM jsonb_to_recordset(%s::jsonb) AS r (n bigint, e text) WHERE c.number = r.n",
                [orjson.dumps(rows).decode()],
            )
        if flush.health:
            await cursor.execute(
                HEALTH,
                [
                    orjson.dumps(
                        [
                            {
                                "id": key,
                                "sent": one.sent,
                                "failed": one.failed,
                                "last_notification": one.last_notification,
                                "last_success": one.last_success,
                                "last_failure": one.last_failure,
                                "last_error": one.last_error,
                            }
                            for key, one in flush.health.items()
                        ]
                    ).decode()
                ],
            )
        if flush.due:
            rows = [{"i": key, "d": at and at.isoformat()} for key, at in flush.due.items()]
            await cursor.execute(
                "UPDATE context_subscription_health h SET next_at = r.d "
                "FROM jsonb_to_recordset(%s::jsonb) AS r (i text, d timestamptz) WHERE h.id = r.i",
                [orjson.dumps(rows).decode()],
            )
        if flush.place is not None:
            await cursor.execute(
                "INSERT INTO context_delivery (tx, seq) VALUES (%s, %s) "
                "ON CONFLICT (only_one) DO UPDATE SET tx = EXCLUDED.tx, seq = EXCLUDED.seq",
                list(flush.place),
            )
