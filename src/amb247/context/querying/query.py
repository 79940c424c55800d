"""What a client asks for, parsed and with internal names: everything here is frozen, so a query can be kept and shared.

References
----------
ETSI GS CIM 009 v1.8.1, 4.9 (q), 4.10 (geo-queries), 4.17 (type selection), 4.19 (scopes), 5.7.2 (query entities);
v1.9.1, 4.23 (ordering).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

ValueKind = Literal["number", "boolean", "text", "datetime", "date", "time"]
Comparison = Literal["==", "!=", "<", "<=", ">", ">="]
Relation = Literal["near", "within", "contains", "intersects", "equals", "disjoint", "overlaps"]


# Members of an instance that are no attributes: a path may end in one of them, and only end.
STAMPS = frozenset({"createdAt", "modifiedAt"})
TEXTS = frozenset(
    {"observedAt", "expiresAt", "deletedAt", "unitCode", "datasetId", "instanceId", "lang", "type", *STAMPS}
)
CONCEPTS = frozenset({"objectType"})
VALUE_KEYS = frozenset({"value", "object", "languageMap", "vocab", "valueList", "objectList", "json"})
ENTITY_MEMBERS = frozenset({"id", "scope", "createdAt", "modifiedAt", "expiresAt"})

# --- q ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Path:
    """Where in an entity to look: ``attribute.sub.sub[member.member]``.

    Attributes
    ----------
    attribute : str
        Internal name, or `createdAt`, `modifiedAt`, `expiresAt`, `id`, `scope` of the entity itself.
    subs : tuple of str
        Internal names of sub-attributes; the last may be a member that is no attribute (`MEMBERS`).
    members : tuple of str
        Names inside a compound value, or the language of a LanguageProperty (`*`: any).
    """

    attribute: str
    subs: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """A literal of the query.

    Attributes
    ----------
    kind : str
        Any text that is written as a date and time, a date or a time is one, with quotes or without.
    value
        Number, flag or text; an aware datetime for `datetime`; hh:mm:ss and nine decimals for `time`.
    concept : str or None
        The internal name that a VocabProperty must hold to be equal; None when the text names no concept.
    """

    kind: ValueKind
    value: float | bool | str | datetime
    concept: str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """Between two values of the same kind, both included."""

    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Exists:
    path: Path


@dataclass(frozen=True, slots=True)
class Compare:
    """`values` has one element unless the operator is == or != (equal to any, or to none of them)."""

    path: Path
    operator: Comparison
    values: tuple[Value | Range, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """A pattern that is found somewhere in the text (RE2 syntax)."""

    path: Path
    pattern: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Linked:
    """A condition on an entity that a Relationship of this one points to; `types` are hints, one of which it must have."""

    relation: str
    types: tuple[str, ...]
    condition: Expr


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Expr, ...]


Expr = Exists | Compare | Matches | Linked | AllOf | AnyOf


def terms_of(expr: Expr) -> Iterator[Exists | Compare | Matches | Linked]:
    """The query terms from left to right; those inside a Linked are not opened."""
    if isinstance(expr, (AllOf, AnyOf)):
        for part in expr.parts:
            yield from terms_of(part)
    else:
        yield expr


def attributes_of(expr: Expr) -> frozenset[str]:
    """The attributes of the entity itself that the query looks at."""
    return frozenset(
        term.relation if isinstance(term, Linked) else term.path.attribute for term in terms_of(expr)
    )


def link_depth(expr: Expr | None) -> int:
    """How many Relationships deep the query follows; 5.7.2.4 wants a joinLevel of at least that."""
    if expr is None:
        return 0
    return max(
        (1 + link_depth(term.condition) if isinstance(term, Linked) else 0 for term in terms_of(expr)),
        default=0,
    )


# --- types and scopes --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TypeExpr:
    """Any of some combinations of types; an empty combination (from ``*``) fits every entity."""

    alternatives: tuple[tuple[str, ...], ...]

    def fits(self, types: Collection[str]) -> bool:
        return any(all(name in types for name in names) for names in self.alternatives)

    def names(self) -> frozenset[str]:
        return frozenset(name for names in self.alternatives for name in names)


@dataclass(frozen=True, slots=True)
class ScopePattern:
    """`levels` of a scope, of which ``+`` is any one; with `below` also what lies under them (``/#``)."""

    levels: tuple[str, ...]
    below: bool = False

    def fits(self, scope: str) -> bool:
        given = scope.removeprefix("/").split("/")
        if len(given) < len(self.levels) or (len(given) > len(self.levels) and not self.below):
            return False
        return all(want in ("+", have) for want, have in zip(self.levels, given, strict=False))


@dataclass(frozen=True, slots=True)
class ScopeExpr:
    """Any of some combinations of patterns; each pattern of a combination must fit some scope of the entity."""

    alternatives: tuple[tuple[ScopePattern, ...], ...]

    def fits(self, scopes: Collection[str]) -> bool:
        return any(
            all(any(pattern.fits(scope) for scope in scopes) for pattern in patterns)
            for patterns in self.alternatives
        )


# --- places ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GeoQuery:
    """`shape` is a valid shapely geometry (lon, lat); distances in metres, for `near` only, one of the two."""

    relation: Relation
    shape: Any
    geoproperty: str = "location"
    max_distance: float | None = None
    min_distance: float | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """By the value at `path`, or by the distance of that GeoProperty from `origin` (a shapely geometry)."""

    path: Path
    descending: bool = False
    origin: Any = None


@dataclass(frozen=True, slots=True)
class Restriction:
    """What a token may see; ANDed to every query, count and discovery.

    Attributes
    ----------
    types : frozenset of str or None
        Entities of at least one of these types; None: of any.
    areas : tuple of shapely polygons or None
        The centre of the box of the entity's `location` must lie in one of them (or on its border); what has no
        location is then not seen. None: anywhere.
    """

    types: frozenset[str] | None = None
    areas: tuple[Any, ...] | None = None


# --- the whole ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selector:
    """One element of `entities` in a query document or a subscription."""

    ids: tuple[str, ...] = ()
    id_pattern: str | None = None
    types: TypeExpr | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Everything is ANDed. All names are internal.

    Attributes
    ----------
    selectors : tuple of Selector
        At least one must fit, when there are any (the `entities` of a query document).
    attrs : tuple of str
        The entity has at least one of these attributes.
    dataset_ids : tuple of str
        For the representation only (5.7.2.4): no entity is left out because of them.
    collation : str or None
        ICU collation for `order_by`, such as ``und-u-ks-level2``.
    """

    ids: tuple[str, ...] = ()
    id_pattern: str | None = None
    types: TypeExpr | None = None
    selectors: tuple[Selector, ...] = ()
    attrs: tuple[str, ...] = ()
    q: Expr | None = None
    geo: GeoQuery | None = None
    scope: ScopeExpr | None = None
    dataset_ids: tuple[str, ...] = ()
    order_by: tuple[Order, ...] = ()
    collation: str | None = None
    limit: int = 20
    offset: int = 0
    restriction: Restriction | None = None
    extra: Any = field(default=None, compare=False)  # room for the caller; not looked at
