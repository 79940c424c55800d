"""What the query builder was asked: fields of its form to a query, and to the request that a program would send.

The names are the standard's own wherever it has one, so that the page's address and the interface's address read alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote

import orjson
from django.utils.translation import gettext as _

from amb247.context.documents.join import check_projection
from amb247.context.documents.projection import parse_projection
from amb247.context.documents.represent import Form
from amb247.context.domain.contexts import context_of
from amb247.context.jsonld.context import CORE, Context
from amb247.context.ngsi_errors import NgsiError
from amb247.context.querying.query import AllOf, Expr, Query, Restriction, link_depth
from amb247.context.querying.syntax import (
    parse_geo,
    parse_ids,
    parse_order_by,
    parse_pattern,
    parse_q,
    parse_scope,
    parse_types,
)

Result = TypeVar("Result")

API: Final = "/ngsi-ld/v1/entities"
LIMITS: Final = (10, 20, 50, 100)
DEFAULT_LIMIT: Final = 20
MAX_OFFSET: Final = 1_000_000
MAX_TEXT: Final = 8_192
MAX_SEARCH: Final = 100
ACCEPTS: Final = {
    "": "application/json",
    "ld": "application/ld+json",
    "geojson": "application/geo+json",
    "csv": "text/csv",
}
FORMATS: Final = ("normalized", "concise", "simplified")
PLACES: Final = ("", "cerca", "caja", "otra")
FIELDS: Final = (
    "buscar", "type", "id", "idPattern", "q", "lugar", "lat", "lon", "metros", "caja", "georel", "geometry", "coordinates",
    "geoproperty", "scopeQ", "attrs", "pick", "omit", "orderBy", "format", "sysAttrs", "accept", "context", "limit",
    "offset",
)  # fmt: skip
# Legal in a query and read more easily as they are.
READABLE: Final = ":/,;()~!*="


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a field. `is_api`: in the words of the interface, which are English."""

    text: str
    is_api: bool = False


@dataclass(slots=True)
class Asked:
    """The form as it was filled in, and what it means. `query` is None when a field is wrong."""

    values: dict[str, str]
    query: Query | None = None
    form: Form = field(default_factory=Form)
    context: Context = CORE
    faults: dict[str, Fault] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    geo: dict[str, str] = field(default_factory=dict)

    @property
    def accept(self) -> str:
        return ACCEPTS[self.values["accept"]]

    @property
    def path(self) -> str:
        """The interface's address of this query, from the root of the site."""
        return f"{API}?{encoded(self.sent)}"

    def page_query(self, **changes: str | int) -> str:
        """The query of this page's own address, with changes; what is empty or the default is left out."""
        values = self.values | {name: str(value) for name, value in changes.items()}
        kept = [
            (name, values[name]) for name in FIELDS if values[name] and values[name] != DEFAULTS.get(name)
        ]
        return encoded(kept)


DEFAULTS: Final = {"limit": str(DEFAULT_LIMIT), "offset": "0", "format": "normalized"}


def encoded(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={quote(value, safe=READABLE)}" for name, value in pairs)


def read_asked(given: Mapping[str, str], restriction: Restriction | None) -> Asked:
    """Understand the form; every field that is wrong gets its fault, in the words of the interface where it has any."""
    asked = Asked({name: given.get(name, "").strip()[:MAX_TEXT].replace("\x00", "") for name in FIELDS})
    values = asked.values
    _normalize(values)
    if values["context"]:
        found = _read(asked, "context", lambda: context_of(values["context"]))
        if found is not None:
            asked.context = found
    asked.geo = _place(asked)
    parts = _parts(asked)
    asked.form = _form(asked)
    asked.sent = _sent(asked, parts.get("q"))
    if not asked.faults:
        asked.query = Query(
            **parts, limit=int(values["limit"]), offset=int(values["offset"]), restriction=restriction
        )
    return asked


def _normalize(values: dict[str, str]) -> None:
    """Known choices only, numbers within their bounds, coordinates as people paste them."""
    for name, allowed, otherwise in (
        ("lugar", PLACES, ""),
        ("format", FORMATS, "normalized"),
        ("accept", tuple(ACCEPTS), ""),
        ("limit", tuple(str(one) for one in LIMITS), str(DEFAULT_LIMIT)),
    ):
        if values[name] not in allowed:
            values[name] = otherwise
    values["sysAttrs"] = "1" if values["sysAttrs"] in {"1", "true", "on"} else ""
    offset = values["offset"]
    values["offset"] = str(min(int(offset), MAX_OFFSET)) if offset.isascii() and offset.isdigit() else "0"
    if "," in values["lat"] and not values["lon"]:  # "7.119, -73.122", as maps give it
        first, _comma, second = values["lat"].replace(", ", ";").partition(";")
        if not second and values["lat"].count(",") == 1 and "." in values["lat"]:
            first, _comma, second = values["lat"].partition(",")
        if second:
            values["lat"], values["lon"] = first.strip(), second.strip()
    for name in ("lat", "lon", "metros"):
        if values[name].count(",") == 1 and "." not in values[name]:
            values[name] = values[name].replace(",", ".")
    if values["lat"] and values["lon"] and not values["lugar"]:
        values["lugar"] = "cerca"


def _parts(asked: Asked) -> dict[str, Any]:
    """The parts of the query that were given and are right."""
    values, context = asked.values, asked.context
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "type": ("types", lambda text: parse_types(text, context)),
        "id": ("ids", parse_ids),
        "idPattern": ("id_pattern", parse_pattern),
        "q": ("q", lambda text: parse_q(text, context)),
        "scopeQ": ("scope", parse_scope),
        "attrs": ("attrs", lambda text: _names(text, context)),
        "orderBy": ("order_by", lambda text: parse_order_by(text, context)),
    }
    parts = {}
    for name, (part, reader) in readers.items():
        if values[name]:
            found = _read(asked, name, lambda reader=reader, name=name: reader(values[name]))  # type: ignore[misc]
            if found is not None:
                parts[part] = found
    if values["buscar"]:
        search = parse_q(search_text(values["buscar"]), CORE)
        parts["q"] = AllOf((parts["q"], search)) if "q" in parts else search
    geo = asked.geo
    if geo:
        where = "otra" if values["lugar"] == "otra" else "lugar"
        found = _read(
            asked,
            where,
            lambda: parse_geo(
                geo.get("georel"),
                geo.get("geometry"),
                geo.get("coordinates"),
                geo.get("geoproperty"),
                context,
            ),
        )
        if found is not None:
            parts["geo"] = found
    return parts


def _place(asked: Asked) -> dict[str, str]:
    """The parameters of the geo-query; empty when no place is asked for, or one of its numbers is wrong."""
    values = asked.values
    chosen = values["lugar"]
    geo: dict[str, str] = {}
    if chosen == "cerca":
        lat = _number(asked, "lat", 90, _("Escriba la latitud en grados, entre −90 y 90; por ejemplo 7.119."))
        lon = _number(
            asked, "lon", 180, _("Escriba la longitud en grados, entre −180 y 180; por ejemplo −73.122.")
        )
        values["metros"] = values["metros"] or "300"
        metres = _number(
            asked, "metros", 1e8, _("Escriba la distancia en metros, mayor que cero."), lowest=1e-9
        )
        if lat is not None and lon is not None and metres is not None:
            geo = {
                "georel": f"near;maxDistance=={metres:g}",
                "geometry": "Point",
                "coordinates": f"[{lon:.10g},{lat:.10g}]",
            }
    elif chosen == "caja":
        box = _box(values["caja"])
        if box is None:
            asked.faults["caja"] = Fault(
                _(
                    "Escriba oeste, sur, este y norte en grados, separados por comas; por ejemplo −73.14,7.10,−73.10,7.14."
                )
            )
        else:
            west, south, east, north = box
            ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
            geo = {"georel": "within", "geometry": "Polygon", "coordinates": orjson.dumps([ring]).decode()}
    elif chosen == "otra":
        geo = {name: values[name] for name in ("georel", "geometry", "coordinates") if values[name]}
    if geo and values["geoproperty"]:
        geo["geoproperty"] = values["geoproperty"]
    return geo


def _number(
    asked: Asked, name: str, highest: float, words: str, *, lowest: float | None = None
) -> float | None:
    try:
        number = float(asked.values[name].replace("−", "-"))
    except ValueError:
        number = math.nan
    least = -highest if lowest is None else lowest
    if not least <= number <= highest:  # false for NaN too
        asked.faults[name] = Fault(words)
        return None
    asked.values[name] = asked.values[name].replace("−", "-")
    return number


def _box(text: str) -> tuple[float, float, float, float] | None:
    parts = text.replace("−", "-").split(",")
    try:
        west, south, east, north = (float(part) for part in parts)
    except ValueError:
        return None
    fits = -180 <= west < east <= 180 and -90 <= south < north <= 90
    return (west, south, east, north) if fits else None


def _form(asked: Asked) -> Form:
    values, context = asked.values, asked.context
    pick = omit = attrs = None
    if values["pick"]:
        pick = _read(asked, "pick", lambda: parse_projection(values["pick"], context, parameter="pick"))
    if values["omit"]:
        omit = _read(asked, "omit", lambda: parse_projection(values["omit"], context, parameter="omit"))
    if values["attrs"] and "attrs" not in asked.faults:
        attrs = _names(values["attrs"], context)
    form = Form(
        kind=values["format"],  # type: ignore[arg-type]  # one of FORMATS
        sys_attrs=bool(values["sysAttrs"]),
        attrs=attrs,
        pick=pick,
        omit=omit,
    )
    field_at_fault = "pick" if values["pick"] else "omit"
    _read(asked, field_at_fault, lambda: check_projection(form, join=None, level=1))
    return form


def _names(text: str, context: Context) -> tuple[str, ...]:
    return tuple(context.expand(name.strip()) for name in text.split(",") if name.strip())


def _sent(asked: Asked, q: Expr | None) -> list[tuple[str, str]]:
    """The parameters as the interface takes them."""
    values = asked.values
    filters = values | {"q": _whole_q(values)}
    sent = [
        (name, filters[name]) for name in ("type", "id", "idPattern", "q", "scopeQ", "attrs") if filters[name]
    ]
    sent += asked.geo.items()
    if not sent:
        sent = [("local", "true")]  # without any filter the interface wants to know that this is meant
    sent += [(name, values[name]) for name in ("pick", "omit", "orderBy") if values[name]]
    if depth := link_depth(q):  # the interface follows links only as far as they are joined (5.7.2.4)
        sent += [("join", "inline"), ("joinLevel", str(depth))]
    if values["format"] != "normalized":
        sent.append(("format", values["format"]))
    if values["sysAttrs"]:
        sent.append(("options", "sysAttrs"))
    sent += [("count", "true"), ("limit", values["limit"])]
    if values["offset"] != "0":
        sent.append(("offset", values["offset"]))
    return sent


def _whole_q(values: Mapping[str, str]) -> str:
    if not values["buscar"]:
        return values["q"]
    search = search_text(values["buscar"])
    return f"({values['q']});({search})" if values["q"] else search


def search_text(words: str) -> str:
    """A `q` for entities whose id or name holds the words, whatever their case."""
    pattern = "".join(_either_case(one) for one in words[:MAX_SEARCH])
    return f'id~="{pattern}"|name~="{pattern}"'


def _either_case(character: str) -> str:
    if character.isascii() and character.isalpha():
        return f"[{character.upper()}{character.lower()}]"
    if character.isascii() and (character.isdigit() or character in " _,:;/@#%&=-"):
        return character
    # Accents are typed or not, and all else would need escapes: one character of any kind.
    return "."


def _read(asked: Asked, name: str, reader: Callable[[], Result]) -> Result | None:
    try:
        return reader()
    except NgsiError as problem:
        asked.faults[name] = Fault(problem.detail, is_api=True)
        return None


def fault_of(problem: NgsiError) -> tuple[str, Fault]:
    """The field that a problem found while asking belongs to, and its words; the whole form where it names none."""
    name = problem.detail.partition(":")[0]
    return (name if name in FIELDS else "general"), Fault(problem.detail, is_api=True)
