"""Entities as an earlier version of the standard knew them: what it did not have is left out or told as what it had.

References
----------
ETSI GS CIM 009 v1.9.1, 4.3.6.8 (tables of fallbacks), 6.3.6 (`Prefer: ngsi-ld=major.minor`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from amb247.context.documents.kinds import NOT_ATTRIBUTES, VALUE_KEY
from amb247.context.jsonld.context import Context
from amb247.context.stored import Instance, Stored

Json = Any
Version = tuple[int, int]

NEWEST: Final[Version] = (1, 9)
PREFERRED: Final = re.compile(
    r'(?:^|[,;\s])ngsi-ld\s*=\s*"?(\d{1,2})\.(\d{1,2})"?\s*(?:$|[,;])', re.IGNORECASE
)
# Kind -> the version that brought it, and the kind that it was before.
KINDS: Final[Mapping[str, tuple[Version, str]]] = {
    "JsonProperty": ((1, 8), "Property"),
    "VocabProperty": ((1, 8), "Property"),
    "ListProperty": ((1, 8), "Property"),
    "ListRelationship": ((1, 8), "Relationship"),
    "LanguageProperty": ((1, 4), "Property"),
}
# Member of an attribute -> the version that brought it.
MEMBERS: Final[Mapping[str, Version]] = {
    "expiresAt": (1, 9),
    "valueType": (1, 9),
    "objectType": (1, 8),
    "datasetId": (1, 3),
    "observedAt": (1, 3),
    "unitCode": (1, 3),
}
MANY: Final[Version] = (1, 3)  # several types, and several instances of an attribute
SCOPE: Final[Version] = (1, 4)
EXPIRY: Final[Version] = (1, 9)


def preferred_version(header: str) -> Version | None:
    """The version that `Prefer` asks for, at most the newest that we speak; None when it asks for none."""
    found = PREFERRED.search(header)
    return None if found is None else min((int(found[1]), int(found[2])), NEWEST)


def version_text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def amended(entity: Stored, version: Version, context: Context) -> Stored:
    """The entity as that version has it; the same object when nothing of it is newer.

    `context` puts the words of a VocabProperty into the client's terms, which a Property's value is not.
    """
    attributes = {name: _attribute(value, version, context) for name, value in entity.attributes.items()}
    types = entity.types[:1] if version < MANY else entity.types
    scope = [] if version < SCOPE else entity.scope
    expires_at = None if version < EXPIRY else entity.expires_at
    if (types, scope, expires_at) == (entity.types, entity.scope, entity.expires_at) and all(
        attributes[name] is value for name, value in entity.attributes.items()
    ):
        return entity
    return replace(entity, attributes=attributes, types=types, scope=scope, expires_at=expires_at)


def _attribute(value: Json, version: Version, context: Context) -> Json:
    if isinstance(value, list):
        if version < MANY:
            default = next((one for one in value if "datasetId" not in one), value[0])
            return _instance(default, version, context)
        made = [_instance(one, version, context) for one in value]
        return value if all(new is old for new, old in zip(made, value, strict=True)) else made
    return _instance(value, version, context) if isinstance(value, dict) else value


def _instance(instance: Instance, version: Version, context: Context) -> Instance:
    made: Instance = {}
    is_changed = False
    kind = instance["type"]
    since, before = KINDS.get(kind, (version, kind))
    for key, value in instance.items():
        new_key, new = key, value
        if version < MEMBERS.get(key, version):
            is_changed = True
            continue
        if version < since and key == "type":
            new = before
        elif version < since and key == VALUE_KEY[kind]:
            new_key = VALUE_KEY[before]
            new = _words(value, context) if key == "vocab" else value
        elif key not in NOT_ATTRIBUTES:
            new = _attribute(value, version, context)
        is_changed = is_changed or new is not value
        made[new_key] = new
    return made if is_changed else instance


def _words(value: Json, context: Context) -> Json:
    if isinstance(value, list):
        return [context.compact_vocab(one) for one in value]
    return context.compact_vocab(value)
