"""SQL for the order of entities (GS CIM 009 v1.9.1, 4.23).

Values of several kinds come in the order that the standard names: numbers, texts, objects, lists, flags, times, dates, moments,
null; what lacks the attribute comes last in either direction. Texts are ordered by ICU's root collation where the database
has it, else without regard to case and accents first and to them second, which is the same for the languages of the city.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from amb247.context.domain.queries.reading import Clock, fetch
from amb247.context.ngsi_errors import BadRequestData
from amb247.context.querying.compile import Sql, is_point, point_distance
from amb247.context.querying.geometry import distance_m, shape_of
from amb247.context.querying.query import CONCEPTS, TEXTS, VALUE_KEYS, Order, Path, Query

COLLATION = re.compile(r"(und|[a-z]{2,3})((?:-[A-Za-z0-9]{1,8})*)\Z")
MEMBERS = {"id": "e.id", "type": "e.type", "scope": "nullif(e.scope, '{}')", "createdAt": "e.created_at",
           "modifiedAt": "e.modified_at", "expiresAt": "e.expires_at"}  # fmt: skip
ACCENTED = "áàâäãåāéèêëēíìîïīóòôöõøōúùûüūñçýÿÁÀÂÄÃÅĀÉÈÊËĒÍÌÎÏĪÓÒÔÖÕØŌÚÙÛÜŪÑÇÝŸ"
PLAIN = "aaaaaaaeeeeeiiiiiooooooouuuuuncyyaaaaaaaeeeeeiiiiiooooooouuuuuncyy"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZÁÉÍÓÚÜÑ"
LOWER = "abcdefghijklmnopqrstuvwxyzáéíóúüñ"


class OrderSql(NamedTuple):
    """What follows `FROM context_entity e`, and what follows `ORDER BY`."""

    joins: Sql
    keys: Sql


def order_sql(query: Query, condition: Sql, clock: Clock) -> OrderSql:
    """The order of the entities that meet the condition."""
    _check_collation(query.collation)
    joins: list[Sql] = []
    keys: list[Sql] = []
    for number, order in enumerate(query.order_by):
        direction = " DESC NULLS LAST" if order.descending else " ASC NULLS LAST"
        if order.origin is not None:
            join, key = _distance(order, condition, clock, f"o{number}")
            joins += join
            keys.append(Sql(key.text + direction, key.params))
        elif order.path.attribute in MEMBERS:
            keys.append(Sql(MEMBERS[order.path.attribute] + direction))
        else:
            joins.append(_value_join(order.path, f"o{number}"))
            keys.extend(_value_keys(f"o{number}.v", direction, query.collation))
    return OrderSql(_put_together(joins, " "), _put_together(keys, ", "))


def _put_together(parts: Sequence[Sql], between: str) -> Sql:
    return Sql(
        between.join(part.text for part in parts), tuple(param for part in parts for param in part.params)
    )


# --- by value ----------------------------------------------------------------------------------------------------


def _value_join(path: Path, name: str) -> Sql:
    """The value of the first (default) instance."""
    subs = path.subs[:-1] if path.subs and path.subs[-1] in VALUE_KEYS else path.subs
    last = subs[-1] if subs and subs[-1] in TEXTS | CONCEPTS else None
    if last is not None:
        subs = subs[:-1]
    steps = "$" + "".join(f".{orjson.dumps(step).decode()}[0]" for step in (path.attribute, *subs))
    if last in ("createdAt", "modifiedAt"):
        born = "coalesce(t->'createdAt', to_jsonb(e.created_at))"
        value = f"CASE WHEN t IS NOT NULL THEN {born if last == 'createdAt' else f'''coalesce(t->'modifiedAt', {born})'''} END"
    elif last is not None:
        value = f"t->'{last}'"
    else:
        language = "(SELECT m.value FROM jsonb_each(CASE jsonb_typeof(t->'languageMap') WHEN 'object' THEN t->'languageMap' END) m ORDER BY m.key LIMIT 1)"
        value = f"coalesce(t->'value', t->'object', t->'json', t->'vocab', t->'valueList', t->'objectList', {language})"
    members: tuple[object, ...] = ()
    if path.members:
        value = f"coalesce(({value}) #> %s, t->'languageMap'->(%s))"
        members = (list(path.members), path.members[-1])
    return Sql(
        f"LEFT JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(v0) = 'object' AND v0 ? '@value' THEN v0->'@value' ELSE v0 END "
        f"AS v, v0->>'@type' AS kind FROM (SELECT {value} AS v0 FROM jsonb_path_query_first(e.doc, %s::jsonpath) t) t0) {name} ON TRUE",
        (*members, steps),
    )


def _value_keys(value: str, direction: str, collation: str | None) -> Iterable[Sql]:
    kind = value.replace(".v", ".kind")
    yield Sql(f"CASE WHEN {value} IS NULL THEN 2 WHEN jsonb_typeof({value}) = 'null' THEN 1 ELSE 0 END ASC")
    yield Sql(
        f"CASE jsonb_typeof({value}) WHEN 'number' THEN 1 WHEN 'object' THEN 3 WHEN 'array' THEN 4 WHEN 'boolean' THEN 5 "
        f"WHEN 'string' THEN CASE {kind} WHEN 'Time' THEN 6 WHEN 'Date' THEN 7 WHEN 'DateTime' THEN 8 ELSE 2 END END"
        + direction
    )
    yield Sql(f"CASE WHEN jsonb_typeof({value}) = 'number' THEN ({value})::numeric END{direction}")
    text = f"CASE WHEN jsonb_typeof({value}) = 'string' THEN {value} #>> '{{}}' END"
    for key in _text_keys(text, collation):
        yield Sql(key.text + direction, key.params)
    yield Sql(
        f"CASE WHEN jsonb_typeof({value}) IN ('array', 'object', 'boolean') THEN {value} END{direction}"
    )


def _text_keys(text: str, collation: str | None) -> list[Sql]:
    level = re.search(r"-ks-(level[1-4]|identic)", collation or "")
    if has_icu():
        language = COLLATION.match(collation or "und")
        assert language is not None
        name = f"{language[1]}-x-icu"
        shown = f"lower({text})" if level and level[1] in ("level1", "level2") else text
        return [Sql(f'({shown}) COLLATE "{name}"')]
    base = Sql(f'translate(lower({text}), %s, %s) COLLATE "C"', (ACCENTED, PLAIN))
    if level and level[1] == "level1":
        return [base]
    accents = Sql(f'translate({text}, %s, %s) COLLATE "C"', (UPPER, LOWER))
    if level and level[1] == "level2":
        return [base, accents]
    case = Sql(f'translate({text}, %s, %s) COLLATE "C"', (UPPER + LOWER, LOWER + UPPER))
    return [base, accents, case]


_icu: bool | None = None


def has_icu() -> bool:
    global _icu  # noqa: PLW0603 - a fact of the server that does not change
    if _icu is None:
        _icu = bool(
            fetch("SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu' AND collencoding IN (-1, 6)", [])
        )
    return _icu


def _check_collation(collation: str | None) -> None:
    if collation is None:
        return
    found = COLLATION.match(collation)
    is_known = found is not None and (
        not has_icu()
        or found[1] == "und"
        or bool(fetch("SELECT 1 FROM pg_collation WHERE collname = %s", [f"{found[1]}-x-icu"]))
    )
    if not is_known:
        raise BadRequestData(
            f"collation: {collation[:80]!r} is no ICU collation such as und, es or und-u-ks-level2"
        )


# --- by distance -------------------------------------------------------------------------------------------------


def _distance(order: Order, condition: Sql, clock: Clock, name: str) -> tuple[list[Sql], Sql]:
    path = order.path
    if path == Path("location") and order.origin.geom_type == "Point":
        lines = fetch(
            f"SELECT 1 FROM context_entity e WHERE e.bbox IS NOT NULL AND NOT {is_point('e')} AND {condition.text} LIMIT 1",
            condition.params,
        )
        if not lines:
            metres = point_distance(order.origin, "e")
            return [], Sql(f"CASE WHEN e.bbox IS NOT NULL THEN {metres.text} END", metres.params)
    ids, distances = _distances(order, condition, clock)
    join = Sql(
        f"LEFT JOIN unnest(%s::text[], %s::float8[]) {name}(id, metres) ON {name}.id = e.id", (ids, distances)
    )
    return [join], Sql(f"{name}.metres")


def _distances(order: Order, condition: Sql, clock: Clock) -> tuple[list[str], list[float]]:
    """Of every entity that meets the condition and has the GeoProperty."""
    steps = "$" + "".join(
        f".{orjson.dumps(step).decode()}[*]" for step in (order.path.attribute, *order.path.subs)
    )
    rows = fetch(
        f"SELECT e.id, jsonb_path_query_array(e.doc, %s::jsonpath)::text FROM context_entity e WHERE {condition.text}",
        [f'{steps} ? (@.type == "GeoProperty").value', *condition.params],
    )
    ids, distances = [], []
    for number, (entity_id, geometries) in enumerate(rows):
        if number % 1000 == 0:
            clock.check()
        shapes = [shape for one in orjson.loads(geometries) if (shape := shape_of(one)) is not None]
        if shapes:
            ids.append(entity_id)
            distances.append(min(distance_m(order.origin, shape) for shape in shapes))
    return ids, distances
