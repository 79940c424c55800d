"""Forgetting in time: raw history by the type's own term, the change feed after some days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from amb247.context.domain.partitions import drop_partitions_before
from amb247.context.vocabulary import REGISTRY

FEED_DAYS = 3
DEFAULT_DAYS = 90


def apply_retention(*, now: datetime | None = None) -> dict[str, int]:
    """Delete what is past its term; rows deleted per type, and partitions dropped. Hourly figures stay."""
    moment = now or datetime.now(UTC)
    deleted: dict[str, int] = {}
    longest = max([DEFAULT_DAYS, *(kind.history_days for kind in REGISTRY.values())])
    deleted["history partitions"] = len(
        drop_partitions_before("context_history", (moment - timedelta(days=longest)).date())
    )
    for name, kind in REGISTRY.items():
        if kind.history_days < longest:
            deleted[name] = _delete_history(name, moment - timedelta(days=kind.history_days))
    deleted["change feed partitions"] = _trim_feed(moment - timedelta(days=FEED_DAYS))
    return deleted


def _delete_history(entity_type: str, before: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM context_history h USING context_entity e WHERE h.entity_id = e.id AND e.type @> ARRAY[%s] "
            "AND h.at < %s",
            [entity_type, before],
        )
        return int(cursor.rowcount)


def _trim_feed(before: datetime) -> int:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT max(tx::text::bigint) FROM context_change WHERE at < %s",
                [before.replace(hour=0, minute=0, second=0, microsecond=0)],
            )
            highest = cursor.fetchone()[0]
            if highest is not None:
                cursor.execute(
                    "INSERT INTO context_feed_floor (dropped_tx) VALUES (%s) ON CONFLICT (only_one) "
                    "DO UPDATE SET dropped_tx = EXCLUDED.dropped_tx",
                    [highest],
                )
        return len(drop_partitions_before("context_change", before.date()))
