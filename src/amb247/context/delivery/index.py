"""Which subscriptions a change may concern, found without asking each of them.

A city's subscriptions mostly differ in a type, an id, or one condition such as ``refCabinet=="urn:..."``. So those that name
ids or patterns are remembered per entity, the others are kept per type, and of these the ones whose `q` must have an
attribute equal to some literal are found by the attribute's value. What is found fits by its selectors; the rest of the
query is then evaluated. Nothing that fits may be left out: where a value is not a plain one, all are asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from amb247.context.delivery.compiled import Compiled
from amb247.context.querying.query import ENTITY_MEMBERS, AllOf, Compare, Expr, Selector, Value
from amb247.context.stored import Instance, Stored

MAX_ENTITIES = 50_000
PLAIN_KINDS = frozenset({"number", "text", "boolean"})
Key = tuple[str, Any]


class _OfTypes:
    """The subscriptions that some combination of types fits, apart from those that name entities."""

    __slots__ = ("by_value", "others", "with_attribute")

    def __init__(self, fitting: Iterable[Compiled]) -> None:
        self.others: list[Compiled] = []
        self.by_value: dict[str, dict[Key, list[Compiled]]] = {}
        self.with_attribute: dict[str, list[Compiled]] = {}
        for one in fitting:
            condition = equality_of(one.query.q)
            if condition is None:
                self.others.append(one)
                continue
            attribute, keys = condition
            self.with_attribute.setdefault(attribute, []).append(one)
            for key in keys:
                self.by_value.setdefault(attribute, {}).setdefault(key, []).append(one)

    def candidates(self, stored: Stored) -> list[Compiled]:
        if not self.with_attribute:
            return self.others
        found = list(self.others)
        for attribute, by_value in self.by_value.items():
            value = stored.attributes.get(attribute)
            if value is None:
                continue
            key = key_of(value)
            found += self.with_attribute[attribute] if key is None else by_value.get(key, ())
        return found


class Index:
    def __init__(self, subscriptions: Iterable[Compiled]) -> None:
        self.all = [one for one in subscriptions if not one.interval_s]
        self.naming = [one for one in self.all if any(_names_entities(each) for each in one.query.selectors)]
        naming = {id(one) for one in self.naming}
        self.by_types = [one for one in self.all if id(one) not in naming]
        self._types: dict[tuple[str, ...], _OfTypes] = {}
        self._entities: OrderedDict[tuple[str, tuple[str, ...]], tuple[Compiled, ...]] = OrderedDict()

    def candidates(self, stored: Stored) -> list[Compiled]:
        """Subscriptions whose selectors fit, and whose condition may."""
        types = tuple(stored.types)
        of_types = self._types.get(types)
        if of_types is None:
            of_types = self._types[types] = _OfTypes(one for one in self.by_types if one.fits(stored))
        found = of_types.candidates(stored)
        return [*found, *self._naming(stored, types)] if self.naming else found

    def _naming(self, stored: Stored, types: tuple[str, ...]) -> tuple[Compiled, ...]:
        key = (stored.id, types)
        found = self._entities.get(key)
        if found is None:
            found = tuple(one for one in self.naming if one.fits(stored))
            self._entities[key] = found
            if len(self._entities) > MAX_ENTITIES:
                self._entities.popitem(last=False)
        return found


def _names_entities(selector: Selector) -> bool:
    return bool(selector.ids) or selector.id_pattern is not None


def equality_of(q: Expr | None) -> tuple[str, list[Key]] | None:
    """An attribute of the entity that must equal one of these literals, where `q` says so; the first of several."""
    for part in q.parts if isinstance(q, AllOf) else (q,):
        if (
            isinstance(part, Compare)
            and part.operator == "=="
            and not part.path.subs
            and not part.path.members
            and part.path.attribute not in ENTITY_MEMBERS
            and all(isinstance(value, Value) and value.kind in PLAIN_KINDS for value in part.values)
        ):
            return part.path.attribute, [(value.kind, value.value) for value in part.values]  # type: ignore[union-attr]
    return None


def key_of(value: Instance | list[Instance]) -> Key | None:
    """The only literal that an attribute can equal; None when it is not that simple."""
    if type(value) is not dict:
        return None
    kind = value.get("type")
    if kind == "Property":
        scalar = value.get("value")
        match scalar:
            case bool():
                return ("boolean", scalar)
            case int() | float():
                return ("number", scalar)
            case str():
                return ("text", scalar)
    if kind == "Relationship" and type(value.get("object")) is str:
        return ("text", value["object"])
    return None
