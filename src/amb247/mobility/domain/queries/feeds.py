"""Reads of feeds and versions for pages and other systems."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Prefetch

from amb247.mobility.data import FeedSummary, VersionSummary
from amb247.mobility.models import GtfsFeed, GtfsVersion


def feeds_with_versions() -> list[FeedSummary]:
    """All feeds with their versions, newest first. Two queries; reports are not read."""
    versions = GtfsVersion.objects.defer("report").order_by("-number")
    found = GtfsFeed.objects.defer("last_refusal").prefetch_related(Prefetch("versions", queryset=versions))
    return [summary_of_feed(feed, feed.versions.all()) for feed in found]


def summary_of_feed(feed: GtfsFeed, versions: Iterable[GtfsVersion]) -> FeedSummary:
    return FeedSummary(
        slug=feed.slug, name=feed.name, area_code=feed.area_code, source_url=feed.source_url,
        versions=tuple(summary_of(version, feed.slug) for version in versions),
    )  # fmt: skip


def summary_of(version: GtfsVersion, slug: str) -> VersionSummary:
    return VersionSummary(
        feed=slug, number=version.number, state=version.state, file_name=version.file_name, sha256=version.sha256,
        size_bytes=version.size_bytes, imported_at=version.imported_at, activated_at=version.activated_at,
        activated_by=version.activated_by, counts=version.counts, service_from=version.service_from,
        service_to=version.service_to, bbox=tuple(version.bbox) if version.bbox else None,
    )  # fmt: skip
