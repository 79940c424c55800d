"""The feed as delivery reads it: each change with the whole state after it and what it replaced, in the order of the entity."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
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
# Rows of these entities that lie beyond a full portion: one of them may be an earlier version (see `Order`).
STRAGGLERS = READ.replace("WHERE (tx", "WHERE entity_id = ANY(%(ids)s) AND (tx").replace(
    "LIMIT %(limit)s", ""
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
    cursor: Any, since: Cursor, interest: frozenset[str], *, limit: int, ids: Sequence[str] | None = None
) -> list[Notable]:
    """Changes after a position, in the feed's order; of the given entities only, if there are any."""
    await cursor.execute(
        (READ if ids is None else STRAGGLERS).format(wanted=WANTED),
        {
            "tx": str(since.tx),
            "seq": since.seq,
            "limit": limit,
            "all": "*" in interest,
            "types": sorted(interest),
            "ids": None if ids is None else list(ids),
        },
    )
    return [from_row(row) for row in await cursor.fetchall()]


class Order:
    """Puts the changes of one entity in the order in which they happened.

    The feed is in the order of transaction numbers, and a transaction may have taken its number before another and
    changed the same entity after it. Versions have no gaps, so the next change of an entity is known: one more than the
    last, or 1 when it is made (again).
    """

    def __init__(self) -> None:
        self.last: OrderedDict[str, tuple[int, bool]] = (
            OrderedDict()
        )  # id -> version, whether that was its end

    def sort(self, changes: list[Notable]) -> list[Notable]:
        """The same changes, those of one entity exchanged where needed, and without those that were told before."""
        by_entity: dict[str, list[int]] = {}
        for place, change in enumerate(changes):
            by_entity.setdefault(change.entity_id, []).append(place)
        out: list[Notable | None] = list(changes)
        for entity_id, places in by_entity.items():
            known = self.last.pop(entity_id, None)
            if len(places) == 1 and (known is None or self._follows(known, changes[places[0]])):
                change = changes[places[0]]
                self.last[entity_id] = (change.version, change.op == "deleted")
                continue
            chain, known = self._chain([changes[place] for place in places], known)
            chained: list[Notable | None] = [*chain, *([None] * (len(places) - len(chain)))]
            for place, change_or_none in zip(places, chained, strict=True):
                out[place] = change_or_none
            if known is not None:
                self.last[entity_id] = known
        while len(self.last) > MAX_KNOWN:
            self.last.popitem(last=False)
        return [change for change in out if change is not None]

    def gaps(self, changes: list[Notable]) -> list[str]:
        """Entities of which an earlier change than the ones here may still come."""
        lowest: dict[str, Notable] = {}
        for change in changes:
            known = lowest.get(change.entity_id)
            if known is None or change.version < known.version:
                lowest[change.entity_id] = change
        return [
            entity_id
            for entity_id, change in lowest.items()
            if change.version > 1 and not self._follows(self.last.get(entity_id), change)
        ]

    @staticmethod
    def _follows(known: tuple[int, bool] | None, change: Notable) -> bool:
        if known is None:
            return change.version == 1
        version, has_ended = known
        return change.version == version + 1 or (has_ended and change.version == 1)

    def _chain(
        self, left: list[Notable], known: tuple[int, bool] | None
    ) -> tuple[list[Notable], tuple[int, bool] | None]:
        chain: list[Notable] = []
        while left:
            following = next((one for one in left if self._follows(known, one)), None)
            if following is None:
                if known is not None and not known[1]:
                    stale = [one for one in left if one.version <= known[0] and one.op != "created"]
                    if stale:  # told before, when an earlier portion fetched it
                        left = [one for one in left if one not in stale]
                        continue
                following = left[0] if known is not None else self._earliest(left)
            left = [one for one in left if one is not following]
            chain.append(following)
            known = (following.version, following.op == "deleted")
        return chain, known

    @staticmethod
    def _earliest(left: list[Notable]) -> Notable:
        """The first of them when nothing is known from before: the one that none of the others comes right before."""
        versions = {one.version for one in left}
        return next((one for one in left if one.version - 1 not in versions), left[0])
