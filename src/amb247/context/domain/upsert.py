"""The one door: state, history and change feed of a batch in one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import orjson
from django.db import OperationalError, connection, transaction

from amb247.context.data import Refusal, UpsertReport
from amb247.context.domain.partitions import ensure_partitions, forget_known
from amb247.context.domain.places import cell_of
from amb247.context.domain.validate import (
    Checked,
    Instance,
    Named,
    check_batch,
    identify_batch,
    missing_required,
    time_text,
)
from amb247.context.errors import BatchRefused, ConcurrentChange
from amb247.kernel.sql import statement

ATTEMPTS = 6
CHANNEL = "context_change"
HISTORY_COPY = "COPY context_history (entity_id, attribute, at, modified_at, observed, dataset_id, num, unit, instance) FROM STDIN"
# Stamps are kept only where they say something: an instance without `createdAt` was created with its entity, one
# without `modifiedAt` was never changed. Spelled out on every attribute they made up half of what is stored.
STAMPS = ("createdAt", "modifiedAt")


@dataclass(slots=True)
class Pending:
    """An entity on its way: what is stored, what this batch changes."""

    id: str
    types: list[str]
    scope: list[str]
    stored: dict[str, Any]
    version: int
    created: str
    box: list[float] | None = None
    changed: dict[str, Any] = field(default_factory=dict)
    is_touched: bool = False


@dataclass(slots=True)
class Writing:
    """The rows of one batch, before they are written."""

    now: datetime
    stamp: str
    source: str
    pending: dict[str, Pending] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    hours: set[str] = field(default_factory=set)
    days: set[str] = field(default_factory=set)
    last_at: str = ""
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    late: int = 0


def upsert(
    entities: Sequence[Any], *, source: str, keep_good: bool, strict: bool, newest_wins: bool
) -> UpsertReport:
    """Check, merge and write a batch; see `context.api.upsert` for the contract."""
    now = datetime.now(UTC)
    named, nameless = identify_batch(entities)
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                writing = Writing(now=now, stamp=time_text(now), source=source)
                _load(writing, named)
                stored = {entity_id: one.stored for entity_id, one in writing.pending.items()}
                good, wrong = check_batch(named, stored, now=now, strict=strict)
                return _write(writing, good, nameless + wrong, keep_good=keep_good, newest_wins=newest_wins)
        except _Outrun:
            pass
        except OperationalError as problem:
            # A deadlock or serialisation failure inside somebody else's transaction is theirs to repeat.
            if connection.in_atomic_block or getattr(problem.__cause__, "sqlstate", "") not in {
                "40P01",
                "40001",
            }:
                raise
        time.sleep(0.002 * 2**attempt)
    raise ConcurrentChange(f"{ATTEMPTS} attempts were outrun by other writers; send the batch again.")


class _Outrun(Exception):
    """Another writer created one of our new entities between our look and our write."""


def _write(
    writing: Writing, good: list[Checked], refused: list[Refusal], *, keep_good: bool, newest_wins: bool
) -> UpsertReport:
    taken = 0
    for checked in good:
        refusal = _apply(writing, checked, newest_wins=newest_wins)
        if refusal is None:
            taken += 1
        else:
            refused.append(refusal)
    refused.sort(key=lambda one: one.index)
    if refused and not keep_good:
        raise BatchRefused(refused)
    _store(writing)
    return UpsertReport(
        taken=taken,
        created=writing.created,
        updated=writing.updated,
        unchanged=writing.unchanged,
        late=writing.late,
        refused=tuple(refused),
    )


def _load(writing: Writing, named: list[Named]) -> None:
    ids = orjson.dumps(list({one.id for one in named})).decode()
    with connection.cursor() as cursor:
        cursor.execute(statement("amb247.context", "lock_entities"), {"ids": ids})
        for entity_id, types, scope, doc, version, created in orjson.loads(cursor.fetchone()[0]):
            writing.pending[entity_id] = Pending(entity_id, types, scope, doc, version, created)


def _apply(writing: Writing, checked: Checked, *, newest_wins: bool) -> Refusal | None:
    """Merge one entity into what is stored; count what became of it."""
    pending = writing.pending.get(checked.id)
    is_new = pending is None
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
        pending = Pending(checked.id, checked.types, checked.scope or [], {}, 0, writing.stamp)
        writing.pending[checked.id] = pending
    is_late = _merge(writing, pending, checked, newest_wins=newest_wins)
    for name in checked.types:
        if name not in pending.types:
            pending.types = [*pending.types, name]
            pending.is_touched = True
    if checked.scope is not None and checked.scope != pending.scope:
        pending.scope = checked.scope
        pending.is_touched = True
    if is_new:
        pending.is_touched = True
        writing.created += 1
    elif pending.changed or pending.is_touched:
        writing.updated += 1
    else:
        writing.unchanged += 1
    writing.late += is_late
    return None


def _merge(writing: Writing, pending: Pending, checked: Checked, *, newest_wins: bool) -> bool:
    is_late = False
    stored_all = pending.stored
    for name, given in checked.attributes.items():
        stored = stored_all.get(name)
        if (
            isinstance(given, dict)
            and (stored is None or isinstance(stored, dict))
            and "datasetId" not in given
            and (stored is None or "datasetId" not in stored)
        ):
            outcome = _take(writing, pending, name, given, stored, newest_wins)
            if outcome is _LATE:
                is_late = True
            elif outcome is not None:
                stored_all[name] = pending.changed[name] = outcome
                if name == "location" and checked.box is not None:
                    pending.box = checked.box
            continue
        merged, changed, late = _merge_datasets(writing, pending, name, given, stored, newest_wins)
        is_late |= late
        if changed:
            stored_all[name] = pending.changed[name] = merged
    return is_late


_LATE: Instance = {}


def _take(
    writing: Writing,
    pending: Pending,
    name: str,
    given: Instance,
    stored: Instance | None,
    newest_wins: bool,
) -> Instance | None:
    """The instance to store, `_LATE` when it is older than the stored one, or None when it says nothing new."""
    stamp = writing.stamp
    observed = given.get("observedAt")
    if stored is None:
        if observed is not None:
            _remember(writing, pending.id, name, given, stamp)
        return given if pending.created == stamp else {**given, "createdAt": stamp}
    before = stored.get("observedAt")
    if observed == before and given == without_stamps(stored):
        return None
    if before is None and is_unrecorded(stored):
        _remember(writing, pending.id, name, stored, stored.get("createdAt", pending.created))
    _remember(writing, pending.id, name, given, stamp)
    if newest_wins and observed is not None and before is not None and observed < before:
        return _LATE
    kept = {**given, "modifiedAt": stamp}
    if "createdAt" in stored:
        kept["createdAt"] = stored["createdAt"]
    return kept


def is_unrecorded(stored: Instance) -> bool:
    """Whether an instance lives in the state alone.

    What was never observed and never changed (a lamp's height, a stop's code) has no row of history until it does
    change: its state is its history. Of a lamp's fifteen attributes this spares eleven rows.
    """
    return "observedAt" not in stored and "modifiedAt" not in stored


def _merge_datasets(
    writing: Writing, pending: Pending, name: str, given: Any, stored: Any, newest_wins: bool
) -> tuple[Any, bool, bool]:
    """Merge attributes of several instances, told apart by datasetId (none is the default instance)."""
    by_dataset = {one.get("datasetId", ""): one for one in _as_list(stored)}
    changed = late = False
    for one in _as_list(given):
        dataset = one.get("datasetId", "")
        outcome = _take(writing, pending, name, one, by_dataset.get(dataset), newest_wins)
        if outcome is _LATE:
            late = True
        elif outcome is not None:
            by_dataset[dataset] = outcome
            changed = True
    merged = list(by_dataset.values())
    return (merged[0] if len(merged) == 1 else merged), changed, late


def _as_list(instances: Any) -> list[Instance]:
    if instances is None:
        return []
    return instances if isinstance(instances, list) else [instances]


# A number of which there is nothing more to say than unit and time needs no JSON in the history.
BARE = frozenset({"type", "value", "unitCode", "observedAt", *STAMPS})


def _remember(writing: Writing, entity_id: str, name: str, instance: Instance, modified: str) -> None:
    at = instance.get("observedAt") or modified
    if at != writing.last_at:
        writing.last_at = at
        writing.days.add(at[:10])
        writing.hours.add(at[:13])
    writing.history.append(history_line(entity_id, name, instance, modified))


NUMBERS = frozenset({int, float})


def history_line(entity_id: str, name: str, instance: Instance, modified: str) -> str:
    """One instance in COPY's text format (`HISTORY_COPY`). Ids and names hold no tab or backslash: validated."""
    observed = instance.get("observedAt")
    at = observed or modified
    value = instance.get("value")
    number = unit = body = "\\N"
    if type(value) in NUMBERS and instance["type"] == "Property":
        number = repr(value)
        unit = instance.get("unitCode", unit)
        if not BARE.issuperset(instance) or not _is_plain(unit):
            unit, body = "\\N", _json_field(without_stamps(instance))
    else:
        body = _json_field(without_stamps(instance))
    return (
        f"{entity_id}\t{name}\t{at}\t{modified}\t{'t' if observed else 'f'}\t{instance.get('datasetId', '')}\t"
        f"{number}\t{unit}\t{body}\n"
    )


def without_stamps(instance: Instance) -> Instance:
    """The instance as it was given; itself when it carries no stamps."""
    if "modifiedAt" not in instance and "createdAt" not in instance:
        return instance
    return {key: part for key, part in instance.items() if key not in STAMPS}


def _is_plain(unit: Any) -> bool:
    return unit == "\\N" or (isinstance(unit, str) and unit.isalnum())


def _json_field(value: Any) -> str:
    return _escaped(orjson.dumps(value))


def _escaped(json: bytes) -> str:
    text = json.decode()
    return text.replace("\\", "\\\\") if "\\" in text else text


def _store(writing: Writing) -> None:
    changed = sorted((p for p in writing.pending.values() if p.changed or p.is_touched), key=lambda p: p.id)
    if not changed and not writing.history:
        return
    ensure_partitions(history=map(date.fromisoformat, sorted(writing.days)), changes=[writing.now.date()])
    deltas = [orjson.dumps(p.changed) for p in changed]
    with connection.cursor() as cursor:
        if changed:
            rows = orjson.dumps(
                [
                    {
                        "id": p.id,
                        "type": p.types,
                        "scope": p.scope,
                        "doc": orjson.Fragment(delta),
                        "box": p.box,
                        "cell": cell_of(*p.box) if p.box else None,
                        "version": p.version + 1,
                    }
                    for p, delta in zip(changed, deltas, strict=True)
                ]
            ).decode()
            cursor.execute(statement("amb247.context", "write_entities"), {"rows": rows, "now": writing.now})
            if cursor.rowcount != len(changed):
                raise _Outrun
        if writing.history:
            with cursor.copy(HISTORY_COPY) as copy:
                copy.write("".join(writing.history))
        if writing.hours:
            mark_hours(cursor, writing.hours, writing.now)
        if changed:
            news = zip(changed, deltas, strict=True)
            write_changes(
                cursor,
                [(p.id, p.types, "updated" if p.version else "created", delta) for p, delta in news],
                now=writing.stamp,
                source=writing.source,
            )


_open_hours: set[str] = set()


def mark_hours(cursor: Any, hours: set[str], now: datetime) -> None:
    """Mark the hours whose rollup must be made (again).

    An open hour is marked once a process and waits for nobody. A closed one is marked each time, on its row, so that a
    rollup under way and a late writer wait for each other.
    """
    current = time_text(now)[:13]
    closed = [f"{hour}:00:00Z" for hour in sorted(hours) if hour < current]
    fresh = [hour for hour in hours if hour >= current and hour not in _open_hours]
    if closed:
        cursor.execute(f"{MARK} DO UPDATE SET touched = EXCLUDED.touched", [closed])
    if fresh:
        cursor.execute(f"{MARK} DO NOTHING", [[f"{hour}:00:00Z" for hour in fresh]])
        transaction.on_commit(lambda: _note_open(fresh))


MARK = (
    "INSERT INTO context_dirty_hour (hour, touched) SELECT h, now() FROM unnest(%s::timestamptz[]) h ORDER BY h "
    "ON CONFLICT (hour)"
)


def _note_open(hours: list[str]) -> None:
    if len(_open_hours) > 48:
        _open_hours.clear()
    _open_hours.update(hours)


def write_changes(
    cursor: Any, changes: Sequence[tuple[str, list[str], str, bytes]], *, now: str, source: str
) -> None:
    """Append to the feed and wake its readers when the transaction commits."""
    with cursor.copy("COPY context_change (at, op, entity_id, type, attributes, source) FROM STDIN") as copy:
        clean = _text_field(source)
        copy.write(
            "".join(
                f"{now}\t{op}\t{entity_id}\t{_array_field(types)}\t{_escaped(attributes)}\t{clean}\n"
                for entity_id, types, op, attributes in changes
            )
        )
    cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def _array_field(types: Sequence[str]) -> str:
    return "{" + ",".join(f'"{name}"' for name in types) + "}"


def _text_field(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", " ").replace("\n", " ").replace("\r", " ")


def forget_caches() -> None:
    """After the database was swapped under the process (tests, restore)."""
    forget_known()
    _open_hours.clear()
