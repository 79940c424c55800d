"""Read lines leniently and hand them to the one door in batches."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from amb247.context import api
from amb247.context.domain.feeds import FeedHandle
from amb247.context.errors import ContextError

BATCH = 1_000
MAX_LINE = 2_000_000


class LinesUnreadable(ContextError):
    """The file is not one of NGSI-LD lines; the message says why."""


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
class Taken:
    """What became of a stream of entities; ``lines == taken + len(faults)`` unless faults were capped."""

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


def read_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | LineFault]]:
    """Line number and entity, or what is wrong with the line. `.gz` is unpacked on the way.

    Raises
    ------
    LinesUnreadable
        The file cannot be opened or is no text.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.strip().rstrip(b",")
                if text in {b"", b"[", b"]"}:
                    continue
                if len(text) > MAX_LINE:
                    yield (
                        number,
                        LineFault(
                            number,
                            None,
                            "line",
                            f"has {len(text):,} bytes",
                            f"send at most {MAX_LINE:,} a line",
                            "too_large",
                        ),
                    )
                    continue
                try:
                    yield number, orjson.loads(text)
                except orjson.JSONDecodeError as problem:
                    yield (
                        number,
                        LineFault(
                            number,
                            None,
                            "line",
                            f"is no JSON: {problem}",
                            "write one entity as a JSON object on each line",
                            "not_json",
                        ),
                    )
    except (OSError, EOFError) as problem:
        raise LinesUnreadable(f"{path.name}: {problem}") from problem


def take_entities(
    entities: Iterable[tuple[int, Mapping[str, Any] | LineFault]],
    *,
    feed: FeedHandle,
    source: str,
    max_faults: int = 200,
) -> Taken:
    """Take a stream of numbered entities in batches of 1,000, keeping the good ones and counting the rest.

    Parameters
    ----------
    entities : iterable of (line number, entity or fault)
    feed : FeedHandle
        Where messages are counted.
    max_faults : int
        How many faults are kept in words; all are counted.
    """
    total = Taken()
    batch: list[tuple[int, Mapping[str, Any]]] = []
    for number, one in entities:
        total.lines += 1
        if isinstance(one, LineFault):
            _note(total, one, max_faults)
            feed.record(taken=0, refused={one.code: 1}, examples={one.code: f"{number}: {one.reason}"})
            continue
        batch.append((number, one))
        if len(batch) == BATCH:
            _take(batch, total, feed=feed, source=source, max_faults=max_faults)
            batch = []
    if batch:
        _take(batch, total, feed=feed, source=source, max_faults=max_faults)
    return total


def _take(
    batch: list[tuple[int, Mapping[str, Any]]],
    total: Taken,
    *,
    feed: FeedHandle,
    source: str,
    max_faults: int,
) -> None:
    report = api.upsert([entity for _, entity in batch], source=source, keep_good=True)
    total.taken += report.taken
    total.created += report.created
    total.updated += report.updated
    total.unchanged += report.unchanged
    for refusal in report.refused:
        _note(
            total,
            LineFault(
                batch[refusal.index][0],
                refusal.entity_id,
                refusal.field,
                refusal.reason,
                refusal.remedy,
                refusal.code,
            ),
            max_faults,
        )
    feed.record(
        taken=report.taken,
        refused=report.reasons,
        newest=_newest(entity for _, entity in batch),
        examples={one.code: f"{one.entity_id or ''} {one.field}: {one.reason}" for one in report.refused},
    )


def _note(total: Taken, fault: LineFault, max_faults: int) -> None:
    total.refused[fault.code] += 1
    if len(total.faults) < max_faults:
        total.faults.append(fault)


def _newest(entities: Iterable[Mapping[str, Any]]) -> datetime | None:
    newest = max(
        (
            instance["observedAt"]
            for entity in entities
            if isinstance(entity, dict)
            for instance in entity.values()
            if isinstance(instance, dict) and isinstance(instance.get("observedAt"), str)
        ),
        default=None,
    )
    try:
        return datetime.fromisoformat(newest) if newest else None
    except ValueError:
        return None
