"""Entities with an end: gone for readers at once, deleted by the job, in their own tenant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from amb247.context import api
from amb247.context.documents.parse import parse_entity
from amb247.context.domain import operations, tenants
from amb247.context.domain.queries.find import get
from amb247.context.domain.writing import write
from amb247.context.jsonld.context import CORE

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def make(number: int, ends: datetime) -> str:
    parsed = parse_entity(
        {"id": f"urn:ngsi-ld:Event:{number}", "type": "Event", "expiresAt": ends.isoformat()}, CORE
    )
    write([parsed.id], lambda writing: operations.create(writing, parsed, operations.anyone))
    return parsed.id


def test_what_has_ended_is_not_found_and_then_deleted(now):
    ended, lasting = make(1, now - timedelta(seconds=1)), make(2, now + timedelta(days=1))
    assert get(ended) is None
    assert get(lasting) is not None
    assert api.remove_expired() == 1
    assert api.remove_expired() == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT op, entity_id FROM context_change ORDER BY tx, seq")
        assert cursor.fetchall() == [("created", ended), ("created", lasting), ("deleted", ended)]


def test_who_was_given_more_time_stays(now):
    entity_id = make(1, now - timedelta(seconds=1))
    later = parse_entity(
        {"id": entity_id, "type": "Event", "expiresAt": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
        CORE,
    )
    write([entity_id], lambda writing: operations.replace(writing, later, operations.anyone))
    assert api.remove_expired() == 0
    assert get(entity_id) is not None


def test_jobs_walk_through_the_tenants(now):
    tenants.ensure("giron")
    assert api.tenants() == ["", "giron"]
    with tenants.inside("giron"):
        make(1, now - timedelta(seconds=1))
    assert api.remove_expired() == 0
    assert api.remove_expired(tenant="giron") == 1
    api.prepare_ahead(tenant="giron")
    assert api.roll_up(tenant="giron") == []
    assert "change feed partitions" in api.apply_retention(tenant="giron")
