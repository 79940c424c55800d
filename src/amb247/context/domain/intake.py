"""A stream of entities from an adapter, through the one door, in batches, counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from amb247.context.data import Intake, LineFault
from amb247.context.domain.feeds import FeedHandle
from amb247.context.domain.upsert import upsert

BATCH = 1_000


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
    feed : FeedHandle
        Where messages are counted.
    max_faults : int
        How many faults are kept in words; all are counted.
    """
    total = Intake()
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
    total: Intake,
    *,
    feed: FeedHandle,
    source: str,
    max_faults: int,
) -> None:
    report = upsert(
        [entity for _, entity in batch], source=source, keep_good=True, strict=True, newest_wins=True
    )
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


def _note(total: Intake, fault: LineFault, max_faults: int) -> None:
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
