"""Counting what each source brings: messages, taken, refused with the reason, latency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from django.db import connection, transaction
from django.db.models import Sum

from amb247.context.data import FeedMinuteCount, FeedRefusalCount, FeedStatus
from amb247.context.models import Feed, FeedMinute, FeedRefusal

QUIET_FACTOR = 3  # a feed is quiet after this many of its expected intervals without a message
RATE_MINUTES = 5
KEEP_MINUTES = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class FeedHandle:
    """What an adapter holds to count its messages."""

    id: int
    slug: str

    def record(
        self,
        *,
        taken: int,
        refused: Mapping[str, int] | None = None,
        newest: datetime | None = None,
        received_bytes: int = 0,
        messages: int = 1,
        examples: Mapping[str, str] | None = None,
    ) -> None:
        """Add one message's counts.

        Parameters
        ----------
        taken : int
            Rows or entities taken, unchanged and late ones included.
        refused : mapping, optional
            Reason code -> how many.
        newest : datetime, optional
            Newest observation of the message; now minus this is the latency.
        received_bytes, messages : int
            Size of what came, and of how many messages it is made.
        examples : mapping, optional
            Reason code -> one example in words, kept for the feed's page.
        """
        _record(
            self.id,
            taken=taken,
            refused=refused or {},
            newest=newest,
            received_bytes=received_bytes,
            messages=messages,
            examples=examples or {},
        )


def feed(slug: str, *, name: str, kind: str, url: str, synthetic: bool, expected_every_s: int) -> FeedHandle:
    row, _ = Feed.objects.update_or_create(
        slug=slug,
        defaults={
            "name": name,
            "kind": kind,
            "url": url,
            "synthetic": synthetic,
            "expected_every_s": expected_every_s,
        },
    )
    return FeedHandle(row.pk, row.slug)


def _record(
    feed_id: int,
    *,
    taken: int,
    refused: Mapping[str, int],
    newest: datetime | None,
    received_bytes: int,
    messages: int,
    examples: Mapping[str, str],
) -> None:
    now = datetime.now(UTC)
    total = sum(refused.values())
    latency = max((now - newest).total_seconds(), 0.0) if newest is not None else None
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE context_feed SET last_message_at = %s, newest_observation = greatest(newest_observation, %s), "
            "messages = messages + %s, taken = taken + %s, refused = refused + %s, "
            "received_bytes = received_bytes + %s WHERE id = %s",
            [now, newest, messages, taken, total, received_bytes, feed_id],
        )
        cursor.execute(
            "INSERT INTO context_feedminute (feed_id, minute, messages, taken, refused, latency_sum_s, latency_count) "
            "VALUES (%s, date_trunc('minute', %s::timestamptz), %s, %s, %s, %s, %s) ON CONFLICT (feed_id, minute) "
            "DO UPDATE SET messages = context_feedminute.messages + EXCLUDED.messages, "
            "taken = context_feedminute.taken + EXCLUDED.taken, refused = context_feedminute.refused + EXCLUDED.refused, "
            "latency_sum_s = context_feedminute.latency_sum_s + EXCLUDED.latency_sum_s, "
            "latency_count = context_feedminute.latency_count + EXCLUDED.latency_count",
            [feed_id, now, messages, taken, total, latency or 0.0, int(latency is not None)],
        )
        for reason, count in refused.items():
            cursor.execute(
                "INSERT INTO context_feedrefusal (feed_id, reason, count, last_at, example) VALUES (%s, %s, %s, %s, %s) "
                "ON CONFLICT (feed_id, reason) DO UPDATE SET count = context_feedrefusal.count + EXCLUDED.count, "
                "last_at = EXCLUDED.last_at, example = coalesce(nullif(EXCLUDED.example, ''), context_feedrefusal.example)",
                [feed_id, reason[:80], count, now, examples.get(reason, "")[:500]],
            )


def statuses() -> list[FeedStatus]:
    """How every feed does, by slug. Three queries, however many feeds."""
    now = datetime.now(UTC)
    recent = {
        row["feed"]: row
        for row in FeedMinute.objects.filter(minute__gte=now - timedelta(minutes=RATE_MINUTES))
        .values("feed")
        .annotate(m=Sum("messages"), t=Sum("taken"), s=Sum("latency_sum_s"), c=Sum("latency_count"))
    }
    result = []
    for row in Feed.objects.prefetch_related("refusals"):
        lately = recent.get(row.pk)
        result.append(
            FeedStatus(
                slug=row.slug,
                name=row.name,
                kind=row.kind,
                url=row.url,
                last_message_at=row.last_message_at,
                newest_observation=row.newest_observation,
                messages=row.messages,
                taken=row.taken,
                refused=row.refused,
                rate_per_min=round((lately["t"] or 0) / RATE_MINUTES, 1) if lately else 0.0,
                latency_s=round(lately["s"] / lately["c"], 2) if lately and lately["c"] else None,
                synthetic=row.synthetic,
                state=_state(row, now),
                reasons={refusal.reason: refusal.count for refusal in row.refusals.all()},
            )
        )
    return result


def _state(row: Feed, now: datetime) -> Literal["live", "quiet", "never"]:
    if row.last_message_at is None:
        return "never"
    limit = timedelta(seconds=row.expected_every_s * QUIET_FACTOR)
    return "live" if now - row.last_message_at <= limit else "quiet"


def minutes(slug: str, *, since: datetime) -> list[FeedMinuteCount]:
    rows = FeedMinute.objects.filter(feed__slug=slug, minute__gte=since).order_by("minute")
    return [FeedMinuteCount(*row) for row in rows.values_list("minute", "messages", "taken", "refused")]


def refusals(slug: str) -> list[FeedRefusalCount]:
    rows = FeedRefusal.objects.filter(feed__slug=slug).order_by("-count")
    return [FeedRefusalCount(*row) for row in rows.values_list("reason", "count", "last_at", "example")]


def forget_old_minutes() -> int:
    deleted, _ = FeedMinute.objects.filter(minute__lt=datetime.now(UTC) - KEEP_MINUTES).delete()
    return deleted
