"""Stored entities for people to read: names as they are stored, values in words, times aware, links to other entities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.utils.translation import get_language

from amb247.context.documents.kinds import NOT_ATTRIBUTES, TARGETED, VALUE_KEY
from amb247.context.documents.represent import Form, represent
from amb247.context.documents.times import moment
from amb247.context.jsonld.context import Context
from amb247.context.jsonld.names import iri
from amb247.context.phrases import ATTRIBUTES, TYPES, UNITS, VALUES, VALUES_OF, in_words
from amb247.context.stored import Instance, Stored

Json = Any
NAMES: Final = ("name", "title", "cameraName", "shortName", "alternateName", "description")
BRIEF: Final = 4  # attributes that a row of results tells
SHORT: Final = 160
NOT_BRIEF: Final = frozenset({*NAMES, "location", "synthetic", "source", "dataProvider"})


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type or attribute: as it is stored, its IRI, and a Spanish word where the city has one."""

    name: str
    iri: str
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """One instance of an attribute, or of an attribute of it (`depth` > 0)."""

    name: TypeName
    depth: int
    kind: str
    value: str
    raw: str  # the value as JSON where the words do not tell all of it
    links: tuple[str, ...]
    unit: str
    unit_code: str
    dataset: str
    observed: datetime | None
    created: datetime | None
    modified: datetime | None
    expires: datetime | None

    @property
    def indent(self) -> range:
        return range(self.depth)


def type_name(name: str) -> TypeName:
    return TypeName(name, iri(name), str(TYPES.get(name, "")))


def attribute_name(name: str) -> TypeName:
    return TypeName(name, iri(name), str(ATTRIBUTES.get(name, "")))


def title_of(entity: Stored) -> str:
    """What people call it, else the end of its id."""
    for name in NAMES:
        value = plain(entity.attributes.get(name))
        if isinstance(value, str) and value:
            return value[:120]
    return short_id(entity.id)


def short_id(entity_id: str) -> str:
    """`Streetlight:amb:L1` for `urn:ngsi-ld:Streetlight:amb:L1`."""
    return entity_id.removeprefix("urn:ngsi-ld:")


def result_row(entity: Stored, context: Context, form: Form) -> dict[str, Any]:
    """What the list of results says of an entity."""
    shown = [name for name in entity.attributes if _is_shown(name, form)]
    told = [name for name in shown if name not in NOT_BRIEF or form.attrs or form.pick][:BRIEF]
    document = represent(entity, context, form)
    return {
        "id": entity.id,
        "title": title_of(entity),
        "is_named": title_of(entity) != short_id(entity.id),
        "types": [type_name(name) for name in entity.types],
        "facts": [
            {"name": context.compact(name), "value": value_words(name, default_of(entity.attributes[name]))}
            for name in told
        ],
        "more": len(shown) - len(told),
        "at": newest(entity),
        "modified": entity.modified_at,
        "json": pretty(document),
    }


def _is_shown(name: str, form: Form) -> bool:
    picked = None if form.pick is None else {one if isinstance(one, str) else one.name for one in form.pick}
    left = {one if isinstance(one, str) else one.name for one in form.omit or ()}
    return (
        (form.attrs is None or name in form.attrs) and (picked is None or name in picked) and name not in left
    )


def rows_of(entity: Stored) -> list[Row]:
    """Every instance of every attribute with its own attributes below it, by name."""
    # The representation puts in the stamps that the store leaves out where they are the entity's own.
    document = represent(entity, NAMED_AS_STORED, Form(sys_attrs=True))
    return [
        row
        for name in sorted(entity.attributes, key=str.casefold)
        if name in document
        for row in _rows(name, document[name], 0)
    ]


def _rows(name: str, value: Json, depth: int) -> Iterator[Row]:
    for instance in value if isinstance(value, list) else [value]:
        if not isinstance(instance, dict):
            continue
        yield _row(name, instance, depth)
        if depth < 4:
            for inner in instance:
                if inner not in NOT_ATTRIBUTES:
                    yield from _rows(inner, instance[inner], depth + 1)


def _row(name: str, instance: Instance, depth: int) -> Row:
    kind = str(instance.get("type", "Property"))
    code = str(instance.get("unitCode", ""))
    value = instance.get(VALUE_KEY.get(kind, "value"))
    links = tuple(_targets(value)) if kind in TARGETED else ()
    words = "" if links else value_words(name, instance, unit=False)
    return Row(
        name=attribute_name(name),
        depth=depth,
        kind=kind,
        value=words,
        raw=pretty(value) if isinstance(value, dict | list) and not links else "",
        links=links,
        unit=str(UNITS.get(code, "")),
        unit_code=code,
        dataset=str(instance.get("datasetId", "")),
        observed=_at(instance, "observedAt"),
        created=_at(instance, "createdAt"),
        modified=_at(instance, "modifiedAt"),
        expires=_at(instance, "expiresAt"),
    )


def _targets(value: Json) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        target = one.get("object") if isinstance(one, dict) else one
        if isinstance(target, str):
            yield target


def value_words(name: str, instance: Instance, *, unit: bool = True) -> str:
    """The value of an instance in a few words, with its unit."""
    kind = str(instance.get("type", "Property"))
    value = instance.get(VALUE_KEY.get(kind, "value"))
    if kind == "GeoProperty" and isinstance(value, dict):
        return place_words(value)
    if kind == "LanguageProperty" and isinstance(value, dict):
        language = (get_language() or "es").partition("-")[0]
        value = value.get(language) or next(iter(value.values()), "")
    if kind in TARGETED:
        return ", ".join(map(short_id, _targets(value)))[:SHORT]
    words = as_stored(value)
    known = VALUES_OF.get(name, VALUES).get(value) if isinstance(value, str) else None
    if known is not None and str(known) != value:
        words = f"{value} ({known})"
    code = str(instance.get("unitCode", ""))
    symbol = str(UNITS.get(code, code))
    words = words if len(words) <= SHORT else words[: SHORT - 1] + "…"
    return f"{words} {symbol}" if unit and symbol and words else words


def as_stored(value: Json) -> str:
    """Texts and numbers exactly as they are stored: whoever queries must type them. Moments and flags also in words."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return f"{'true' if value else 'false'} ({in_words(value)})"
    if isinstance(value, dict) and "@value" in value:
        return in_words(value)
    return orjson.dumps(value).decode()


def place_words(geometry: dict[str, Any]) -> str:
    """`7,12 N 73,12 W` would hide the order; so the numbers stand as people give them to maps: latitude, longitude."""
    point = geometry.get("coordinates")
    kind = str(geometry.get("type", ""))
    if kind == "Point" and isinstance(point, list) and len(point) >= 2:
        return f"{point[1]:.6f}, {point[0]:.6f}"
    return kind


def history_kind(entity: Stored, attribute: str) -> str:
    """`number`, `words` or "" when there is no such attribute."""
    stored = entity.attributes.get(attribute)
    if stored is None:
        return ""
    value = default_of(stored).get("value")
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "words"


def default_of(stored: Instance | list[Instance]) -> Instance:
    """The default instance, or the first where there is none."""
    if not isinstance(stored, list):
        return stored
    return next((one for one in stored if "datasetId" not in one), stored[0])


def plain(stored: Instance | list[Instance] | None) -> Json:
    if stored is None:
        return None
    instance = default_of(stored)
    value = instance.get(VALUE_KEY.get(str(instance.get("type")), "value"))
    if instance.get("type") == "LanguageProperty" and isinstance(value, dict):
        return value.get("es") or next(iter(value.values()), None)
    return value


def newest(entity: Stored) -> datetime | None:
    """The newest observation among all instances."""
    found = [
        str(instance["observedAt"])
        for stored in entity.attributes.values()
        for instance in (stored if isinstance(stored, list) else [stored])
        if "observedAt" in instance
    ]
    return max((at for at in map(moment, found) if at is not None), default=None)


def pretty(document: Json) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _at(instance: Instance, name: str) -> datetime | None:
    value = instance.get(name)
    return moment(value) if isinstance(value, str) else None


class _AsStored:
    """A context that calls everything by its internal name, so that rows can be found again in the store."""

    link = ""
    source = None

    @staticmethod
    def compact(name: str) -> str:
        return name

    @staticmethod
    def compact_vocab(name: str) -> str:
        return name


NAMED_AS_STORED: Any = _AsStored()
