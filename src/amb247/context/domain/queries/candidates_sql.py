"""SQL that every entity meets which a temporal query finds, and few others do.

`q` and the geo-query are about the instances in the interval, else about the one valid before it. SQL looks at each term of `q`
by itself: some instance in the interval must meet it; where the attribute has none there, the state decides if it was never
observed and never changed, and otherwise the entity stays a candidate, for `candidates` to read what was valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from amb247.context.domain.places import cells_condition
from amb247.context.domain.queries import evolution_sql as sql
from amb247.context.domain.queries.evolution_sql import Parameters
from amb247.context.ngsi_errors import BadRequestData
from amb247.context.querying.compile import Condition, plan
from amb247.context.querying.query import (
    AllOf,
    AnyOf,
    Exists,
    Expr,
    Linked,
    Query,
    attributes_of,
    link_depth,
)
from amb247.context.querying.temporal import TemporalQuery

STATE = "(SELECT *, NULL::timestamptz AS deleted_at FROM context_entity)"
PAST = """(SELECT p.id, p.type, p.scope, '{}'::jsonb AS doc, p.bbox, p.cell, p.created_at, p.modified_at,
    NULL::timestamptz AS expires_at, 0::bigint AS version, p.deleted_at
    FROM context_past p WHERE NOT EXISTS (SELECT FROM context_entity x WHERE x.id = p.id))"""
COLUMNS = "e.id, e.type, e.scope, e.created_at, e.modified_at, e.deleted_at"
MEMBERS = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "expiresAt"})
# An entity (alias d) whose only attribute is this instance.
ALONE = """(SELECT e.id, e.type, e.scope, jsonb_build_object(h.attribute, coalesce(h.instance,
    jsonb_build_object('type', 'Property', 'value', h.num, 'unitCode', h.unit))) AS doc, NULL::box AS bbox,
    NULL::bigint AS cell, e.created_at, e.modified_at, NULL::timestamptz AS expires_at, 1 AS version) d"""


def described(query: Query) -> Query:
    """The conditions that do not depend on attributes: they hold for what only the history knows as well."""
    return replace(query, q=None, geo=None, attrs=(), order_by=())


def planned(query: Query, alias: str = "e") -> Condition:
    return plan(query, cells=cells_condition, alias=alias)


def named(condition: Condition, *, prefix: str) -> tuple[str, Parameters]:
    return sql.named(condition.possible.text, condition.possible.params, prefix=prefix)


def looked_at(query: Query) -> frozenset[str]:
    """The attributes that `q` and the geo-query look at."""
    names: frozenset[str] = frozenset() if query.q is None else attributes_of(query.q) - MEMBERS
    return names if query.geo is None else names | {query.geo.geoproperty}


def condition_of(
    query: Query, temporal: TemporalQuery, attributes: Sequence[str] | None
) -> tuple[str, Parameters]:
    """SQL over `STATE` or `PAST` (alias e), and its parameters.

    Raises
    ------
    BadRequestData
        The query follows relationships.
    """
    if link_depth(query.q):
        raise BadRequestData("q: conditions on linked entities are not for temporal queries (5.7.4.4).")
    text, parameters = named(planned(described(query)), prefix="w")
    parameters |= {"start": temporal.start, "end": temporal.end, "names": list(attributes or ())}
    parts = [f"({text})", _has_data(temporal, attributes)]
    if query.geo is not None:
        parts.append(_plausible_place(query, temporal, parameters))
    if query.q is not None and temporal.timeproperty != "deletedAt":
        parts.append(_plausible(query.q, temporal, parameters))
    return " AND ".join(parts), parameters


def _has_data(temporal: TemporalQuery, attributes: Sequence[str] | None) -> str:
    def of(column: str) -> str:
        return "" if attributes is None else f" AND {column} = ANY(%(names)s)"

    own = "h.entity_id = e.id"
    parts = [
        f"EXISTS (SELECT FROM context_history h WHERE {own} AND {sql.within(temporal)}{of('h.attribute')})"
    ]
    if sql.has_hours(temporal):
        parts.append(
            "EXISTS (SELECT FROM context_hour k WHERE k.entity_id = e.id"
            f" AND {sql.hours_within(temporal)}{of('k.attribute')})"
        )
    if sql.state_times(temporal):
        parts.append(f"EXISTS (SELECT FROM {sql.unrecorded_of('e', temporal)}{of('a.key')})")
    return f"({' OR '.join(parts)})"


# The state tells nothing of what was: something of the past alone, or an attribute that was observed or changed.
UNCERTAIN = """(e.version = 0 OR jsonb_typeof(e.doc -> {0}) IS DISTINCT FROM 'object'
    OR e.doc -> {0} ? 'observedAt' OR e.doc -> {0} ? 'modifiedAt')"""


def _plausible(q: Expr, temporal: TemporalQuery, parameters: Parameters) -> str:
    if isinstance(q, (AllOf, AnyOf)):
        word = " AND " if isinstance(q, AllOf) else " OR "
        return f"({word.join(_plausible(part, temporal, parameters) for part in q.parts)})"
    if isinstance(q, Linked) or q.path.attribute in MEMBERS or (q.path.subs and not isinstance(q, Exists)):
        return "true"  # members of the entity, times and sub-attributes are left to `candidates`
    number = len(parameters)
    name = f"t{number}"
    parameters[name] = q.path.attribute
    taken, values = named(planned(Query(q=q), alias="d"), prefix=f"d{number}_")
    parameters |= values
    stands, values = named(planned(Query(q=q)), prefix=f"s{number}_")
    parameters |= values
    rows = (
        "context_history h CROSS JOIN LATERAL "
        f"{ALONE} WHERE h.entity_id = e.id AND h.attribute = %({name})s AND {sql.within(temporal)}"
    )
    none = (
        "NOT EXISTS (SELECT FROM context_history h WHERE h.entity_id = e.id"
        f" AND h.attribute = %({name})s AND {sql.within(temporal)})"
    )
    uncertain = UNCERTAIN.format(f"%({name})s::text")
    return f"(EXISTS (SELECT FROM {rows} AND {taken}) OR ({none} AND ({uncertain} OR {stands})))"


def _plausible_place(query: Query, temporal: TemporalQuery, parameters: Parameters) -> str:
    assert query.geo is not None
    text, values = named(planned(Query(geo=query.geo)), prefix="g")
    parameters |= {**values, "place": query.geo.geoproperty}
    return (
        f"(({text}) OR {UNCERTAIN.format('%(place)s::text')} OR EXISTS (SELECT FROM context_history h"
        f" WHERE h.entity_id = e.id AND h.attribute = %(place)s AND {sql.within(temporal)}))"
    )
