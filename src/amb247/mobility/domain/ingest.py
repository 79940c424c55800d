"""Fixes into the context, and their count into the feed's figures: in = taken + refused, always."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from amb247.context.api import FeedHandle, upsert
from amb247.mobility.context import vehicle_entity
from amb247.mobility.data import Refusal, VehicleFix
from amb247.mobility.domain.static import StaticNames

BATCH = 1_000


@dataclass(frozen=True)
class Origin:
    """Whose fixes they are.

    Attributes
    ----------
    feed : str           slug of the static feed whose routes and trips they name; part of the vehicles' ids
    label : str          shown to people as the vehicles' source
    """

    feed: str
    label: str
    handle: FeedHandle
    synthetic: bool = False


@dataclass(frozen=True)
class Taken:
    """What became of some fixes; `taken + sum(refused.values())` is their number."""

    taken: int
    late: int
    unchanged: int
    refused: Mapping[str, int]
    samples: tuple[Refusal, ...]
    newest: datetime | None


def take(
    fixes: Sequence[VehicleFix], origin: Origin, *, names: StaticNames,
    shown_at: Callable[[datetime], datetime] | None = None,
) -> Taken:  # fmt: skip
    """Upsert fixes as Vehicle entities in batches.

    Parameters
    ----------
    shown_at : callable, optional
        Time of a fix -> time under which it is stored (a replay as if it were now)
    """
    taken = late = unchanged = 0
    refused: Counter[str] = Counter()
    samples: list[Refusal] = []
    newest: datetime | None = None
    for start in range(0, len(fixes), BATCH):
        batch = fixes[start : start + BATCH]
        moments = [shown_at(fix.at) if shown_at else fix.at for fix in batch]
        entities = [
            vehicle_entity(
                fix, feed=origin.feed, source=origin.label, synthetic=origin.synthetic, route_names=names.routes,
                route_types=names.route_types, observed_at=moment,
            )
            for fix, moment in zip(batch, moments, strict=True)
        ]  # fmt: skip
        report = upsert(entities, source=origin.handle.slug, keep_good=True)
        taken += report.taken
        late += report.late
        unchanged += report.unchanged
        for refusal in report.refused:
            reason = f"context:{refusal.field} {refusal.code}"
            refused[reason] += 1
            if refused[reason] <= 3:
                samples.append(Refusal(refusal.entity_id or "", reason, f"{refusal.reason}. {refusal.remedy}"))
        newest = max([*moments, newest] if newest else moments)
    return Taken(taken, late, unchanged, dict(refused), tuple(samples), newest)
