"""The temporal evolution of entities, as the store gives it and as clients see it.

References
----------
ETSI GS CIM 009 v1.8.1, 4.5.6 to 4.5.9 (temporal representations), 4.5.19 (aggregated).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from amb247.context.documents.projection import Pick
from amb247.context.documents.represent import Form, represent_attribute
from amb247.context.documents.times import time_text
from amb247.context.jsonld.context import Context
from amb247.context.querying.temporal import TimeProperty
from amb247.context.stored import Instance

Json = Any
Shape = Literal["normalized", "concise", "temporalValues", "aggregatedValues"]
INSTANCE_ID: Final = "urn:ngsi-ld:Instance:"
# Under which name the simplified representation has the values of a kind (4.5.9).
PLURAL: Final = {
    "Property": "values",
    "GeoProperty": "values",
    "Relationship": "objects",
    "LanguageProperty": "languageMaps",
    "VocabProperty": "vocabs",
    "ListProperty": "valueLists",
    "ListRelationship": "objectLists",
    "JsonProperty": "jsons",
}


class Taken(NamedTuple):
    """One instance of an attribute in the course of time.

    `time` is what the query's time property says (without a query: `observedAt`, else when it was taken); times are written
    as answers have them. `instance` is normalized, with internal names and without stamps. `seq` is None for what lives in the state alone. A deletion has
    the NGSI-LD Null as its value.
    """

    time: str
    instance: Instance
    created: str
    modified: str
    seq: int | None
    deleted: bool = False


@dataclass(slots=True)
class Evolution:
    """An entity in the course of time; instances in the order of the answer. A stamp may be unknown."""

    id: str
    types: list[str]
    scope: list[str]
    created_at: datetime
    modified_at: datetime
    deleted_at: datetime | None = None
    attributes: dict[str, list[Taken]] = field(default_factory=dict)


class Bucket(NamedTuple):
    """The figures of one period `[start, end)`; those that do not exist for the values in it are None."""

    start: datetime
    end: datetime
    figures: dict[str, Any]


@dataclass(slots=True)
class Series:
    """One attribute (one datasetId of it; '' is the default instance) aggregated; only periods that hold something.

    `figures`: method -> a value for each of the periods `spans`, None where the method is not defined for what it holds.
    """

    kind: str
    dataset_id: str
    spans: list[tuple[datetime, datetime]] = field(default_factory=list)
    figures: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def buckets(self) -> list[Bucket]:
        """The same, period by period."""
        names = list(self.figures)
        return [
            Bucket(
                *span, {name: value for name, value in zip(names, values, strict=True) if value is not None}
            )
            for span, values in zip(self.spans, zip(*self.figures.values(), strict=True), strict=True)
            if any(value is not None for value in values)
        ]


@dataclass(slots=True)
class Aggregated:
    """An entity with aggregates in the place of instances."""

    id: str
    types: list[str]
    scope: list[str]
    created_at: datetime
    modified_at: datetime
    deleted_at: datetime | None = None
    attributes: dict[str, list[Series]] = field(default_factory=dict)


def expanded(raw: Json) -> Json:
    """A simplified temporal representation as a normalized one (5.2.20 lets clients send either); others as they are."""
    if not isinstance(raw, dict):
        return raw
    return {name: _instances_of(value) for name, value in raw.items()}


def _instances_of(value: Json) -> Json:
    several = value if isinstance(value, list) else [value]
    if not any(isinstance(one, dict) and _plural(one) for one in several):
        return value
    made: list[Json] = []
    for one in several:
        plural = _plural(one) if isinstance(one, dict) else None
        if plural is None:
            made.append(one)
            continue
        rest = {key: part for key, part in one.items() if key != plural}
        singular = SINGULAR[plural]
        for pair in one[plural]:
            if not isinstance(pair, list) or len(pair) != 2:
                return value  # the reader of normalized instances says what is wrong
            inner = pair[0]
            if isinstance(inner, dict) and singular in inner and len(inner) == 1:
                inner = inner[singular]
            made.append({**rest, singular: inner, "observedAt": pair[1]})
    return made


SINGULAR: Final = {
    "values": "value",
    "objects": "object",
    "languageMaps": "languageMap",
    "vocabs": "vocab",
    "valueLists": "valueList",
    "objectLists": "objectList",
    "jsons": "json",
}


def _plural(value: dict[str, Json]) -> str | None:
    if not isinstance(value.get("type"), str):
        return None
    return next((key for key in SINGULAR if isinstance(value.get(key), list)), None)


def represent_evolution(
    entity: Evolution, context: Context, form: Form, shape: Shape, timeproperty: TimeProperty | None
) -> Json:
    """One entity with its instances, normalized, concise, or simplified as lists of values and times.

    An instance says the time property that the query was about, also without `sysAttrs`; a deletion says `deletedAt`.
    """
    document = _frame(entity, context, form, shape)
    if shape == "temporalValues":
        for name, taken in _kept(entity.attributes, form):
            document[context.compact(name)] = _simplified(entity, taken, context, form)
        return document
    # Stamps are written here, because each instance of the past has its own.
    bare = replace(
        form, kind="concise" if shape == "concise" else "normalized", sys_attrs=False, dataset_ids=None
    )
    shown = {"createdAt", "modifiedAt"} if form.sys_attrs else {str(timeproperty)}
    for name, taken in _kept(entity.attributes, form):
        # Two of the same keep a single one an object also where it is concise.
        instances = [one.instance for one in taken]
        made = represent_attribute(
            instances if len(instances) > 1 else instances * 2, context, bare, created_at=entity.created_at
        )
        document[context.compact(name)] = [
            _stamped(instance, one, shown) for instance, one in zip(made, taken, strict=False)
        ]
    return document


def represent_aggregated(entity: Aggregated, context: Context, form: Form) -> Json:
    """One entity with, for each attribute and method, a list of [value, start, end]."""
    document = _frame(entity, context, form, "aggregatedValues")
    for name, series in _kept(entity.attributes, form):
        made = [_table(one) for one in series]
        document[context.compact(name)] = made if len(made) > 1 else made[0]
    return document


def _frame(entity: Evolution | Aggregated, context: Context, form: Form, shape: Shape) -> dict[str, Json]:
    keeps = _keeps(form)
    document: dict[str, Json] = {}
    if keeps("id"):
        document["id"] = entity.id
    if keeps("type"):
        types = [context.compact(name) for name in entity.types]
        document["type"] = types[0] if len(types) == 1 else types
    if entity.scope and keeps("scope") and shape != "aggregatedValues":
        document["scope"] = _scope(entity, shape)
    if form.sys_attrs:
        document["createdAt"] = brief(entity.created_at)
        document["modifiedAt"] = brief(entity.modified_at)
        if entity.deleted_at is not None:
            document["deletedAt"] = brief(entity.deleted_at)
    return document


def _scope(entity: Evolution | Aggregated, shape: Shape) -> Json:
    """A Property in time (4.5.6). Its changes are not remembered: what is known is the scope now, since the creation."""
    value: Json = entity.scope[0] if len(entity.scope) == 1 else entity.scope
    since = brief(entity.created_at)
    if shape == "temporalValues":
        return {"type": "Property", "values": [[value, since]]}
    return [{"type": "Property", "value": value, "observedAt": since}]


def _keeps(form: Form) -> Callable[[str], bool]:
    kept = None if form.pick is None else {named_by(one) for one in form.pick}
    if form.attrs is not None:
        named = {"id", "type", "scope", *form.attrs}
        kept = named if kept is None else kept & named
    left = {named_by(one) for one in form.omit or ()}
    return lambda name: (kept is None or name in kept) and name not in left


def named_by(term: Pick | str) -> str:
    """The member that a term of a projection is about."""
    return term if isinstance(term, str) else term.name


def _kept(attributes: dict[str, list[Any]], form: Form) -> list[tuple[str, list[Any]]]:
    keeps = _keeps(form)
    return [(name, several) for name, several in attributes.items() if keeps(name)]


def _stamped(made: Json, taken: Taken, shown: set[str]) -> Json:
    if taken.seq is not None:
        made = {**made, "instanceId": f"{INSTANCE_ID}{taken.seq}"}
    if "createdAt" in shown:
        made = {**made, "createdAt": taken.created}
    if "modifiedAt" in shown:
        made = {**made, "modifiedAt": taken.modified}
    if taken.deleted:
        made = {**made, "deletedAt": taken.time}
    return made


def _simplified(entity: Evolution, taken: list[Taken], context: Context, form: Form) -> Json:
    """By kind and datasetId; one object where there is only one such series."""
    bare = replace(form, kind="simplified", sys_attrs=False, dataset_ids=None)
    series: dict[tuple[str, str | None], list[Json]] = {}
    for one in taken:
        kind = one.instance["type"]
        value = represent_attribute(one.instance, context, bare, created_at=entity.created_at)
        if kind == "LanguageProperty" and form.lang is not None:
            kind = "Property"
        series.setdefault((kind, one.instance.get("datasetId")), []).append([value, one.time])
    made = []
    for (kind, dataset), values in series.items():
        each: dict[str, Json] = {"type": kind, PLURAL[kind]: values}
        if dataset is not None:
            each["datasetId"] = dataset
        made.append(each)
    return made if len(made) > 1 else made[0]


def _table(series: Series) -> dict[str, Json]:
    made: dict[str, Json] = {"type": series.kind}
    spans = [(brief(start), brief(end)) for start, end in series.spans]
    for method, values in series.figures.items():
        made[method] = [
            [value, start, end]
            for value, (start, end) in zip(values, spans, strict=True)
            if value is not None
        ]
    if series.dataset_id:
        made["datasetId"] = series.dataset_id
    return made


@lru_cache(maxsize=8_192)
def brief(moment: datetime) -> str:
    """In UTC; whole seconds without a fraction, as clients write them. Periods share their ends, so each is written once."""
    text = time_text(moment)
    return text[:-5] + "Z" if text[-5:] == ".000Z" else text
