"""Fixes into the context, and their count into the feed's figures: in = taken + refused, always."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from amb247.context import api as context
from amb247.context.api import FeedHandle
from amb247.mobility.adapters.gtfs_realtime import read_message
from amb247.mobility.context import vehicle_entity
from amb247.mobility.data import MessageResult, Refusal, VehicleFix
from amb247.mobility.domain.static import StaticNames, static_names
from amb247.mobility.errors import FeedUnknown, UnreadableMessage
from amb247.mobility.models import GtfsFeed

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
        report = context.upsert(entities, source=origin.handle.slug, keep_good=True)
        taken += report.taken
        late += report.late
        unchanged += report.unchanged
        for refusal in report.refused:
            reason = f"context:{refusal.field} {refusal.code}"
            refused[reason] += 1
            if refused[reason] <= 3:
                samples.append(
                    Refusal(refusal.entity_id or "", reason, f"{refusal.reason}. {refusal.remedy}")
                )
        newest = max([*moments, newest] if newest else moments)
    return Taken(taken, late, unchanged, dict(refused), tuple(samples), newest)


def take_pushed(content: bytes, *, feed: str, received_at: datetime, keep_good: bool) -> MessageResult:
    """A message handed over in the process; see `api.take_message`."""
    static = GtfsFeed.objects.filter(slug=feed).values_list("name", "is_synthetic").first()
    if static is None:
        raise FeedUnknown(feed)
    name, is_synthetic = static
    handle = context.feed(
        f"{feed}-rt",
        name=f"{name} · GTFS-Realtime",
        kind="GTFS-Realtime",
        synthetic=is_synthetic,
        expected_every_s=30,
    )
    return take_message(
        content, Origin(feed, name, handle, is_synthetic), now=received_at, keep_good=keep_good
    )


def take_message(
    content: bytes, origin: Origin, *, now: datetime | None, keep_good: bool = False
) -> MessageResult:
    """Read a message, take its vehicles, count both; an unreadable one is counted as one refused."""
    names = static_names(origin.feed)
    try:
        reading = read_message(content, now=now, stops=names.stops, keep_good=keep_good)
    except UnreadableMessage as error:
        refused = {error.reason: 1}
        origin.handle.record(
            taken=0, refused=refused, received_bytes=len(content), examples={error.reason: str(error)}
        )
        return MessageResult("unreadable", 1, 0, refused, len(content), f"{error.reason}: {error}")
    taken = take(reading.fixes, origin, names=names)
    together = Counter(reading.refused) + Counter(taken.refused)
    origin.handle.record(
        taken=taken.taken, refused=together, newest=taken.newest, received_bytes=len(content),
        examples=examples_of((*reading.samples, *taken.samples)),
    )  # fmt: skip
    return MessageResult("taken", reading.seen, taken.taken, dict(together), len(content))


def examples_of(samples: Sequence[Refusal]) -> dict[str, str]:
    """One example in words for each reason."""
    return {one.reason: f"{one.where} {one.value}".strip() for one in reversed(samples)}
