"""The writing of things: what is stored is locked, changed in memory, and written with its history and its feed.

Every door (the city's own `upsert`, the NGSI-LD operations) works on `Pending` entities and ends in `store`. One entity costs
some tens of microseconds here, so the common cases come first and nothing is copied twice.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import orjson
from django.db import OperationalError, connection, transaction

from amb247.context.documents.times import time_text
from amb247.context.domain.partitions import ensure_partitions, forget_known
from amb247.context.domain.places import box_of, cell_of
from amb247.context.domain.tenants import current_tenant
from amb247.context.errors import ConcurrentChange
from amb247.context.stored import Instance
from amb247.kernel.sql import statement

ATTEMPTS = 6
CHANNEL = "context_change"
HISTORY_COPY = (
    "COPY context_history (entity_id, attribute, at, modified_at, observed, dataset_id, num, unit, instance, deleted)"
    " FROM STDIN"
)
CHANGE_COPY = (
    "COPY context_change (at, op, entity_id, type, attributes, source, version, state, before) FROM STDIN"
)
# Stamps are kept only where they say something: an instance without `createdAt` was created with its entity, one
# without `modifiedAt` was never changed. Spelled out on every attribute they made up half of what is stored.
STAMPS = ("createdAt", "modifiedAt")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Attribute = Instance | list[Instance]
Result = TypeVar("Result")


@dataclass(slots=True)
class Pending:
    """An entity on its way: what is stored of it, and what is being changed.

    `attributes` is the state with all changes so far; `delta` what the store does not have yet; `changed` and `before` what
    the present operation changed, for the feed. Instances are never changed in place.
    """

    id: str
    types: list[str]
    scope: list[str]
    attributes: dict[str, Attribute]
    version: int
    created: int  # microseconds since 1970
    expires: int | None = None
    stored_version: int = 0  # of the row, when there is one
    exists: bool = False  # with all changes so far
    is_stored: bool = False  # in the table
    is_new: bool = False  # the present operation makes it
    is_whole: bool = False  # more changed than the attributes in `delta`
    is_touched: bool = False  # the present operation changed something besides attributes
    delta: dict[str, Attribute] = field(default_factory=dict)
    changed: dict[str, Attribute | None] = field(default_factory=dict)
    before: dict[str, Attribute | None] = field(default_factory=dict)
    written: bytes = b""  # `delta` as JSON, when one operation made all of it

    def created_text(self) -> str:
        return time_text(EPOCH + timedelta(microseconds=self.created))


@dataclass(slots=True)
class Writing:
    """One transaction's changes, before they are written."""

    now: datetime
    stamp: str
    source: str
    interest: frozenset[str] = frozenset()
    pending: dict[str, Pending] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    hours: set[str] = field(default_factory=set)
    days: set[str] = field(default_factory=set)
    gone: dict[str, Pending] = field(default_factory=dict)
    past: dict[str, int] = field(default_factory=dict)  # last version of those that were deleted
    assumed: dict[str, Known] = field(default_factory=dict)  # taken from memory, and not locked yet
    last_at: str = ""

    def is_asked_for(self, types: Iterable[str]) -> bool:
        """Whether somebody subscribed to one of the types."""
        return bool(self.interest) and ("*" in self.interest or not self.interest.isdisjoint(types))


class Outrun(Exception):
    """Another writer was quicker: made one of our new entities, or changed what we took from memory."""


class Trust:
    """Whether writing may begin from what this process remembers, and lock nothing before it writes.

    An entity's row says at the end, by its version, whether the memory was right; when it was not, all is done again the slow way.
    Where another process writes the same entities that would be the rule, so for some writes after each error memory is not asked.
    """

    WARY_FOR = 50

    def __init__(self) -> None:
        self._wary = 0

    def is_given(self) -> bool:
        self._wary = max(0, self._wary - 1)
        return self._wary == 0

    def lose(self) -> None:
        self._wary = self.WARY_FOR

    def restore(self) -> None:
        self._wary = 0


trust = Trust()


def write(ids: Iterable[str], work: Callable[[Writing], Result], *, source: str = "") -> Result:
    """Lock what is stored of these entities, let `work` change them, write it all; one durable transaction.

    `work` may run several times: it starts anew when another writer was quicker, and what it refuses it refuses with the rows locked.

    Raises
    ------
    ConcurrentChange
        Outrun by other writers again and again; nothing was written.
    """
    wanted = sorted(set(ids))
    for attempt in range(ATTEMPTS):
        now = datetime.now(UTC)
        writing = Writing(now=now, stamp=time_text(now), source=source)
        try:
            with transaction.atomic():
                load(writing, wanted, may_assume=attempt == 0 and trust.is_given())
                try:
                    result = work(writing)
                except Exception:
                    check_assumed(writing, writing.assumed)
                    raise
                store(writing)
            return result
        except Outrun:
            if writing.assumed:
                trust.lose()
                continue
        except OperationalError as problem:
            # A deadlock or serialisation failure inside somebody else's transaction is theirs to repeat.
            state = getattr(problem.__cause__, "sqlstate", "")
            if connection.in_atomic_block or state not in {"40P01", "40001"}:
                raise
        time.sleep(0.002 * 2**attempt)
    raise ConcurrentChange(f"{ATTEMPTS} attempts were outrun by other writers; send the batch again.")


# --- reading what is stored -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Kept:
    """A document as it was last written by this process."""

    version: int
    created: int
    types: list[str]
    scope: list[str]
    attributes: dict[str, Attribute]
    expires: int | None


class Documents:
    """What this process wrote last, so that a stream of updates need not read each document again.

    An entry serves only when the row, once locked, still has the same version and moment of creation. It is taken out
    while a writer works on it, and put back after the commit: a failed transaction leaves no trace.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self.capacity = capacity
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, tenant: str, ids: Sequence[str]) -> dict[str, Kept]:
        found = {}
        with self._lock:
            for entity_id in ids:
                kept = self._kept.pop((tenant, entity_id), None)
                if kept is not None:
                    found[entity_id] = kept
        return found

    def put(self, tenant: str, pending: Iterable[Pending]) -> None:
        with self._lock:
            for one in pending:
                if one.exists:
                    self._kept[tenant, one.id] = Kept(
                        one.version, one.created, one.types, one.scope, one.attributes, one.expires
                    )
            while len(self._kept) > self.capacity:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


documents = Documents()


Known = dict[str, Any]  # what this process has of an entity: id, version, created


def load(writing: Writing, ids: Sequence[str], *, may_assume: bool = False) -> None:
    """Lock the rows of these ids and read them, `ids` in ascending order; or take them all from memory, not locked."""
    kept = documents.take(current_tenant(), ids)
    known: list[Known] = [
        {"id": i, "version": kept[i].version, "created": kept[i].created} if i in kept else {"id": i}
        for i in ids
    ]
    if may_assume and len(kept) == len(ids):
        writing.assumed = {one["id"]: one for one in known}
        rows = [(one["id"], one["version"], one["created"]) for one in known]
    else:
        rows = _locked(known)
    found = {row[0] for row in rows}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT array_agg(type) FROM context_interest), "
            "(SELECT json_object_agg(id, version)::text FROM context_past WHERE id = ANY(%s))",
            [[i for i in ids if i not in found]],
        )
        interest, past = cursor.fetchone()
        writing.interest = frozenset(interest or ())
        writing.past = orjson.loads(past) if past else {}
    for row in rows:
        entity_id = row[0]
        if len(row) == 3:
            same = kept[entity_id]
            types, scope, attributes, expires = same.types, same.scope, same.attributes, same.expires
        else:
            _, _, _, types, scope, attributes, expires = row
        writing.pending[entity_id] = Pending(
            entity_id, types, scope, attributes, row[1], row[2], expires, row[1], exists=True, is_stored=True
        )


def _locked(known: Sequence[Known]) -> list[Any]:
    """The rows there are, locked: id, version, created; and the rest where it is not as we know it."""
    with connection.cursor() as cursor:
        cursor.execute(statement("amb247.context", "lock_entities"), {"known": orjson.dumps(known).decode()})
        rows: list[Any] = orjson.loads(cursor.fetchone()[0])
    return rows


def check_assumed(writing: Writing, ids: Iterable[str]) -> None:
    """Lock what was taken from memory, and see that it is as it was.

    Raises
    ------
    Outrun
        It is not: what was decided from it counts for nothing.
    """
    known = [writing.assumed[i] for i in sorted(ids)]
    if known and sum(len(row) == 3 for row in _locked(known)) != len(known):
        raise Outrun


# --- changing -------------------------------------------------------------------------------------------------------


def begin(writing: Writing, entity_id: str, types: list[str], scope: list[str]) -> Pending:
    """A new entity, or one that this transaction deleted and makes again."""
    before = writing.pending.get(entity_id)
    created = round((writing.now - EPOCH) / timedelta(microseconds=1))
    version = writing.past.get(entity_id, 0)
    pending = Pending(
        entity_id, types, scope, {}, version, created, exists=True, is_new=True, is_touched=True
    )
    if before is not None:
        pending.is_stored, pending.version, pending.is_whole = before.is_stored, before.version, True
    writing.pending[entity_id] = pending
    return pending


def set_attribute(writing: Writing, pending: Pending, name: str, value: Attribute | None) -> None:
    """Let an attribute be this from now on (None removes it); no history is written here."""
    if writing.interest and name not in pending.before:
        pending.before[name] = pending.attributes.get(name)
    pending.changed[name] = value
    pending.written = b""
    if value is None:
        pending.attributes.pop(name, None)
        pending.delta.pop(name, None)
        pending.is_whole = True
    else:
        pending.attributes[name] = value
        pending.delta[name] = value


def take_instance(
    writing: Writing,
    pending: Pending,
    name: str,
    given: Instance,
    stored: Instance | None,
    *,
    newest_wins: bool,
) -> Instance | None:
    """Write the history of a new instance; what to store, `LATE` when the stored one is newer, None when it is the same."""
    stamp = writing.stamp
    observed = given.get("observedAt")
    if stored is None:
        if observed is not None:
            remember(writing, pending.id, name, given, stamp)
        return given if pending.is_new else {**given, "createdAt": stamp}
    before = stored.get("observedAt")
    if observed == before and given == without_stamps(stored) and (newest_wins or observed is not None):
        return None
    if before is None and is_unrecorded(stored):
        remember(writing, pending.id, name, stored, stored.get("createdAt") or pending.created_text())
    remember(writing, pending.id, name, given, stamp)
    if newest_wins and observed is not None and before is not None and observed < before:
        return LATE
    kept = {**given, "modifiedAt": stamp}
    if "createdAt" in stored:
        kept["createdAt"] = stored["createdAt"]
    return kept


LATE: Instance = {}


def merge_attribute(
    writing: Writing, pending: Pending, name: str, given: Attribute, *, newest_wins: bool
) -> bool:
    """Let given instances take the place of those with the same datasetId; whether one of them came late."""
    stored = pending.attributes.get(name)
    if (
        isinstance(given, dict)
        and (stored is None or isinstance(stored, dict))
        and "datasetId" not in given
        and (stored is None or "datasetId" not in stored)
    ):
        outcome = take_instance(writing, pending, name, given, stored, newest_wins=newest_wins)
        if outcome is LATE:
            return True
        if outcome is not None:
            set_attribute(writing, pending, name, outcome)
        return False
    by_dataset = {one.get("datasetId", ""): one for one in as_list(stored)}
    is_late = is_changed = False
    for one in as_list(given):
        dataset = one.get("datasetId", "")
        outcome = take_instance(writing, pending, name, one, by_dataset.get(dataset), newest_wins=newest_wins)
        if outcome is LATE:
            is_late = True
        elif outcome is not None:
            by_dataset[dataset] = outcome
            is_changed = True
    if is_changed:
        set_attribute(writing, pending, name, from_list(list(by_dataset.values())))
    return is_late


def remove_instances(
    writing: Writing, pending: Pending, name: str, *, dataset: str | None = "", every: bool = False
) -> bool:
    """Remove the instance with this datasetId ('' is the default one), or every one; false when there is none."""
    stored = as_list(pending.attributes.get(name))
    gone = stored if every else [one for one in stored if one.get("datasetId", "") == dataset]
    if not gone:
        return False
    for one in gone:
        if is_unrecorded(one):
            remember(writing, pending.id, name, one, one.get("createdAt") or pending.created_text())
        writing.days.add(writing.stamp[:10])
        writing.history.append(deletion_line(pending.id, name, one.get("datasetId", ""), writing.stamp))
    left = [one for one in stored if all(one is not other for other in gone)]
    set_attribute(writing, pending, name, from_list(left) if left else None)
    return True


def remove_entity(writing: Writing, pending: Pending) -> None:
    """Delete it: the state goes, the history remembers that it went; the feed tells with `finish`."""
    for name in list(pending.attributes):
        remove_instances(writing, pending, name, every=True)
    pending.exists = False
    pending.is_touched = True
    writing.gone[pending.id] = pending


def finish(writing: Writing, pending: Pending) -> bool:
    """End one operation on an entity: its row of the feed, if it changed anything."""
    if not pending.changed and not pending.is_touched:
        return False
    op = "created" if pending.is_new else "updated" if pending.exists else "deleted"
    pending.version += 1
    if pending.exists:
        writing.gone.pop(pending.id, None)
    state = before = "\\N"
    if writing.is_asked_for(pending.types):
        state, before = _json_field(_state(writing, pending)), _json_field(pending.before)
    attributes = b"{}" if op == "deleted" else orjson.dumps(pending.changed)
    pending.written = attributes if len(pending.changed) == len(pending.delta) else b""
    writing.changes.append(
        f"{writing.stamp}\t{op}\t{pending.id}\t{_array_field(pending.types)}\t{_escaped(attributes)}\t"
        f"{_text_field(writing.source)}\t{pending.version}\t{state}\t{before}\n"
    )
    pending.changed = {}
    pending.before = {}
    pending.is_touched = pending.is_new = False
    return True


def _state(writing: Writing, pending: Pending) -> dict[str, Any]:
    state: dict[str, Any] = {
        "id": pending.id,
        "type": pending.types,
        "scope": pending.scope,
        "attributes": pending.attributes,
        "createdAt": pending.created_text(),
        "modifiedAt": writing.stamp,
    }
    if pending.expires is not None:
        state["expiresAt"] = time_text(EPOCH + timedelta(microseconds=pending.expires))
    return state


@dataclass(slots=True)
class Mark:
    """How an entity, the history and the feed stood before an operation that may fail half-way."""

    pending: Pending | None
    copy: Pending | None
    gone: Pending | None
    history: int
    changes: int


def mark(writing: Writing, entity_id: str) -> Mark:
    pending = writing.pending.get(entity_id)
    copy = None
    if pending is not None:
        copy = Pending(
            pending.id, pending.types, pending.scope, dict(pending.attributes), pending.version, pending.created,
            pending.expires, pending.stored_version, pending.exists, pending.is_stored, pending.is_new, pending.is_whole, pending.is_touched,
            dict(pending.delta), dict(pending.changed), dict(pending.before),
        )  # fmt: skip
    return Mark(pending, copy, writing.gone.get(entity_id), len(writing.history), len(writing.changes))


def roll_back(writing: Writing, entity_id: str, to: Mark) -> None:
    """Undo in memory what an operation on this entity did since the mark."""
    del writing.history[to.history :]
    del writing.changes[to.changes :]
    if to.gone is None:
        writing.gone.pop(entity_id, None)
    else:
        writing.gone[entity_id] = to.gone
    if to.copy is None:
        writing.pending.pop(entity_id, None)
    else:
        writing.pending[entity_id] = to.copy


def is_unrecorded(stored: Instance) -> bool:
    """Whether an instance lives in the state alone.

    What was never observed and never changed (a lamp's height, a stop's code) has no row of history until it does
    change: its state is its history. Of a lamp's fifteen attributes this spares eleven rows.
    """
    return "observedAt" not in stored and "modifiedAt" not in stored


def as_list(instances: Attribute | None) -> list[Instance]:
    if instances is None:
        return []
    return instances if isinstance(instances, list) else [instances]


def from_list(instances: list[Instance]) -> Attribute:
    return instances[0] if len(instances) == 1 else instances


# --- rows of the history --------------------------------------------------------------------------------------------

# A number of which there is nothing more to say than unit and time needs no JSON in the history.
BARE = frozenset({"type", "value", "unitCode", "observedAt", *STAMPS})
NUMBERS = frozenset({int, float})
WHOLE = 2**53  # the history's number column is a double: a larger integer would lose digits


def remember(writing: Writing, entity_id: str, name: str, instance: Instance, modified: str) -> None:
    at = instance.get("observedAt") or modified
    if at != writing.last_at:
        writing.last_at = at
        writing.days.add(at[:10])
        writing.hours.add(at[:13])
    writing.history.append(history_line(entity_id, name, instance, modified))


def history_line(entity_id: str, name: str, instance: Instance, modified: str) -> str:
    """One instance in COPY's text format (`HISTORY_COPY`). Ids and names hold no tab or backslash: validated."""
    observed = instance.get("observedAt")
    value = instance.get("value")
    number = unit = body = "\\N"
    if type(value) in NUMBERS and instance["type"] == "Property" and -WHOLE <= value <= WHOLE:  # type: ignore[operator]
        number = repr(value)
        unit = instance.get("unitCode", unit)
        if not BARE.issuperset(instance) or not _is_plain(unit):
            unit, body = "\\N", _json_field(without_stamps(instance))
    else:
        body = _json_field(without_stamps(instance))
    if observed:
        return (
            f"{entity_id}\t{name}\t{observed}\t{modified}\tt\t{instance.get('datasetId', '')}\t"
            f"{number}\t{unit}\t{body}\tf\n"
        )
    return (
        f"{entity_id}\t{name}\t{modified}\t{modified}\tf\t{instance.get('datasetId', '')}\t"
        f"{number}\t{unit}\t{body}\tf\n"
    )


def deletion_line(entity_id: str, name: str, dataset: str, at: str) -> str:
    return f"{entity_id}\t{name}\t{at}\t{at}\tf\t{dataset}\t\\N\t\\N\t\\N\tt\n"


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


def _array_field(types: Sequence[str]) -> str:
    # Nearly every entity has one type.
    return f'{{"{types[0]}"}}' if len(types) == 1 else "{" + ",".join(f'"{name}"' for name in types) + "}"


def _text_field(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", " ").replace("\n", " ").replace("\r", " ") if text else ""


# --- writing --------------------------------------------------------------------------------------------------------


def store(writing: Writing) -> None:
    """Write state, history and feed of what changed, inside the caller's transaction.

    Raises
    ------
    Outrun
        Another writer created one of the new entities: nothing of this may be committed.
    """
    touched = [one for one in writing.pending.values() if one.delta or one.is_whole or not one.is_stored]
    touched = [one for one in touched if one.exists]
    removed = [one for one in writing.gone.values() if one.is_stored and not one.exists]
    if writing.assumed:
        # An update of attributes looks at the version by itself; all else that was decided rests on a look.
        updated = {one.id for one in touched if one.is_stored and not one.is_whole}
        check_assumed(writing, writing.assumed.keys() - updated)
    if touched or writing.history or writing.changes:
        ensure_partitions(history=map(date.fromisoformat, sorted(writing.days)), changes=[writing.now.date()])
        with connection.cursor() as cursor:
            _store_state(cursor, writing, touched)
            _store_gone(cursor, writing, removed, [one for one in touched if not one.is_stored])
            if writing.history:
                with cursor.copy(HISTORY_COPY) as copy:
                    copy.write("".join(writing.history))
            if writing.hours:
                mark_hours(cursor, writing.hours, writing.now)
            if writing.changes:
                with cursor.copy(CHANGE_COPY) as copy:
                    copy.write("".join(writing.changes))
                cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    tenant = current_tenant()
    kept = list(writing.pending.values())
    transaction.on_commit(lambda: documents.put(tenant, kept))


def _store_state(cursor: Any, writing: Writing, touched: list[Pending]) -> None:
    new: list[dict[str, Any]] = []
    whole: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for one in touched:
        row: dict[str, Any] = {"id": one.id, "version": one.version}
        if one.is_stored and not one.is_whole:
            row["doc"] = orjson.Fragment(one.written) if one.written else one.delta
            row["was"], row["born"] = one.stored_version, one.created
            _place(row, one.delta.get("location"))
            changed.append(row)
            continue
        row |= {
            "type": one.types,
            "scope": one.scope,
            "doc": one.attributes,
            "created": one.created_text(),
            "expires": None
            if one.expires is None
            else time_text(EPOCH + timedelta(microseconds=one.expires)),
        }
        _place(row, one.attributes.get("location"))
        (whole if one.is_stored else new).append(row)
    for name, rows in (
        ("insert_entities", new),
        ("update_entities", changed),
        ("replace_entities", whole),
    ):
        if not rows:
            continue
        rows.sort(key=lambda row: row["id"])
        cursor.execute(
            statement("amb247.context", name), {"rows": orjson.dumps(rows).decode(), "now": writing.now}
        )
        if cursor.rowcount != len(rows):
            raise Outrun


def _place(row: dict[str, Any], location: Attribute | None) -> None:
    """The box around every instance of the location: a query looks at all of them."""
    boxes = [box_of(one["value"]) for one in as_list(location) if one["type"] == "GeoProperty"]
    if not boxes:
        return
    box = boxes[0]
    if len(boxes) > 1:
        west, south, east, north = zip(*boxes, strict=True)
        box = (min(west), min(south), max(east), max(north))
    row["box"], row["cell"] = box, cell_of(*box)


def _store_gone(cursor: Any, writing: Writing, removed: list[Pending], new: list[Pending]) -> None:
    if removed:
        rows = [
            {
                "id": one.id,
                "type": one.types,
                "scope": one.scope,
                "created": one.created_text(),
                "version": one.version,
            }
            for one in removed
        ]
        cursor.execute(
            statement("amb247.context", "write_past"),
            {"rows": orjson.dumps(rows).decode(), "now": writing.now},
        )
        cursor.execute("DELETE FROM context_entity WHERE id = ANY(%s)", [[one.id for one in removed]])
    if new:
        cursor.execute("DELETE FROM context_past WHERE id = ANY(%s)", [[one.id for one in new]])


_open_hours: set[tuple[str, str]] = set()


def mark_hours(cursor: Any, hours: set[str], now: datetime) -> None:
    """Mark the hours whose rollup must be made (again).

    An open hour is marked once a process and waits for nobody. A closed one is marked each time, on its row, so that a
    rollup under way and a late writer wait for each other.
    """
    current, tenant = time_text(now)[:13], current_tenant()
    closed = [f"{hour}:00:00Z" for hour in sorted(hours) if hour < current]
    fresh = [hour for hour in hours if hour >= current and (tenant, hour) not in _open_hours]
    if closed:
        cursor.execute(f"{MARK} DO UPDATE SET touched = EXCLUDED.touched", [closed])
    if fresh:
        cursor.execute(f"{MARK} DO NOTHING", [[f"{hour}:00:00Z" for hour in fresh]])
        transaction.on_commit(lambda: _note_open([(tenant, hour) for hour in fresh]))


MARK = (
    "INSERT INTO context_dirty_hour (hour, touched) SELECT h, now() FROM unnest(%s::timestamptz[]) h ORDER BY h "
    "ON CONFLICT (hour)"
)


def _note_open(hours: list[tuple[str, str]]) -> None:
    if len(_open_hours) > 480:
        _open_hours.clear()
    _open_hours.update(hours)


def forget_caches() -> None:
    """After the database was swapped under the process (tests, restore)."""
    forget_known()
    _open_hours.clear()
    documents.clear()
    trust.restore()
