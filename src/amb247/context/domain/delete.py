"""Removing entities: the state goes, the history remembers that it went, the feed tells."""

from __future__ import annotations

from collections.abc import Sequence

from amb247.context.domain.writing import Writing, finish, remove_entity, write


def delete(entity_ids: Sequence[str], *, source: str) -> int:
    """Delete those that exist, in one transaction; how many they were."""

    def work(writing: Writing) -> int:
        for pending in writing.pending.values():
            remove_entity(writing, pending)
            finish(writing, pending)
        return len(writing.pending)

    return write(entity_ids, work, source=source)
