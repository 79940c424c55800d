"""Small classes that say what an entity of a type may carry, after its Smart Data Model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

Kind = Literal["Property", "Relationship", "GeoProperty", "LanguageProperty"]
REGISTRY: dict[str, type[EntityType]] = {}


@dataclass(frozen=True, slots=True)
class Attribute:
    """What an attribute's value must be; `problem` says what is wrong with one, in words."""

    kind: Kind
    accepts: tuple[type, ...] = ()
    choices: frozenset[str] = frozenset()
    geometries: frozenset[str] = frozenset()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    required: bool = False

    def fits(self, instance: Mapping[str, Any]) -> bool:
        """Whether an instance of any content is what is declared."""
        try:
            return self.problem(instance) is None
        except (TypeError, KeyError, ValueError):
            return False

    def problem(self, instance: Mapping[str, Any]) -> tuple[str, str] | None:
        """The reason and the remedy, or None when the instance fits. The instance is already well-formed."""
        if instance["type"] != self.kind:
            return f"is a {instance['type']}", f"send it as a {self.kind}"
        if self.kind == "Relationship":
            return None
        value = instance.get("value")
        if self.kind == "GeoProperty":
            if self.geometries and value["type"] not in self.geometries:  # type: ignore[index]
                return f"is a {value['type']}", f"send {' or '.join(sorted(self.geometries))}"  # type: ignore[index]
            return None
        if self.accepts and (
            not isinstance(value, self.accepts)
            or (value in (True, False) and bool not in self.accepts and isinstance(value, bool))
        ):
            names = " or ".join(kind.__name__ for kind in self.accepts)
            return f"value {str(value)[:60]!r} is of type {type(value).__name__}", f"send {names}"
        if self.choices and value not in self.choices:
            return f"value {str(value)[:60]!r} is unknown", f"use one of {', '.join(sorted(self.choices))}"
        if self.minimum is not None and value < self.minimum:  # type: ignore[operator]
            return (
                f"value {value} is below {self.minimum}",
                f"send {self.minimum} or more ({self.unit or 'number'})",
            )
        if self.maximum is not None and value > self.maximum:  # type: ignore[operator]
            return (
                f"value {value} is above {self.maximum}",
                f"send {self.maximum} or less ({self.unit or 'number'})",
            )
        return None


def usable(entity_type: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Of an entity's attributes (normalized) those that its declared type declares and that fit; the default instances.

    What comes through the NGSI-LD interface is held to the standard alone, not to this vocabulary: whoever computes with an
    attribute asks for it here, so that a `bearing` of "north" is no bearing instead of an error. An attribute that was removed
    (None) stays, as None.
    """
    declared = REGISTRY[entity_type].attributes if entity_type in REGISTRY else {}
    fit: dict[str, Any] = {}
    for name, given in attributes.items():
        rule = declared.get(name)
        if rule is None:
            continue
        instance = given
        if isinstance(given, list):
            instance = next((one for one in given if "datasetId" not in one), None)
        if given is None or (isinstance(instance, dict) and rule.fits(instance)):
            fit[name] = instance
    return fit


def text(*choices: str, required: bool = False) -> Attribute:
    return Attribute("Property", accepts=(str,), choices=frozenset(choices), required=required)


def number(unit: str = "", *, minimum: float | None = None, maximum: float | None = None) -> Attribute:
    """`unit` is a UN/CEFACT code, as NGSI-LD's unitCode wants it."""
    return Attribute("Property", accepts=(int, float), minimum=minimum, maximum=maximum, unit=unit)


def integer(*, minimum: int | None = None) -> Attribute:
    return Attribute("Property", accepts=(int,), minimum=minimum)


def flag() -> Attribute:
    return Attribute("Property", accepts=(bool,))


def moment() -> Attribute:
    """A DateTime: `{"@type": "DateTime", "@value": ...}`, or its text."""
    return Attribute("Property", accepts=(dict, str))


def anything() -> Attribute:
    return Attribute("Property")


def many() -> Attribute:
    return Attribute("Property", accepts=(list, str, int))


def geo(*geometries: str, required: bool = False) -> Attribute:
    return Attribute("GeoProperty", geometries=frozenset(geometries), required=required)


def link() -> Attribute:
    return Attribute("Relationship")


class EntityType:
    """Base of all declared types: subclassing registers the class under its own name.

    `history_days` is how long raw history is kept; hourly figures stay.
    """

    history_days: ClassVar[int] = 90
    attributes: ClassVar[dict[str, Attribute]] = {}

    name = text()
    alternateName = text()  # noqa: N815 - the model's own spelling
    description = text()
    location = geo()
    address = anything()
    areaServed = text()  # noqa: N815
    dataProvider = text()  # noqa: N815
    owner = many()
    source = text()
    seeAlso = many()  # noqa: N815
    dateCreated = moment()  # noqa: N815
    dateModified = moment()  # noqa: N815
    dateObserved = moment()  # noqa: N815
    synthetic = flag()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.attributes = {
            name: value
            for base in reversed(cls.__mro__)
            for name, value in vars(base).items()
            if isinstance(value, Attribute)
        }
        REGISTRY[cls.__name__] = cls

    @classmethod
    def entity(cls, entity_id: str, *, observed_at: datetime | None = None, **values: Any) -> dict[str, Any]:
        """A normalized NGSI-LD entity of this type; None values are left out.

        Parameters
        ----------
        entity_id : str
            URN of the entity.
        observed_at : datetime, optional
            Aware; stamped on every Property and GeoProperty given.
        **values
            Attribute name -> plain value: number, text, flag, datetime (becomes a DateTime), URN for a
            Relationship, ``(lon, lat)`` or a GeoJSON geometry for a GeoProperty.

        Raises
        ------
        AttributeError
            An attribute that the type does not declare.
        """
        made: dict[str, Any] = {"id": entity_id, "type": cls.__name__}
        stamp = (
            {"observedAt": observed_at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"}
            if (observed_at)
            else {}
        )
        for name, value in values.items():
            if value is None:
                continue
            declared = cls.attributes.get(name)
            if declared is None:
                raise AttributeError(f"{cls.__name__} has no attribute {name}")
            made[name] = _instance(declared, value, stamp)
        return made


def _instance(declared: Attribute, value: Any, stamp: dict[str, str]) -> dict[str, Any]:
    if declared.kind == "Relationship":
        return {"type": "Relationship", "object": value, **stamp}
    if declared.kind == "GeoProperty":
        geometry = value if isinstance(value, dict) else {"type": "Point", "coordinates": list(value)}
        return {"type": "GeoProperty", "value": geometry, **stamp}
    if isinstance(value, datetime):
        value = {
            "@type": "DateTime",
            "@value": value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        }
    unit = {"unitCode": declared.unit} if declared.unit else {}
    return {"type": "Property", "value": value, **unit, **stamp}
