"""Why a query finds nothing: what each condition leaves out, and which names or numbers look like slips."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final

import shapely
from django.utils.translation import gettext as _

from amb247.context.documents.kinds import VALUE_KEY
from amb247.context.domain.queries.find import count, find
from amb247.context.ngsi_errors import NgsiError
from amb247.context.querying.query import (
    ENTITY_MEMBERS,
    AllOf,
    Compare,
    Expr,
    Query,
    Value,
    attributes_of,
    terms_of,
)
from amb247.context.web.asked import Asked
from amb247.context.web.describe import default_of
from amb247.context.web.known import attribute_names
from amb247.territory import api as territory

BUDGET_S: Final = 3.0  # for all counts together
MAX_PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class Left:
    """A condition, and how many entities there would be without it; None when counting took too long."""

    parameter: str
    text: str
    without: int | None


def why_nothing(asked: Asked) -> list[Left]:
    """Each condition left out once. All within the reader's reach, so that no count tells of what they may not see."""
    query = asked.query
    if query is None:
        return []
    until = time.monotonic() + BUDGET_S
    return [
        Left(parameter, text, _count(other, until))
        for parameter, text, other in list(_without(query, asked.values, asked.geo))[:MAX_PARTS]
    ]


def _count(query: Query, until: float) -> int | None:
    if time.monotonic() > until:
        return None
    try:
        return count(query)
    except NgsiError:
        return None


def _without(
    query: Query, values: Mapping[str, str], geo: Mapping[str, str]
) -> Iterator[tuple[str, str, Query]]:
    if query.types is not None:
        yield "type", values["type"], replace(query, types=None)
    if query.ids:
        yield "id", values["id"], replace(query, ids=())
    if query.id_pattern is not None:
        yield "idPattern", values["idPattern"], replace(query, id_pattern=None)
    if values["buscar"] and query.q is not None:
        # The search stands last in the conjunction, or alone (`asked.read_asked`).
        own = query.q.parts[0] if isinstance(query.q, AllOf) and values["q"] else None
        yield "buscar", values["buscar"], replace(query, q=own)
    if values["q"] and query.q is not None:
        yield from _without_parts_of_q(query, values["q"], has_search=bool(values["buscar"]))
    if query.geo is not None:
        yield "georel", geo.get("georel", ""), replace(query, geo=None)
    if query.scope is not None:
        yield "scopeQ", values["scopeQ"], replace(query, scope=None)
    if query.attrs:
        yield "attrs", values["attrs"], replace(query, attrs=())


def _without_parts_of_q(query: Query, text: str, *, has_search: bool) -> Iterator[tuple[str, str, Query]]:
    """Each part of an AND by itself, where the text can be cut at the same places as the parser did."""
    whole: Expr | None = query.q
    search: tuple[Expr, ...] = ()
    if has_search and isinstance(whole, AllOf):
        search = whole.parts[1:]
        whole = whole.parts[0]
    parts = whole.parts if isinstance(whole, AllOf) else ()
    texts = split_conjunction(text)
    if len(parts) < 2 or len(texts) != len(parts):
        yield "q", text, replace(query, q=search[0] if search else None)
        return
    for place, part_text in enumerate(texts):
        others = parts[:place] + parts[place + 1 :] + search
        rest = others[0] if len(others) == 1 else AllOf(others)
        yield "q", part_text, replace(query, q=rest)


def split_conjunction(text: str) -> list[str]:
    """The parts between `;` outside of quotes and parentheses."""
    parts, depth, in_quotes, start, place = [], 0, False, 0, 0
    while place < len(text):
        character = text[place]
        if character == "\\":
            place += 1
        elif character == '"':
            in_quotes = not in_quotes
        elif not in_quotes and character in "([{":
            depth += 1
        elif not in_quotes and character in ")]}":
            depth -= 1
        elif not in_quotes and character == ";" and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
        place += 1
    return [*parts, text[start:].strip()]


def hints(asked: Asked, known_types: Collection[str]) -> list[str]:
    """What looks like a slip."""
    query = asked.query
    if query is None:
        return []
    types = list(_type_hints(query, known_types))
    # Of a type that is not there no attribute is there either: the first slip is enough to say.
    return [*types, *_place_hints(query), *([] if types else _attribute_hints(asked, query))]


def _type_hints(query: Query, known: Collection[str]) -> Iterator[str]:
    for name in sorted(query.types.names() if query.types else ()):
        if name in known:
            continue
        close = _close(name, known)
        if close:
            yield _("No hay entidades de tipo «%(name)s». ¿Quiso decir «%(close)s»?") % {
                "name": name,
                "close": close,
            }
        else:
            yield _(
                "No hay entidades de tipo «%(name)s»: revise mayúsculas, y si el programa que escribe usa otro @context."
            ) % {"name": name}


def _place_hints(query: Query) -> Iterator[str]:
    if query.geo is None or query.geo.relation != "near" or query.geo.shape.geom_type != "Point":
        return
    lon, lat = shapely.get_x(query.geo.shape), shapely.get_y(query.geo.shape)
    if territory.area_of(lon, lat) is None:
        if territory.area_of(lat, lon) is not None:
            yield _(
                "El punto queda fuera del territorio; con latitud y longitud intercambiadas quedaría dentro."
            )
        else:
            yield _("El punto queda fuera del territorio: revise las coordenadas.")


def _attribute_hints(asked: Asked, query: Query) -> Iterator[str]:
    """Attributes that no entity of these types has, and literals of another kind than what is stored."""
    named = {*query.attrs, *(attributes_of(query.q) if query.q is not None else ())} - ENTITY_MEMBERS
    for name in sorted(named)[:MAX_PARTS]:
        shown = asked.context.compact(name)
        sample = _sample(query, name)
        if sample is None:
            close = _close(name, _names_of(query))
            if close:
                yield _("Ninguna entidad de estas tiene el atributo «%(name)s». ¿Quiso decir «%(close)s»?") % {
                    "name": shown, "close": asked.context.compact(close)
                }  # fmt: skip
            else:
                yield _("Ninguna entidad de estas tiene el atributo «%(name)s».") % {"name": shown}
            continue
        stored = _kind_of(sample)
        for term in terms_of(query.q) if query.q is not None else ():
            if (
                not isinstance(term, Compare)
                or term.path.attribute != name
                or term.path.subs
                or term.path.members
            ):
                continue
            asked_kinds = {one.kind for one in term.values if isinstance(one, Value)}
            if stored == "number" and "text" in asked_kinds:
                yield _("«%(name)s» guarda números: escriba el número sin comillas.") % {"name": shown}
            elif stored == "text" and "number" in asked_kinds:
                yield _("«%(name)s» guarda textos: escriba el valor entre comillas.") % {"name": shown}


def _sample(query: Query, attribute: str) -> Any:
    """A value of the attribute among entities of the same types within reach."""
    found = _first(replace(_types_only(query), attrs=(attribute,)))
    if found is None:
        return None
    instance = default_of(found.attributes[attribute])
    return instance.get(VALUE_KEY.get(str(instance.get("type")), "value"))


def _names_of(query: Query) -> list[str]:
    if query.types is not None:
        return attribute_names(query.types.names(), query.restriction)
    found = _first(_types_only(query))
    return [] if found is None else list(found.attributes)


def _types_only(query: Query) -> Query:
    return Query(types=query.types, restriction=query.restriction, limit=1)


def _first(query: Query) -> Any:
    try:
        return next(iter(find(query)), None)
    except NgsiError:
        return None


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else "other"


def _close(name: str, known: Collection[str]) -> str:
    """The known name that was probably meant."""
    folded = {one.casefold(): one for one in known}
    if name.casefold() in folded:
        return folded[name.casefold()]
    last = name.rpartition("/")[2].rpartition("#")[2]
    if last != name and last in known:
        return last
    near = get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.75)
    return folded[near[0]] if near else ""
