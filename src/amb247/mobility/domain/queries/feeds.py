"""Reads of feeds and versions for pages and other systems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, QuerySet

from amb247.mobility.data import FeedSummary, Finding, Notice, VersionSummary
from amb247.mobility.domain.reports import findings_from, notices_from
from amb247.mobility.models import GtfsFeed, GtfsVersion


@dataclass(frozen=True)
class LastRefusal:
    """The last import of a feed that was refused, while no good one followed."""

    at: datetime
    file_name: str
    findings: tuple[Finding, ...]


def feeds_with_versions() -> list[FeedSummary]:
    """All feeds with their versions, newest first. Two queries; reports are not read."""
    return [summary_of_feed(feed, feed.versions.all()) for feed in _feeds().defer("last_refusal")]


def feeds_with_refusals() -> list[tuple[FeedSummary, LastRefusal | None]]:
    """The same, each with its last refused import. Two queries."""
    return [(summary_of_feed(feed, feed.versions.all()), _refusal(feed)) for feed in _feeds()]


def feed_with_versions(slug: str) -> FeedSummary | None:
    """One feed with its versions, or None. Two queries."""
    feed = _feeds().filter(slug=slug).first()
    return summary_of_feed(feed, feed.versions.all()) if feed is not None else None


def report_of(slug: str, number: int) -> tuple[tuple[Finding, ...], tuple[Notice, ...]]:
    """What the importer found and what the validator noticed in a version; nothing when there is none."""
    report = (
        GtfsVersion.objects.filter(feed__slug=slug, number=number).values_list("report", flat=True).first()
        or {}
    )
    return findings_from(report), notices_from(report)


def _feeds() -> QuerySet[GtfsFeed]:
    versions = GtfsVersion.objects.defer("report").order_by("-number")
    return GtfsFeed.objects.prefetch_related(Prefetch("versions", queryset=versions))


def _refusal(feed: GtfsFeed) -> LastRefusal | None:
    noted = feed.last_refusal
    if not noted:
        return None
    return LastRefusal(datetime.fromisoformat(noted["at"]), noted["file_name"], findings_from(noted))


def summary_of_feed(feed: GtfsFeed, versions: Iterable[GtfsVersion]) -> FeedSummary:
    return FeedSummary(
        slug=feed.slug, name=feed.name, area_code=feed.area_code, source_url=feed.source_url,
        versions=tuple(summary_of(version, feed.slug) for version in versions),
    )  # fmt: skip


def summary_of(version: GtfsVersion, slug: str) -> VersionSummary:
    return VersionSummary(
        feed=slug, number=version.number, state=version.state, file_name=version.file_name, sha256=version.sha256,
        size_bytes=version.size_bytes, imported_at=version.imported_at, activated_at=version.activated_at,
        activated_by=version.activated_by, retired_at=version.retired_at, counts=version.counts, refused_rows=version.refused_rows, service_from=version.service_from,
        service_to=version.service_to, bbox=tuple(version.bbox) if version.bbox else None,
    )  # fmt: skip
