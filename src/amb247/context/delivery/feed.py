"""The feed as delivery reads it: each change with the whole state after it and what it replaced, in the order of the entity."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import orjson

from amb247.context.data import Cursor
from amb247.context.stored import Instance, Stored

MAX_KNOWN = 200_000
Attribute = Instance | list[Instance]

READ = """
SELECT tx::text::bigint, seq, at, op, entity_id, type, version,
       CASE WHEN {wanted} THEN attributes::text END, CASE WHEN {wanted} THEN coalesce(state::text, '') END, before::text
FROM context_change
WHERE (tx, seq) > (%(tx)s::text::xid8, %(seq)s) AND tx < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY tx, seq LIMIT %(limit)s
"""
WANTED = "(state IS NOT NULL OR %(all)s OR type && %(types)s::text[])"
# Earlier versions of some entities that stand behind a portion (see `Order`). They were committed before what was read,
# so they are there, though a transaction that still runs hides them from the portion.
STRAGGLERS = (
    READ.replace("WHERE (tx", "WHERE entity_id = ANY(%(ids)s) AND seq < %(before)s AND (tx")
    .replace("AND tx < pg_snapshot_xmin(pg_current_snapshot())", "")
    .replace("LIMIT %(limit)s", "")
)


@dataclass(slots=True, eq=False)
class Notable:
    """One change, decoded as far as somebody asks for it."""

    position: Cursor
    at: datetime
    op: str
    entity_id: str
    types: list[str]
    version: int
    attributes_text: str | None
    state_text: str | None
    before_text: str | None
    _attributes: dict[str, Attribute | None] | None = None
    _before: dict[str, Attribute | None] | None = None
    _stored: Stored | None = None
    rendered: dict[Any, bytes | None] = field(default_factory=dict)

    @property
    def is_wanted(self) -> bool:
        return self.attributes_text is not None

    @property
    def lacks_state(self) -> bool:
        return self.is_wanted and not self.state_text

    @property
    def attributes(self) -> dict[str, Attribute | None]:
        """Changed attributes; None is removed."""
        if self._attributes is None:
            self._attributes = orjson.loads(self.attributes_text or "{}")
        return self._attributes

    @property
    def before(self) -> dict[str, Attribute | None]:
        """What each changed attribute was; None where it was not there, nothing where nobody kept it."""
        if self._before is None:
            self._before = orjson.loads(self.before_text or "{}")
        return self._before

    @property
    def stored(self) -> Stored:
        """The entity after the change; a deleted one as it was before, with `deleted_at`."""
        if self._stored is None:
            raw = orjson.loads(self.state_text) if self.state_text else {}
            self._stored = stored_of(self, raw)
        return self._stored

    @property
    def as_it_was(self) -> Stored:
        """For matching: an entity that has expired since was still there at the change."""
        stored = self.stored
        return stored if stored.expires_at is None else replace(stored, expires_at=None)

    def take_state(self, stored: Stored) -> None:
        """For a change whose writer did not know yet that somebody asks for it."""
        self._stored = stored


def stored_of(change: Notable, raw: dict[str, Any]) -> Stored:
    attributes = raw.get("attributes", {})
    deleted_at = None
    if change.op == "deleted":
        deleted_at = change.at
        attributes = {name: value for name, value in change.before.items() if value is not None}
    return Stored(
        id=change.entity_id,
        types=change.types,
        scope=raw.get("scope", []),
        attributes=attributes,
        created_at=_moment(raw.get("createdAt")) or change.at,
        modified_at=_moment(raw.get("modifiedAt")) or change.at,
        expires_at=_moment(raw.get("expiresAt")),
        deleted_at=deleted_at,
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def from_row(row: Sequence[Any]) -> Notable:
    tx, seq, at, op, entity_id, types, version, attributes, state, before = row
    return Notable(
        Cursor(tx, seq), at.astimezone(UTC), op, entity_id, types, version, attributes, state, before
    )


async def read(
    cursor: Any, since: Cursor, interest: frozenset[str], order: Order, *, limit: int
) -> tuple[list[Notable], Cursor, bool]:
    """A portion of the feed after a position, with the stragglers that belong before it; its end; whether it is full."""
    wanted = {"tx": str(since.tx), "seq": since.seq, "all": "*" in interest, "types": sorted(interest)}
    await cursor.execute(READ.format(wanted=WANTED), wanted | {"limit": limit})
    changes = [from_row(row) for row in await cursor.fetchall()]
    if not changes:
        return changes, since, False
    last, is_full = changes[-1].position, len(changes) == limit
    gaps = order.gaps(changes)
    if gaps:
        missing = {"ids": gaps, "before": max(change.position.seq for change in changes)}
        await cursor.execute(
            STRAGGLERS.format(wanted=WANTED), wanted | missing | {"tx": str(last.tx), "seq": last.seq}
        )
        changes += [from_row(row) for row in await cursor.fetchall()]
    return changes, last, is_full


def is_straight(changes: Sequence[Notable]) -> bool:
    """Whether each stands behind the one before it: then the place of each is one to go on from."""
    return all(one.position < other.position for one, other in pairwise(changes))


class Order:
    """Puts the changes of one entity in the order in which they happened.

    The feed is in the order of transaction numbers, and a transaction may have taken its number before another and
    changed the same entity after it. The later change can even be visible before the earlier one: with three writers A,
    B, C of one entity that took their numbers in this order and got its lock in the order C, A, B, the change of A is
    shown while B still runs, and B hides C. The feed's sequence is taken under the entity's lock, so within one entity
    it says the order; versions have no gaps, so what is missing is noticed, looked for (`gaps`), and told first.
    """

    def __init__(self) -> None:
        self.last: OrderedDict[str, tuple[int, int]] = OrderedDict()  # id -> sequence and version told last

    def sort(self, changes: list[Notable]) -> list[Notable]:
        """The same changes, those of one entity exchanged where needed, and without those that were told before."""
        by_entity: dict[str, list[int]] = {}
        for place, change in enumerate(changes):
            by_entity.setdefault(change.entity_id, []).append(place)
        out: list[Notable | None] = list(changes)
        for entity_id, places in by_entity.items():
            told, version = self.last.pop(entity_id, (0, 0))
            own = sorted((changes[place] for place in places), key=_sequence)
            for place, change in zip(places, own, strict=True):
                out[place] = change if change.position.seq > told else None
            newest = own[-1]
            is_news = newest.position.seq > told
            self.last[entity_id] = (newest.position.seq, newest.version) if is_news else (told, version)
        while len(self.last) > MAX_KNOWN:
            self.last.popitem(last=False)
        return [change for change in out if change is not None]

    def gaps(self, changes: list[Notable]) -> list[str]:
        """Entities of which a change is missing between those that were told and those that are here."""
        found: list[str] = []
        before: dict[str, int] = {}
        for change in sorted(changes, key=_sequence):
            entity_id = change.entity_id
            told, version = self.last.get(entity_id, (0, 0))
            if change.position.seq <= told:
                continue
            if change.version not in {1, before.get(entity_id, version) + 1}:
                found.append(entity_id)
            before[entity_id] = change.version
        return list(dict.fromkeys(found))


def _sequence(change: Notable) -> int:
    return change.position.seq
