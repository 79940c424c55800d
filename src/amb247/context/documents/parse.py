"""What clients send, in any representation, to the form of the store (`context.stored`).

An entity of ten attributes costs some tens of microseconds here, so the normalized form goes a short way: one pass over
each instance, and nothing is looked at twice. Names are internal on the way out; values are kept as they came.

References
----------
ETSI GS CIM 009 v1.8.1: 4.5.1 to 4.5.24 (representations), 4.6 (names and values), 5.5.4 (validation), 5.5.8 and 5.5.12 (nulls).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from amb247.context.documents.kinds import (
    DELETE,
    KIND_OF,
    NGSI_NULL,
    NOT_ATTRIBUTES,
    OUTPUT_ONLY,
    STAMPS,
    TARGETED,
    UNITLESS,
    VALUE_KEY,
    VALUE_KEYS,
    Delete,
)
from amb247.context.documents.times import moment
from amb247.context.documents.values import (
    LANGUAGE,
    MAX_GEOMETRY,
    check_compound,
    check_geometry,
    check_null,
    check_raw,
    check_text,
    check_time,
    check_uri,
    check_value,
    is_geometry,
)
from amb247.context.jsonld.context import Context
from amb247.context.ngsi_errors import BadRequestData
from amb247.context.stored import Instance

__all__ = [
    "DELETE",
    "Delete",
    "Parsed",
    "Value",
    "as_kind",
    "check_id",
    "check_scopes",
    "parse_attributes",
    "parse_entity",
    "parse_instance",
    "parse_temporal",
    "parse_types",
]

Json = Any
Value = Instance | list[Instance] | Delete
Forms = Literal["normalized", "simplified"]

MAX_ATTRIBUTES: Final = 1_000
MAX_INSTANCES: Final = 10_000
MAX_LIST: Final = 10_000
MAX_SUB_DEPTH: Final = 10
MAX_ID: Final = 512
SCOPE: Final = re.compile(r"/?[^\W\d_]\w*(?:/[^\W\d_]\w*)*\Z")
# Words of an entity that are no attributes of it, under the internal names that terms expand to.
ENTITY_MEMBERS: Final = frozenset({"id", "type", "scope", "@context", "expiresAt"}) | STAMPS
# Terms of the core that no attribute may have as its name, since they are said of attributes without being one (4.5.1).
NOT_REIFIED: Final = frozenset({"datasetId", "observedAt", "unitCode", "objectType", "valueType"})


@dataclass(slots=True)
class Parsed:
    """An entity or a fragment of one, as the store would keep it.

    Attributes
    ----------
    id : empty where a fragment does not say
    types : None where it does not say
    scope : list of str, with a leading slash; empty for none said as such; None where not said; DELETE to remove it
    attributes : internal name -> instance, list of instances (several datasetIds, or temporal), or DELETE.
        Inside an instance DELETE stands for what is to be removed: as the value (the instance with this `datasetId`), as
        a sub-attribute, as a language of a `languageMap`, as `unitCode`, `observedAt`, `expiresAt`, `objectType`, `valueType`.
    expires_at : aware, UTC; DELETE to remove it
    """

    id: str
    types: list[str] | None
    scope: list[str] | Delete | None = None
    attributes: dict[str, Value] = field(default_factory=dict)
    expires_at: datetime | Delete | None = None


def parse_entity(
    raw: Json,
    context: Context,
    *,
    need_type: bool = True,
    form: Forms = "normalized",
    nulls: bool = False,
    partial: bool = False,
) -> Parsed:
    """A whole entity, normalized or concise (found out attribute by attribute), or simplified.

    Parameters
    ----------
    raw : Json
        Decoded JSON; `@context` in it is passed over (the caller made `context` of it).
    need_type : bool
        Whether `type` must be there; `id` must.
    form : "normalized" (also concise) or "simplified"
    nulls : bool
        Whether the NGSI-LD Null asks for removal (update, partial update, merge); it is refused otherwise.
    partial : bool
        Whether an instance may come without its value, because only what stands beside it is to change (merge).

    Raises
    ------
    BadRequestData
        The field, what is wrong with it, and the remedy.
    """
    parsed = _Reader(context, nulls=nulls, partial=partial, form=form).entity(raw)
    if not parsed.id:
        raise BadRequestData("id: is missing; send the URI of the entity, such as urn:ngsi-ld:Vehicle:A4567")
    if need_type and parsed.types is None:
        raise BadRequestData("type: is missing; send the entity's type, such as Vehicle")
    return parsed


def parse_attributes(
    raw: Json, context: Context, *, form: Forms = "normalized", nulls: bool = False, partial: bool = False
) -> Parsed:
    """A fragment: attributes, with id, type and scope where they were given. Parameters as of `parse_entity`."""
    return _Reader(context, nulls=nulls, partial=partial, form=form).entity(raw)


def parse_temporal(raw: Json, context: Context, *, need_id: bool = True, need_type: bool = False) -> Parsed:
    """The temporal evolution of an entity: every attribute a list of instances, in the order sent.

    Instances of one datasetId differ in time, so there may be many of the same.
    """
    parsed = _Reader(context, temporal=True).entity(raw)
    if need_id and not parsed.id:
        raise BadRequestData("id: is missing; send the URI of the entity, such as urn:ngsi-ld:Vehicle:A4567")
    if need_type and parsed.types is None:
        raise BadRequestData("type: is missing; send the entity's type, such as Vehicle")
    return parsed


def parse_instance(
    name: str,
    raw: Json,
    context: Context,
    *,
    kind: str | None = None,
    form: Forms = "normalized",
    nulls: bool = False,
    partial: bool = False,
) -> Value:
    """One attribute, as `PATCH` and `PUT .../attrs/{name}` carry it.

    Parameters
    ----------
    name : str
        What to call it in refusals.
    kind : str, optional
        The kind of what is stored: decides where the fragment does not say one.
    partial : bool
        Whether the value may be absent, because only sub-attributes, a unit or a time are to change. The instance
        then has no value key, and no type where neither it nor `kind` says one.
    """
    reader = _Reader(context, nulls=nulls, partial=partial, form=form)
    if form == "normalized" and partial and type(raw) is dict:
        return reader.instance(name, raw, 0, stored=kind, fragment=True)
    return reader.value(name, raw)


def check_id(value: Json, where: str = "id") -> str:
    """An entity's id: a URI."""
    if type(value) is str and len(value) > MAX_ID:
        raise BadRequestData(f"{where}: is longer than {MAX_ID} characters")
    return check_uri(where, value)


def parse_types(value: Json, context: Context) -> list[str]:
    """Entity types, as internal names, each once and in the order given."""
    given = [value] if type(value) is str else value
    if type(given) is not list or not given or len(given) > MAX_ATTRIBUTES:
        raise BadRequestData("type: is no type name or list of type names; send a name such as Vehicle")
    types: list[str] = []
    for one in given:
        if type(one) is not str:
            raise BadRequestData("type: is no type name or list of type names; send a name such as Vehicle")
        try:
            name = context.expand(one)
        except BadRequestData as problem:
            raise BadRequestData(f"type: {problem.detail}") from None
        if name not in types:
            types.append(name)
    return types


def check_scopes(value: Json) -> list[str]:
    """Scopes with a leading slash, each once (4.18)."""
    given = [value] if type(value) is str else value
    if type(given) is not list or len(given) > MAX_LIST:
        raise BadRequestData(
            "scope: is neither a path nor a list of paths; send for instance /Bucaramanga/Norte"
        )
    scopes: list[str] = []
    for one in given:
        if type(one) is not str or len(one) > MAX_ID or not SCOPE.match(one):
            raise BadRequestData(
                f"scope: {str(one)[:80]!r} is no path of names of letters, digits and '_'; "
                "send for instance /Bucaramanga/Norte"
            )
        path = one if one[0] == "/" else "/" + one
        if path not in scopes:
            scopes.append(path)
    return scopes


class _Reader:
    """Reads the documents of one request: what it may contain, and under which names."""

    __slots__ = ("context", "form", "nulls", "partial", "temporal")

    def __init__(
        self,
        context: Context,
        *,
        nulls: bool = False,
        partial: bool = False,
        form: Forms = "normalized",
        temporal: bool = False,
    ) -> None:
        self.context, self.nulls, self.partial, self.form, self.temporal = (
            context,
            nulls,
            partial,
            form,
            temporal,
        )

    def entity(self, raw: Json) -> Parsed:
        if type(raw) is not dict:
            raise BadRequestData(f"the body is a {type(raw).__name__}; send one JSON object")
        if len(raw) > MAX_ATTRIBUTES:
            raise BadRequestData(f"the entity has {len(raw):,} members; send at most {MAX_ATTRIBUTES:,}")
        parsed = Parsed("", None)
        attributes = parsed.attributes
        seen: set[str] = set()
        for term, value in raw.items():
            name = self.context.expand(term)
            if name in ENTITY_MEMBERS:
                if name in seen:
                    raise BadRequestData(f"{term}: is given twice, under two names")
                seen.add(name)
                self._member(parsed, name, value)
            elif name in NOT_REIFIED:
                raise BadRequestData(
                    f"{term}: is a word of the core context, not an attribute; give it another name"
                )
            elif name in attributes:
                raise BadRequestData(f"{term}: is given twice, under two names that mean the same")
            else:
                attributes[name] = self.value(term, value)
        return parsed

    def value(self, term: str, raw: Json) -> Value:
        """One attribute of an entity."""
        if self.temporal:
            return self._history(term, raw)
        if self.form == "simplified":
            return self._simplified(term, raw)
        return self._attribute(term, raw, 0)

    def _member(self, parsed: Parsed, name: str, value: Json) -> None:
        if name == "id":
            parsed.id = check_id(value)
        elif name == "type":
            parsed.types = parse_types(value, self.context)
        elif name == "scope":
            if self.temporal:
                value = _last_scope(value)
            if value in (NGSI_NULL, [NGSI_NULL]):
                parsed.scope = check_null("scope", nulls=self.nulls)
            else:
                parsed.scope = check_scopes(value)
        elif name == "expiresAt":
            if value == NGSI_NULL:
                parsed.expires_at = check_null("expiresAt", nulls=self.nulls)
            else:
                parsed.expires_at = moment(check_time("expiresAt", value))

    def _history(self, term: str, raw: Json) -> list[Instance]:
        instances = raw if type(raw) is list else [raw]
        if len(instances) > MAX_INSTANCES:
            raise BadRequestData(
                f"{term}: has {len(instances):,} instances; send at most {MAX_INSTANCES:,} at a time"
            )
        made: list[Instance] = []
        for one in instances:
            if type(one) is not dict:
                raise BadRequestData(
                    f'{term}: is no list of instances; send [{{"type": "Property", "value": ..., "observedAt": ...}}]'
                )
            made.append(self.instance(term, one, 0))
        return made

    def _attribute(self, term: str, raw: Json, depth: int) -> Value:
        """An attribute whose kind and shape are told by its content: instance, instances, or a bare value."""
        if type(raw) is dict:
            made = self.instance(term, raw, depth)
            return DELETE if _is_whole_delete(made) else made
        if type(raw) is list and _are_instances(raw):
            return self._several(term, raw, depth)
        value = check_value(term, raw, nulls=self.nulls)
        return DELETE if value is DELETE else {"type": "Property", "value": value}

    def _several(self, term: str, raw: list[Json], depth: int) -> Value:
        if len(raw) > MAX_INSTANCES:
            raise BadRequestData(f"{term}: has {len(raw):,} instances; send at most {MAX_INSTANCES:,}")
        made: list[Instance] = []
        datasets: set[str] = set()
        for one in raw:
            if type(one) is not dict:
                raise BadRequestData(
                    f"{term}: mixes instances and bare values; send every instance as an object"
                )
            instance = self.instance(term, one, depth)
            dataset = instance.get("datasetId", "")
            if dataset in datasets:
                which = f"the datasetId {dataset}" if dataset else "no datasetId"
                raise BadRequestData(f"{term}: two instances have {which}; give each its own")
            datasets.add(dataset)
            made.append(instance)
        if len(made) == 1 and "datasetId" not in made[0]:
            return DELETE if _is_whole_delete(made[0]) else made[0]
        return made

    def instance(
        self,
        term: str,
        raw: dict[str, Json],
        depth: int,
        *,
        stored: str | None = None,
        fragment: bool = False,
    ) -> Instance:
        """One instance given as an object; an object that is a bare value makes a Property or GeoProperty of it.

        `fragment`: what comes is an instance even if nothing in it says so.
        """
        kind = raw.get("type")
        value_key = VALUE_KEY.get(kind) if type(kind) is str else None
        if value_key is None:
            kind, value_key, fragment = self._kind(term, raw, stored, fragment=fragment)
            if value_key is None and not fragment:
                bare = "GeoProperty" if is_geometry(raw) else "Property"
                return {"type": bare, "value": CHECKS[bare](term, raw, self)}
        if depth > MAX_SUB_DEPTH:
            raise BadRequestData(
                f"{term}: attributes of attributes are nested more than {MAX_SUB_DEPTH} deep"
            )
        instance: Instance = {"type": kind} if kind is not None else {}
        for key, value in raw.items():
            if key == value_key:
                instance[key] = CHECKS[kind](f"{term}.{key}", value, self)  # type: ignore[index] # known with its value key
            elif key not in PASSED_OVER:
                self._beside(instance, term, key, value, depth, kind)
        if value_key is not None and value_key not in instance and not self.partial:
            raise BadRequestData(f"{term}.{value_key}: is missing; a {kind} has it")
        return instance

    def _beside(
        self, instance: Instance, term: str, key: str, value: Json, depth: int, kind: str | None
    ) -> None:
        """A member beside the value: a time, a unit, a dataset, a declared type, or a sub-attribute."""
        name = key if key in NOT_ATTRIBUTES else self.context.expand(key)
        where = f"{term}.{key}"
        made: Json
        if name in ("observedAt", "expiresAt"):
            made = self.null(where) if value == NGSI_NULL else check_time(where, value)
        elif name == "unitCode":
            if kind in UNITLESS:
                raise BadRequestData(f"{where}: a {kind} has no unit; leave it out")
            if type(value) is not str or not value:
                raise BadRequestData(f"{where}: is no text; send a code of UN/CEFACT, such as KMH")
            made = self.null(where) if value == NGSI_NULL else check_text(where, value)
        elif name == "datasetId":
            if value == "@none":
                return
            made = check_uri(where, value, what="a URI, or leave it out for the default instance")
        elif name in ("objectType", "valueType"):
            if kind is not None and (name == "objectType") != (kind in TARGETED):
                raise BadRequestData(f"{where}: a {kind} has none; leave it out")
            made = self.null(where) if value == NGSI_NULL else _concepts(where, value, self)
        elif name in OUTPUT_ONLY:
            return
        elif name in VALUE_KEYS:
            if kind is None or name != VALUE_KEY[kind]:
                raise BadRequestData(
                    f"{where}: a {kind} has none; it has {VALUE_KEY.get(kind or '', 'another key')}"
                )
            made = CHECKS[kind](where, value, self)  # under its full IRI
        elif name == "@context":
            raise BadRequestData(f"{where}: a @context stands at the top of the document only")
        elif name in ("id", "type", "scope"):
            raise BadRequestData(f"{where}: is no attribute of an attribute; leave it out")
        else:
            made = self._attribute(where, value, depth + 1)
        if name in instance:
            raise BadRequestData(f"{where}: is given twice, under two names that mean the same")
        instance[name] = made

    def null(self, where: str) -> Json:
        return check_null(where, nulls=self.nulls)

    def _kind(
        self, term: str, raw: dict[str, Json], stored: str | None, *, fragment: bool
    ) -> tuple[str | None, str | None, bool]:
        """What an object is that does not say its kind plainly: kind, value key, whether it is a fragment without value.

        All three empty: the object itself is the value.
        """
        said = raw.get("type", None if "@value" in raw else raw.get("@type"))
        if said is not None:
            name = self.context.expand_vocab(said) if type(said) is str else ""
            if name in VALUE_KEY:
                return name, VALUE_KEY[name], fragment
            if is_geometry(raw):
                return None, None, False
            raise BadRequestData(
                f"{term}.type: {str(said)[:80]!r} is no kind of attribute; use {', '.join(VALUE_KEY)}, "
                'or send the object as {"type": "Property", "value": {...}}'
            )
        key = next((one for one in KIND_OF if one in raw), None) or self._full_value_key(raw)
        if key is not None:
            kind = KIND_OF[key]
            if stored is not None and VALUE_KEY[stored] == key:
                kind = stored
            elif key == "value" and is_geometry(raw.get("value")):
                kind = "GeoProperty"
            return kind, key, fragment
        if fragment or (self.partial and not BESIDE.isdisjoint(raw)):
            return stored, VALUE_KEY[stored] if stored else None, True
        if not BESIDE.isdisjoint(raw):
            raise BadRequestData(
                f"{term}: has no value; send it as `value`, `object`, `languageMap` or another of its kind"
            )
        return None, None, False

    def _full_value_key(self, raw: dict[str, Json]) -> str | None:
        """The value key that stands there under its IRI, such as https://uri.etsi.org/ngsi-ld/hasValue."""
        for key in raw:
            if "has" in key and ":" in key:
                name = self.context.expand(key)
                if name in VALUE_KEYS:
                    return name
        return None

    def _simplified(self, term: str, raw: Json) -> Value:
        """A value alone. Its kind is guessed: a writer who knows the stored kind keeps that (`as_kind`)."""
        if type(raw) is dict:
            if len(raw) == 1:
                (key,) = raw
                if key == "dataset" and type(raw["dataset"]) is dict:
                    return self._datasets(term, raw["dataset"])
                if key in ("languageMap", "vocab", "json"):
                    kind = KIND_OF[key]
                    made = CHECKS[kind](f"{term}.{key}", raw[key], self)
                    return DELETE if made is DELETE else {"type": kind, key: made}
            if is_geometry(raw):
                return {"type": "GeoProperty", "value": _geo(term, raw, self)}
        value = _property(term, raw, self)
        return DELETE if value is DELETE else {"type": "Property", "value": value}

    def _datasets(self, term: str, raw: dict[str, Json]) -> Value:
        made: list[Instance] = []
        for dataset, value in raw.items():
            one = self._simplified(f"{term}.dataset", value)
            instance: Instance = one if type(one) is dict else {"type": "Property", "value": one}
            if dataset != "@none":
                instance["datasetId"] = check_uri(
                    f"{term}.dataset", dataset, what="a URI, or @none for the default instance"
                )
            made.append(instance)
        return made


def as_kind(
    instance: Instance, kind: str, context: Context, *, lang: str | None = None, name: str = "value"
) -> Instance:
    """A simplified value under the kind that is stored (5.6.17): a text sent for a Relationship becomes its new object.

    A text for a LanguageProperty is that of the language `lang`; without it, it is refused. What says its own kind
    (`{"json": ...}`, a geometry) and what is stored as a Property or JsonProperty stays as it was guessed.
    """
    if instance["type"] != "Property" or kind in ("Property", "JsonProperty"):
        return instance
    value = instance["value"]
    if kind == "LanguageProperty":
        if lang is None:
            raise BadRequestData(
                f'{name}: is a LanguageProperty; send {{"languageMap": ...}}, or add lang to the request'
            )
        value = {lang: value}
    made = CHECKS[kind](name, value, _Reader(context))
    beside = {key: part for key, part in instance.items() if key not in ("type", "value")}
    return {"type": kind, VALUE_KEY[kind]: made, **beside}


def _last_scope(value: Json) -> Json:
    """In a temporal evolution the scope is a Property; what counts is its newest value."""
    instances = value if type(value) is list else [value]
    reified = [one["value"] for one in instances if type(one) is dict and "value" in one]
    return reified[-1] if reified else value


def _is_whole_delete(instance: Instance) -> bool:
    key = VALUE_KEY.get(instance.get("type", ""))
    return key is not None and instance.get(key) is DELETE and "datasetId" not in instance


def _are_instances(raw: list[Json]) -> bool:
    """Whether a list is one of instances rather than the value of a concise Property."""
    looks = 0
    for one in raw:
        if type(one) is dict:
            kind = one.get("type", one.get("@type"))
            if type(kind) is str and (kind in VALUE_KEY or kind.rpartition("/")[2] in VALUE_KEY):
                return True
            if "type" not in one and not VALUE_KEYS.isdisjoint(one):
                looks += 1
    return looks > 0 and looks == len(raw)


# Members that only an attribute instance has: an object with one of them is no bare value.
BESIDE: Final = frozenset({"observedAt", "unitCode", "datasetId", "objectType"})
PASSED_OVER: Final = OUTPUT_ONLY | {"type", "@type"}
Check = Callable[[str, Json, _Reader], Json]


def _property(where: str, value: Json, reader: _Reader) -> Json:
    return check_value(where, value, nulls=reader.nulls)


def _geo(where: str, value: Json, reader: _Reader) -> Json:
    made = check_geometry(where, value, nulls=reader.nulls)
    if made is not DELETE and len(made) > 2:
        check_compound(where, made, nulls=False, limit=MAX_GEOMETRY)
    return made


def _target(where: str, value: Json, reader: _Reader) -> Json:
    if type(value) is str:
        return reader.null(where) if value == NGSI_NULL else check_uri(where, value)
    if type(value) is list and value:
        if value == [NGSI_NULL]:
            return reader.null(where)
        if len(value) > MAX_LIST:
            raise BadRequestData(f"{where}: has more than {MAX_LIST:,} targets")
        return [check_uri(where, one) for one in value]
    raise BadRequestData(f"{where}: is neither the URI of an entity nor a list of them")


def _targets(where: str, value: Json, reader: _Reader) -> Json:
    """The list of a ListRelationship: URIs, or objects that hold one as `object`; kept as URIs."""
    if value in (NGSI_NULL, [NGSI_NULL], [{"object": NGSI_NULL}]):
        return reader.null(where)
    if type(value) is not list or len(value) > MAX_LIST:
        raise BadRequestData(f'{where}: is no list; send [{{"object": "urn:ngsi-ld:..."}}]')
    return [
        check_uri(where, one["object"] if type(one) is dict and len(one) == 1 and "object" in one else one)
        for one in value
    ]


def _values(where: str, value: Json, reader: _Reader) -> Json:
    if value in (NGSI_NULL, [NGSI_NULL]):
        return reader.null(where)
    if type(value) is not list:
        raise BadRequestData(f"{where}: is no list; send the values in their order")
    if any(one is None for one in value):
        raise BadRequestData(f"{where}: contains null; leave it out")
    return check_compound(where, value, nulls=reader.nulls)


def _languages(where: str, value: Json, reader: _Reader) -> Json:
    if value in (NGSI_NULL, {"@none": NGSI_NULL}):
        return reader.null(where)
    if type(value) is not dict or not value or len(value) > MAX_LIST:
        raise BadRequestData(f'{where}: is no map of languages; send {{"es": "Plaza", "en": "Square"}}')
    made: dict[str, Json] = {}
    for language, text in value.items():
        if not LANGUAGE.match(language):
            raise BadRequestData(
                f"{where}: {language[:40]!r} is no language code; see RFC 5646, or send @none"
            )
        if type(text) is str:
            made[language] = reader.null(where) if text == NGSI_NULL else check_text(where, text)
        elif type(text) is list and text and all(type(one) is str for one in text):
            made[language] = [check_text(where, one) for one in text]
        else:
            raise BadRequestData(f"{where}.{language}: is neither a text nor a list of texts")
    return made


def _vocab(where: str, value: Json, reader: _Reader) -> Json:
    return reader.null(where) if value == NGSI_NULL else _concepts(where, value, reader)


def _concepts(where: str, value: Json, reader: _Reader) -> Json:
    """A word or words that stand for concepts, as internal names."""
    expand = reader.context.expand_vocab
    if type(value) is str and value:
        return expand(check_text(where, value))
    if (
        type(value) is list
        and value
        and len(value) <= MAX_LIST
        and all(type(one) is str and one for one in value)
    ):
        return [expand(check_text(where, one)) for one in value]
    raise BadRequestData(f"{where}: is neither a word nor a list of words")


def _json(where: str, value: Json, reader: _Reader) -> Json:
    if type(value) in (dict, list):
        return check_raw(where, value)
    return check_value(where, value, nulls=reader.nulls)


CHECKS: Final[dict[str, Check]] = {
    "Property": _property,
    "Relationship": _target,
    "GeoProperty": _geo,
    "LanguageProperty": _languages,
    "VocabProperty": _vocab,
    "ListProperty": _values,
    "ListRelationship": _targets,
    "JsonProperty": _json,
}
