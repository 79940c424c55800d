"""The city's own door: a batch of its typed things, merged into what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from amb247.context.data import Refusal, UpsertReport
from amb247.context.domain.validate import Checked, Named, check_batch, identify_batch, missing_required
from amb247.context.domain.writing import Writing, begin, finish, merge_attribute, write
from amb247.context.errors import BatchRefused


@dataclass(slots=True)
class Tally:
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    late: int = 0


def upsert(
    entities: Sequence[Any], *, source: str, keep_good: bool, strict: bool, newest_wins: bool
) -> UpsertReport:
    """Check, merge and write a batch; see `context.api.upsert` for the contract."""
    named, nameless = identify_batch(entities)

    def work(writing: Writing) -> UpsertReport:
        return _merge_batch(
            writing, named, list(nameless), keep_good=keep_good, strict=strict, newest_wins=newest_wins
        )

    return write((one.id for one in named), work, source=source)


def _merge_batch(
    writing: Writing,
    named: list[Named],
    refused: list[Refusal],
    *,
    keep_good: bool,
    strict: bool,
    newest_wins: bool,
) -> UpsertReport:
    stored = {entity_id: one.attributes for entity_id, one in writing.pending.items()}
    good, wrong = check_batch(named, stored, now=datetime.now(UTC), strict=strict)
    refused += wrong
    tally = Tally()
    taken = 0
    for checked in good:
        refusal = _merge(writing, checked, tally, newest_wins=newest_wins)
        if refusal is None:
            taken += 1
        else:
            refused.append(refusal)
    refused.sort(key=lambda one: one.index)
    if refused and not keep_good:
        raise BatchRefused(refused)
    for pending in sorted(writing.pending.values(), key=lambda one: one.id):
        finish(writing, pending)
    return UpsertReport(
        taken=taken,
        created=tally.created,
        updated=tally.updated,
        unchanged=tally.unchanged,
        late=tally.late,
        refused=tuple(refused),
    )


def _merge(writing: Writing, checked: Checked, tally: Tally, *, newest_wins: bool) -> Refusal | None:
    """Merge one entity into what is stored; count what became of it."""
    pending = writing.pending.get(checked.id)
    if pending is None:
        missing = missing_required(checked)
        if missing is not None:
            return Refusal(
                checked.index,
                checked.id,
                missing[0],
                f"is missing, and a new {missing[1]} needs it",
                "send it with the first message",
                "missing_attribute",
            )
        pending = begin(writing, checked.id, checked.types, checked.scope or [])
        tally.created += 1
        before = -1
    else:
        before = len(pending.changed) + pending.is_touched
    is_late = False
    for name, given in checked.attributes.items():
        is_late |= merge_attribute(writing, pending, name, given, newest_wins=newest_wins)
    for name in checked.types:
        if name not in pending.types:
            pending.types = [*pending.types, name]
            pending.is_touched = pending.is_whole = True
    if checked.scope is not None and checked.scope != pending.scope:
        pending.scope = checked.scope
        pending.is_touched = pending.is_whole = True
    if before >= 0:
        if pending.changed or pending.is_touched:
            tally.updated += 1
        else:
            tally.unchanged += 1
    tally.late += is_late
    return None
