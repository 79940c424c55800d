"""What is wrong with an entity, field by field, before anything is written.

One entity costs some ten microseconds here, so the common cases come first and nothing is copied twice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson

from amb247.context.data import Refusal
from amb247.context.documents.kinds import GEOMETRY_DEPTH, VALUE_KEY
from amb247.context.documents.times import time_text
from amb247.context.vocabulary import REGISTRY
from amb247.context.vocabulary.base import Attribute, EntityType

MAX_ID = 512
MAX_STRING = 100_000
MAX_GEOMETRY = 5_000_000
MAX_ATTRIBUTES = 500
MAX_VERTICES = 200_000
WHOLE = 2**53  # integers up to here are the same number as a double
FUTURE_TOLERANCE = timedelta(minutes=5)  # clocks of devices drift; beyond this the time is a mistake
OLDEST = datetime(1970, 1, 1, tzinfo=UTC)

URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x1f]+\Z")
NAME = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9_\-]*(?::[A-Za-z0-9_\-]+)?|[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x1f]+)\Z"
)
SCOPE = re.compile(r"/[^\s]{1,300}\Z")
RESERVED = frozenset({"id", "type", "scope", "@context"})
MADE_HERE = frozenset({"createdAt", "modifiedAt", "instanceId", "deletedAt"})

Instance = dict[str, Any]


@dataclass(slots=True)
class Checked:
    """An entity that may be taken: its place in the batch, names, instances with canonical times.

    Instances may be the caller's own objects: they are read, never changed.
    """

    index: int
    id: str
    types: list[str]
    scope: list[str] | None
    attributes: dict[str, Instance | list[Instance]]


@dataclass(slots=True)
class Clock:
    """Times of one batch: most of its observations share a few texts, so each text is read once."""

    latest: datetime
    known: dict[str, str]

    def canonical(self, name: str, text: Any) -> str:
        found = self.known.get(text) if isinstance(text, str) else None
        if found is None:
            found = canonical_time(f"{name}.observedAt", text, self.latest)
            if len(self.known) < 10_000:
                self.known[text] = found
        return found


class Problem(Exception):
    def __init__(self, field: str, reason: str, remedy: str, code: str) -> None:
        super().__init__(reason)
        self.field, self.reason, self.remedy, self.code = field, reason, remedy, code


@dataclass(slots=True)
class Named:
    """An entity of which only the id is known to be right."""

    index: int
    id: str
    entity: dict[str, Any]


def identify_batch(entities: Sequence[Any]) -> tuple[list[Named], list[Refusal]]:
    """The entities that have an id, so that what is stored of them can be read; refusals of the others."""
    named: list[Named] = []
    refused: list[Refusal] = []
    for index, entity in enumerate(entities):
        try:
            if not isinstance(entity, dict):
                raise Problem(
                    "entity", f"is a {type(entity).__name__}", "send a JSON object", "not_an_object"
                )
            named.append(Named(index, _identifier(entity), entity))
        except Problem as problem:
            refused.append(_refusal(index, entity, problem))
    return named, refused


def check_batch(
    named: Sequence[Named], stored: Mapping[str, Mapping[str, Any]], *, now: datetime, strict: bool
) -> tuple[list[Checked], list[Refusal]]:
    """Split a batch into what may be taken and what is refused.

    Parameters
    ----------
    named : sequence
        From `identify_batch`: normalized NGSI-LD entities, as decoded from JSON.
    stored : mapping
        Entity id -> its stored attributes. An attribute that only repeats what is stored is left out unread: it was
        checked when it came first, and most of what feeds send is of this kind.
    now : datetime
        Aware; observations more than five minutes later are refused.
    strict : bool
        Whether a declared type may carry only declared attributes.
    """
    good: list[Checked] = []
    refused: list[Refusal] = []
    clock = Clock(now + FUTURE_TOLERANCE, {})
    seen: set[str] = set()
    for one in named:
        # Of an entity that comes twice in a batch, the second is to be held against the first, not the store.
        known = stored.get(one.id, NOTHING) if one.id not in seen else NOTHING
        seen.add(one.id)
        try:
            good.append(_check(one, known, clock, strict=strict))
        except Problem as problem:
            refused.append(_refusal(one.index, one.entity, problem))
    return good, refused


NOTHING: Mapping[str, Any] = {}


def _refusal(index: int, entity: Any, problem: Problem) -> Refusal:
    known = entity.get("id") if isinstance(entity, dict) else None
    return Refusal(
        index=index,
        entity_id=known[:MAX_ID] if isinstance(known, str) else None,
        field=problem.field,
        reason=problem.reason,
        remedy=problem.remedy,
        code=problem.code,
    )


def _check(one: Named, known: Mapping[str, Any], clock: Clock, *, strict: bool) -> Checked:
    entity = one.entity
    types = _types(entity)
    if len(entity) > MAX_ATTRIBUTES:
        raise Problem(
            "entity", f"has {len(entity)} attributes", f"send at most {MAX_ATTRIBUTES}", "too_large"
        )
    declared = [REGISTRY[name] for name in types if name in REGISTRY]
    rules = declared[0].attributes if len(declared) == 1 else NO_RULES
    attributes: dict[str, Instance | list[Instance]] = {}
    for name, raw in entity.items():
        if name in known and known[name] == raw:
            continue
        if name in RESERVED:
            continue
        if name not in _good_names:
            _check_name(name)
        if isinstance(raw, list):
            given: Instance | list[Instance] = _several(name, raw, clock)
        else:
            given = _instance(name, raw, clock)
        attributes[name] = given
        rule = rules.get(name)
        if rule is not None and type(given) is dict:
            problem = rule.problem(given)
            if problem is not None:
                raise Problem(name, problem[0], problem[1], "wrong_attribute")
        elif declared:
            _check_declared(name, given, declared, strict=strict)
    scope = _scope(entity["scope"]) if "scope" in entity else None
    return Checked(one.index, one.id, types, scope, attributes)


_good_names: set[str] = set()
NO_RULES: Mapping[str, Attribute] = {}


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or len(name) > MAX_ID or not NAME.match(name):
        raise Problem(
            str(name)[:80],
            "is no attribute name",
            "start with a letter; letters, digits, _ and -, or a full IRI",
            "bad_attribute_name",
        )
    if len(_good_names) < 10_000:
        _good_names.add(name)


def missing_required(checked: Checked) -> tuple[str, str] | None:
    """The first attribute that a declared type requires of a new entity and this one lacks."""
    for name in checked.types:
        declared = REGISTRY.get(name)
        if declared is None:
            continue
        for attribute, rule in declared.attributes.items():
            if rule.required and attribute not in checked.attributes:
                return attribute, name
    return None


def _identifier(entity: Mapping[str, Any]) -> str:
    entity_id = entity.get("id")
    if entity_id is None:
        raise Problem("id", "is missing", "send a URN such as urn:ngsi-ld:Vehicle:amb:0417", "no_id")
    if not isinstance(entity_id, str) or len(entity_id) > MAX_ID or not URI.match(entity_id):
        raise Problem(
            "id",
            f"{str(entity_id)[:60]!r} is no URI of at most {MAX_ID} characters",
            "send a URN such as urn:ngsi-ld:Vehicle:amb:0417",
            "bad_id",
        )
    return entity_id


def _types(entity: Mapping[str, Any]) -> list[str]:
    given = entity.get("type")
    types = [given] if isinstance(given, str) else given
    if not isinstance(types, list) or not types:
        raise Problem("type", "is missing", "send the entity's type, such as Vehicle", "no_type")
    for name in types:
        if not isinstance(name, str) or len(name) > MAX_ID or not NAME.match(name):
            raise Problem(
                "type", f"{str(name)[:60]!r} is no type name", "send a name such as Vehicle", "bad_type"
            )
    return types


def _scope(given: Any) -> list[str] | None:
    if given is None:
        return None
    scopes = [given] if isinstance(given, str) else given
    if not isinstance(scopes, list) or not all(isinstance(s, str) and SCOPE.match(s) for s in scopes):
        raise Problem("scope", "is no scope", "send paths such as /Bucaramanga/Norte", "bad_scope")
    return scopes


def _several(name: str, raw: list[Any], clock: Clock) -> list[Instance]:
    if not raw:
        raise Problem(name, "is an empty list", "send at least one instance", "bad_value")
    instances = [_instance(name, one, clock) for one in raw]
    datasets = [one.get("datasetId", "") for one in instances]
    if len(set(datasets)) < len(datasets):
        raise Problem(
            name, "has two instances with the same datasetId", "give each its own", "duplicate_dataset"
        )
    return instances


def _quick(raw: Any) -> bool:
    """Whether it is one of the plain forms that make up nearly all of what feeds send, and nothing is wrong with it."""
    if type(raw) is not dict:
        return False
    kind, value = raw.get("type"), raw.get("value")
    size = 2
    if "observedAt" in raw:
        size = 3
    if kind == "Property":
        unit = raw.get("unitCode")
        if unit is not None:
            size += 1
            if type(unit) is not str or not unit.isalnum():
                return False
        if len(raw) != size:
            return False
        if type(value) is float:
            return value - value == 0.0  # neither infinite nor NaN
        if type(value) is int:
            return -WHOLE < value < WHOLE
        return type(value) is bool or (type(value) is str and len(value) < 500 and value.isprintable())
    if kind == "GeoProperty" and len(raw) == size and type(value) is dict and len(value) == 2:
        position = value.get("coordinates")
        return (
            value.get("type") == "Point"
            and type(position) is list
            and len(position) == 2
            and type(position[0]) is float
            and type(position[1]) is float
            and -180.0 <= position[0] <= 180.0
            and -90.0 <= position[1] <= 90.0
        )
    return False


def _instance(name: str, raw: Any, clock: Clock) -> Instance:
    if _quick(raw):
        observed = raw.get("observedAt")
        if observed is None:
            return cast("Instance", raw)
        canonical = clock.canonical(name, observed)
        return cast("Instance", raw if canonical == observed else raw | {"observedAt": canonical})
    if not isinstance(raw, dict):
        raise Problem(
            name, f"is a bare {type(raw).__name__}", 'send {"type": "Property", "value": …}', "not_normalized"
        )
    kind = raw.get("type")
    key = VALUE_KEY.get(kind) if isinstance(kind, str) else None
    if key is None:
        raise Problem(
            name, f"has the unknown type {str(kind)[:40]!r}", f"use {', '.join(VALUE_KEY)}", "bad_kind"
        )
    value = raw.get(key)
    if value is None:
        raise Problem(
            f"{name}.{key}", "is missing or null", "send a value, or delete the attribute", "bad_value"
        )
    if kind == "Property":
        if isinstance(value, float) and not math.isfinite(value):
            raise Problem(f"{name}.value", "is no finite number", "send a number", "bad_value")
    elif kind == "GeoProperty":
        _check_geometry(name, value)
    elif kind == "Relationship":
        for target in value if isinstance(value, list) else (value,):
            if not isinstance(target, str) or not URI.match(target):
                raise Problem(
                    f"{name}.object",
                    f"{str(target)[:60]!r} is no URI",
                    "send the URN of an entity",
                    "bad_object",
                )
    _check_writable(name, raw)
    instance: Instance = raw
    if not MADE_HERE.isdisjoint(raw):
        instance = {key: part for key, part in raw.items() if key not in MADE_HERE}
    if "datasetId" in instance and not (isinstance(raw["datasetId"], str) and URI.match(raw["datasetId"])):
        raise Problem(f"{name}.datasetId", "is no URI", "send a URI, or leave it out", "bad_dataset")
    observed = instance.get("observedAt")
    if observed is not None:
        canonical = clock.canonical(name, observed)
        if canonical != observed:
            instance = instance | {"observedAt": canonical}
    return instance


def canonical_time(field: str, text: Any, latest: datetime | None = None) -> str:
    """The same moment in UTC with at least milliseconds, so that texts of equal length sort as times do."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Problem(
            field,
            f"{str(text)[:40]!r} is no ISO 8601 date and time",
            "send 2026-11-22T14:03:00-05:00",
            "bad_time",
        ) from None
    if moment.tzinfo is None:
        raise Problem(field, f"{text!r} has no time zone", "add Z or -05:00", "bad_time")
    if latest is not None and moment > latest:
        raise Problem(field, f"{text} lies in the future", "check the clock of the device", "future_time")
    if moment < OLDEST:
        raise Problem(field, f"{text} lies before 1970", "check the clock of the device", "bad_time")
    return time_text(moment)


def _check_writable(name: str, raw: Mapping[str, Any]) -> None:
    """Whether the database can keep it: its size, and characters and numbers that JSON or PostgreSQL refuse."""
    try:
        text = orjson.dumps(raw)
    except (TypeError, ValueError) as problem:
        raise Problem(
            name, f"cannot be written as JSON: {str(problem)[:80]}", "send plain JSON values", "not_json"
        ) from None
    if len(text) > (MAX_GEOMETRY if raw["type"] == "GeoProperty" else MAX_STRING):
        raise Problem(
            name,
            f"is {len(text):,} bytes long",
            f"send at most {MAX_STRING:,}; keep files elsewhere and send their address",
            "too_large",
        )
    if b"\\u0000" in text:
        raise Problem(name, "contains the character NUL", "leave it out", "bad_value")


def _check_geometry(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise Problem(
            f"{name}.value",
            "is no GeoJSON geometry",
            'send {"type": "Point", "coordinates": [lon, lat]}',
            "bad_geometry",
        )
    kind, coordinates = value.get("type"), value.get("coordinates")
    depth = GEOMETRY_DEPTH.get(kind) if isinstance(kind, str) else None
    if depth is None:
        raise Problem(
            f"{name}.value.type",
            f"{str(kind)[:40]!r} is no geometry",
            f"use {', '.join(GEOMETRY_DEPTH)}",
            "bad_geometry",
        )
    if depth == 0:
        _check_position(name, coordinates)
        return
    flat: Any = [coordinates]
    for _ in range(depth):
        if not all(isinstance(part, (list, tuple)) and part for part in flat):
            raise Problem(
                f"{name}.value.coordinates", f"are not those of a {kind}", "see RFC 7946", "bad_geometry"
            )
        flat = [inner for part in flat for inner in part]
    if len(flat) > MAX_VERTICES:
        raise Problem(
            f"{name}.value", f"has {len(flat):,} vertices", f"simplify it to {MAX_VERTICES:,}", "too_large"
        )
    for position in flat:
        _check_position(name, position)


def _check_position(name: str, position: Any) -> None:
    if (
        type(position) is list
        and len(position) == 2
        and type(position[0]) is float
        and type(position[1]) is float
        and -180.0 <= position[0] <= 180.0
        and -90.0 <= position[1] <= 90.0
    ):
        return  # nearly all
    if (
        not isinstance(position, (list, tuple))
        or len(position) < 2
        or not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in position)
    ):
        raise Problem(
            f"{name}.value.coordinates",
            f"{str(position)[:40]} is no position",
            "send [longitude, latitude]",
            "bad_geometry",
        )
    lon, lat = position[0], position[1]
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):  # also refuses NaN
        raise Problem(
            f"{name}.value.coordinates",
            f"[{lon}, {lat}] lies outside the Earth",
            "send [longitude, latitude] in degrees; perhaps they are swapped",
            "bad_geometry",
        )


def _check_declared(
    name: str, given: Instance | list[Instance], declared: Sequence[type[EntityType]], *, strict: bool
) -> None:
    rules = [kind.attributes[name] for kind in declared if name in kind.attributes]
    if not rules:
        if strict:
            names = " or ".join(kind.__name__ for kind in declared)
            raise Problem(
                name,
                f"is no attribute of {names}",
                "check the spelling, or declare it in the vocabulary",
                "unknown_attribute",
            )
        return
    for instance in given if isinstance(given, list) else (given,):
        for rule in rules:
            problem = rule.problem(instance)
            if problem is not None:
                raise Problem(name, problem[0], problem[1], "wrong_attribute")
