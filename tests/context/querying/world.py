"""Entities and names for the tests of queries."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import shapely.geometry
from django.db import connection

from amb247.context.domain.places import cell_of
from amb247.context.ngsi_errors import BadRequestData

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Names:
    """A @context without terms of its own: short names stay, IRIs too."""

    def expand(self, term):
        if not term or " " in term:
            raise BadRequestData("no name")
        return term

    def expand_vocab(self, value):
        return f"https://example.org/{value}" if ":" not in value else value


def put(
    entity_id, types=("Thing",), scope=(), created_at=START, modified_at=START, expires_at=None, **attributes
):
    """Write one entity as the writers do."""
    boxes = [
        shapely.geometry.shape(one["value"]).bounds
        for one in _instances(attributes.get("location"))
        if one["type"] == "GeoProperty"
    ]
    box = None
    if boxes:
        box = [
            min(b[0] for b in boxes),
            min(b[1] for b in boxes),
            max(b[2] for b in boxes),
            max(b[3] for b in boxes),
        ]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO context_entity (id, type, scope, doc, bbox, cell, created_at, modified_at, version, expires_at) "
            "VALUES (%s, %s, %s, %s::jsonb, CASE WHEN %s::float8[] IS NULL THEN NULL ELSE "
            "box(point((%s::float8[])[1], (%s::float8[])[2]), point((%s::float8[])[3], (%s::float8[])[4])) END, "
            "%s, %s, %s, 1, %s)",
            [
                entity_id,
                list(types),
                list(scope),
                orjson.dumps(attributes).decode(),
                *[box] * 5,
                cell_of(*box) if box else None,
                created_at,
                modified_at,
                expires_at,
            ],
        )


def _instances(given):
    return [] if given is None else given if isinstance(given, list) else [given]
