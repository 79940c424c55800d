"""The attribute projection language: `pick=id,name,owner{name,address{city}}` (GS CIM 009, 4.21)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from amb247.context.jsonld.context import Context
from amb247.context.ngsi_errors import BadRequestData

MAX_TERMS: Final = 500
MAX_DEPTH: Final = 10
# Members of an entity that may be picked or left out though they are no attributes.
MEMBERS: Final = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "deletedAt", "expiresAt"})
TOKEN: Final = re.compile(r"\s*([{}|,]|[^{}|,]+)")


@dataclass(frozen=True, slots=True)
class Pick:
    """One term of a projection: an internal name, and what of the linked entity where it goes on (`owner{name}`)."""

    name: str
    nested: tuple[Pick, ...] = ()


def parse_projection(text: str, context: Context, *, parameter: str = "pick") -> tuple[Pick, ...]:
    """The terms of a projection with internal names.

    Raises
    ------
    BadRequestData
        Braces do not match, a name is none, or there are too many.
    """
    tokens = [token.strip() for token in TOKEN.findall(text)]
    if len(tokens) > 2 * MAX_TERMS:
        raise BadRequestData(f"{parameter}: names more than {MAX_TERMS} members")
    terms, end = _terms(tokens, 0, context, parameter, 0)
    if end < len(tokens):
        raise BadRequestData(f"{parameter}: a brace is closed that was not opened, in {text[:80]!r}")
    return terms


def depth(terms: tuple[Pick, ...] | None) -> int:
    """How many links away the terms reach; 0 for those of the entity itself."""
    return max((1 + depth(one.nested) for one in terms or () if one.nested), default=0)


def _terms(
    tokens: list[str], place: int, context: Context, parameter: str, level: int
) -> tuple[tuple[Pick, ...], int]:
    if level > MAX_DEPTH:
        raise BadRequestData(f"{parameter}: braces are nested more than {MAX_DEPTH} deep")
    found: list[Pick] = []
    while True:
        if place >= len(tokens) or tokens[place] in "{}|,":
            raise BadRequestData(f"{parameter}: a name is missing; send for instance id,name,owner{{name}}")
        given = tokens[place]
        name = given if given in MEMBERS else context.expand(given)
        place += 1
        nested: tuple[Pick, ...] = ()
        if place < len(tokens) and tokens[place] == "{":
            nested, place = _terms(tokens, place + 1, context, parameter, level + 1)
            if place >= len(tokens) or tokens[place] != "}":
                raise BadRequestData(f"{parameter}: a brace is not closed")
            place += 1
        found.append(Pick(name, nested))
        if place >= len(tokens) or tokens[place] not in "|,":
            return tuple(found), place
        place += 1
