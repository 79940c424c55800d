"""What the context refuses, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amb247.context.data import Refusal


class ContextError(Exception):
    """The context cannot do what was asked."""


class BatchRefused(ContextError):
    """At least one entity of the batch is wrong, and the caller did not ask to keep the good ones."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        first = self.refusals[0]
        super().__init__(
            f"{len(self.refusals)} refused; first: entity {first.index} ({first.entity_id or 'without id'}), "
            f"field {first.field}: {first.reason}. {first.remedy}"
        )


class BadQuery(ContextError):
    """The query names an unknown operator, a wrong geometry or an impossible page."""


class CursorTooOld(ContextError):
    """The changes after this cursor are no longer kept: read the state again and go on from its cursor."""


class ConcurrentChange(ContextError):
    """Other writers changed the same entities again and again; nothing of this batch was written."""
