"""The context's public functions: the one store of the city's things, and its one door.

No permission is checked here: callers do. Functions run on Django's connection of the calling thread and join its
transaction, so that paperwork and things can change together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from amb247.context.data import (
    Change,
    Cursor,
    FeedMinuteCount,
    FeedRefusalCount,
    FeedStatus,
    Hour,
    Intake,
    LineFault,
    Observation,
    UpsertReport,
)
from amb247.context.domain import delete as _delete
from amb247.context.domain import entity_maps as _entity_maps
from amb247.context.domain import expiry as _expiry
from amb247.context.domain import feeds as _feeds
from amb247.context.domain import intake as _intake
from amb247.context.domain import retention as _retention
from amb247.context.domain import rollups as _rollups
from amb247.context.domain import tenants as _tenants
from amb247.context.domain import upsert as _upsert
from amb247.context.domain.feeds import FeedHandle
from amb247.context.domain.partitions import prepare_ahead as _prepare_partitions
from amb247.context.domain.queries import changes as _changes
from amb247.context.domain.queries import entities as _entities
from amb247.context.domain.queries import history as _history
from amb247.context.domain.rollups import mark_ahead

__all__ = [
    "FeedHandle",
    "apply_retention",
    "catch_up_tenants",
    "changed_after",
    "changes",
    "count",
    "count_by_type",
    "delete",
    "feed",
    "feed_minutes",
    "feed_refusals",
    "feed_statuses",
    "forget_entity_maps",
    "get",
    "history",
    "hourly",
    "last_before",
    "newest_cursor",
    "prepare_ahead",
    "query",
    "remove_expired",
    "roll_up",
    "stream",
    "take_entities",
    "tenants",
    "tenants_behind",
    "upsert",
    "values_at",
]


def upsert(
    entities: Sequence[Mapping[str, Any]],
    *,
    source: str = "",
    keep_good: bool = False,
    strict: bool = True,
    newest_wins: bool = True,
) -> UpsertReport:
    """Create or merge a batch of entities: state, history and change feed in one transaction.

    When this returns outside a transaction, what it reports survives the loss of every process.

    Parameters
    ----------
    entities : sequence of mappings
        Normalized NGSI-LD entities: `id`, `type` (one or several), `scope`, and attributes with their `type` and
        `value`/`object`/..., `observedAt`, `unitCode`, `datasetId`, sub-attributes. Attributes given replace those
        stored, others stay. The same entity may come several times; later ones apply after earlier ones.
    source : str
        Who says so; written to the change feed.
    keep_good : bool
        Take the good entities of a batch that has bad ones, and report those.
    strict : bool
        Refuse attributes that the entity's declared type does not declare (`context.vocabulary`).
    newest_wins : bool
        An instance observed before the stored one goes to the history only.

    Returns
    -------
    UpsertReport
        ``taken + len(refused) == len(entities)``. Same value at the same `observedAt` is `unchanged`: nothing is
        written for it.

    Raises
    ------
    BatchRefused
        Something was wrong and `keep_good` is false: nothing was written; its `refusals` say index, field, reason
        and remedy of each.
    ConcurrentChange
        Outrun by other writers again and again; nothing was written.

    References
    ----------
    ETSI GS CIM 009 v1.8.1, 5.6.8 (batch entity create or update).
    """
    return _upsert.upsert(
        entities, source=source, keep_good=keep_good, strict=strict, newest_wins=newest_wins
    )


def delete(entity_ids: Sequence[str], *, source: str = "") -> int:
    """Delete entities; history remembers the deletion, the change feed tells it. How many there were."""
    return _delete.delete(entity_ids, source=source)


def tenants() -> list[str]:
    """Every NGSI-LD tenant; the first, '', is the city itself."""
    return _tenants.all_tenants()


def catch_up_tenants() -> int:
    """Bring the tables of every NGSI-LD tenant to this release; how many tenants lacked something. After the migrations."""
    return _tenants.catch_up()


def tenants_behind() -> list[str]:
    """NGSI-LD tenants whose tables an earlier release made and `catch_up_tenants` has not seen yet."""
    return list(_tenants.behind())


def forget_entity_maps(*, tenant: str = "") -> int:
    """Delete the entity maps of the NGSI-LD interface that have ended; how many they were."""
    with _tenants.inside(tenant):
        return _entity_maps.forget_ended()


def prepare_ahead(*, tenant: str = "") -> None:
    """Partitions of the coming days and marks of the coming hours, so that no writer has to make them. Idempotent."""
    with _tenants.inside(tenant):
        _prepare_partitions()
        mark_ahead()


def roll_up(*, now: datetime | None = None, limit: int = 48, tenant: str = "") -> list[datetime]:
    """Make the figures of closed, touched hours, each in its own transaction; the hours done. Idempotent."""
    with _tenants.inside(tenant):
        return _rollups.roll_up(now=now, limit=limit)


def apply_retention(*, now: datetime | None = None, tenant: str = "") -> dict[str, int]:
    """Delete what is past its term; rows deleted per type, and partitions dropped. Hourly figures stay."""
    with _tenants.inside(tenant):
        return _retention.apply_retention(now=now)


def remove_expired(*, now: datetime | None = None, tenant: str = "") -> int:
    """Delete the entities whose `expiresAt` has come; how many they were. Idempotent."""
    with _tenants.inside(tenant):
        return _expiry.remove_expired(now=now)


def get(entity_id: str) -> dict[str, Any] | None:
    """The entity, normalized, with `createdAt` and `modifiedAt` of itself and of each instance; None if absent."""
    return _entities.get(entity_id)


def query(
    entity_type: str,
    *,
    where: Sequence[tuple[str, str, Any]] = (),
    within: Mapping[str, Any] | None = None,
    near: tuple[float, float, float] | None = None,
    order_by: str | None = None,
    limit: int = 1_000,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Entities of a type.

    Parameters
    ----------
    entity_type : str
    where : sequence of (attribute, operator, value)
        All must hold. Operators ``= != < <= > >=`` on the value (or object), and ``exists`` with True or False.
    within : mapping, optional
        GeoJSON Polygon or MultiPolygon, WGS84, that `location` must intersect.
    near : (lon, lat, metres), optional
        Greatest distance of `location`; the answer is then sorted by distance unless `order_by` is given.
    order_by : str, optional
        Attribute name, with ``-`` in front for descending. Default: by id.
    limit, offset : int
        Page; limit 1 to 10,000.

    Raises
    ------
    BadQuery
        Unknown operator, wrong geometry, impossible page.
    """
    return _entities.query(
        entity_type, where=where, within=within, near=near, order_by=order_by, limit=limit, offset=offset
    )


def stream(types: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every entity of these types, in the order of ids, read in chunks of 5,000."""
    return _entities.stream(types)


def count(entity_type: str) -> int:
    """How many entities of a type there are."""
    return _entities.count(entity_type)


def count_by_type() -> dict[str, int]:
    """Type -> number of entities."""
    return _entities.count_by_type()


def history(
    entity_id: str, attribute: str, start: datetime, end: datetime, *, limit: int = 10_000
) -> list[Observation]:
    """Observations of one attribute in ``[start, end)``, by time; the newest `limit` (at most 100,000) of them."""
    return _history.history(entity_id, attribute, start, end, limit=limit)


def hourly(entity_id: str, attribute: str, start: datetime, end: datetime) -> list[Hour]:
    """Count, mean, least and greatest of a numeric attribute per hour of ``[start, end)``; empty hours are absent."""
    return _history.hourly(entity_id, attribute, start, end)


def last_before(
    entity_type: str, attribute: str, moment: datetime, *, window: timedelta = timedelta(minutes=10)
) -> dict[str, Observation]:
    """Entity id -> its last observation of an attribute at a moment, none older than `window`."""
    return _history.last_before(entity_type, attribute, moment, window=window)


def changed_after(attributes: Sequence[str], moment: datetime) -> list[tuple[str, str]]:
    """(entity id, attribute) pairs with an observation after a moment."""
    return _history.changed_after(attributes, moment)


def values_at(pairs: Sequence[tuple[str, str]], moment: datetime) -> dict[tuple[str, str], Observation]:
    """Each pair's last observation at or before a moment; pairs without one are absent."""
    return _history.values_at(pairs, moment)


def changes(since: Cursor | None, *, limit: int = 10_000) -> list[Change]:
    """Changes after a position in the order in which all readers see them.

    Parameters
    ----------
    since : Cursor or None
        Position of the last change seen; None reads from the oldest kept.
    limit : int
        At most so many; an answer shorter than this is all there is now.

    Raises
    ------
    CursorTooOld
        The feed no longer reaches back to `since`: read the state anew.
    """
    with connection.cursor() as cursor:
        if since is not None:
            _changes.require_kept(cursor, since)
        return _changes.read(cursor, since or Cursor(0, 0), limit=limit).changes


def newest_cursor() -> Cursor:
    """A position from which `changes` misses nothing that a later read of the state does not show."""
    with connection.cursor() as cursor:
        return _changes.newest(cursor)


def feed(
    slug: str,
    *,
    name: str = "",
    kind: str = "",
    url: str = "",
    synthetic: bool = False,
    expected_every_s: int = 300,
) -> FeedHandle:
    """The feed of this slug, made or renamed as said; its handle counts messages (`FeedHandle.record`)."""
    return _feeds.feed(
        slug, name=name or slug, kind=kind, url=url, synthetic=synthetic, expected_every_s=expected_every_s
    )


def feed_statuses() -> list[FeedStatus]:
    """How every feed does: last message, rate, refused with reasons, latency."""
    return _feeds.statuses()


def feed_minutes(slug: str, *, since: datetime) -> list[FeedMinuteCount]:
    """Counts of one feed per minute, by time; minutes without a message are absent."""
    return _feeds.minutes(slug, since=since)


def feed_refusals(slug: str) -> list[FeedRefusalCount]:
    """Why rows of one feed were refused, the most frequent reason first."""
    return _feeds.refusals(slug)


def take_entities(
    entities: Iterable[tuple[int, Mapping[str, Any] | LineFault]],
    *,
    feed: FeedHandle,
    source: str,
    max_faults: int = 200,
) -> Intake:
    """Take a stream of numbered entities in batches of 1,000, keeping the good ones and counting the rest.

    Parameters
    ----------
    entities : iterable of (line number, entity or fault)
        As `adapters.ngsild_lines.read_lines` gives them, or any adapter's own.
    feed : FeedHandle
        Where messages are counted.
    source : str
        Who says so; written to the change feed.
    max_faults : int
        How many faults are kept in words; all are counted.
    """
    return _intake.take_entities(entities, feed=feed, source=source, max_faults=max_faults)
