"""What may stand in a value: JSON that the store can keep, geometries, URIs, maps of languages. Refuses by BadRequestData."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from amb247.context.documents import times
from amb247.context.documents.kinds import DELETE, GEOMETRY_DEPTH, NGSI_NULL
from amb247.context.ngsi_errors import BadRequestData

Json = Any
MAX_TEXT: Final = 1_000_000
MAX_VALUE: Final = 1_000_000  # bytes of one compound value
MAX_GEOMETRY: Final = 5_000_000
MAX_VERTICES: Final = 200_000
MAX_DEPTH: Final = 32
MAX_URI: Final = 2_048
LEAST, GREATEST = -(2**63), 2**64 - 1
LARGEST = 1.7976931348623157e308

URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x20\x7f]+\Z")
LANGUAGE: Final = re.compile(r"(?:@none|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\Z")


def check_uri(
    field: str, value: Json, *, what: str = "the URI of an entity, such as urn:ngsi-ld:Vehicle:A4567"
) -> str:
    if type(value) is not str or len(value) > MAX_URI or not URI.match(value):
        raise BadRequestData(f"{field}: {_short(value)} is no URI; send {what}")
    return value


def check_time(field: str, value: Json) -> str:
    """The moment in its canonical text."""
    found = times.canonical(value) if type(value) is str else None
    if found is None:
        raise BadRequestData(
            f"{field}: {_short(value)} is no date and time; send ISO 8601 in UTC, such as 2026-11-22T14:03:00Z"
        )
    return found


def check_text(field: str, value: str) -> str:
    if len(value) > MAX_TEXT:
        raise BadRequestData(f"{field}: is {len(value):,} characters long; send at most {MAX_TEXT:,}")
    if "\x00" in value:
        raise BadRequestData(f"{field}: contains the character NUL; leave it out")
    return value


def check_value(field: str, value: Json, *, nulls: bool) -> Json:
    """A Property's value: any JSON but null, as it is."""
    kind = type(value)
    if kind is str:
        if value == NGSI_NULL:
            return check_null(field, nulls=nulls)
        return check_text(field, value)
    if kind is bool:
        return value
    if kind is int:
        if not LEAST <= value <= GREATEST:
            raise BadRequestData(
                f"{field}: {_short(value)} has more than 64 bits; send it as text or as a decimal"
            )
        return value
    if kind is float:
        if not -LARGEST <= value <= LARGEST:
            raise BadRequestData(f"{field}: is no finite number")
        return value
    if value is None:
        raise BadRequestData(
            f"{field}: is null; send a value, or urn:ngsi-ld:null where an update is to remove it"
        )
    return check_compound(field, value, nulls=nulls)


def check_null(field: str, *, nulls: bool) -> Json:
    if not nulls:
        raise BadRequestData(f"{field}: {NGSI_NULL} removes something, which this operation does not do")
    return DELETE


def check_compound(field: str, value: Json, *, nulls: bool, limit: int = MAX_VALUE) -> Json:
    """An object or list: its depth, size, texts and numbers. Nulls of its members ask for removal where allowed."""
    has_null = False
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Json] = []
        for one in level:
            kind = type(one)
            if kind is dict:
                for key in one:
                    if type(key) is not str or "\x00" in key:
                        raise BadRequestData(f"{field}: a key contains the character NUL; leave it out")
                inner += one.values()
            elif kind is list:
                inner += one
            elif kind is str:
                if "\x00" in one:
                    raise BadRequestData(f"{field}: contains the character NUL; leave it out")
                if one == NGSI_NULL:
                    has_null = check_null(field, nulls=nulls) is DELETE
            elif kind is int:
                if not LEAST <= one <= GREATEST:
                    raise BadRequestData(f"{field}: contains a number of more than 64 bits; send it as text")
            elif kind is float:
                if not -LARGEST <= one <= LARGEST:
                    raise BadRequestData(f"{field}: contains a number that is not finite")
            elif one is not None and kind is not bool:
                raise BadRequestData(f"{field}: is no JSON")
        if not inner:
            break
        level = inner
    else:
        raise BadRequestData(f"{field}: is nested more than {MAX_DEPTH} deep; send a flatter value")
    try:
        size = len(orjson.dumps(value))
    except (TypeError, ValueError) as problem:
        raise BadRequestData(f"{field}: cannot be written as JSON: {str(problem)[:80]}") from None
    if size > limit:
        raise BadRequestData(f"{field}: is {size:,} bytes long; send at most {limit:,}, or its address")
    return _marked(value) if has_null else value


def _marked(value: Json) -> Json:
    """A copy in which every member that is to go says DELETE. Inside lists, which are replaced whole, nothing goes."""
    if type(value) is not dict:
        return value
    return {key: DELETE if part == NGSI_NULL else _marked(part) for key, part in value.items()}


def check_raw(field: str, value: Json) -> Json:
    """A JsonProperty's content: its words mean nothing to NGSI-LD, not even its null."""
    if type(value) in (dict, list):
        check_compound(field, value, nulls=True)
    return value


def is_geometry(value: Json) -> bool:
    """Whether it looks like one: a geometry's type and coordinates."""
    return (
        type(value) is dict
        and type(value.get("type")) is str
        and value["type"] in GEOMETRY_DEPTH
        and "coordinates" in value
    )


def check_geometry(field: str, value: Json, *, nulls: bool) -> Json:
    """A GeoJSON geometry, WGS84; also as the text of one, as clients of JSON-LD 1.0 send it."""
    if type(value) is str:
        if value == NGSI_NULL:
            return check_null(field, nulls=nulls)
        try:
            value = orjson.loads(value) if len(value) <= MAX_GEOMETRY else None
        except (ValueError, UnicodeError):
            value = None
    if type(value) is not dict:
        raise BadRequestData(
            f'{field}: is no GeoJSON geometry; send {{"type": "Point", "coordinates": [longitude, latitude]}}'
        )
    kind, coordinates = value.get("type"), value.get("coordinates")
    depth = GEOMETRY_DEPTH.get(kind) if type(kind) is str else None
    if depth is None:
        raise BadRequestData(f"{field}.type: {_short(kind)} is no geometry; use {', '.join(GEOMETRY_DEPTH)}")
    if depth == 0:
        _check_position(field, coordinates)
        return value
    flat: Json = [coordinates]
    for _ in range(depth):
        if not all(type(part) is list and part for part in flat):
            raise BadRequestData(f"{field}.coordinates: are not those of a {kind}; see RFC 7946, 3.1")
        flat = [inner for part in flat for inner in part]
        if len(flat) > MAX_VERTICES:
            raise BadRequestData(f"{field}: has more than {MAX_VERTICES:,} vertices; simplify it")
    for position in flat:
        _check_position(field, position)
    _check_lines(field, kind, coordinates)
    return value


def _check_lines(field: str, kind: Json, coordinates: Json) -> None:
    if kind in ("LineString", "MultiLineString"):
        for line in [coordinates] if kind == "LineString" else coordinates:
            if len(line) < 2:
                raise BadRequestData(f"{field}.coordinates: a line needs two positions or more")
    elif kind in ("Polygon", "MultiPolygon"):
        for polygon in [coordinates] if kind == "Polygon" else coordinates:
            for ring in polygon:
                if len(ring) < 4 or ring[0] != ring[-1]:
                    raise BadRequestData(
                        f"{field}.coordinates: a ring has four positions or more, and its last is its first"
                    )


def _check_position(field: str, position: Json) -> None:
    if type(position) is list and 2 <= len(position) <= 4:
        for number in position:
            if type(number) is not float and type(number) is not int:
                break
        else:
            if (
                -180 <= position[0] <= 180
                and -90 <= position[1] <= 90
                and all(-LARGEST <= n <= LARGEST for n in position[2:])
            ):
                return
            raise BadRequestData(
                f"{field}.coordinates: {_short(position)} lies off the globe; send [longitude, latitude] in degrees"
            )
    raise BadRequestData(
        f"{field}.coordinates: {_short(position)} is no position; send [longitude, latitude]"
    )


def _short(value: Json) -> str:
    text = (
        repr(value) if not isinstance(value, (dict, list)) or len(value) < 8 else f"a {type(value).__name__}"
    )
    return text if len(text) <= 80 else text[:77] + "..."
