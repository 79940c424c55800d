from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection

from amb247.context.documents.parse import parse_temporal
from amb247.context.domain.temporal import upsert_evolution
from amb247.context.jsonld.context import CORE
from amb247.context.querying.temporal import TemporalQuery

FIRST = datetime(2026, 8, 1, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instance(value: object, when: datetime | None = None, **more: object) -> dict:
    made: dict = {"type": "Property", "value": value, **more}
    return made | {"observedAt": stamp(when)} if when else made


def evolution_of(entity_id: str, *, type: str | None = "Probe", **attributes: object) -> bool:  # noqa: A002
    """Through the door that clients use."""
    raw = {"id": entity_id, **({"type": type} if type else {}), **attributes}
    return upsert_evolution(parse_temporal(raw, CORE))


def between(start: datetime, end: datetime, **more: object) -> TemporalQuery:
    return TemporalQuery("between", start, end, "observedAt", **more)


def remember(facts) -> None:
    """Instances as the writers of the state leave them, without checks."""
    by_entity: dict[str, dict[str, list]] = {}
    for fact in facts:
        one = instance(fact.value, fact.at)
        if fact.dataset_id:
            one["datasetId"] = fact.dataset_id
        by_entity.setdefault(fact.entity_id, {}).setdefault(fact.attribute, []).append(one)
    for entity_id, attributes in by_entity.items():
        evolution_of(entity_id, **attributes)


@pytest.fixture
def rows(db):
    def count(table: str = "context_history") -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")
            return cursor.fetchone()[0]

    return count
