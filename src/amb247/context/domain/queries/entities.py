"""Reads of the current state, compiled to parameterised SQL on its indexes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import shapely
import shapely.geometry
from django.db import connection

from amb247.context.documents.times import time_text
from amb247.context.domain.places import cells_condition
from amb247.context.errors import BadQuery

Condition = tuple[str, str, Any]
COMPARISONS = {"=": "=", "!=": "IS DISTINCT FROM", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
MAX_LIMIT = 10_000
EARTH_RADIUS_M = 6_371_008.8
METRES_PER_DEGREE = 111_195.0


def to_entity(row: Sequence[Any]) -> dict[str, Any]:
    """A row (id, type, scope, doc) as a normalized entity."""
    entity_id, types, scope, doc = row[:4]
    entity: dict[str, Any] = {"id": entity_id, "type": types[0] if len(types) == 1 else types}
    if scope:
        entity["scope"] = scope
    attributes: dict[str, Any] = orjson.loads(doc)
    return entity | attributes


def get(entity_id: str) -> dict[str, Any] | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, type, scope, doc::text, created_at, modified_at FROM context_entity WHERE id = %s",
            [entity_id],
        )
        row = cursor.fetchone()
    return None if row is None else _with_stamps(to_entity(row), time_text(row[4]), time_text(row[5]))


def _with_stamps(entity: dict[str, Any], created: str, modified: str) -> dict[str, Any]:
    """Spell out the stamps that the store leaves away (`writing.STAMPS`)."""
    for attribute in entity.values():
        for instance in attribute if isinstance(attribute, list) else (attribute,):
            if isinstance(instance, dict):
                born = instance.setdefault("createdAt", created)
                instance.setdefault("modifiedAt", born)
    return entity | {"createdAt": created, "modifiedAt": modified}


def query(
    entity_type: str,
    *,
    where: Sequence[Condition],
    within: Mapping[str, Any] | None,
    near: tuple[float, float, float] | None,
    order_by: str | None,
    limit: int,
    offset: int,
) -> list[dict[str, Any]]:
    """See `context.api.query`."""
    if not (0 < limit <= MAX_LIMIT) or offset < 0:
        raise BadQuery(f"limit must be 1 to {MAX_LIMIT} and offset 0 or more; got {limit} and {offset}")
    sql, parameters = _conditions(entity_type, where)
    shape = _shape(within)
    box = shape.bounds if shape is not None else _box_around(near) if near is not None else None
    if box is not None:
        condition, values = cells_condition(box)
        sql += f" AND {condition} AND bbox && box(point(%s, %s), point(%s, %s))"
        parameters += [*values, *box]
    order, order_parameters = _order(order_by)
    exact = shape is not None or near is not None
    # An exact geometry test needs every candidate of the box: paging comes after it.
    page = "" if exact else " LIMIT %s OFFSET %s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, type, scope, doc::text FROM context_entity WHERE {sql} ORDER BY {order}{page}",
            [*parameters, *order_parameters, *([] if exact else [limit, offset])],
        )
        entities = [to_entity(row) for row in cursor.fetchall()]
    if shape is not None:
        shapely.prepare(shape)
        entities = [one for one in entities if shape.intersects(_geometry(one))]
    if near is not None:
        distances = [(distance_m(near, one), one) for one in entities]
        found = [pair for pair in distances if pair[0] <= near[2]]
        if order_by is None:
            found.sort(key=lambda pair: (pair[0], pair[1]["id"]))
        entities = [one for _, one in found]
    return entities[offset : offset + limit] if exact else entities


def count(entity_type: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM context_entity WHERE type @> ARRAY[%s]", [entity_type])
        return int(cursor.fetchone()[0])


def count_by_type() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT t, count(*) FROM context_entity, unnest(type) t GROUP BY t ORDER BY t")
        return dict(cursor.fetchall())


def stream(types: Sequence[str], *, chunk: int = 5_000) -> Iterator[dict[str, Any]]:
    """All entities of these types, in chunks by id, each chunk a statement of its own."""
    after = ""
    while True:
        with connection.cursor() as cursor:
            # IS TRUE keeps the index of types out: for each chunk it would find and sort all that there is of them.
            cursor.execute(
                "SELECT id, type, scope, doc::text FROM context_entity WHERE (type && %s) IS TRUE AND id > %s "
                "ORDER BY id LIMIT %s",
                [list(types), after, chunk],
            )
            rows = cursor.fetchall()
        yield from map(to_entity, rows)
        if len(rows) < chunk:
            return
        after = rows[-1][0]


def _conditions(entity_type: str, where: Sequence[Condition]) -> tuple[str, list[Any]]:
    sql = "type @> ARRAY[%s]"
    parameters: list[Any] = [entity_type]
    for attribute, operator, value in where:
        if operator == "exists":
            sql += " AND doc ? %s" if value else " AND NOT doc ? %s"
            parameters.append(attribute)
            continue
        if operator not in COMPARISONS:
            raise BadQuery(f"unknown operator {operator!r}; use {', '.join(COMPARISONS)} or exists")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            sql += (
                f" AND CASE WHEN jsonb_typeof(doc->%s->'value') = 'number' THEN (doc->%s->>'value')::float8 END "
                f"{COMPARISONS[operator]} %s"
            )
            parameters += [attribute, attribute, value]
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            sql += f" AND coalesce(doc->%s->>'value', doc->%s->>'object') {COMPARISONS[operator]} %s"
            parameters += [attribute, attribute, text]
    return sql, parameters


def _order(order_by: str | None) -> tuple[str, list[Any]]:
    if order_by is None:
        return "id", []
    descending = order_by.startswith("-")
    attribute = order_by.lstrip("-")
    direction = "DESC NULLS LAST" if descending else "ASC NULLS LAST"
    return f"doc->%s->'value' {direction}, id", [attribute]


def _shape(within: Mapping[str, Any] | None) -> Any:
    if within is None:
        return None
    try:
        shape = shapely.geometry.shape(dict(within))
    except Exception as problem:
        raise BadQuery(f"within is no GeoJSON geometry: {problem}") from problem
    if shape.is_empty or shape.geom_type not in {"Polygon", "MultiPolygon"}:
        raise BadQuery("within must be a Polygon or MultiPolygon that is not empty")
    return shape


def _box_around(near: tuple[float, float, float]) -> tuple[float, float, float, float]:
    lon, lat, reach = near
    if not (-180 <= lon <= 180 and -90 <= lat <= 90 and reach > 0):
        raise BadQuery("near must be (longitude, latitude, metres > 0)")
    high = reach / METRES_PER_DEGREE * 1.01
    wide = high / max(math.cos(math.radians(lat)), 0.01)
    return (lon - wide, lat - high, lon + wide, lat + high)


def _geometry(entity: Mapping[str, Any]) -> Any:
    return shapely.geometry.shape(entity["location"]["value"])


def distance_m(near: tuple[float, float, float], entity: Mapping[str, Any]) -> float:
    """Great-circle distance from a point to an entity's location (to its nearest vertex when it is no point)."""
    geometry = entity["location"]["value"]
    points = (
        [geometry["coordinates"]]
        if geometry["type"] == "Point"
        else shapely.get_coordinates(shapely.geometry.shape(geometry))
    )
    return min(_haversine(near[0], near[1], float(p[0]), float(p[1])) for p in points)


def _haversine(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    a1, a2 = math.radians(lat1), math.radians(lat2)
    h = (
        math.sin((a2 - a1) / 2) ** 2
        + math.cos(a1) * math.cos(a2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(h)))
