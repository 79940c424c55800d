"""What the mobility room takes and gives: plain frozen values, no models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

Level = Literal["fatal", "rows", "note"]
ImportStatus = Literal["imported", "unchanged", "refused"]
AsOf = Literal["now", "recorded"]
NEEDED_TABLES = ("stops", "routes", "trips", "stop_times")


@dataclass(frozen=True, slots=True)
class Sample:
    """One place where a finding holds: the line of the file (None: the file as a whole) and the value met."""

    line: int | None
    value: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something our own reader found in a GTFS feed.

    Attributes
    ----------
    code : str          stable short name; `phrases.explain` gives the sentence and the remedy
    level : Level       "fatal": the feed cannot be used; "rows": those rows cannot; "note": read all the same
    file, field : str   where; empty when it concerns the whole feed or file
    count : int         how many rows (or 1)
    samples : tuple     the first few places
    detail : str        what the sentence needs besides (names of columns, a limit)
    """

    code: str
    level: Level
    file: str = ""
    field: str = ""
    count: int = 1
    samples: tuple[Sample, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """One kind of notice of the validator (gtfs-guru), with how often it came and the first cases."""

    code: str
    severity: str
    count: int
    samples: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class GtfsReport:
    """What an import took, refused and why.

    Attributes
    ----------
    status : ImportStatus                 "unchanged" when the feed already has a version with this content
    version : int | None                  number of the version; None when refused
    counts : Mapping[str, int]            rows taken by table ("stops": 812)
    refused_rows : Mapping[str, int]      rows refused by table (in = counts + refused_rows)
    service_from, service_to : date|None  first and last day with service
    bbox : tuple | None                   west, south, east, north of the stops, degrees
    seconds : float                       wall clock of the whole import
    """

    feed: str
    file_name: str
    status: ImportStatus
    sha256: str = ""
    version: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    refused_rows: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    notices: tuple[Notice, ...] = ()
    service_from: date | None = None
    service_to: date | None = None
    bbox: tuple[float, float, float, float] | None = None
    seconds: float = 0.0
    activated: bool = False

    @property
    def is_refused(self) -> bool:
        return self.status == "refused"

    @property
    def would_keep_good(self) -> bool:
        """Whether a refused feed would be imported with `keep_good`: every needed table has a good row."""
        is_fatal = any(finding.level == "fatal" for finding in self.findings)
        return self.is_refused and not is_fatal and all(self.counts.get(table) for table in NEEDED_TABLES)


@dataclass(frozen=True, slots=True)
class Added:
    """Ids that one version has more or less than another: how many, and the first few of each."""

    added: int
    removed: int
    added_samples: tuple[str, ...] = ()
    removed_samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What changes from one version to another, by kind of thing."""

    routes: Added
    stops: Added
    trips: Added


@dataclass(frozen=True, slots=True)
class VersionSummary:
    """One imported version of a feed."""

    feed: str
    number: int
    state: str
    file_name: str
    sha256: str
    size_bytes: int
    imported_at: datetime
    activated_at: datetime | None
    activated_by: str
    retired_at: datetime | None
    counts: Mapping[str, int]
    refused_rows: Mapping[str, int]
    service_from: date | None
    service_to: date | None
    bbox: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class FeedSummary:
    """One GTFS feed with its versions, newest first."""

    slug: str
    name: str
    area_code: str
    source_url: str
    versions: tuple[VersionSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class VehicleFix:
    """Where one vehicle was at one moment, whatever protocol said it.

    Attributes
    ----------
    at : datetime            UTC, of the fix
    lon, lat : float         degrees, WGS84
    speed_kmh : float|None   km/h
    bearing : float|None     degrees from north, 0-360
    at_stop : bool           True when the source gave no position and the stop's was taken
    """

    vehicle_id: str
    at: datetime
    lon: float
    lat: float
    speed_kmh: float | None = None
    bearing: float | None = None
    trip_id: str = ""
    route_id: str = ""
    start_time: str = ""
    start_date: str = ""
    headsign: str = ""
    label: str = ""
    license_plate: str = ""
    occupancy_status: str = ""
    congestion_level: str = ""
    stop_sequence: int | None = None
    current_status: str = ""
    at_stop: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused record: where (entity id or line), why, and what was met."""

    where: str
    reason: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one message or file gave.

    `seen == len(fixes) + sum(refused.values())`, always. Trip updates and alerts are counted apart: nothing is made of
    them yet.

    Attributes
    ----------
    seen : int                     vehicle positions met (a repeated or broken one counts)
    refused : Mapping[str, int]    reason -> how many
    samples : tuple[Refusal]       the first few of each reason
    header_at : datetime | None    the message's own time, UTC
    """

    fixes: tuple[VehicleFix, ...]
    seen: int
    refused: Mapping[str, int] = field(default_factory=dict)
    samples: tuple[Refusal, ...] = ()
    trip_updates: int = 0
    alerts: int = 0
    header_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Counts of a replay so far; `seen == taken + sum(refused.values())` at its end.

    Attributes
    ----------
    clock : datetime | None   time inside the recording
    elapsed_s : float         wall clock
    late, unchanged : int     parts of `taken`: older than what was stored, or the very same
    """

    files: int
    messages: int
    seen: int
    taken: int
    late: int
    unchanged: int
    refused: Mapping[str, int]
    samples: tuple[Refusal, ...]
    trip_updates: int
    alerts: int
    vehicles: int
    clock: datetime | None
    elapsed_s: float
    finished: bool


@dataclass(frozen=True, slots=True)
class MessageResult:
    """What became of one GTFS-Realtime message; ``seen == taken + sum(refused.values())``.

    Attributes
    ----------
    status : str             "taken"; "unreadable" (counted as one refused); of live sources also "not_modified",
                             "unreachable" and "disabled"
    next_poll_at : datetime  UTC, of live sources: later after each failure, at most ten minutes away
    """

    status: str
    seen: int = 0
    taken: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    problem: str = ""
    next_poll_at: datetime | None = None
