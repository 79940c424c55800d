"""A query as SQL over `context_entity`, with every value a parameter or a quoted JSON path.

What SQL cannot decide alone (patterns beyond the simple ones, most relations of geometry) becomes two conditions: one that
every fitting entity meets (`possible`) and one that only fitting entities meet (`certain`). What lies between is decided by
`matching.matcher`, which says the same as this module in Python; a property test holds the two together. Where both are the
same condition, the plan is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from amb247.context.querying.geometry import EARTH_RADIUS_M, Box, candidate_box
from amb247.context.querying.moments import sql_date, sql_moment, sql_time
from amb247.context.querying.patterns import ANY_CASE, for_postgresql
from amb247.context.querying.query import (
    CONCEPTS,
    ENTITY_MEMBERS,
    STAMPS,
    TEXTS,
    VALUE_KEYS,
    AllOf,
    AnyOf,
    Compare,
    Exists,
    Expr,
    GeoQuery,
    Linked,
    Matches,
    Path,
    Query,
    Range,
    Restriction,
    ScopeExpr,
    ScopePattern,
    Selector,
    TypeExpr,
    Value,
)

# `domain.places.cells_condition`, which this layer may not import; without it places are found by their boxes alone.
CellsCondition = Callable[..., tuple[str, list[Any]]]


@dataclass(frozen=True, slots=True)
class Arm:
    """A part of the entities by how many types they have: those with `only` one, or those with several.

    Every part has an index of its own; the first kind is read in the order of ids.
    """

    only: str | None = None


SEVERAL = Arm()


def arms_of(query: Query) -> list[Arm | None]:
    """The parts in which a query of few types is best read, without overlap; one None when it is better not divided."""
    names = _sole_types(query)
    if names is None or query.ids or len(names) > MAX_ARMS:
        return [None]
    return [*(Arm(name) for name in sorted(names)), SEVERAL]


MAX_ARMS = 8


def _sole_types(query: Query) -> frozenset[str] | None:
    """The types that may be the only one of a fitting entity; None when any may."""
    asked = [query.types] if query.types is not None else [one.types for one in query.selectors]
    if not asked or any(one is None for one in asked):
        return query.restriction.types if query.restriction is not None else None
    alternatives = [names for one in asked if one is not None for names in one.alternatives]
    if () in alternatives:
        return None
    return frozenset(names[0] for names in alternatives if len(names) == 1)


class Sql(NamedTuple):
    text: str
    params: tuple[Any, ...] = ()


TRUE, FALSE = Sql("TRUE"), Sql("FALSE")


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold, and what suffices."""

    possible: Sql
    certain: Sql

    @property
    def is_exact(self) -> bool:
        return self.possible == self.certain


def exactly(text: str, *params: Any) -> Condition:
    sql = Sql(text, params)
    return Condition(sql, sql)


@dataclass(frozen=True, slots=True)
class IndexKey:
    """An expression on an attribute's value, of which there may be an index (`domain.indexes`)."""

    attribute: str
    kind: str  # "text" (equality of texts, flags and links) or "number" (all comparisons of numbers)


def where(
    query: Query,
    *,
    cells: CellsCondition | None = None,
    indexed: Collection[IndexKey] = (),
    alias: str = "e",
) -> tuple[str, list[Any]]:
    """Condition and parameters that every fitting entity meets; see `plan` for whether it suffices."""
    possible = plan(query, cells=cells, indexed=indexed, alias=alias).possible
    return possible.text, list(possible.params)


def plan(
    query: Query,
    *,
    cells: CellsCondition | None = None,
    indexed: Collection[IndexKey] = (),
    alias: str = "e",
    arm: Arm | None = None,
    centres_elsewhere: bool = False,
) -> Condition:
    """The whole query but order and page; expired entities are left out.

    Parameters
    ----------
    arm : Arm, optional
        Only this part of the entities (`arms_of`).
    indexed : collection of IndexKey
        The indexes on values that there are.
    centres_elsewhere : bool
        The caller tests whether centres lie in the restriction's areas; the plan is then exact without that.
    """
    return _Compiler(cells, frozenset(indexed), query.restriction, arm, centres_elsewhere).query(query, alias)


def _all(conditions: Iterable[Condition]) -> Condition:
    return _joined(list(conditions), " AND ", TRUE)


def _any(conditions: Iterable[Condition]) -> Condition:
    return _joined(list(conditions), " OR ", FALSE)


def _joined(conditions: list[Condition], word: str, empty: Sql) -> Condition:
    if not conditions:
        return Condition(empty, empty)
    if len(conditions) == 1:
        return conditions[0]
    possible = _join([one.possible for one in conditions], word)
    if all(one.is_exact for one in conditions):
        return Condition(possible, possible)
    return Condition(possible, _join([one.certain for one in conditions], word))


def _join(parts: list[Sql], word: str) -> Sql:
    return Sql(
        "(" + word.join(part.text for part in parts) + ")",
        tuple(param for part in parts for param in part.params),
    )


class _Compiler:
    def __init__(
        self,
        cells: CellsCondition | None,
        indexed: frozenset[IndexKey],
        restriction: Restriction | None,
        arm: Arm | None,
        centres_elsewhere: bool,
    ) -> None:
        self.cells = cells
        self.indexed = indexed
        self.restriction = restriction
        self.arm = arm
        self.centres_elsewhere = centres_elsewhere
        self.aliases = 0

    def query(self, query: Query, alias: str) -> Condition:
        return _all(self._parts(query, alias))

    def _parts(self, query: Query, alias: str) -> Iterable[Condition]:
        yield alive(alias)
        if query.ids:
            yield exactly(f"{alias}.id = ANY(%s)", list(query.ids))
        if query.id_pattern is not None:
            yield _id_pattern(query.id_pattern, alias)
        if self.arm is not None:
            yield _arm_condition(self.arm, alias)
        if query.types is not None and not (self.arm and (self.arm.only,) in query.types.alternatives):
            yield types_condition(query.types, alias)
        if query.selectors:
            yield _any(_selector(one, alias) for one in query.selectors)
        if query.attrs:
            yield exactly(f"{alias}.doc ?| %s", list(query.attrs))
        if query.scope is not None:
            yield scope_condition(query.scope, alias)
        if self.restriction is not None:
            yield self.allowed(alias, centres_elsewhere=self.centres_elsewhere)
        if query.q is not None:
            yield self.expression(query.q, alias)
        if query.geo is not None:
            yield self.geo(query.geo, alias)

    # --- who may see it

    def allowed(self, alias: str, *, centres_elsewhere: bool = False) -> Condition:
        assert self.restriction is not None
        types, areas = self.restriction.types, self.restriction.areas
        parts = [] if types is None else [exactly(f"{alias}.type && %s", sorted(types))]
        if areas is not None:
            near = _any(self._in_area(area.bounds, alias) for area in areas)
            parts.append(Condition(near.possible, near.possible) if centres_elsewhere else near)
        return _all(parts)

    def _in_area(self, box: Box, alias: str) -> Condition:
        return Condition(self._touching(box, alias), FALSE)

    def _touching(self, box: Box, alias: str) -> Sql:
        if self.cells is None:
            return Sql(_touches(alias), box)
        text, params = self.cells(box, column=f"{alias}.cell")
        return Sql(f"({text} AND {_touches(alias)})", (*params, *box))

    # --- places

    def geo(self, geo: GeoQuery, alias: str) -> Condition:
        exists = Sql(f"{alias}.doc ? %s", (geo.geoproperty,))
        box = candidate_box(geo)
        if geo.geoproperty != "location":
            return Condition(exists, FALSE)
        if box is None:
            return Condition(_and(exists, Sql(f"{alias}.bbox IS NOT NULL")), _surely(geo, alias))
        possible = self._touching(box, alias)
        if geo.relation == "near" and geo.shape.geom_type == "Point":
            # Points within the box but not within the circle need not be looked at.
            possible = _and(possible, _near(geo, alias, margin=1 + 1e-9))
        return Condition(possible, _and(possible, _surely(geo, alias)))

    # --- q

    def expression(self, expr: Expr, alias: str) -> Condition:
        match expr:
            case AllOf(parts):
                return _all(self.expression(part, alias) for part in parts)
            case AnyOf(parts):
                return _any(self.expression(part, alias) for part in parts)
            case Linked():
                return self._linked(expr, alias)
            case Exists(path):
                return _exists(path, alias)
            case Compare():
                return self._compare(expr, alias)
            case Matches():
                return _matches(expr, alias)

    def _linked(self, linked: Linked, alias: str) -> Condition:
        self.aliases += 1
        other = f"l{self.aliases}"
        parts = [alive(other), self.expression(linked.condition, other)]
        if linked.types:
            parts.append(exactly(f"{other}.type && %s", list(linked.types)))
        if self.restriction is not None:
            parts.append(self.allowed(other))
        inner = _all(parts)
        steps = _step(linked.relation)
        paths = [f"${steps}.object[*]", f"${steps}.objectList[*]", f"${steps}.objectList[*].object[*]"]
        found = (
            f"EXISTS (SELECT 1 FROM unnest(%s::jsonpath[]) p, jsonb_path_query({alias}.doc, p) o "
            f"JOIN context_entity {other} ON {other}.id = (o #>> '{{}}') WHERE jsonb_typeof(o) = 'string' AND "
        )

        def sql(part: Sql) -> Sql:
            return Sql(f"{found}{part.text})", (paths, *part.params))

        possible = sql(inner.possible)
        return Condition(possible, possible if inner.is_exact else sql(inner.certain))

    def _compare(self, term: Compare, alias: str) -> Condition:
        if _is_about_stamp(term):
            return _by_stamp(term, alias)
        exact = _comparison(term, alias)
        key = index_key(term) if self.indexed else None
        if key is None or key not in self.indexed:
            return exact
        # What the index leaves out does not fit, so the two together are as exact as the one.
        both = _and(_lookup(key, term, alias), exact.possible)
        return exactly(both.text, *both.params)


def alive(alias: str) -> Condition:
    return exactly(f"({alias}.expires_at IS NULL OR {alias}.expires_at > statement_timestamp())")


def _and(*parts: Sql) -> Sql:
    return FALSE if FALSE in parts else _join(list(parts), " AND ")


# --- ids, types, scopes ------------------------------------------------------------------------------------------


def _id_pattern(pattern: str, alias: str) -> Condition:
    translated = for_postgresql(pattern)
    if translated is None:
        return Condition(TRUE, FALSE)
    return exactly(f"{alias}.id ~ %s", translated)


def _arm_condition(arm: Arm, alias: str) -> Condition:
    if arm.only is None:
        return exactly(f"cardinality({alias}.type) > 1")
    return exactly(f"{alias}.type = ARRAY[%s]::text[]", arm.only)


def types_condition(types: TypeExpr, alias: str) -> Condition:
    singles = sorted(names[0] for names in types.alternatives if len(names) == 1)
    parts = [exactly(f"{alias}.type && %s", singles)] if singles else []
    for names in types.alternatives:
        if not names:
            return exactly("TRUE")
        if len(names) > 1:
            parts.append(exactly(f"{alias}.type @> %s", list(names)))
    return _any(parts)


def _selector(selector: Selector, alias: str) -> Condition:
    parts = []
    if selector.ids:
        parts.append(exactly(f"{alias}.id = ANY(%s)", list(selector.ids)))
    if selector.types is not None:
        parts.append(types_condition(selector.types, alias))
    if selector.id_pattern is not None:
        parts.append(_id_pattern(selector.id_pattern, alias))
    return _all(parts)


def scope_condition(scope: ScopeExpr, alias: str) -> Condition:
    found = _any(_all(_scope_pattern(one, alias) for one in patterns) for patterns in scope.alternatives)
    return _all([exactly(f"cardinality({alias}.scope) > 0"), found])  # the index is partial


def _scope_pattern(pattern: ScopePattern, alias: str) -> Condition:
    fixed: list[str] = []
    for level in pattern.levels:
        if level == "+":
            break
        fixed.append(level)
    whole = len(fixed) == len(pattern.levels)
    if whole and not pattern.below:
        return exactly(f"{alias}.scope @> %s", ["/" + "/".join(fixed)])
    # Every scope stands in the index with all that lies above it (sql/0007_indexes.sql).
    above = exactly(f"context_scopes_above({alias}.scope) @> %s", ["/" + "/".join(fixed)])
    if whole:
        return above
    levels = "".join("/[^/]+" if level == "+" else "/" + _escaped(level) for level in pattern.levels)
    regex = f"^{levels}(/.*)?$" if pattern.below else f"^{levels}$"
    if set(pattern.levels) == {"+"} and len(pattern.levels) == 1 and pattern.below:
        return above
    return _all([above, exactly(f"EXISTS (SELECT 1 FROM unnest({alias}.scope) s WHERE s ~ %s)", regex)])


def _escaped(level: str) -> str:
    return "".join(one if one.isalnum() or one == "_" else "\\" + one for one in level)


# --- places ------------------------------------------------------------------------------------------------------


def _touches(alias: str) -> str:
    # As a CASE, since the planner takes `&&` alone to leave one row in two hundred; the cells say it better.
    return f"CASE WHEN {alias}.bbox && box(point(%s, %s), point(%s, %s)) THEN TRUE ELSE FALSE END"


def _near(geo: GeoQuery, alias: str, *, margin: float) -> Sql:
    """Whether what lies at one point lies nearer than the distance; lines and areas may, but not surely."""
    metres = (geo.max_distance or geo.min_distance or 0.0) * margin
    compared = "<=" if geo.max_distance is not None else ">"
    distance = point_distance(geo.shape, alias)
    others = "TRUE" if (margin > 1) == (geo.max_distance is not None) else "FALSE"
    return Sql(
        f"CASE WHEN {is_point(alias)} THEN {distance.text} {compared} %s ELSE {others} END",
        (*distance.params, metres),
    )


def is_point(alias: str) -> str:
    """Whether all of an entity's location is one point; the document need not be opened for this."""
    return f"(width({alias}.bbox) = 0 AND height({alias}.bbox) = 0)"


def point_distance(origin: Any, alias: str) -> Sql:
    """Metres from a point to the corner of the entity's box, as `geometry.haversine_m` has it."""
    lon, lat = f"radians((({alias}.bbox)[0])[0])", f"radians((({alias}.bbox)[0])[1])"
    x, y = float(origin.x), float(origin.y)
    return Sql(
        f"{2 * EARTH_RADIUS_M!r} * asin(least(1.0, sqrt(power(sin(({lat} - radians(%s)) / 2), 2) + cos({lat}) * "
        f"cos(radians(%s)) * power(sin(({lon} - radians(%s)) / 2), 2))))",
        (y, y, x),
    )


def _surely(geo: GeoQuery, alias: str) -> Sql:
    if geo.relation == "near" and geo.shape.geom_type == "Point":
        margin = 1 - 1e-9 if geo.max_distance is not None else 1 + 1e-9
        return _and(Sql(f"{alias}.bbox IS NOT NULL"), _near(geo, alias, margin=margin))
    return FALSE


# --- q: paths ----------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """Where the targets of a path are: SQL that gives the root document, a JSON path from there, what narrows them."""

    root: str
    steps: str
    stamp: str = ""  # createdAt or modifiedAt of an instance, which are not always written there


ENTITY_STAMPS = {"createdAt": "created_at", "modifiedAt": "modified_at", "expiresAt": "expires_at"}
CANONICAL = frozenset({"observedAt", "createdAt", "modifiedAt", "expiresAt", "deletedAt"})


def _json(text: Any) -> str:
    return orjson.dumps(text).decode()


def _step(name: str) -> str:
    return f".{_json(name)}[*]"


def _place(path: Path, alias: str) -> _Place:
    """A target is an object; of a member that is no attribute, the object that holds it."""
    if path.attribute in ENTITY_MEMBERS:
        return _Place(_member_root(path.attribute, alias), "$")
    subs = path.subs[:-1] if path.subs and path.subs[-1] in VALUE_KEYS else path.subs
    last = subs[-1] if subs else ""
    if last in STAMPS:
        return _Place(f"{alias}.doc", f"${_step(path.attribute)}{''.join(map(_step, subs[:-1]))}", last)
    if last in TEXTS or last in CONCEPTS:
        steps = f"${_step(path.attribute)}{''.join(map(_step, subs[:-1]))}"
        return _Place(f"{alias}.doc", f"{steps} ? (exists(@.{_json(last)}))")
    steps = f"${_step(path.attribute)}{''.join(map(_step, subs))}"
    return _Place(f"{alias}.doc", f'{steps} ? (@.type() == "object")')


def _member_root(name: str, alias: str) -> str:
    match name:
        case "id":
            return f"jsonb_build_object('value', {alias}.id)"
        case "scope":
            return f"CASE WHEN cardinality({alias}.scope) > 0 THEN jsonb_build_object('value', {alias}.scope) END"
        case "createdAt":
            return f"jsonb_build_object('value', {_moment_text(f'{alias}.created_at')})"
        case "modifiedAt":
            return f"jsonb_build_object('value', {_moment_text(f'{alias}.modified_at')})"
        case _:
            return (
                f"CASE WHEN {alias}.expires_at IS NOT NULL THEN "
                f"jsonb_build_object('value', {_moment_text(f'{alias}.expires_at')}) END"
            )


def _moment_text(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def _pool_paths(path: Path) -> list[str]:
    """JSON paths from a target (``@``) to its pool, each of which is unwrapped once."""
    last = path.subs[-1] if path.subs else ""
    if last in TEXTS and last not in STAMPS:
        return [] if path.members else [f"@.{_json(last)}"]
    if last in CONCEPTS:
        return []
    inner = "".join(f".{_json(name)}" for name in path.members)
    found = [
        f"@.{key}{inner}{typed}" for key in ("value", "json", "valueList") for typed in ("", '."@value"')
    ]
    if not path.members:
        return [*found, "@.languageMap.*"]
    if len(path.members) == 1:
        language = path.members[0]
        # `*` never is a member's name: MEMBER lets it stand for any language alone.
        found.append("@.languageMap.*" if language == "*" else f"@.languageMap.{_json(language)}")
    return found


def _link_paths(path: Path) -> list[str]:
    last = path.subs[-1] if path.subs else ""
    if path.members or last in TEXTS or last in CONCEPTS:
        return []
    return ["@.object", "@.objectList", "@.objectList.object"]


def _concept_paths(path: Path) -> list[str]:
    last = path.subs[-1] if path.subs else ""
    if path.members or last in TEXTS:
        return []
    return [f"@.{_json(last)}"] if last in CONCEPTS else ["@.vocab"]


def _definedness(path: Path) -> str:
    """A JSON path condition on a target: that its trailing path leads somewhere."""
    if not path.members:
        return ""
    inner = "".join(f".{_json(name)}" for name in path.members)
    parts = [f"exists(@.{key}{inner})" for key in ("value", "json", "valueList")]
    if len(path.members) == 1:
        language = path.members[0]
        parts.append(f"exists(@.languageMap.{'*' if language == '*' else _json(language)})")
    return " || ".join(parts)


def _exists(path: Path, alias: str) -> Condition:
    if path.attribute not in ENTITY_MEMBERS and not path.subs and not path.members:
        return exactly(f"{alias}.doc ? %s", path.attribute)
    place = _place(path, alias)
    defined = _definedness(path)
    narrowed = f"{place.steps} ? ({defined})" if defined else place.steps
    return exactly(f"coalesce(jsonb_path_exists({place.root}, %s::jsonpath), FALSE)", narrowed)


# --- q: comparisons by JSON path ---------------------------------------------------------------------------------


def _kind(value: Value | Range) -> str:
    return value.low.kind if isinstance(value, Range) else value.kind


def _kinds(term: Compare) -> set[str]:
    return {_kind(value) for value in term.values}


def _is_about_stamp(term: Compare) -> bool:
    """Whether moments are compared with what the store itself writes, which has one form only."""
    if _kinds(term) != {"datetime"}:
        return False
    path = term.path
    return path.subs[-1] in CANONICAL if path.subs else path.attribute in ENTITY_STAMPS


def _comparison(term: Compare, alias: str) -> Condition:
    """JSON path compares numbers, flags and texts quickly, but no moments that are written in several ways."""
    if term.path.subs and term.path.subs[-1] in STAMPS:
        return _by_targets(term, alias)
    simple = tuple(value for value in term.values if _kind(value) in ("number", "boolean", "text"))
    if len(simple) == len(term.values):
        return _by_path(term, alias)
    if term.operator == "!=":
        return _by_targets(term, alias)
    rest = tuple(value for value in term.values if value not in simple)
    parts = [_by_rows(Compare(term.path, term.operator, rest), alias)]
    if simple:
        parts.append(_by_path(Compare(term.path, term.operator, simple), alias))
    return _any(parts)


def _by_stamp(term: Compare, alias: str) -> Condition:
    if not term.path.subs:
        column = f"{alias}.{ENTITY_STAMPS[term.path.attribute]}"
        test = _column_test(term, column)
        return exactly(f"({column} IS NOT NULL AND {test.text})", *test.params)
    *subs, last = term.path.subs
    steps = f"$.{_json(term.path.attribute)}[*]{''.join(map(_step, subs))}"
    written = _text_test(term, last)
    if last not in STAMPS:
        return exactly(f"jsonb_path_exists({alias}.doc, %s::jsonpath)", f"{steps} ? ({written})")
    # What is not written is the moment at which the entity was created.
    if last == "modifiedAt":
        written = f"({written}) || (!exists(@.modifiedAt) && ({_text_test(term, 'createdAt')}))"
    absent = "!exists(@.createdAt)" + (" && !exists(@.modifiedAt)" if last == "modifiedAt" else "")
    born = _column_test(term, f"{alias}.created_at")
    return exactly(
        f"(jsonb_path_exists({alias}.doc, %s::jsonpath) OR ({born.text} AND jsonb_path_exists({alias}.doc, %s::jsonpath)))",
        f"{steps} ? ({written})",
        *born.params,
        f'{steps} ? (@.type() == "object" && {absent})',
    )


def _column_test(term: Compare, column: str) -> Sql:
    tests = []
    sign = "==" if term.operator == "!=" else term.operator
    for value in term.values:
        if isinstance(value, Range):
            tests.append(
                Sql(
                    f"{column} BETWEEN %s::timestamptz AND %s::timestamptz",
                    (_iso(value.low), _iso(value.high)),
                )
            )
        else:
            tests.append(Sql(f"{column} {'=' if sign == '==' else sign} %s::timestamptz", (_iso(value),)))
    found = _join(tests, " OR ")
    return Sql(f"NOT {found.text}", found.params) if term.operator == "!=" else found


def _iso(value: Value) -> str:
    assert isinstance(value.value, datetime)
    return value.value.isoformat()


def _text_test(term: Compare, name: str) -> str:
    """The comparison with a stamp as the store writes it: ``...:05.123Z``, or six digits where three do not do."""
    tests: list[str] = []
    sign = "==" if term.operator == "!=" else term.operator
    for value in term.values:
        if isinstance(value, Range):
            tests.append(f"({_stamp_test(value.low, '>=', name)}) && ({_stamp_test(value.high, '<=', name)})")
        else:
            tests.append(_stamp_test(value, sign, name))
    found = " || ".join(f"({one})" for one in tests)
    return f"exists(@.{_json(name)}) && !({found})" if term.operator == "!=" else found


def _stamp_test(value: Value, sign: str, name: str) -> str:
    """Texts of a millisecond and of a microsecond do not sort as the moments do: ``Z`` stands above all digits."""
    assert isinstance(value.value, datetime)
    text = value.value.astimezone(UTC).isoformat(timespec="microseconds")
    whole, rest = _json(text[:23] + "Z"), text[23:26]
    at = f"@.{_json(name)}"
    exact = whole if rest == "000" else _json(text[:26] + "Z")
    first = _json(
        text[:23] + rest + "Z"
    )  # sorts before every text of six digits in this millisecond that is later
    match sign:
        case "==":
            return f"{at} == {exact}"
        case ">":
            return f"{at} > {whole} || ({at} > {first} && {at} < {whole})"
        case ">=":
            same = f"{at} == {whole}" if rest == "000" else f"{at} >= {first} && {at} < {whole}"
            later = f"{at} > {first} && {at} < {whole}" if rest == "000" else same
            return f"{at} > {whole} || ({same}) || ({later})"
        case "<":
            return f"!({_stamp_test(value, '>=', name)}) && exists({at})"
        case _:
            return f"!({_stamp_test(value, '>', name)}) && exists({at})"


def _by_path(term: Compare, alias: str) -> Condition:
    place = _place(term.path, alias)
    test = " || ".join(_path_tests(term))
    if term.operator == "!=":
        # exists() is never unknown, as a comparison of different kinds is.
        defined = _definedness(term.path)
        test = f"!exists(@ ? ({test}))" if test else "true == true"
        test = f"({defined}) && {test}" if defined else test
    if not test:
        return exactly("FALSE")
    looked_at = Sql(
        f"coalesce(jsonb_path_exists({place.root}, %s::jsonpath), FALSE)", (f"{place.steps} ? ({test})",)
    )
    return _plain_first(term, alias, looked_at)


def _plain_first(term: Compare, alias: str, looked_at: Sql) -> Condition:
    """Most targets are one instance with one plain value of the kind asked for: it is compared as it is, three times as quickly."""
    path, kinds = term.path, _kinds(term)
    is_ordered = term.operator != "==" or any(isinstance(value, Range) for value in term.values)
    if (
        path.attribute in ENTITY_MEMBERS
        or path.subs
        or path.members
        or term.operator == "!="
        or len(kinds) != 1
        or (is_ordered and kinds != {"number"})  # texts of jsonb are ordered as the database's language does
    ):
        return exactly(looked_at.text, *looked_at.params)
    value = f"{alias}.doc->%s->'value'"
    tests: list[Sql] = []
    for one in term.values:
        if isinstance(one, Range):
            tests.append(
                Sql(
                    f"{value} BETWEEN %s::jsonb AND %s::jsonb",
                    (path.attribute, _literal(one.low), _literal(one.high)),
                )
            )
        else:
            sign = "=" if term.operator == "==" else term.operator
            tests.append(Sql(f"{value} {sign} %s::jsonb", (path.attribute, _literal(one))))
    plain = _join(tests, " OR ")
    (kind,) = kinds
    kind = "string" if kind == "text" else kind
    return exactly(
        f"CASE WHEN jsonb_typeof({value}) = '{kind}' THEN {plain.text} ELSE {looked_at.text} END",
        path.attribute,
        *plain.params,
        *looked_at.params,
    )


def _path_tests(term: Compare) -> Iterable[str]:
    path = term.path
    for value in term.values:
        pool = _pool_paths(path)
        if isinstance(value, Range):
            low, high = _literal(value.low), _literal(value.high)
            yield from (f"exists({one} ? (@ >= {low} && @ <= {high}))" for one in pool)
            continue
        sign = "==" if term.operator == "!=" else term.operator
        yield from (f"{one} {sign} {_literal(value)}" for one in pool)
        if sign == "==" and value.kind == "text":
            yield from (f"{one} == {_literal(value)}" for one in _link_paths(path))
            if value.concept is not None:
                yield from (f"{one} == {_json(value.concept)}" for one in _concept_paths(path))


def _literal(value: Value) -> str:
    return _json(value.value)


# --- q: comparisons by rows --------------------------------------------------------------------------------------


def _targets_rows(place: _Place, alias: str) -> Sql:
    """A FROM item that gives the targets as `i(t)`."""
    if place.stamp:
        born = f"i->>'createdAt', {_moment_text(f'{alias}.created_at')}"
        text = f"coalesce({born})" if place.stamp == "createdAt" else f"coalesce(i->>'modifiedAt', {born})"
        return Sql(
            f"(SELECT jsonb_build_object('value', {text}) FROM jsonb_path_query({place.root}, %s::jsonpath) p(i) "
            "WHERE jsonb_typeof(i) = 'object') i(t)",
            (place.steps,),
        )
    return Sql(f"jsonb_path_query({place.root}, %s::jsonpath) i(t)", (place.steps,))


def _pool_rows(paths: Sequence[str]) -> Sql:
    """A FROM item that gives the scalars of a target as `v`, unwrapped once."""
    return Sql(
        "unnest(%s::jsonpath[]) p, jsonb_path_query(i.t, p) v",
        ([f"{path.replace('@', '$', 1)}[*]" for path in paths],),
    )


def _by_rows(term: Compare, alias: str) -> Condition:
    """Whether any scalar of any target fits."""
    place, found = _place(term.path, alias), _row_tests(term)
    steps = [f"{place.steps}{path[1:]}[*]" for path in _pool_paths(term.path)]
    if not steps:
        return exactly("FALSE")
    return exactly(
        f"EXISTS (SELECT 1 FROM unnest(%s::jsonpath[]) p, jsonb_path_query({place.root}, p) v WHERE {found.text})",
        steps,
        *found.params,
    )


def _by_targets(term: Compare, alias: str) -> Condition:
    """Whether any target fits, of which each is looked at as a whole: for != and for stamps that are not written."""
    stamped = bool(term.path.subs) and term.path.subs[-1] in STAMPS
    plain = Path(term.path.attribute, (), term.path.members) if stamped else term.path
    targets, rows, found = (
        _targets_rows(_place(term.path, alias), alias),
        _pool_rows(_pool_paths(plain)),
        _row_tests(term),
    )
    parts = [Sql(f"EXISTS (SELECT 1 FROM {rows.text} WHERE {found.text})", (*rows.params, *found.params))]
    if term.operator in ("==", "!="):
        links = [v.value for v in term.values if isinstance(v, Value) and isinstance(v.value, str)]
        concepts = [v.concept for v in term.values if isinstance(v, Value) and v.concept is not None]
        for paths, wanted in ((_link_paths(plain), links), (_concept_paths(plain), concepts)):
            if paths and wanted:
                others = _pool_rows(paths)
                text = f"EXISTS (SELECT 1 FROM {others.text} WHERE jsonb_typeof(v) = 'string' AND v #>> '{{}}' = ANY(%s))"
                parts.append(Sql(text, (*others.params, wanted)))
    test = _join(parts, " OR ")
    if term.operator == "!=":
        test = Sql(f"NOT {test.text}", test.params)
        defined = _definedness(term.path)
        if defined:
            test = _join([Sql("jsonb_path_exists(i.t, %s::jsonpath)", (f"$ ? ({defined})",)), test], " AND ")
    return exactly(f"EXISTS (SELECT 1 FROM {targets.text} WHERE {test.text})", *targets.params, *test.params)


def _row_tests(term: Compare) -> Sql:
    sign = "==" if term.operator == "!=" else term.operator
    tests: list[Sql] = []
    for value in term.values:
        if isinstance(value, Range):
            tests.append(_join([_row_test(value.low, ">="), _row_test(value.high, "<=")], " AND "))
        else:
            tests.append(_row_test(value, sign))
    return _join(tests, " OR ")


def _row_test(value: Value, sign: str) -> Sql:
    operator = "=" if sign == "==" else sign
    text = "(v #>> '{}')"
    is_text = "jsonb_typeof(v) = 'string'"
    match value.kind:
        case "number":
            return Sql(
                f"CASE WHEN jsonb_typeof(v) = 'number' THEN v::numeric {operator} %s::jsonb::numeric ELSE FALSE END",
                (_literal(value),),
            )
        case "boolean":
            return Sql("v = %s::jsonb", (_literal(value),))
        case "text":
            return Sql(f'({is_text} AND {text} COLLATE "C" {operator} %s)', (value.value,))
        case "datetime":
            assert isinstance(value.value, datetime)
            return Sql(
                f"(CASE WHEN {is_text} THEN coalesce({sql_moment(text)} {operator} %s::timestamptz, FALSE) ELSE FALSE END)",
                (value.value.isoformat(),),
            )
        case "date":
            read = sql_date(text)
        case "time":
            read = sql_time(text)
    return Sql(
        f'(CASE WHEN {is_text} THEN coalesce(({read}) COLLATE "C" {operator} %s, FALSE) ELSE FALSE END)',
        (value.value,),
    )


def _matches(term: Matches, alias: str) -> Condition:
    path, pool = term.path, _pool_paths(term.path)
    is_any_case = term.pattern.startswith(ANY_CASE)
    translated = for_postgresql(term.pattern.removeprefix(ANY_CASE))
    if (bool(path.subs) and path.subs[-1] in STAMPS) or translated is None:
        return Condition(_exists(path, alias).possible, FALSE)
    if not pool:
        return exactly("FALSE")
    # Flag "s": a dot is any character, as in our RE2.
    sure = [f'{one} like_regex {_json(translated)} flag "s{"i" if is_any_case else ""}"' for one in pool]
    if not is_any_case:
        return _found_texts(term, alias, pool, sure)
    # Of letters beyond ASCII only these two are other cases of ASCII ones to RE2; such texts are looked at in Python.
    odd = [f'{one} like_regex "[\u017f\u212a]"' for one in pool]
    if not translated.isascii():
        return Condition(_exists(path, alias).possible, FALSE)
    if term.negated:
        return Condition(
            _exists(path, alias).possible, _found_texts(term, alias, pool, [*sure, *odd]).certain
        )
    return Condition(
        _found_texts(term, alias, pool, [*sure, *odd]).possible, _found_texts(term, alias, pool, sure).certain
    )


def _found_texts(term: Matches, alias: str, pool: Sequence[str], tests: Sequence[str]) -> Condition:
    """Whether some target has a text that meets one of the tests, or texts of which none does."""
    place, test = _place(term.path, alias), " || ".join(tests)
    if term.negated:
        texts = " || ".join(f'exists({one} ? (@.type() == "string"))' for one in pool)
        test = f"({texts}) && !exists(@ ? ({test}))"
    return exactly(
        f"coalesce(jsonb_path_exists({place.root}, %s::jsonpath), FALSE)", f"{place.steps} ? ({test})"
    )


# --- indexes on values -------------------------------------------------------------------------------------------


def index_keys(query: Query) -> list[IndexKey]:
    """The expressions of which an index would serve the query."""
    if query.q is None:
        return []
    terms = query.q.parts if isinstance(query.q, AllOf) else (query.q,)
    keys = (index_key(term) for term in terms if isinstance(term, Compare))
    return list(dict.fromkeys(key for key in keys if key is not None))


def index_key(term: Compare) -> IndexKey | None:
    path = term.path
    if path.subs or path.members or path.attribute in ENTITY_MEMBERS or term.operator == "!=":
        return None
    kinds = _kinds(term)
    if kinds == {"number"} and (
        len(term.values) == 1 or not any(isinstance(one, Range) for one in term.values)
    ):
        return IndexKey(path.attribute, "number")
    if (
        kinds <= {"text", "boolean"}
        and term.operator == "=="
        and all(isinstance(one, Value) for one in term.values)
    ):
        return IndexKey(path.attribute, "text")
    return None


def _lookup(key: IndexKey, term: Compare, alias: str) -> Sql:
    """The condition that the index answers. It is no quicker to test than the JSON path where the index is not used."""
    return _text_lookup(term, alias) if key.kind == "text" else _number_lookup(term, alias)


def index_expression(key: IndexKey, column: str = "doc") -> Sql:
    """What an index on an attribute holds; `domain.indexes` builds it, `plan` asks for it.

    A text (cut, since an entry must be small) after an ``s``, a flag after a ``b``; a number as it is. Whatever is not one
    plain value (several instances, lists, objects, language maps) is ``*`` or NaN, and is looked at whatever is asked.
    """
    name = "'" + key.attribute.replace("'", "''") + "'"
    value, target = f"{column}->{name}->'value'", f"{column}->{name}->'object'"
    if key.kind == "number":
        return Sql(
            f"(CASE jsonb_typeof({value}) WHEN 'number' THEN ({value})::numeric WHEN 'string' THEN NULL "
            f"WHEN 'boolean' THEN NULL ELSE CASE WHEN {column} ? {name} AND "
            f"coalesce(jsonb_typeof({target}) <> 'string', TRUE) THEN 'NaN'::numeric END END)"
        )
    return Sql(
        f"(CASE jsonb_typeof({value}) WHEN 'string' THEN 's' || left({value} #>> '{{}}', 100) WHEN 'boolean' THEN "
        f"'b' || ({value} #>> '{{}}') WHEN 'number' THEN NULL ELSE CASE WHEN jsonb_typeof({target}) = 'string' THEN "
        f"'s' || left({target} #>> '{{}}', 100) WHEN {column} ? {name} THEN '*' END END)"
    )


def _text_lookup(term: Compare, alias: str) -> Sql:
    entries = ["*"]
    for value in term.values:
        assert isinstance(value, Value)
        entries.append(
            "s" + value.value[:100]
            if isinstance(value.value, str)
            else "b" + ("true" if value.value else "false")
        )
    expression = index_expression(IndexKey(term.path.attribute, "text"), f"{alias}.doc").text
    return Sql(f"{_percent(expression)} = ANY(%s)", (entries,))


def _number_lookup(term: Compare, alias: str) -> Sql:
    expression = _percent(index_expression(IndexKey(term.path.attribute, "number"), f"{alias}.doc").text)
    first = term.values[0]
    if isinstance(first, Range):
        low, high = _literal(first.low), _literal(first.high)
        return Sql(
            f"({expression} BETWEEN %s::numeric AND %s::numeric OR {expression} = 'NaN'::numeric)",
            (low, high),
        )
    numbers = [_literal(one) for one in term.values if isinstance(one, Value)]
    if term.operator == "==":
        return Sql(f"{expression} = ANY(%s::numeric[])", (["NaN", *numbers],))
    if term.operator in (">", ">="):
        return Sql(f"{expression} {term.operator} %s::numeric", (numbers[0],))  # NaN is above all numbers
    return Sql(f"({expression} {term.operator} %s::numeric OR {expression} = 'NaN'::numeric)", (numbers[0],))


def _percent(text: str) -> str:
    return text.replace("%", "%%")
