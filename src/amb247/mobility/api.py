"""What other systems, the command line and the pages may ask of mobility. No permission is checked here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from django.utils import timezone

from amb247.mobility.adapters.avl_csv import SpeedUnit
from amb247.mobility.data import (
    AsOf,
    Difference,
    FeedSummary,
    GtfsReport,
    MessageResult,
    ReplayReport,
    VersionSummary,
)  # fmt: skip
from amb247.mobility.domain import activation as _activation
from amb247.mobility.domain import difference as _difference
from amb247.mobility.domain import importing as _importing
from amb247.mobility.domain import ingest as _ingest
from amb247.mobility.domain import polling as _polling
from amb247.mobility.domain import replay as _replay
from amb247.mobility.domain.queries import feeds as _feeds
from amb247.mobility.domain.recording import TableOptions
from amb247.mobility.domain.static import checked_slug
from amb247.mobility.errors import VersionUnknown
from amb247.mobility.models import GtfsVersion
from amb247.territory.api import RequestInfo

__all__ = [
    "activate_gtfs",
    "add_realtime_source",
    "compare_gtfs",
    "gtfs_feeds",
    "import_gtfs",
    "poll_due",
    "poll_once",
    "poll_until",
    "replay",
    "roll_back_gtfs",
    "take_message",
]


def import_gtfs(
    path: str | Path, *, feed: str, name: str = "", area_code: str = "", source_url: str = "", synthetic: bool = False,
    keep_good: bool = False, activate: bool = False, file_name: str = "", actor: int | None = None,
    request_info: RequestInfo | None = None,
) -> GtfsReport:  # fmt: skip
    """Import a GTFS zip as a new version of a feed.

    Parameters
    ----------
    path : str or Path
    feed : str
        Slug of the feed; made when new. Part of the ids of its stops, routes and vehicles.
    name, area_code, source_url, synthetic
        Of the feed; what is given replaces what is stored.
    keep_good : bool
        Import the good rows although others are refused. Without it any refused row refuses the feed.
    activate : bool
        Make the version the active one at once.
    file_name : str
        Shown instead of the path's name (an upload's temporary file).
    actor : int, optional
        Number of the person's account, for the audit log; None is the platform.

    Returns
    -------
    GtfsReport
        `status` "imported", "unchanged" (the feed has a version with this very content: nothing is written, except
        that it is activated if that was asked) or "refused" (nothing is written; `findings` say why). Never raises
        for what is in the file.

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError    the path cannot be opened
    FeedNameRefused                                          `feed` is no slug

    References
    ----------
    GTFS Schedule Reference, https://gtfs.org/documentation/schedule/reference/
    """
    path = Path(path)
    checked_slug(feed)
    with path.open("rb"):
        pass
    return _importing.import_gtfs(
        path, feed=feed, name=name, area_code=area_code, source_url=source_url, synthetic=synthetic,
        file_name=file_name or path.name, keep_good=keep_good, activate=activate, actor=actor,
        request_info=request_info,
    )  # fmt: skip


def activate_gtfs(
    feed: str, number: int, *, actor: int | None = None, request_info: RequestInfo | None = None
) -> VersionSummary:
    """Make a version the one the city sees: its stops and routes replace the former's, in one transaction, audited.

    Raises
    ------
    FeedUnknown, VersionUnknown
    """
    return _feeds.summary_of(_activation.activate(feed, number, actor=actor, request_info=request_info), feed)


def roll_back_gtfs(
    feed: str, *, actor: int | None = None, request_info: RequestInfo | None = None
) -> VersionSummary:
    """Make the version that was active before the present one active again; audited.

    Raises
    ------
    FeedUnknown, NoFormerVersion
    """
    return _feeds.summary_of(_activation.roll_back(feed, actor=actor, request_info=request_info), feed)


def gtfs_feeds() -> list[FeedSummary]:
    """All feeds by name, each with its versions, newest first. Two queries."""
    return _feeds.feeds_with_versions()


def compare_gtfs(feed: str, old: int, new: int) -> Difference:
    """Routes, stops and trips that version `new` has and `old` has not, and the other way round.

    Raises
    ------
    VersionUnknown
    """
    found = {
        version.number: version
        for version in GtfsVersion.objects.filter(feed__slug=feed, number__in=[old, new])
    }
    if missing := {old, new} - found.keys():
        raise VersionUnknown(f"{feed} has no version {min(missing)}")
    return _difference.difference(found[old], found[new])


def replay(
    files: Sequence[str | Path], *, feed: str, name: str = "", speed: float = 1.0, loop: bool = False,
    as_of: AsOf = "now", keep_good: bool = False, mapping: Mapping[str, str] | None = None, separator: str = ",",
    speed_unit: SpeedUnit | None = None, zone: tzinfo | None = None,
    on_progress: Callable[[ReplayReport], None] | None = None, stop: threading.Event | None = None,
) -> ReplayReport:  # fmt: skip
    """Play recordings back through the same door as live data.

    Parameters
    ----------
    files : sequence
        Paths, folders and patterns: GTFS-Realtime messages (protobuf or JSON) and AVL tables (CSV), gzipped or not,
        mixed. They are put in the order of their own times.
    feed : str
        Slug of the static feed they belong to: gives the names of routes and, for vehicles that only name their
        stop, the places.
    name : str
        Shown as the vehicles' source; the files' names without it.
    speed : float
        Seconds of the recording per second; 0 is as fast as possible.
    as_of : {"now", "recorded"}
        "now" lays the recording's clock on the wall's, so that the live map shows what is due as seen now (with
        speed 0: the recording is shifted whole, its end is now). "recorded" keeps the times.
    keep_good : bool
        Pass over unreadable files and take the whole entities of messages that are cut. Single refused positions
        never stop a replay, as they would not stop a live feed: they are counted by reason.
    mapping, separator, speed_unit, zone
        Of the tables; see `adapters.avl_csv.read_positions`. `zone` is the platform's without it.
    on_progress : callable
        Called about every two seconds.
    stop : threading.Event
        Ends the replay between two messages.

    Returns
    -------
    ReplayReport    ``seen == taken + sum(refused.values())``

    Raises
    ------
    UnreadableRecording    a file as a whole cannot be read (its name and the reason in the message); nothing is sent
    FeedNameRefused        `feed` is no slug
    """
    checked_slug(feed)
    table = TableOptions(mapping or {}, separator, speed_unit, zone or timezone.get_default_timezone())
    return _replay.replay(
        files, feed=feed, name=name, speed=speed, loop=loop, as_of=as_of, keep_good=keep_good, table=table,
        on_progress=on_progress, stop=stop,
    )  # fmt: skip


def take_message(
    content: bytes, *, feed: str, received_at: datetime | None = None, keep_good: bool = False
) -> MessageResult:
    """Take one GTFS-Realtime message that somebody hands over: a gateway, a simulator, a test.

    Parameters
    ----------
    content : bytes
        Protobuf or JSON, gzipped or not.
    feed : str
        Slug of the static feed whose routes, trips and stops it names; counted in the feed `<slug>-rt`. The vehicles
        are synthetic where that feed is.
    received_at : datetime, aware, optional
        When it came; times more than five minutes later are refused. Default: now.
    keep_good : bool
        Take the whole entities of a message that is cut short.

    Returns
    -------
    MessageResult    status "taken" or "unreadable"; never raises for what is in the message

    Raises
    ------
    FeedUnknown
    """
    return _ingest.take_pushed(
        content, feed=feed, received_at=received_at or timezone.now(), keep_good=keep_good
    )


def add_realtime_source(feed: str, url: str, *, interval_s: int = 30) -> int:
    """Register an http(s) address that answers with GTFS-Realtime; its number. Raises SourceRefused, FeedNameRefused."""
    return _polling.add_source(checked_slug(feed), url, interval_s=interval_s).pk


def poll_once(source_id: int, *, now: datetime | None = None) -> MessageResult:
    """Ask one live source once; see `MessageResult.status`. Never raises for what the source answers."""
    return _polling.poll_once(source_id, now=now)


def poll_due() -> list[MessageResult]:
    """Ask every enabled source whose time has come."""
    return _polling.poll_due()


def poll_until(stop: threading.Event) -> None:
    """Ask due sources until told to stop; for a worker's thread."""
    _polling.poll_until(stop)
