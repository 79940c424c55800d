"""Which property holds what: four known layouts, our own, and one that the user describes.

A layout turns properties into a `Candidate`; it knows nothing of shapes, other features or what is stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from django.utils.translation import gettext as _

from amb247.territory.adapters.geojson.known import commune_name
from amb247.territory.data import ColumnMapping
from amb247.territory.enums import Level
from amb247.territory.errors import FileRefused

Properties: TypeAlias = Mapping[str, Any]
MAX_NAME: Final = 160
MAX_POPULATION: Final = 50_000_000
CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}")


class FeatureRefused(Exception):
    """A property of one feature cannot be used."""

    def __init__(self, field_name: str, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.field = field_name
        self.reason = reason
        self.remedy = remedy


@dataclass
class Candidate:
    """What the properties of one feature say; `index` counts from 1."""

    index: int
    level: Level
    name: str
    code: str | None = None
    parent: str | None = None
    population: int | None = None
    synthetic: bool = False
    geometry: Any = None
    repairs: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    name: str
    has: frozenset[str]
    read: Callable[[int, Properties], Candidate]


def recognise(features: Sequence[Any], mapping: ColumnMapping | None) -> Layout:
    """The layout of a file, by the properties that most of its features have.

    Raises
    ------
    FileRefused     no layout fits; the message lists the properties found and the options to name them
    """
    names = [frozenset(properties) for properties in _properties(features[:200])]
    if mapping is not None and (mapping.name or mapping.level):
        columns = _with_parent(mapping, names)
        return Layout("columns", frozenset(), lambda index, properties: _mapped(index, properties, columns))
    for layout in LAYOUTS:
        if sum(layout.has <= one for one in names) * 2 > len(names):
            return layout if mapping is None else _completed(layout, _with_parent(mapping, names))
    found = sorted(set().union(*names)) if names else []
    raise FileRefused(
        _(
            "No se reconocen las columnas del archivo (%(columns)s). Diga cuáles son: "
            "--level, --code, --name, --parent, --population."
        )
        % {"columns": ", ".join(found[:20]) or "—"}
    )


@dataclass(frozen=True)
class _Columns:
    """A `ColumnMapping` whose parent is known to be a property or a code."""

    given: ColumnMapping
    parent: str | None
    parent_code: str | None


def _with_parent(mapping: ColumnMapping, names: Sequence[frozenset[str]]) -> _Columns:
    if mapping.parent is None or any(mapping.parent in one for one in names):
        return _Columns(mapping, mapping.parent, None)
    return _Columns(mapping, None, mapping.parent)


def _completed(layout: Layout, columns: _Columns) -> Layout:
    """A recognised layout in which some columns were told by the user."""

    def read(index: int, properties: Properties) -> Candidate:
        candidate = layout.read(index, properties)
        told = columns.given
        if told.code:
            candidate.code = _code(properties.get(told.code), told.code)
        if told.population:
            candidate.population = _population(properties.get(told.population), told.population)
        candidate.parent = columns.parent_code or candidate.parent
        if columns.parent:
            candidate.parent = _code(properties.get(columns.parent), columns.parent)
        return candidate

    return Layout(layout.name, layout.has, read)


def candidates_of(
    features: Sequence[Any], layout: Layout
) -> Iterable[Candidate | tuple[int, str, FeatureRefused]]:
    """Each feature as a candidate, or its number, name and the refusal."""
    for index, feature in enumerate(features, start=1):
        if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
            yield index, "", FeatureRefused("type", _("No es un elemento «Feature»."), _("Quítelo."))
            continue
        properties = feature.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        try:
            candidate = layout.read(index, properties)
        except FeatureRefused as refusal:
            yield index, label_of(properties), refusal
        else:
            candidate.geometry = feature.get("geometry")
            yield candidate


def label_of(properties: Properties) -> str:
    """Something to know the feature by when it could not be read."""
    for key in ("name", "NOMBRE", "MPIO_CNMBR", "code", "COD_COMUNA"):
        if properties.get(key):
            return str(properties[key])[:80]
    return next((str(value)[:80] for value in properties.values() if isinstance(value, str) and value), "")


def _properties(features: Iterable[Any]) -> list[Properties]:
    found = (feature.get("properties") for feature in features if isinstance(feature, Mapping))
    return [one for one in found if isinstance(one, Mapping)]


def _own(index: int, properties: Properties) -> Candidate:
    return Candidate(
        index=index,
        level=_level(properties.get("level"), "level"),
        name=_name(properties.get("name"), "name"),
        code=_code(properties.get("code"), "code"),
        parent=_code(properties.get("parent"), "parent"),
        population=_population(properties.get("population"), "population"),
        synthetic=properties.get("synthetic") is True,
    )


def _dane_municipality(index: int, properties: Properties) -> Candidate:
    code = _digits(properties.get("MPIO_CCNCT"), "MPIO_CCNCT", 5)
    department, municipality = properties.get("DPTO_CCDGO"), properties.get("MPIO_CCDGO")
    if department and municipality and f"{department}{municipality}" != code:
        raise FeatureRefused(
            "MPIO_CCNCT",
            _(
                "El código %(code)s no coincide con el departamento %(department)s y el municipio %(municipality)s."
            )
            % {"code": code, "department": department, "municipality": municipality},
            _("Corrija el código DIVIPOLA."),
        )
    return Candidate(
        index=index,
        level=Level.MUNICIPALITY,
        name=_name(properties.get("MPIO_CNMBR"), "MPIO_CNMBR"),
        code=code,
    )


def _commune(index: int, properties: Properties) -> Candidate:
    number = int(_digits(properties.get("COD_COMUNA"), "COD_COMUNA", 2))
    department = _digits(properties.get("COD_DEPART"), "COD_DEPART", 2)
    municipality = department + _digits(properties.get("COD_MUNICI"), "COD_MUNICI", 3)
    repairs = []
    told = str(properties.get("NOMBRE_COD") or "")
    if told and not re.fullmatch(r"\d{2}", told):
        repairs.append(
            (
                "NOMBRE_COD",
                _("NOMBRE_COD dice «%(told)s» donde otras dicen «%(number)02d»; se usó COD_COMUNA.")
                % {"told": told[:40], "number": number},
            )
        )
    name = str(properties.get("NOMBRE") or "").strip()
    if not name:
        name = commune_name(municipality, number) or _("Comuna %(number)d") % {"number": number}
        repairs.append(("NOMBRE", _("No tenía nombre; se usó «%(name)s».") % {"name": name}))
    return Candidate(
        index=index,
        level=Level.COMMUNE,
        name=_name(name, "NOMBRE"),
        code=f"{municipality}-{number:02d}",
        parent=municipality,
        population=_population(properties.get("PERSONAS_S"), "PERSONAS_S"),
        repairs=repairs,
    )


def _neighbourhood(index: int, properties: Properties) -> Candidate:
    return Candidate(index=index, level=Level.NEIGHBOURHOOD, name=_name(properties.get("NOMBRE"), "NOMBRE"))


KINDS: Final = {
    "BARRIO": Level.NEIGHBOURHOOD,
    "VEREDA": Level.NEIGHBOURHOOD,
    "COMUNA": Level.COMMUNE,
    "CORREGIMIENTO": Level.COMMUNE,
    "MUNICIPIO": Level.MUNICIPALITY,
}


def _by_kind(index: int, properties: Properties) -> Candidate:
    kind = str(properties.get("TIPO") or "").strip().upper()
    if kind not in KINDS:
        raise FeatureRefused(
            "TIPO",
            _("El tipo «%(kind)s» no se conoce.") % {"kind": kind[:40]},
            _("Use uno de: %(kinds)s.") % {"kinds": ", ".join(KINDS)},
        )
    return Candidate(index=index, level=KINDS[kind], name=_name(properties.get("NOMBRE"), "NOMBRE"))


def _mapped(index: int, properties: Properties, columns: _Columns) -> Candidate:
    mapping = columns.given

    def column(name: str | None) -> Any:
        return properties.get(name) if name else None

    fixed = mapping.level in set(Level)
    level = mapping.level if fixed else column(mapping.level)
    return Candidate(
        index=index,
        level=_level(level, "--level" if mapping.level is None or fixed else mapping.level),
        name=_name(column(mapping.name), mapping.name or "--name"),
        code=_code(column(mapping.code), mapping.code or "--code"),
        parent=columns.parent_code or _code(column(columns.parent), columns.parent or "--parent"),
        population=_population(column(mapping.population), mapping.population or "--population"),
    )


LAYOUTS: Final = (
    Layout("amb247", frozenset({"level", "name"}), _own),
    Layout("dane-mpio", frozenset({"MPIO_CNMBR", "MPIO_CCNCT"}), _dane_municipality),
    Layout("comunas", frozenset({"COD_COMUNA", "COD_MUNICI", "COD_DEPART"}), _commune),
    Layout("barrio-comuna-corregimiento", frozenset({"NOMBRE", "TIPO"}), _by_kind),
    Layout("barrios", frozenset({"NOMBRE", "CATEGORIA"}), _neighbourhood),
)


def _level(value: Any, field_name: str) -> Level:
    try:
        return Level(str(value))
    except ValueError:
        raise FeatureRefused(
            field_name,
            _("El nivel «%(level)s» no se conoce.") % {"level": str(value)[:40]},
            _("Use uno de: %(levels)s.") % {"levels": ", ".join(Level.values)},
        ) from None


def _name(value: Any, field_name: str) -> str:
    name = " ".join(str(value).split()) if isinstance(value, str | int) else ""
    if not name or "\0" in name:
        raise FeatureRefused(field_name, _("No tiene nombre."), _("Escriba el nombre en «%s».") % field_name)
    if len(name) > MAX_NAME:
        raise FeatureRefused(
            field_name,
            _("El nombre tiene %(length)d caracteres; el máximo es %(limit)d.")
            % {"length": len(name), "limit": MAX_NAME},
            _("Acórtelo."),
        )
    return name


def _code(value: Any, field_name: str) -> str | None:
    if value is None or value == "":
        return None
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    if isinstance(value, bool) or not CODE.fullmatch(text):
        raise FeatureRefused(
            field_name,
            _("«%(code)s» no sirve como código.") % {"code": text[:60]},
            _("Use letras, cifras, punto y guion, hasta 40 caracteres, como 68001-01."),
        )
    return text


def _digits(value: Any, field_name: str, length: int) -> str:
    """`1`, `"1"` and `"001"` alike, filled with zeros."""
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(rf"\d{{1,{length}}}", text):
        raise FeatureRefused(
            field_name,
            _("«%(value)s» no es un número de hasta %(length)d cifras.")
            % {"value": text[:40], "length": length},
            _("Corrija el código."),
        )
    return text.zfill(length)


def _population(value: Any, field_name: str) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_POPULATION:
        raise FeatureRefused(
            field_name,
            _("«%(value)s» no es una población.") % {"value": str(value)[:40]},
            _("Escriba un número entero sin separadores, o deje el campo vacío."),
        )
    return value
