"""What the parameters of a query say: types, scopes, geometry, order; `q` itself is in `qlanguage`.

All raise `BadRequestData` for what does not follow the grammar and `TooComplexQuery` for what is too large.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
import shapely

from amb247.context.jsonld.names import internal
from amb247.context.ngsi_errors import BadRequestData, TooComplexQuery
from amb247.context.querying.geometry import shape_of
from amb247.context.querying.patterns import compiled
from amb247.context.querying.qlanguage import MAX_LENGTH, URI, Terms, parse_q
from amb247.context.querying.query import (
    Exists,
    Expr,
    GeoQuery,
    Order,
    Path,
    Relation,
    ScopeExpr,
    ScopePattern,
    Selector,
    TypeExpr,
)

__all__ = [
    "Terms",
    "internal",
    "parse_csf",
    "parse_geo",
    "parse_ids",
    "parse_order_by",
    "parse_pattern",
    "parse_q",
    "parse_scope",
    "parse_selector",
    "parse_types",
]

MAX_ALTERNATIVES = 200
MAX_IDS = 2_000
MAX_ORDERS = 10
MAX_COORDINATES = 200_000
MAX_VERTICES = 5_000
SCOPE_LEVEL = re.compile(r"(?:[^\W_][\w\-]*|\+)\Z")
RELATIONS: dict[str, Relation] = {
    "near": "near", "within": "within", "contains": "contains", "intersects": "intersects", "equals": "equals",
    "disjoint": "disjoint", "overlaps": "overlaps",
}  # fmt: skip
NEAR = re.compile(r"near;(maxDistance|minDistance)==([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\Z")
GEOMETRIES = frozenset({"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"})
Part = TypeVar("Part")


# --- ids and types -----------------------------------------------------------------------------------------------


def parse_ids(text: str | Sequence[str]) -> tuple[str, ...]:
    """Entity ids, separated by commas or as a list; each must be a URI."""
    ids = tuple(one.strip() for one in (text.split(",") if isinstance(text, str) else text))
    if len(ids) > MAX_IDS:
        raise TooComplexQuery(f"id lists {len(ids)} entities; at most {MAX_IDS} are accepted")
    for one in ids:
        if not URI.match(one):
            raise BadRequestData(f"id: {one[:80]!r} is no URI")
    return ids


def parse_pattern(text: str) -> str:
    """The `idPattern`."""
    compiled(text)
    return text


def parse_types(text: str, context: Terms) -> TypeExpr:
    """An entity type selection (4.17): ``A,B``, ``A|B``, ``(A;B)|C``, ``*``; nested parentheses and a bare ``A;B`` too."""

    def name(word: str) -> tuple[tuple[str, ...], ...]:
        return ((),) if word == "*" else ((context.expand(word),),)

    # `A;A` is `A`: an entity of two types is sought only where two are named.
    return TypeExpr(tuple(tuple(dict.fromkeys(names)) for names in _disjunction(text, "type", name)))


def parse_selector(raw: Any, context: Terms) -> Selector:
    """An EntitySelector (5.2.33), which is also an EntityInfo of a subscription (5.2.8)."""
    if not isinstance(raw, dict):
        raise BadRequestData("entities: every element must be an object with type, id or idPattern")
    ids, pattern, types = raw.get("id", ()), raw.get("idPattern"), raw.get("type")
    if isinstance(types, list):
        types = ",".join(one if isinstance(one, str) else "" for one in types)
    if not isinstance(types, str) or not isinstance(pattern, str | None):
        raise BadRequestData("entities: type must be a type selection and idPattern a regular expression")
    if isinstance(ids, list) and not all(isinstance(one, str) for one in ids):
        raise BadRequestData("entities: id must be a URI or a list of URIs")
    return Selector(
        ids=parse_ids([ids] if isinstance(ids, str) else ids) if ids else (),
        id_pattern=None if pattern is None else parse_pattern(pattern),
        types=parse_types(types, context),
    )


# --- scopes ------------------------------------------------------------------------------------------------------


def parse_scope(text: str) -> ScopeExpr:
    """A scope query (4.19): ``/a/b``, ``/a/#``, ``/a/+/c``, ``/#``, combined like types."""

    def pattern(word: str) -> tuple[tuple[ScopePattern, ...], ...]:
        if word in ("/#", "#"):
            return ((ScopePattern(("+",), below=True),),)
        below = word.endswith("/#")
        # The standard's own example 5 writes a scope without its first slash.
        levels = tuple((word[:-2] if below else word).removeprefix("/").split("/"))
        if not all(SCOPE_LEVEL.match(level) for level in levels):
            raise BadRequestData(
                f"scopeQ: {word[:80]!r} is no scope such as /Bucaramanga/Norte, /a/+/c or /a/#"
            )
        return ((ScopePattern(levels, below),),)

    return ScopeExpr(_disjunction(text, "scopeQ", pattern))


def _disjunction(
    text: str, parameter: str, read: Callable[[str], tuple[tuple[Part, ...], ...]]
) -> tuple[tuple[Part, ...], ...]:
    """Words combined by ``,`` ``|`` ``;`` and parentheses, as alternatives of combinations."""
    if len(text) > MAX_LENGTH:
        raise TooComplexQuery(f"{parameter} has {len(text)} characters; at most {MAX_LENGTH} are accepted")
    tokens = [token for token in re.split(r"([(),;|])", text) if token.strip()]
    position = 0

    def wrong() -> BadRequestData:
        near = "".join(tokens[position : position + 3])[:40]
        return BadRequestData(f"{parameter}: {text[:80]!r} is not well formed near {near!r}")

    def peek() -> str:
        return tokens[position].strip() if position < len(tokens) else ""

    def alternatives(depth: int) -> tuple[tuple[Part, ...], ...]:
        nonlocal position
        found = conjunction(depth)
        while peek() in (",", "|"):
            position += 1
            found = (*found, *conjunction(depth))
        return found

    def conjunction(depth: int) -> tuple[tuple[Part, ...], ...]:
        nonlocal position
        found = operand(depth)
        while peek() == ";":
            position += 1
            more = operand(depth)
            if len(found) * len(more) > MAX_ALTERNATIVES:
                raise TooComplexQuery(f"{parameter} has too many combinations")
            found = tuple((*one, *other) for one in found for other in more)
        if len(found) > MAX_ALTERNATIVES:
            raise TooComplexQuery(f"{parameter} has more than {MAX_ALTERNATIVES} alternatives")
        return found

    def operand(depth: int) -> tuple[tuple[Part, ...], ...]:
        nonlocal position
        word = peek()
        if word == "(":
            if depth > 10:
                raise TooComplexQuery(f"{parameter} nests too many parentheses")
            position += 1
            inner = alternatives(depth + 1)
            if peek() != ")":
                raise wrong()
            position += 1
            return inner
        if not word or word in "),;|":
            raise wrong()
        position += 1
        return read(word)

    found = alternatives(0)
    if position < len(tokens):
        raise wrong()
    if len(found) > MAX_ALTERNATIVES:
        raise TooComplexQuery(f"{parameter} has more than {MAX_ALTERNATIVES} alternatives")
    return tuple(dict.fromkeys(found))


# --- places ------------------------------------------------------------------------------------------------------


def parse_geo(
    georel: Any, geometry: Any, coordinates: Any, geoproperty: str | None, context: Terms
) -> GeoQuery | None:
    """A geo-query (4.10); None when none of the three that make one is given.

    Parameters
    ----------
    coordinates : str or list
        JSON text, or what was decoded from it.
    """
    if georel is None and geometry is None and coordinates is None:
        return None
    if georel is None or geometry is None or coordinates is None:
        raise BadRequestData("georel, geometry and coordinates must come together")
    if not isinstance(georel, str) or not isinstance(geometry, str):
        raise BadRequestData("georel and geometry must be texts")
    near = NEAR.match(georel)
    relation = RELATIONS.get(georel)
    if near is None and (relation is None or relation == "near"):
        raise BadRequestData(
            f"georel: {georel[:80]!r} is not one of near;maxDistance==metres, near;minDistance==metres, within, contains, "
            "intersects, equals, disjoint, overlaps"
        )
    shape = parse_shape(geometry, coordinates)
    name = "location" if geoproperty is None else context.expand(geoproperty)
    if near is None:
        assert relation is not None
        return GeoQuery(relation, shape, name)
    metres = float(near[2])
    if not math.isfinite(metres) or metres <= 0:
        raise BadRequestData(f"georel: {near[1]} must be a number greater than 0")
    return GeoQuery(
        "near",
        shape,
        name,
        max_distance=metres if near[1] == "maxDistance" else None,
        min_distance=metres if near[1] == "minDistance" else None,
    )


def parse_shape(geometry: str, coordinates: Any) -> Any:
    """A shapely geometry of a GeoJSON type and coordinates (JSON text or decoded)."""
    if geometry not in GEOMETRIES:
        raise BadRequestData(f"geometry: {geometry[:40]!r} is not one of {', '.join(sorted(GEOMETRIES))}")
    if isinstance(coordinates, str):
        if len(coordinates) > MAX_COORDINATES:
            raise TooComplexQuery(f"coordinates has more than {MAX_COORDINATES} characters")
        try:
            coordinates = orjson.loads(coordinates)
        except orjson.JSONDecodeError as problem:
            raise BadRequestData(f"coordinates is no JSON: {problem}") from None
    if not _are_positions(coordinates):
        raise BadRequestData(
            f"coordinates are not those of a {geometry}: [longitude, latitude] in degrees, as in RFC 7946"
        )
    shape = shape_of({"type": geometry, "coordinates": coordinates})
    if shape is None:
        raise BadRequestData(f"coordinates are not those of a {geometry}; see RFC 7946")
    if shapely.get_num_coordinates(shape) > MAX_VERTICES:
        raise TooComplexQuery(f"the geometry has more than {MAX_VERTICES} vertices; simplify it")
    if not shape.is_valid:
        raise BadRequestData(f"the geometry is not valid: {shapely.is_valid_reason(shape)}")
    return shape


def _are_positions(part: Any, depth: int = 0) -> bool:
    if not isinstance(part, list) or not part or depth > 4:
        return False
    if not isinstance(part[0], list):
        return (
            2 <= len(part) <= 3
            and all(
                isinstance(one, (int, float)) and not isinstance(one, bool) and math.isfinite(one)
                for one in part
            )
            and abs(part[0]) <= 180
            and abs(part[1]) <= 90
        )
    return all(_are_positions(one, depth + 1) for one in part)


# --- order -------------------------------------------------------------------------------------------------------

MEMBERS_TO_ORDER_BY = frozenset({"id", "type", "scope", "createdAt", "modifiedAt"})


def parse_order_by(
    text: str | Sequence[str], context: Terms, *, order_from: Any = None, order_geometry: str | None = None
) -> tuple[Order, ...]:
    """Entity ordering (4.23 of v1.9.1): ``name,age;desc``, ``address[city]``, ``location;dist-asc`` with `order_from`."""
    words = [word.strip() for word in (text.split(",") if isinstance(text, str) else text)]
    if len(words) > MAX_ORDERS:
        raise TooComplexQuery(f"orderBy has more than {MAX_ORDERS} elements")
    origin = None if order_from is None else parse_shape(order_geometry or "Point", order_from)
    return tuple(_order(word, context, origin) for word in words)


def _order(word: str, context: Terms, origin: Any) -> Order:
    name, _, direction = word.partition(";")
    if direction not in ("", "asc", "desc", "dist-asc", "dist-desc"):
        raise BadRequestData(f"orderBy: {direction[:40]!r} is not one of asc, desc, dist-asc, dist-desc")
    if name in MEMBERS_TO_ORDER_BY:
        path = Path(name)
    else:
        parsed = parse_q(name, context)
        if not isinstance(parsed, Exists) or "(" in name:
            raise BadRequestData(f"orderBy: {name[:80]!r} is no attribute")
        path = parsed.path
    if direction.startswith("dist"):
        if origin is None:
            raise BadRequestData("orderBy by distance needs orderFrom")
        return Order(path, direction == "dist-desc", origin)
    return Order(path, direction == "desc")


# --- context sources ---------------------------------------------------------------------------------------------


class _Plain:
    """Names of a registration are taken as they are written."""

    def expand(self, term: str) -> str:
        return term

    def expand_vocab(self, value: str) -> str:
        return value


def parse_csf(text: str, context: Terms | None = None) -> Expr:
    """A context source filter (4.9): the grammar of q over the members of registrations.

    Without a context the names are taken as they are written. See `matching.member_matcher`.
    """
    return parse_q(text, context or _Plain())
