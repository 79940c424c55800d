"""A query as a Python predicate: for subscriptions, for registrations, and for what SQL alone cannot decide.

`compile` says the same in SQL; a property test holds the two together. The words used in both:

*target*: an instance of the attribute or sub-attribute that a path leads to. A member that is no attribute (`unitCode`,
`observedAt`, ...) is a target with that one value.
*pool*: the scalar values of a target: its value, every element of a list, the texts of a language map, what a trailing
path finds in a compound value.

A target is equal to a literal when its pool has an equal element, and unequal when it has none. An entity fits when any of
its targets does. So ``color!="red"`` needs the attribute, and is met by an entity one of whose instances is not red.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import shapely

from amb247.context.ngsi_errors import BadRequestData
from amb247.context.querying.geometry import holds, shape_of
from amb247.context.querying.moments import date_text, moment, time_key
from amb247.context.querying.patterns import compiled
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
    Selector,
    Value,
)
from amb247.context.stored import Stored

Predicate = Callable[[Stored], bool]
Lookup = Callable[[Sequence[str]], Mapping[str, Stored]]
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

ORDERED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def matcher(query: Query, *, lookup: Lookup | None = None) -> Predicate:
    """Compile a query once.

    Parameters
    ----------
    query : Query
        Its order, limit and offset play no part.
    lookup : callable, optional
        Ids -> the entities known (and allowed), for conditions on linked entities.

    Raises
    ------
    BadRequestData
        The query follows relationships and there is no `lookup`.
    """
    tests: list[Predicate] = [_is_alive]
    if query.ids:
        wanted = frozenset(query.ids)
        tests.append(lambda entity: entity.id in wanted)
    if query.id_pattern is not None:
        tests.append(_id_pattern(query.id_pattern))
    if query.types is not None:
        types = query.types
        tests.append(lambda entity: types.fits(entity.types))
    if query.selectors:
        selectors = [_selector(one) for one in query.selectors]
        tests.append(lambda entity: any(fits(entity) for fits in selectors))
    if query.attrs:
        names = query.attrs
        tests.append(lambda entity: any(name in entity.attributes for name in names))
    if query.scope is not None:
        scope = query.scope
        tests.append(lambda entity: scope.fits(entity.scope))
    if query.restriction is not None:
        tests.append(allows(query.restriction))
    if query.q is not None:
        tests.append(expression(query.q, lookup))
    if query.geo is not None:
        tests.append(_geo(query.geo))
    return lambda entity: all(test(entity) for test in tests)


def _is_alive(entity: Stored) -> bool:
    return entity.expires_at is None or entity.expires_at > datetime.now(UTC)


def _id_pattern(pattern: str) -> Predicate:
    search = compiled(pattern).search
    return lambda entity: search(entity.id) is not None


def _selector(selector: Selector) -> Predicate:
    search = None if selector.id_pattern is None else compiled(selector.id_pattern).search

    def fits(entity: Stored) -> bool:
        return (
            (not selector.ids or entity.id in selector.ids)
            and (selector.types is None or selector.types.fits(entity.types))
            and (search is None or search(entity.id) is not None)
        )

    return fits


def selector_matcher(selectors: Iterable[Selector]) -> Predicate:
    """Whether an entity fits one of the elements of `entities`; of no elements, every entity does."""
    tests = [_selector(one) for one in selectors]
    return (lambda entity: any(test(entity) for test in tests)) if tests else (lambda _: True)


# --- who may see it ----------------------------------------------------------------------------------------------


def allows(restriction: Restriction) -> Predicate:
    """Whether a token that is so restricted may see an entity."""
    types, areas = restriction.types, restriction.areas

    def fits(entity: Stored) -> bool:
        if types is not None and types.isdisjoint(entity.types):
            return False
        if areas is None:
            return True
        centre = centre_of(entity)
        return centre is not None and in_areas(areas, *centre)

    return fits


def in_areas(areas: Sequence[Any], lon: float, lat: float) -> bool:
    return any(bool(shapely.intersects_xy(area, lon, lat)) for area in areas)


def centre_of(entity: Stored) -> tuple[float, float] | None:
    """The centre of the box around the entity's `location`, as the column `bbox` has it."""
    boxes = [
        shape.bounds
        for instance in _instances(entity.attributes, "location")
        if instance.get("type") == "GeoProperty" and (shape := shape_of(instance.get("value"))) is not None
    ]
    if not boxes:
        return None
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    return ((west + east) / 2, (south + north) / 2)


# --- places ------------------------------------------------------------------------------------------------------


def _geo(geo: GeoQuery) -> Predicate:
    def fits(entity: Stored) -> bool:
        for instance in _instances(entity.attributes, geo.geoproperty):
            if instance.get("type") == "GeoProperty":
                shape = shape_of(instance.get("value"))
                if shape is not None and holds(geo, shape):
                    return True
        return False

    return fits


# --- q -----------------------------------------------------------------------------------------------------------


def expression(expr: Expr, lookup: Lookup | None = None) -> Predicate:
    """The predicate of a `q`."""
    match expr:
        case AllOf(parts):
            tests = [expression(part, lookup) for part in parts]
            return lambda entity: all(test(entity) for test in tests)
        case AnyOf(parts):
            tests = [expression(part, lookup) for part in parts]
            return lambda entity: any(test(entity) for test in tests)
        case Linked():
            return _linked(expr, lookup)
        case Exists(path):
            exists = _definedness(path)
            targets = _targets(path)
            return lambda entity: any(exists(one) for one in targets(entity))
        case Compare() | Matches():
            targets, test = _targets(expr.path), _test(expr)
            return lambda entity: any(test(one) for one in targets(entity))


def _linked(linked: Linked, lookup: Lookup | None) -> Predicate:
    if lookup is None:
        raise BadRequestData("q: conditions on linked entities cannot be used here")
    known, inner, types = lookup, expression(linked.condition, lookup), frozenset(linked.types)

    def fits(entity: Stored) -> bool:
        ids = [
            one
            for instance in _instances(entity.attributes, linked.relation)
            for one in (*_objects(instance.get("object")), *_objects(instance.get("objectList")))
            if isinstance(one, str)
        ]
        return bool(ids) and any(
            (not types or not types.isdisjoint(other.types)) and _is_alive(other) and inner(other)
            for other in known(ids).values()
        )

    return fits


def _instances(attributes: Mapping[str, Any], name: str) -> Sequence[dict[str, Any]]:
    found = attributes.get(name)
    if isinstance(found, dict):
        return (found,)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else ()


Target = Mapping[str, Any]


def _targets(path: Path) -> Callable[[Stored], Iterable[Target]]:
    if path.attribute in ENTITY_MEMBERS:
        return _entity_member(path.attribute)
    subs = path.subs[:-1] if path.subs and path.subs[-1] in VALUE_KEYS else path.subs
    last = subs[-1] if subs and (subs[-1] in TEXTS or subs[-1] in CONCEPTS) else None
    if last is not None:
        subs = subs[:-1]

    def attributes_at(entity: Stored) -> Sequence[dict[str, Any]]:
        found: Sequence[dict[str, Any]] = _instances(entity.attributes, path.attribute)
        for sub in subs:
            found = [inner for one in found for inner in _instances(one, sub)]
        return found

    if last is None:
        return attributes_at
    if last in STAMPS:
        return lambda entity: [_stamp(one, last, entity) for one in attributes_at(entity)]
    key = "vocab" if last in CONCEPTS else "value"
    return lambda entity: [{key: one[last]} for one in attributes_at(entity) if last in one]


def _stamp(instance: Target, name: str, entity: Stored) -> Target:
    """Stamps are stored only where they say something (see `Stored`)."""
    born = instance.get("createdAt")
    found = born if name == "createdAt" else instance.get("modifiedAt", born)
    return {"value": _text_of(entity.created_at) if found is None else found}


def _text_of(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _entity_member(name: str) -> Callable[[Stored], Iterable[Target]]:
    match name:
        case "id":
            return lambda entity: ({"value": entity.id},)
        case "scope":
            return lambda entity: ({"value": entity.scope},) if entity.scope else ()
        case "createdAt":
            return lambda entity: ({"value": _text_of(entity.created_at)},)
        case "modifiedAt":
            return lambda entity: ({"value": _text_of(entity.modified_at)},)
        case _:
            return lambda entity: (
                () if entity.expires_at is None else ({"value": _text_of(entity.expires_at)},)
            )


def _definedness(path: Path) -> Callable[[Target], bool]:
    members = path.members
    return (lambda target: bool(_found(target, members))) if members else (lambda _: True)


def _found(target: Target, members: Sequence[str]) -> list[Any]:
    """What a trailing path leads to, in every kind of value that it can enter."""
    found: list[Any] = []
    for key in ("value", "json", "valueList"):
        if key in target:
            found += _walk([target[key]], members)
    languages = target.get("languageMap")
    if isinstance(languages, dict) and len(members) == 1:
        if members[0] == "*":
            found += languages.values()
        elif members[0] in languages:
            found.append(languages[members[0]])
    return found


def _walk(values: list[Any], members: Sequence[str]) -> list[Any]:
    for member in members:
        values = [
            inner[member]
            for one in values
            for inner in (one if isinstance(one, list) else (one,))
            if isinstance(inner, dict) and member in inner
        ]
    return values


def _flat(value: Any) -> Iterable[Any]:
    """The value, or its elements; typed values (``{"@type": ..., "@value": ...}``) opened."""
    for one in value if isinstance(value, list) else (value,):
        if isinstance(one, dict) and "@value" in one:
            inner = one["@value"]
            yield from inner if isinstance(inner, list) else (inner,)
        else:
            yield one


def _objects(value: Any) -> Iterable[Any]:
    for one in value if isinstance(value, list) else (value,):
        yield one.get("object") if isinstance(one, dict) else one


def _pool(target: Target, members: Sequence[str]) -> list[Any]:
    """Scalars that may be compared by any operator."""
    if members:
        return [one for value in _found(target, members) for one in _flat(value)]
    pool: list[Any] = []
    for key in ("value", "json", "valueList"):
        if key in target:
            pool += _flat(target[key])
    languages = target.get("languageMap")
    if isinstance(languages, dict):
        for text in languages.values():
            pool += _flat(text)
    return pool


def _test(term: Compare | Matches) -> Callable[[Target], bool]:
    members = term.path.members
    if isinstance(term, Matches):
        return _pattern_test(term)
    equals = [_element_test(value) for value in term.values]
    if term.operator not in ("==", "!="):
        literal = term.values[0]
        assert isinstance(literal, Value)
        compare, key = ORDERED[term.operator], _key(literal.kind)
        return lambda target: any(
            (found := key(one)) is not None and compare(found, literal.value)
            for one in _pool(target, members)
        )
    links = frozenset(
        value.value for value in term.values if isinstance(value, Value) and isinstance(value.value, str)
    )
    concepts = frozenset(
        value.concept for value in term.values if isinstance(value, Value) and value.concept is not None
    )

    def is_equal(target: Target) -> bool:
        if any(test(one) for one in _pool(target, members) for test in equals):
            return True
        if members:
            return False
        return any(
            isinstance(one, str) and one in links
            for key in ("object", "objectList")
            if key in target
            for one in _objects(target[key])
        ) or (
            "vocab" in target
            and any(isinstance(one, str) and one in concepts for one in _flat(target["vocab"]))
        )

    if term.operator == "==":
        return is_equal
    is_defined = _definedness(term.path)
    return lambda target: is_defined(target) and not is_equal(target)


def _pattern_test(term: Matches) -> Callable[[Target], bool]:
    search, members = compiled(term.pattern).search, term.path.members

    def fits(target: Target) -> bool:
        texts = [one for one in _pool(target, members) if isinstance(one, str)]
        found = any(search(one) is not None for one in texts)
        return bool(texts) and not found if term.negated else found

    return fits


def _element_test(value: Value | Range) -> Callable[[Any], bool]:
    if isinstance(value, Range):
        key, low, high = _key(value.low.kind), value.low.value, value.high.value
        return lambda one: (found := key(one)) is not None and low <= found <= high
    key, wanted = _key(value.kind), value.value
    return lambda one: key(one) == wanted


def _key(kind: str) -> Callable[[Any], Any]:
    """What a scalar of a value is compared by, or None when it is of another kind than the literal."""
    match kind:
        case "number":
            return lambda one: one if isinstance(one, (int, float)) and not isinstance(one, bool) else None
        case "boolean":
            return lambda one: one if isinstance(one, bool) else None
        case "text":
            return lambda one: one if isinstance(one, str) else None
        case "datetime":
            return lambda one: moment(one) if isinstance(one, str) else None
        case "date":
            return lambda one: date_text(one) if isinstance(one, str) else None
        case _:
            return lambda one: time_key(one) if isinstance(one, str) else None


# --- registrations -----------------------------------------------------------------------------------------------


def member_matcher(expr: Expr) -> Callable[[Mapping[str, Any]], bool]:
    """The predicate of a context source filter over the members of a registration (plain JSON values)."""
    test = expression(expr)

    def fits(registration: Mapping[str, Any]) -> bool:
        attributes: dict[str, Any] = {}
        for name, value in registration.items():
            reified = isinstance(value, dict) and "type" in value and not VALUE_KEYS.isdisjoint(value)
            attributes[name] = value if reified else {"value": value}
        return test(
            Stored(
                id=str(registration.get("id", "")),
                types=[],
                scope=[],
                attributes=attributes,
                created_at=moment(str(registration.get("createdAt", ""))) or LONG_AGO,
                modified_at=moment(str(registration.get("modifiedAt", ""))) or LONG_AGO,
            )
        )

    return fits
