"""Which version of a feed the city sees: its stops and lines in the context, swapped in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

from django.db import transaction

from amb247.context import api as context
from amb247.mobility.context import route_entities, stop_entities, urn
from amb247.mobility.domain.tables import table_of, tables_of
from amb247.mobility.enums import NEXT_STATES, VersionState
from amb247.mobility.errors import FeedUnknown, NoFormerVersion, TransitionRefused, VersionUnknown
from amb247.mobility.models import GtfsFeed, GtfsVersion
from amb247.territory.api import RequestInfo, audit

BATCH = 1_000


def activate(feed: str, number: int, *, actor: int | None, request_info: RequestInfo | None) -> GtfsVersion:
    """Make a version the one the city sees. Nothing happens when it is already. See `activate_version`."""
    with transaction.atomic():
        owner = _locked(feed)
        version = owner.versions.filter(number=number).first()
        if version is None:
            raise VersionUnknown(f"{feed} has no version {number}")
        if not version.is_active:
            activate_version(version, actor=actor, request_info=request_info)
        return version


def roll_back(feed: str, *, actor: int | None, request_info: RequestInfo | None) -> GtfsVersion:
    """Make the version that was active before the present one active again."""
    with transaction.atomic():
        owner = _locked(feed)
        former = owner.versions.filter(state=VersionState.RETIRED).order_by("-retired_at", "-number").first()
        if former is None:
            raise NoFormerVersion(f"{feed} has no former version")
        activate_version(former, actor=actor, request_info=request_info, verb="gtfs.roll_back")
        return former


def activate_version(
    version: GtfsVersion, *, actor: int | None, request_info: RequestInfo | None, verb: str = "gtfs.activate"
) -> None:
    """Retire the active version, publish this one's stops and lines, delete those that are gone, audit; one transaction.

    The caller holds the feed's row. Other readers see the former version until all of it is committed.
    """
    former = version.feed.versions.filter(state=VersionState.ACTIVE).exclude(pk=version.pk).first()
    now = datetime.now(UTC)
    if former is not None:
        _move(former, VersionState.RETIRED, retired_at=now)
    _move(version, VersionState.ACTIVE, activated_at=now, activated_by=str(actor or ""))
    published = _publish(version)
    gone = _ids_of(former) - published if former is not None else set()
    if gone:
        context.delete(sorted(gone), source=f"gtfs:{version.feed.slug}")
    audit(
        actor, verb, f"urn:amb247:gtfs:{version.feed.slug}:{version.number}", area_code=version.feed.area_code,
        before={"version": former.number if former else None},
        after={"version": version.number, "published": len(published), "deleted": len(gone)},
        request_info=request_info,
    )  # fmt: skip


def _locked(feed: str) -> GtfsFeed:
    found = GtfsFeed.objects.select_for_update().filter(slug=feed).first()
    if found is None:
        raise FeedUnknown(feed)
    return found


def _move(version: GtfsVersion, state: VersionState, **stamps: Any) -> None:
    if state not in NEXT_STATES[version.state]:
        raise TransitionRefused(f"{version.state} -> {state}")
    version.state = state
    for name, value in stamps.items():
        setattr(version, name, value)
    version.save(update_fields=["state", *stamps])


def _publish(version: GtfsVersion) -> set[str]:
    feed = version.feed
    source = f"GTFS {feed.name}"
    frames = tables_of(version.pk)
    entities = chain(
        route_entities(frames, feed=feed.slug, source=source, synthetic=feed.is_synthetic),
        stop_entities(frames, feed=feed.slug, source=source, synthetic=feed.is_synthetic),
    )
    ids: set[str] = set()
    for batch in _batches(entities):
        context.upsert(batch, source=f"gtfs:{feed.slug}")
        ids.update(entity["id"] for entity in batch)
    return ids


def _batches(entities: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(entities, BATCH)):
        yield batch


def _ids_of(version: GtfsVersion) -> set[str]:
    """URNs that a version may have published."""
    slug = version.feed.slug
    ids: set[str] = set()
    for table, column, kind in (
        ("stops", "stop_id", "PublicTransportStop"),
        ("routes", "route_id", "GtfsRoute"),
    ):
        frame = table_of(version.pk, table, columns=[column])
        if frame is not None:
            ids.update(urn(kind, slug, value) for value in frame[column].to_list())
    return ids
