"""What the context's functions take and give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

Json = Any
Operation = Literal["created", "updated", "deleted"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One entity that was not taken: where it stands, which field, what is wrong and what to do."""

    index: int
    entity_id: str | None
    field: str
    reason: str
    remedy: str
    code: str


@dataclass(frozen=True, slots=True)
class UpsertReport:
    """What became of a batch. ``taken == created + updated + unchanged`` and ``taken + refused`` is the batch;
    `late` counts, among the taken, those that only reached the history because a newer state is stored."""

    taken: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    late: int = 0
    refused: tuple[Refusal, ...] = ()

    @property
    def reasons(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for refusal in self.refused:
            counts[refusal.code] = counts.get(refusal.code, 0) + 1
        return counts


@dataclass(frozen=True, slots=True)
class LineFault:
    """A line that was not taken: its number in the file, the entity if known, the field, the reason, the remedy."""

    line: int
    entity_id: str | None
    field: str
    reason: str
    remedy: str
    code: str


@dataclass(slots=True)
class Intake:
    """What became of a stream of entities: ``lines == taken + refused_total``."""

    lines: int = 0
    taken: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[LineFault] = field(default_factory=list)

    @property
    def refused_total(self) -> int:
        return sum(self.refused.values())


class Cursor(NamedTuple):
    """A position in the change feed; its text form `tx-seq` is what browsers send as Last-Event-ID."""

    tx: int
    seq: int

    def __str__(self) -> str:
        return f"{self.tx}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        tx, _, seq = text.partition("-")
        return cls(int(tx), int(seq))


class Change(NamedTuple):
    """One change of one entity; `attributes` holds the changed instances only (all of them when created)."""

    cursor: Cursor
    at: datetime
    op: Operation
    entity_id: str
    types: list[str]
    attributes: dict[str, Json]
    source: str


class Observation(NamedTuple):
    """One instance of an attribute; `value` is its value, object, geometry ... by its kind."""

    at: datetime
    value: Json
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Hour:
    """Numbers of one attribute within one hour that starts at `start`."""

    start: datetime
    count: int
    mean: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How one source of data does. Rates are per minute over the last five; latency is taken minus observed."""

    slug: str
    name: str
    kind: str
    url: str
    last_message_at: datetime | None
    newest_observation: datetime | None
    messages: int
    taken: int
    refused: int
    rate_per_min: float
    latency_s: float | None
    synthetic: bool
    state: Literal["live", "quiet", "never"]
    reasons: Mapping[str, int] = field(default_factory=dict)


class FeedMinuteCount(NamedTuple):
    """What a feed brought within the minute that starts at `minute`."""

    minute: datetime
    messages: int
    taken: int
    refused: int


@dataclass(frozen=True, slots=True)
class FeedRefusalCount:
    """Why rows of a feed were refused: reason code, how many, when last, one example in words."""

    reason: str
    count: int
    last_at: datetime
    example: str
