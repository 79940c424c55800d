"""From a GTFS zip to a version of a feed."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path

from django.db import transaction
from django.db.models import Max

from amb247.mobility.adapters.gtfs import GtfsContent, read_gtfs
from amb247.mobility.adapters.gtfs.reader import bounding_box, service_days
from amb247.mobility.data import GtfsReport
from amb247.mobility.domain.activation import activate_version
from amb247.mobility.domain.reports import as_json, findings_from, notices_from
from amb247.mobility.domain.tables import packed, store_tables
from amb247.mobility.models import GtfsFeed, GtfsVersion
from amb247.territory.api import RequestInfo, audit

logger = logging.getLogger(__name__)


def import_gtfs(
    path: Path, *, feed: str, name: str, area_code: str, source_url: str, synthetic: bool, file_name: str,
    keep_good: bool, activate: bool, actor: int | None, request_info: RequestInfo | None,
) -> GtfsReport:  # fmt: skip
    """Read, check, and store as a new version; see `api.import_gtfs`.

    Reading happens outside any transaction; the version, its tables, its audit line and its activation are one
    transaction, so that a version is there whole or not at all.
    """
    start = time.perf_counter()
    content = read_gtfs(path, keep_good=keep_good)
    contents = packed(content.frames) if content.is_usable else {}
    if not content.is_usable:
        return _refused(feed, content, file_name=file_name, start=start)
    with transaction.atomic():
        owner = _feed(feed, name=name, area_code=area_code, source_url=source_url, synthetic=synthetic)
        version = owner.versions.filter(sha256=content.sha256).first()
        is_new = version is None
        if version is None:
            version = _store(owner, content, contents, file_name=file_name, actor=actor)
            audit(
                actor, "gtfs.import", urn_of(version), area_code=owner.area_code, request_info=request_info,
                details={"file_name": file_name, "counts": version.counts, "refused_rows": version.refused_rows},
            )  # fmt: skip
        if activate and not version.is_active:
            activate_version(version, actor=actor, request_info=request_info)
    logger.info("gtfs %s version %s %s", feed, version.number, "imported" if is_new else "unchanged")
    return _report(version, is_new=is_new, file_name=file_name, start=start)


def urn_of(version: GtfsVersion) -> str:
    return f"urn:amb247:gtfs:{version.feed.slug}:{version.number}"


def _feed(slug: str, *, name: str, area_code: str, source_url: str, synthetic: bool) -> GtfsFeed:
    """The feed's row, locked: imports of one feed wait for each other. What is said anew replaces what is stored."""
    GtfsFeed.objects.get_or_create(slug=slug, defaults={"name": name or slug, "is_synthetic": synthetic})
    feed = GtfsFeed.objects.select_for_update().get(slug=slug)
    said = {"name": name, "area_code": area_code, "source_url": source_url, "is_synthetic": synthetic}
    changed = [field for field, value in said.items() if value and getattr(feed, field) != value]
    for field in changed:
        setattr(feed, field, said[field])
    if changed:
        feed.save(update_fields=changed)
    return feed


def _refused(feed: str, content: GtfsContent, *, file_name: str, start: float) -> GtfsReport:
    """Nothing is written but, on a feed that exists already, that somebody tried and why it did not go."""
    note = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "file_name": file_name,
        **as_json(content.findings, content.notices),
    }
    GtfsFeed.objects.filter(slug=feed).update(last_refusal=note)
    return GtfsReport(
        feed=feed, file_name=file_name, status="refused", sha256=content.sha256,
        counts={table: frame.height for table, frame in content.frames.items()}, refused_rows=content.refused_rows,
        findings=content.findings, notices=content.notices, seconds=time.perf_counter() - start,
    )  # fmt: skip


def _store(
    feed: GtfsFeed, content: GtfsContent, contents: dict[str, bytes], *, file_name: str, actor: int | None
) -> GtfsVersion:
    first, last = service_days(content.frames)
    highest = feed.versions.aggregate(highest=Max("number"))["highest"] or 0
    counts = {table: frame.height for table, frame in content.frames.items()}
    version = GtfsVersion.objects.create(
        feed=feed, number=highest + 1, sha256=content.sha256, file_name=file_name[:255],
        size_bytes=content.size_bytes, imported_by=str(actor or ""), counts=counts,
        refused_rows=dict(content.refused_rows), service_from=first, service_to=last,
        bbox=bounding_box(content.frames), report=as_json(content.findings, content.notices),
    )  # fmt: skip
    store_tables(version, contents, counts=counts)
    if feed.last_refusal is not None:
        feed.last_refusal = None
        feed.save(update_fields=["last_refusal"])
    return version


def _report(version: GtfsVersion, *, is_new: bool, file_name: str, start: float) -> GtfsReport:
    return GtfsReport(
        feed=version.feed.slug, file_name=file_name, status="imported" if is_new else "unchanged",
        sha256=version.sha256, version=version.number, counts=version.counts, refused_rows=version.refused_rows,
        findings=findings_from(version.report), notices=notices_from(version.report),
        service_from=version.service_from, service_to=version.service_to,
        bbox=tuple(version.bbox) if version.bbox else None, activated=version.is_active,
        seconds=time.perf_counter() - start,
    )  # fmt: skip
