"""GTFS-Realtime messages that are handed over rather than fetched."""

from __future__ import annotations

from datetime import datetime

from amb247.context.api import feed as context_feed
from amb247.mobility.adapters.gtfs_realtime import read_message
from amb247.mobility.domain.ingest import Origin, Taken, take
from amb247.mobility.domain.static import static_names
from amb247.mobility.errors import FeedUnknown, UnreadableMessage
from amb247.mobility.models import GtfsFeed


def take_message(body: bytes, *, feed: str, received_at: datetime) -> Taken:
    """Take one message as if it had been fetched; see `mobility.api.take_message`."""
    static = GtfsFeed.objects.filter(slug=feed).first()
    if static is None:
        raise FeedUnknown(f"there is no GTFS feed {feed}")
    handle = context_feed(
        f"{feed}-rt", name=f"{static.name} · GTFS-Realtime", kind="GTFS-Realtime", synthetic=static.is_synthetic,
        expected_every_s=30,
    )  # fmt: skip
    names = static_names(feed)
    try:
        reading = read_message(body, now=received_at, stops=names.stops)
    except UnreadableMessage as problem:
        handle.record(taken=0, refused={problem.reason: 1}, received_bytes=len(body),
                      examples={problem.reason: str(problem)})  # fmt: skip
        raise
    taken = take(reading.fixes, Origin(feed, static.name, handle, static.is_synthetic), names=names)
    refused = dict(reading.refused)
    for reason, count in taken.refused.items():
        refused[reason] = refused.get(reason, 0) + count
    handle.record(taken=taken.taken, refused=refused, newest=taken.newest, received_bytes=len(body),
                  examples={one.reason: f"{one.where} {one.value}".strip() for one in (*reading.samples, *taken.samples)})  # fmt: skip
    return taken
