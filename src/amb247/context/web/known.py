"""Which types and attributes there are within a reader's reach, for suggestions and for naming slips."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from amb247.context.domain.queries import discovery
from amb247.context.domain.queries.find import count, find
from amb247.context.ngsi_errors import NgsiError
from amb247.context.querying.query import Query, Restriction, TypeExpr

SAMPLE: Final = 20


def type_names(restriction: Restriction | None) -> list[str]:
    """Types of which the reader may see an entity, sorted without regard to case."""
    names = sorted(discovery.types(), key=str.casefold)
    if restriction is None:
        return names
    return [name for name in names if has_some(Query(types=one_type(name), restriction=restriction))]


def attribute_names(types: Iterable[str], restriction: Restriction | None) -> list[str]:
    """Attributes of these types. For who does not see all: those of some entities within reach, which is quick."""
    found: set[str] = set()
    everything = discovery.types() if restriction is None else {}
    for name in types:
        if restriction is None:
            found.update(everything.get(name, ()))
            continue
        try:
            some = find(Query(types=one_type(name), restriction=restriction, limit=SAMPLE))
        except NgsiError:
            continue
        found.update(attribute for entity in some for attribute in entity.attributes)
    return sorted(found, key=str.casefold)


def traits(restriction: Restriction | None) -> dict[str, dict[str, list[str]]]:
    """Type -> attribute -> its kinds, all sorted without regard to case."""
    found: dict[str, dict[str, set[str]]] = {}
    for one in discovery.traits(restriction):
        attributes = found.setdefault(one.type, {})
        if one.attribute:
            attributes.setdefault(one.attribute, set()).add(one.kind)
    return {
        name: {one: sorted(found[name][one]) for one in sorted(found[name], key=str.casefold)}
        for name in sorted(found, key=str.casefold)
    }


def number_of(name: str, restriction: Restriction | None) -> int | None:
    """How many entities of the type the reader may see; None when counting takes too long."""
    try:
        return count(Query(types=one_type(name), restriction=restriction))
    except NgsiError:
        return None


def has_some(query: Query) -> bool:
    try:
        return bool(find(Query(types=query.types, restriction=query.restriction, limit=1)))
    except NgsiError:
        return False


def one_type(name: str) -> TypeExpr:
    return TypeExpr(((name,),))
