"""What the store holds, to what clients read: normalized, concise, simplified, as features, with or without system times.

References
----------
ETSI GS CIM 009 v1.8.1: 4.5.1 to 4.5.5, 4.5.16, 4.5.17 (GeoJSON), 4.5.18 to 4.5.24, 4.15 (languages), 4.21 (projection).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from amb247.context.documents.kinds import (
    GEOMETRY_DEPTH,
    NOT_ATTRIBUTES,
    TARGETED,
    VALUE_KEY,
    VALUE_KEYS,
)
from amb247.context.documents.languages import choose
from amb247.context.documents.projection import Pick
from amb247.context.documents.times import time_text
from amb247.context.jsonld.context import Context
from amb247.context.stored import Instance, Stored

__all__ = ["Form", "Pick", "feature_collection", "represent", "represent_attribute", "represent_geojson"]

Json = Any
Kind = Literal["normalized", "concise", "simplified"]


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer shall look. All names are internal.

    Attributes
    ----------
    sys_attrs : bool
        Whether createdAt, modifiedAt (and deletedAt) are said, of the entity and of each instance.
    lang : str, optional
        The language filter, as `Accept-Language` writes it: LanguageProperties become Properties of one text.
    attrs : tuple of str, optional
        Attributes to keep (the older parameter: id, type and scope stay).
    pick, omit : tuple of Pick or str, optional
        What to keep or leave; may name id, type and scope (`projection.parse_projection`).
    dataset_ids : tuple of str, optional
        Instances to keep; "@none" is the default instance.
    geometry_property, geometry_dataset : of the feature's geometry, when `geojson`
    """

    kind: Kind = "normalized"
    geojson: bool = False
    geometry_property: str = "location"
    geometry_dataset: str | None = None
    sys_attrs: bool = False
    lang: str | None = None
    attrs: tuple[str, ...] | None = None
    pick: tuple[Pick | str, ...] | None = None
    omit: tuple[Pick | str, ...] | None = None
    dataset_ids: tuple[str, ...] | None = None


NORMALIZED: Final = Form()
# Attribute name and target -> the representation of the entity it points to, or None (`documents.join`).
Linked = Callable[[str, str], Json]


def represent(
    entity: Stored, context: Context, form: Form = NORMALIZED, *, linked: Linked | None = None
) -> Json:
    """One entity as a document without @context. A feature when the form asks for GeoJSON."""
    if form.geojson:
        return represent_geojson(entity, context, form, linked=linked)
    wanted = _wanted(form)
    document: dict[str, Json] = {}
    if wanted is None or wanted.keeps("id"):
        document["id"] = entity.id
    if wanted is None or wanted.keeps("type"):
        types = entity.types
        document["type"] = (
            context.compact(types[0]) if len(types) == 1 else [context.compact(name) for name in types]
        )
    if entity.scope and (wanted is None or wanted.keeps("scope")):
        document["scope"] = entity.scope[0] if len(entity.scope) == 1 else entity.scope
    if entity.expires_at is not None and (wanted is None or wanted.keeps("expiresAt")):
        document["expiresAt"] = _brief(time_text(entity.expires_at))
    maker = _Maker(context, form, entity.created_at)
    if form.sys_attrs:
        document["createdAt"] = _brief(maker.created)
        document["modifiedAt"] = _brief(time_text(entity.modified_at))
    if entity.deleted_at is not None:
        document["deletedAt"] = _brief(time_text(entity.deleted_at))
    attribute, compact = maker.attribute, context.compact
    for name, value in entity.attributes.items():
        if wanted is None or wanted.keeps(name):
            made = attribute(value)
            if linked is not None:
                made = maker.join(name, value, made, linked)
            if made is not NOTHING:
                document[compact(name)] = made
    return document


def represent_geojson(entity: Stored, context: Context, form: Form, *, linked: Linked | None = None) -> Json:
    """The entity as a Feature; its geometry is null where it has no such GeoProperty (4.5.16.1)."""
    properties = represent(entity, context, replace(form, geojson=False), linked=linked)
    properties.pop("id", None)
    return {
        "id": entity.id,
        "type": "Feature",
        "geometry": _geometry(entity.attributes.get(form.geometry_property), form),
        "properties": properties,
    }


def feature_collection(features: Iterable[Json]) -> Json:
    return {"type": "FeatureCollection", "features": list(features)}


def represent_attribute(
    value: Instance | list[Instance], context: Context, form: Form, *, created_at: datetime
) -> Json:
    """One attribute alone, as it stands in its entity; None when no instance is wanted."""
    made = _Maker(context, form, created_at).attribute(value)
    return None if made is NOTHING else made


def _geometry(value: Instance | list[Instance] | None, form: Form) -> Json:
    instances = value if isinstance(value, list) else [value] if value else []
    for one in instances:
        if one.get("datasetId") == form.geometry_dataset and one.get("type") == "GeoProperty":
            return one["value"]
    return None


class _Wanted:
    """Which members an entity shows."""

    __slots__ = ("kept", "left")

    def __init__(self, kept: frozenset[str] | None, left: frozenset[str]) -> None:
        self.kept, self.left = kept, left

    def keeps(self, name: str) -> bool:
        return (self.kept is None or name in self.kept) and name not in self.left


ALWAYS: Final = frozenset({"id", "type", "scope", "expiresAt"})


def _wanted(form: Form) -> _Wanted | None:
    if form.attrs is None and form.pick is None and form.omit is None:
        return None
    kept: frozenset[str] | None = None
    if form.pick is not None:
        kept = frozenset(one if isinstance(one, str) else one.name for one in form.pick)
    if form.attrs is not None:
        attrs = ALWAYS.union(form.attrs)
        kept = attrs if kept is None else kept & attrs
    left = frozenset(
        one if isinstance(one, str) else one.name
        for one in form.omit or ()
        if isinstance(one, str) or not one.nested
    )
    return _Wanted(kept, left)


class _Nothing:
    """No instance of the attribute is wanted."""


NOTHING: Final = _Nothing()


class _Maker:
    """Makes the attributes of one entity in one form."""

    __slots__ = ("compact", "created", "datasets", "kind", "lang", "single", "sys_attrs")

    def __init__(self, context: Context, form: Form, created_at: datetime) -> None:
        self.compact = context.compact
        self.kind = form.kind
        self.lang = form.lang
        self.datasets = form.dataset_ids
        self.sys_attrs = form.sys_attrs
        self.created = time_text(created_at) if form.sys_attrs else ""
        self.single = {
            "normalized": self._normalized,
            "concise": self._concise,
            "simplified": self._simplified,
        }[form.kind]

    def attribute(self, value: Instance | list[Instance]) -> Json:
        if isinstance(value, list):
            return self._several(value)
        if self.datasets is not None and value.get("datasetId", "@none") not in self.datasets:
            return NOTHING
        return self.single(value, self.created)

    def _several(self, value: list[Instance]) -> Json:
        instances = (
            value
            if self.datasets is None
            else [one for one in value if one.get("datasetId", "@none") in self.datasets]
        )
        if not instances:
            return NOTHING
        if self.kind == "simplified":
            if len(instances) == 1:
                return self._simplified(instances[0], "")
            return {
                "dataset": {one.get("datasetId", "@none"): self._simplified(one, "") for one in instances}
            }
        if len(instances) == 1:
            return self.single(instances[0], self.created)
        if self.kind == "concise":
            return [self._concise_object(one, self.created) for one in instances]
        return [self._normalized(one, self.created) for one in instances]

    def join(self, name: str, value: Instance | list[Instance], made: Json, linked: Linked) -> Json:
        """The same attribute with what it points to (4.5.23.2)."""
        instances = value if isinstance(value, list) else [value]
        if made is NOTHING or not any(one.get("type") in TARGETED for one in instances):
            return made
        if self.datasets is not None:
            instances = [one for one in instances if one.get("datasetId", "@none") in self.datasets]
        if self.kind == "simplified":
            if len(instances) == 1:
                return _replaced(name, made, linked)
            shown = made["dataset"]
            for one in instances:
                key = one.get("datasetId", "@none")
                if one.get("type") in TARGETED:
                    shown[key] = _replaced(name, shown[key], linked)
            return made
        for instance, shown in zip(instances, made if isinstance(made, list) else [made], strict=True):
            if instance.get("type") not in TARGETED:
                continue
            targets: Json = instance.get("object", instance.get("objectList"))
            found = [linked(name, one) for one in (targets if isinstance(targets, list) else [targets])]
            found = [one for one in found if one is not None]
            if found and "objectList" in instance:
                shown["entityList"] = found
            elif found:
                shown["entity"] = found if isinstance(targets, list) else found[0]
        return made

    def _normalized(self, instance: Instance, created: str) -> dict[str, Json]:
        made: dict[str, Json] = {}
        for key, value in instance.items():
            if key in PLAIN:
                made[key] = value
            elif key == "observedAt":
                made[key] = value if value[-5:] != ".000Z" else value[:-5] + "Z"
            elif key not in HELD:
                made[self.compact(key)] = self._sub(value, instance, created)
            elif key not in STAMPED:
                self._special(made, key, value)
        if self.sys_attrs:
            self._stamp(made, instance, created)
        return made

    def _concise(self, instance: Instance, created: str) -> Json:
        made = self._concise_object(instance, created)
        if len(made) == 1 and "value" in made:
            value = made["value"]
            kind = instance["type"]
            if kind == "GeoProperty" or (kind == "Property" and _is_safe_bare(value)):
                return value
        return made

    def _concise_object(self, instance: Instance, created: str) -> dict[str, Json]:
        made = self._normalized(instance, created)
        kind = made["type"]
        if kind == "ListRelationship" and "objectList" in made:
            made["objectList"] = [one["object"] for one in made["objectList"]]
        if not (kind == "Property" and _looks_like_geometry(made.get("value"))):
            del made["type"]
        return made

    def _sub(self, value: Json, parent: Instance, created: str) -> Json:
        """A sub-attribute: without stamps of its own it is as old as what it belongs to."""
        born = parent.get("createdAt", created)
        if type(value) is dict:
            return self.single(value, born)
        if type(value) is list and self.kind != "simplified":
            one_by_one = self._concise_object if self.kind == "concise" else self._normalized
            return [one_by_one(one, born) for one in value]
        return value

    def _stamp(self, made: dict[str, Json], instance: Instance, created: str) -> None:
        born = instance.get("createdAt", created)
        made["createdAt"] = _brief(born)
        made["modifiedAt"] = _brief(instance.get("modifiedAt") or born)
        if "deletedAt" in instance:
            made["deletedAt"] = _brief(instance["deletedAt"])

    def _special(self, made: dict[str, Json], key: str, value: Json) -> None:
        """Members whose words are names, or that look otherwise outside than in the store."""
        if key in ("vocab", "objectType", "valueType", "previousVocab"):
            made[key] = self._words(value)
        elif key in ("objectList", "previousObjectList"):
            made[key] = [{"object": one} for one in value] if type(value) is list else value
        elif key == "languageMap" and self.lang is not None and type(value) is dict:
            text, language = choose(value, self.lang)
            made["type"] = "Property"
            made["value"] = text
            made["lang"] = language
        elif key == "expiresAt":
            made[key] = _brief(value)
        elif key != "lang":
            made[key] = value

    def _words(self, value: Json) -> Json:
        if type(value) is list:
            return [self.compact(one) for one in value]
        return self.compact(value) if type(value) is str else value

    def _simplified(self, instance: Instance, _created: str) -> Json:
        kind = instance["type"]
        value = instance[VALUE_KEY[kind]]
        if kind == "LanguageProperty":
            return choose(value, self.lang)[0] if self.lang is not None else {"languageMap": value}
        if kind == "VocabProperty":
            return {"vocab": self._words(value)}
        if kind == "JsonProperty":
            return {"json": value}
        return value


# Members that are written as they are, and those that are not sub-attributes.
PLAIN: Final = frozenset({"type", "value", "object", "valueList", "json", "unitCode", "datasetId"})
STAMPED: Final = frozenset({"createdAt", "modifiedAt", "deletedAt"})
HELD: Final = NOT_ATTRIBUTES


def _replaced(name: str, made: Json, linked: Linked) -> Json:
    """Simplified: a target gives way to its entity; one that is not here stays a URI."""
    if isinstance(made, list):
        return [_replaced(name, one, linked) for one in made]
    return linked(name, made) or made


def _brief(time: str) -> str:
    """Whole seconds without a fraction, as clients write them."""
    return time[:-5] + "Z" if time[-5:] == ".000Z" else time


def _looks_like_geometry(value: Json) -> bool:
    return type(value) is dict and value.get("type") in GEOMETRY_DEPTH and "coordinates" in value


def _is_safe_bare(value: Json) -> bool:
    """Whether a Property's value may stand alone in the concise form and still be read as what it is."""
    if type(value) is dict:
        return "type" not in value and ("@type" not in value or "@value" in value) and MEANT.isdisjoint(value)
    if type(value) is list:
        return not any(
            type(one) is dict and ("type" in one or not VALUE_KEYS.isdisjoint(one)) for one in value
        )
    return True


MEANT: Final = VALUE_KEYS | {"observedAt", "unitCode", "datasetId", "objectType"}
