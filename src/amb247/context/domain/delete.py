"""Removing entities: the state goes, the history remembers that it went, the feed tells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import orjson
from django.db import connection, transaction

from amb247.context.domain.partitions import ensure_partitions
from amb247.context.domain.upsert import HISTORY_COPY, history_line, is_unrecorded, write_changes
from amb247.context.domain.validate import time_text


def delete(entity_ids: Sequence[str], *, source: str) -> int:
    """Delete those that exist, in one transaction; how many they were."""
    now = datetime.now(UTC)
    stamp = time_text(now)
    with transaction.atomic():
        ensure_partitions(history=[now.date()], changes=[now.date()])
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM context_entity WHERE id IN (SELECT id FROM context_entity WHERE id = ANY(%s) "
                "ORDER BY id FOR UPDATE) RETURNING id, type, doc::text, created_at",
                [list(entity_ids)],
            )
            gone = [
                (entity_id, types, orjson.loads(doc), time_text(created))
                for entity_id, types, doc, created in cursor.fetchall()
            ]
            if not gone:
                return 0
            unrecorded = [
                (entity_id, name, one, one.get("createdAt", created))
                for entity_id, _, doc, created in gone
                for name, stored in doc.items()
                for one in (stored if isinstance(stored, list) else [stored])
                if is_unrecorded(one)
            ]
            ensure_partitions(history={date.fromisoformat(row[3][:10]) for row in unrecorded})
            with cursor.copy(HISTORY_COPY) as copy:
                copy.write("".join(history_line(*row) for row in unrecorded))
            with cursor.copy(
                "COPY context_history (entity_id, attribute, at, modified_at, observed, deleted) FROM STDIN"
            ) as copy:
                copy.write(
                    "".join(
                        f"{entity_id}\t{name}\t{stamp}\t{stamp}\tf\tt\n"
                        for entity_id, _, doc, _ in gone
                        for name in doc
                    )
                )
            write_changes(
                cursor,
                [(entity_id, types, "deleted", b"{}") for entity_id, types, *_ in gone],
                now=stamp,
                source=source,
            )
    return len(gone)
