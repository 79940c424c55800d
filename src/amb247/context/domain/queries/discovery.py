"""Which types and attributes there are (GS CIM 009, 5.7.5 - 5.7.10).

Looking through all entities takes half a second for a hundred thousand of them, so each process does that once and then keeps,
for every (type, attribute, kind) that it has seen, the id of an entity which has it: a witness. Each question then takes what
the feed brought since, and looks at the witnesses; only where one is gone another is searched for. So the answer is exact,
also after deletions, and costs some milliseconds. Counts are counted each time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import orjson

from amb247.context.domain.queries.find import count, find, fits_sql
from amb247.context.domain.queries.reading import fetch, reading
from amb247.context.domain.tenants import current_tenant
from amb247.context.ngsi_errors import ResourceNotFound
from amb247.context.querying.compile import alive
from amb247.context.querying.query import Compare, Path, Query, Restriction, TypeExpr, Value
from amb247.context.stored import Stored

MAX_NEWS = 20_000  # changes; beyond them looking through all entities is quicker
CHUNK = 20_000
SAMPLE = 20
FEW = 40  # traits that are searched for one by one, each with a statement of its own


class Trait(NamedTuple):
    """An entity of the type has an attribute of the kind; of entities without attributes both are empty."""

    type: str
    attribute: str
    kind: str


@dataclass(slots=True)
class _Seen:
    """What one process knows of one tenant: for each trait the id of an entity that had it when it was last looked at."""

    witnesses: dict[Trait, str] = field(default_factory=dict)
    until: int | None = None  # all transactions before and with this one are taken in
    lock: threading.Lock = field(default_factory=threading.Lock)


_seen: dict[str, _Seen] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class TypeInfo:
    name: str
    entity_count: int
    attributes: dict[str, tuple[str, ...]]  # name -> kinds


@dataclass(frozen=True, slots=True)
class AttributeInfo:
    name: str
    attribute_count: int
    kinds: tuple[str, ...]
    types: tuple[str, ...]


def types(restriction: Restriction | None = None) -> dict[str, tuple[str, ...]]:
    """Every type of which there are entities, with the names of their attributes; all sorted, all names internal."""
    found: dict[str, set[str]] = {}
    for trait in traits(restriction):
        found.setdefault(trait.type, set()).update({trait.attribute} - {""})
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


def attributes(restriction: Restriction | None = None) -> dict[str, tuple[str, ...]]:
    """Every attribute that entities have, with the types of these entities."""
    found: dict[str, set[str]] = {}
    for trait in traits(restriction):
        if trait.attribute:
            found.setdefault(trait.attribute, set()).add(trait.type)
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


def type_info(name: str, restriction: Restriction | None = None) -> TypeInfo:
    """One type.

    Raises
    ------
    ResourceNotFound
        There is no entity of it, or none that may be seen.
    """
    mine = [trait for trait in traits(restriction) if trait.type == name]
    number = count(Query(types=_only(name), restriction=restriction)) if mine else 0
    if not number:
        raise ResourceNotFound(f"There is no entity of the type {name}.")
    kinds: dict[str, set[str]] = {}
    for trait in mine:
        if trait.attribute:
            kinds.setdefault(trait.attribute, set()).add(trait.kind)
    return TypeInfo(name, number, {one: tuple(sorted(kinds[one])) for one in sorted(kinds)})


def attribute_info(name: str, restriction: Restriction | None = None) -> AttributeInfo:
    """One attribute.

    Raises
    ------
    ResourceNotFound
        No entity has it, or none that may be seen.
    """
    mine = [trait for trait in traits(restriction) if trait.attribute == name]
    number = _instances(name, restriction) if mine else 0
    if not number:
        raise ResourceNotFound(f"There is no entity with the attribute {name}.")
    return AttributeInfo(
        name,
        number,
        tuple(sorted({trait.kind for trait in mine})),
        tuple(sorted({trait.type for trait in mine})),
    )


def traits(restriction: Restriction | None = None) -> set[Trait]:
    """All that the living entities have, as far as may be seen."""
    with _lock:
        seen = _seen.setdefault(current_tenant(), _Seen())
    with seen.lock:
        _catch_up(seen)
        known = dict(seen.witnesses)
    living = _verified(known, None)
    with seen.lock:
        for trait in known.keys() - living.keys():
            # Not if somebody has found another in the meantime.
            if seen.witnesses.get(trait) == known[trait]:
                del seen.witnesses[trait]
        seen.witnesses.update(living)
    if restriction is None:
        return set(living)
    return set(_searched(living.keys(), restriction))


def forget() -> None:
    """After the database was swapped under the process (tests, restore)."""
    with _lock:
        _seen.clear()


def _only(name: str) -> TypeExpr:
    return TypeExpr(((name,),))


def _instances(name: str, restriction: Restriction | None) -> int:
    """Each instance of an attribute counts, also where one entity has several."""
    with reading() as clock:
        condition = fits_sql(Query(attrs=(name,), restriction=restriction), clock)
        rows = fetch(
            "SELECT coalesce(sum(CASE jsonb_typeof(e.doc->%s) WHEN 'array' THEN jsonb_array_length(e.doc->%s) ELSE 1 END), 0) "
            f"FROM context_entity e WHERE {condition.text}",
            [name, name, *condition.params],
        )
    return int(rows[0][0])


# --- what is new -------------------------------------------------------------------------------------------------


def _catch_up(seen: _Seen) -> None:
    before = int(fetch("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1", [])[0][0])
    if seen.until is None or not _is_kept(seen.until) or not _take_news(seen, seen.until):
        _look_through(seen)
    seen.until = before


def _is_kept(until: int) -> bool:
    rows = fetch("SELECT dropped_tx FROM context_feed_floor", [])
    return not rows or until >= rows[0][0]


NEWS = f"""
WITH news AS MATERIALIZED (
    SELECT entity_id, type, op, attributes FROM context_change WHERE tx > %s::text::xid8 LIMIT {MAX_NEWS + 1}
)
SELECT t, coalesce(k, ''), coalesce(kind #>> '{{}}', ''), min(entity_id), (SELECT count(*) FROM news)
FROM news, unnest(type) t
LEFT JOIN LATERAL jsonb_object_keys(attributes) k ON TRUE
LEFT JOIN LATERAL jsonb_path_query(attributes->k, '$[*].type') kind ON TRUE
WHERE op <> 'deleted' AND (k IS NULL OR kind IS NOT NULL)
GROUP BY 1, 2, 3
"""
# A type or more life given to an entity brings attributes that the change does not name.
RENEWED = f"""
SELECT DISTINCT entity_id FROM (
    SELECT entity_id, type, op, attributes FROM context_change WHERE tx > %s::text::xid8 LIMIT {MAX_NEWS + 1}
) news
WHERE op = 'updated' AND (cardinality(type) > 1 OR attributes = '{{}}')
"""


def _take_news(seen: _Seen, until: int) -> bool:
    """Add what changes brought; False when they are too many."""
    rows = fetch(NEWS, [str(until)])
    if rows and rows[0][4] > MAX_NEWS:
        return False
    for type_, attribute, kind, entity_id, _ in rows:
        seen.witnesses.setdefault(Trait(type_, attribute, kind), entity_id)
    for entity_id, found in _traits_of([row[0] for row in fetch(RENEWED, [str(until)])]).items():
        for trait in found:
            seen.witnesses.setdefault(trait, entity_id)
    return True


def _look_through(seen: _Seen) -> None:
    """All entities once, in portions so that no statement takes long; entities of one shape are read as one."""
    seen.witnesses.clear()
    after = ""
    while True:
        rows = fetch(
            "SELECT min(id), count(*), max(id) FROM (SELECT id, type, doc FROM context_entity WHERE id > %s ORDER BY id "
            f"LIMIT {CHUNK}) e GROUP BY type, ARRAY(SELECT jsonb_object_keys(doc)), jsonb_path_query_array(doc, '$.*.type')",
            [after],
        )
        for entity_id, found in _traits_of([row[0] for row in rows]).items():
            for trait in found:
                seen.witnesses.setdefault(trait, entity_id)
        if sum(row[1] for row in rows) < CHUNK:
            return
        after = max(row[2] for row in rows)


# --- what still is -----------------------------------------------------------------------------------------------


def _traits_of(ids: Sequence[str]) -> dict[str, set[Trait]]:
    """Those of living entities."""
    found: dict[str, set[Trait]] = {}
    for first in range(0, len(ids), 1_000):
        rows = fetch(
            "SELECT e.id, e.type, (SELECT jsonb_object_agg(k, jsonb_path_query_array(e.doc->k, '$[*].type')) "
            "FROM jsonb_object_keys(e.doc) k)::text FROM context_entity e "
            f"WHERE e.id = ANY(%s) AND {alive('e').possible.text}",
            [list(ids[first : first + 1_000])],
        )
        for entity_id, names, kinds in rows:
            found[entity_id] = set(_spelled(names, orjson.loads(kinds) if kinds else {}))
    return found


def _spelled(names: Iterable[str], kinds: dict[str, list[str]]) -> Iterable[Trait]:
    for name in names:
        yield Trait(name, "", "")
        for attribute, its in kinds.items():
            yield from (Trait(name, attribute, kind) for kind in its)


def _verified(known: dict[Trait, str], restriction: Restriction | None) -> dict[Trait, str]:
    """The traits that an entity still has, with a witness for each; a type's own trait comes with any of its others."""
    have = _traits_of(sorted(set(known.values())))
    living = {trait: witness for trait, witness in known.items() if trait in have.get(witness, ())}
    for trait, witness in list(living.items()):
        living.setdefault(Trait(trait.type, "", ""), witness)
    open_ones = known.keys() - living.keys()
    return living | _searched(open_ones, restriction) if open_ones else living


def _searched(wanted: Iterable[Trait], restriction: Restriction | None) -> dict[Trait, str]:
    """Those of the traits that an entity within reach has: first among a few of each type, then one by one or all at once."""
    left, found = set(wanted), dict[Trait, str]()

    def take(entities: Iterable[Stored]) -> None:
        for entity in entities:
            for trait in _traits_in(entity) & left:
                found[trait] = entity.id
                left.discard(trait)

    for name in sorted({trait.type for trait in left}):
        some = find(Query(types=_only(name), limit=SAMPLE, restriction=restriction))
        take(some)
        if not some:  # then there is no other either
            left -= {trait for trait in left if trait.type == name}
    if len(left) > FEW:
        found |= {
            trait: one
            for trait, one in _all_of({one.type for one in left}, restriction).items()
            if trait in left
        }
        return found
    while left:
        trait = left.pop()
        base = Query(types=_only(trait.type), attrs=(trait.attribute,), limit=1, restriction=restriction)
        kind = Compare(Path(trait.attribute, ("type",)), "==", (Value("text", trait.kind),))
        left.add(trait)
        take(find(replace(base, q=kind)))
        left.discard(trait)
    return found


def _all_of(names: Iterable[str], restriction: Restriction | None) -> dict[Trait, str]:
    """Every trait that entities of these types have, by one look at all of them."""
    found: dict[Trait, str] = {}
    with reading() as clock:
        wanted = TypeExpr(tuple((name,) for name in sorted(names)))
        condition = fits_sql(Query(types=wanted, restriction=restriction), clock)
        rows = fetch(
            "SELECT e.type, k, kind #>> '{}', min(e.id) FROM context_entity e"
            " CROSS JOIN LATERAL jsonb_object_keys(e.doc) k"
            " CROSS JOIN LATERAL jsonb_path_query(e.doc->k, '$[*].type') kind"
            f" WHERE {condition.text} GROUP BY 1, 2, 3",
            condition.params,
        )
    for its, attribute, kind, entity_id in rows:
        for name in its:
            found[Trait(name, attribute, kind)] = entity_id
    return found


def _traits_in(entity: Stored) -> set[Trait]:
    kinds: dict[str, list[Any]] = {
        name: [one.get("type") for one in (given if isinstance(given, list) else [given])]
        for name, given in entity.attributes.items()
    }
    return set(_spelled(entity.types, kinds))
