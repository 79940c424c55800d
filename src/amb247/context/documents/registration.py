"""A context source registration on the wire and as it is kept: members checked one by one, names made internal.

References
----------
ETSI GS CIM 009 v1.8.1, 4.20 (operation names), 5.2.8 to 5.2.11, 5.2.22, 5.2.34 (data types), 5.9.2 and 5.9.3 (register, update).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from amb247.context.documents.kinds import NGSI_NULL
from amb247.context.documents.parse import check_scopes
from amb247.context.documents.times import moment
from amb247.context.documents.values import check_compound, check_geometry
from amb247.context.ngsi_errors import BadRequestData
from amb247.context.querying.patterns import compiled

Json = Any
Document = dict[str, Any]

TYPE: Final = "ContextSourceRegistration"
MODES: Final = ("inclusive", "exclusive", "redirect", "auxiliary")
MAX_ITEMS: Final = 1_000
MAX_TEXT: Final = 10_000
MAX_MS: Final = 3_600_000
URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x20\x7f]+\Z")
TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
DURATION: Final = re.compile(
    r"P(?=.)(?:(\d+(?:\.\d+)?)Y)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?=\d)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?\Z"
)
UNIT_S: Final = (31_557_600, 2_629_800, 604_800, 86_400, 3_600, 60, 1)

CONSUMPTION: Final = ("retrieveEntity", "queryEntity")
DISCOVERY: Final = (
    "retrieveEntityTypes",
    "retrieveEntityTypeDetails",
    "retrieveEntityTypeInfo",
    "retrieveAttrTypes",
    "retrieveAttrTypeDetails",
    "retrieveAttrTypeInfo",
)
SUBSCRIBING: Final = (
    "createSubscription",
    "updateSubscription",
    "retrieveSubscription",
    "querySubscription",
    "deleteSubscription",
)
UPDATES: Final = ("updateEntity", "updateAttrs", "replaceEntity", "replaceAttrs")
CHANGES: Final = (*UPDATES, "createEntity", "appendAttrs", "deleteAttrs", "deleteEntity", "mergeEntity")
BATCHES: Final = ("createBatch", "upsertBatch", "updateBatch", "mergeBatch", "deleteBatch", "queryBatch")
TEMPORAL: Final = (
    "upsertTemporal",
    "appendAttrsTemporal",
    "deleteAttrsTemporal",
    "updateAttrInstanceTemporal",
    "deleteAttrInstanceTemporal",
    "deleteTemporal",
    "retrieveTemporal",
    "queryTemporal",
)
MAPS: Final = ("retrieveEntityMap", "updateEntityMap", "deleteEntityMap", "createEntityMapQueryEntity")
IDENTITY: Final = "retrieveContextSourceIdentity"
OTHERS: Final = (
    "purgeEntity",
    "createEntityMap",  # as 1.8 called it
    "createEntityMapQueryTemporal",
)
# 4.20: names for several operations.
GROUPS: Final[dict[str, frozenset[str]]] = {
    "federationOps": frozenset((*CONSUMPTION, "queryBatch", *DISCOVERY, *SUBSCRIBING, *MAPS, IDENTITY)),
    "associationOps": frozenset((*CONSUMPTION, "queryBatch", *DISCOVERY, *SUBSCRIBING, IDENTITY)),
    "updateOps": frozenset(UPDATES),
    "retrieveOps": frozenset(CONSUMPTION),
    "redirectionOps": frozenset((*CONSUMPTION, *DISCOVERY, *CHANGES, "purgeEntity", *MAPS, IDENTITY)),
}
OPERATIONS: Final = frozenset(
    (*CONSUMPTION, *DISCOVERY, *SUBSCRIBING, *CHANGES, *BATCHES, *TEMPORAL, *MAPS, IDENTITY, *OTHERS)
).union(GROUPS)
DEFAULT_OPERATIONS: Final = ("federationOps",)

# Made by the broker: a client may send back what it read, but does not decide them.
READ_ONLY: Final = frozenset(
    {
        "status",
        "timesSent",
        "timesFailed",
        "lastSuccess",
        "lastFailure",
        "createdAt",
        "modifiedAt",
        "deletedAt",
    }
)
# Headers of a request that are ours to say, or that would give away who asks us.
OUR_HEADERS: Final = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "via",
        "link",
        "ngsild-tenant",
        "accept-encoding",
    }
)
PASSED_ON: Final = "urn:ngsi-ld:request"  # 5.2.22: the value comes from the request that is being passed on
SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})


class Names(Protocol):
    """What this module needs of a `jsonld.context.Context`."""

    def expand(self, term: str) -> str: ...
    def compact(self, name: str) -> str: ...


def parse_registration(raw: Json, names: Names, *, now: datetime | None = None) -> Document:
    """The document to keep. Its `id` is there when the client gave one.

    Raises
    ------
    BadRequestData
        A member is missing, of the wrong kind, out of range, or contradicts another; the detail names it.
    """
    if not isinstance(raw, dict):
        raise BadRequestData("The body is no registration; send a JSON object.")
    if raw.get("type") != TYPE:
        raise BadRequestData(f'type: is {raw.get("type")!r:.60}; send "{TYPE}".')
    document = {}
    for key, value in raw.items():
        if key not in READ_ONLY and key != "@context":
            _no_null(key, value)
            name, kept = _member(key, value, names)
            document[name] = kept
    check_whole(document, now=now or datetime.now(UTC), is_new_end="expiresAt" in document)
    return document


def apply_fragment(
    document: Mapping[str, Json], raw: Json, names: Names, *, now: datetime | None = None
) -> Document:
    """The document after a fragment (5.9.3): members given take the place of those stored, null removes one."""
    if not isinstance(raw, dict):
        raise BadRequestData("The body is no fragment of a registration; send a JSON object.")
    if raw.get("type", TYPE) != TYPE:
        raise BadRequestData(f'type: is {raw.get("type")!r:.60}; send "{TYPE}", or leave it out.')
    if raw.get("id", document["id"]) != document["id"]:
        raise BadRequestData("id: cannot be changed; make a new registration.")
    changes = {
        key: value
        for key, value in raw.items()
        if key not in READ_ONLY and key not in {"@context", "id", "type"}
    }
    if not changes:
        raise BadRequestData("The fragment has nothing to change; send members of a registration.")
    changed = dict(document)
    for key, value in changes.items():
        if value is None or value == NGSI_NULL:
            if key in {"information", "endpoint"}:
                raise BadRequestData(f"{key}: a registration cannot be without it.")
            changed.pop(key if key in MEMBERS else names.expand(key), None)
        else:
            name, kept = _member(key, value, names)
            changed[name] = kept
    check_whole(changed, now=now or datetime.now(UTC), is_new_end="expiresAt" in changes)
    return changed


def represent_registration(document: Mapping[str, Json], names: Names, *, secrets: bool = True) -> Document:
    """The document with the client's names; without `secrets` no headers that the sources are sent."""
    shown: Document = {"id": document["id"], "type": TYPE}
    for key, value in document.items():
        if key == "information":
            shown[key] = [_shown_information(one, names) for one in value]
        elif key in MEMBERS:
            if secrets or key != "contextSourceInfo":
                shown[key] = value
        else:
            shown[names.compact(key)] = value
    return shown


def _shown_information(information: Mapping[str, Json], names: Names) -> Document:
    shown = dict(information)
    if "entities" in shown:
        shown["entities"] = [
            {**one, "type": _renamed(one["type"], names.compact)} for one in shown["entities"]
        ]
    for key in ("propertyNames", "relationshipNames"):
        if key in shown:
            shown[key] = [names.compact(name) for name in shown[key]]
    return shown


def _renamed(types: Json, rename: Callable[[str], str]) -> Json:
    return [rename(one) for one in types] if isinstance(types, list) else rename(types)


def check_whole(document: Mapping[str, Json], *, now: datetime, is_new_end: bool) -> None:
    """What members say together."""
    for key in ("information", "endpoint"):
        if key not in document:
            raise BadRequestData(f"{key}: is missing.")
    if is_new_end:
        end = moment(document["expiresAt"])
        if end is None or end <= now:
            raise BadRequestData("expiresAt: lies in the past.")
    if document.get("mode") == "exclusive":
        for index, information in enumerate(document["information"]):
            _check_exclusive(f"information[{index}]", information)


def _check_exclusive(where: str, information: Mapping[str, Json]) -> None:
    """4.3.6.3: an exclusive registration names the entities and the attributes that it takes out of the broker."""
    entities = information.get("entities", [])
    if not entities or not all("id" in one and "idPattern" not in one for one in entities):
        raise BadRequestData(
            f"{where}.entities: an exclusive registration names each entity by its id, without idPattern."
        )
    if not information.get("propertyNames") and not information.get("relationshipNames"):
        raise BadRequestData(
            f"{where}: an exclusive registration names attributes; send propertyNames or relationshipNames."
        )


def duration_s(text: str) -> float:
    """Seconds of an ISO 8601 duration; months and years of their mean length."""
    found = DURATION.match(text)
    if found is None:
        raise BadRequestData(f"{text[:40]!r} is no ISO 8601 duration.")
    return sum(float(part) * unit for part, unit in zip(found.groups(), UNIT_S, strict=True) if part)


# --- members -----------------------------------------------------------------------------------------------------


def _no_null(key: str, value: Json) -> None:
    if value is None or value == NGSI_NULL:
        raise BadRequestData(f"{key}: null is no value here; leave the member out.")


def _member(key: str, value: Json, names: Names) -> tuple[str, Json]:
    check = MEMBERS.get(key)
    if check is not None:
        return key, check(key, value, names)
    # A property of the source that the standard does not name (csourceProperty): any JSON, kept as it is.
    name = names.expand(key)
    if name in MEMBERS:
        return name, MEMBERS[name](key, value, names)
    return name, check_compound(key, value, nulls=False)


def _text(where: str, value: Json, _names: Names) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT or "\x00" in value:
        raise BadRequestData(f"{where}: send a text of 1 to {MAX_TEXT:,} characters.")
    return value


def _uri(where: str, value: Json, _names: Names) -> str:
    if not isinstance(value, str) or len(value) > 2_048 or not URI.match(value):
        raise BadRequestData(f"{where}: {str(value)[:60]!r} is no URI.")
    return value


def _id(where: str, value: Json, names: Names) -> str:
    if isinstance(value, str) and len(value) > 512:
        raise BadRequestData(f"{where}: is longer than 512 characters.")
    return _uri(where, value, names)


def _list(where: str, value: Json) -> list[Json]:
    if not isinstance(value, list) or not value:
        raise BadRequestData(f"{where}: send a list that is not empty.")
    if len(value) > MAX_ITEMS:
        raise BadRequestData(f"{where}: has {len(value):,} elements; send at most {MAX_ITEMS:,}.")
    return value


def _object(where: str, value: Json) -> Document:
    if not isinstance(value, dict):
        raise BadRequestData(f"{where}: send an object.")
    for key, part in value.items():
        _no_null(f"{where}.{key}", part)
    return value


def _information(where: str, value: Json, names: Names) -> list[Document]:
    return [
        _registration_info(f"{where}[{index}]", one, names) for index, one in enumerate(_list(where, value))
    ]


def _registration_info(where: str, value: Json, names: Names) -> Document:
    given = _object(where, value)
    info: Document = {}
    if "entities" in given:
        info["entities"] = [
            _entity_info(f"{where}.entities[{index}]", one, names)
            for index, one in enumerate(_list(f"{where}.entities", given["entities"]))
        ]
    for key in ("propertyNames", "relationshipNames"):
        if key in given:
            info[key] = [
                names.expand(_text(f"{where}.{key}", one, names))
                for one in _list(f"{where}.{key}", given[key])
            ]
    if not info:
        raise BadRequestData(
            f"{where}: says nothing; send at least one of entities, propertyNames, relationshipNames."
        )
    return info


def _entity_info(where: str, value: Json, names: Names) -> Document:
    given = _object(where, value)
    info: Document = {}
    if "id" in given:
        info["id"] = _id(f"{where}.id", given["id"], names)
    if "idPattern" in given:
        pattern = _text(f"{where}.idPattern", given["idPattern"], names)
        compiled(pattern)
        info["idPattern"] = pattern
    if "type" not in given:
        raise BadRequestData(f"{where}.type: is missing.")
    if isinstance(given["type"], list):
        info["type"] = [
            names.expand(_text(f"{where}.type", one, names)) for one in _list(f"{where}.type", given["type"])
        ]
    else:
        info["type"] = names.expand(_text(f"{where}.type", given["type"], names))
    return info


def _one_of(*allowed: str) -> Callable[[str, Json, Names], str]:
    def check(where: str, value: Json, _names: Names) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise BadRequestData(f"{where}: {str(value)[:60]!r} is not one of {', '.join(allowed)}.")
        return value

    return check


def _operations(where: str, value: Json, _names: Names) -> list[str]:
    for one in _list(where, value):
        if not isinstance(one, str) or one not in OPERATIONS:
            raise BadRequestData(f"{where}: {str(one)[:60]!r} is no name of an operation or group (4.20).")
    return list(dict.fromkeys(value))


def _endpoint(where: str, value: Json, names: Names) -> str:
    uri = _uri(where, value, names)
    if not uri.lower().startswith(("http://", "https://")):
        raise BadRequestData(f"{where}: {uri[:60]!r} is no address of http or https.")
    if "?" in uri or "#" in uri:
        raise BadRequestData(f"{where}: paths are put behind it; leave out what stands behind '?' or '#'.")
    return uri


def _tenant(where: str, value: Json, names: Names) -> str:
    text = _text(where, value, names)
    if not text.isascii() or not text.isprintable() or len(text) > 200:
        raise BadRequestData(f"{where}: send up to 200 printable ASCII characters.")
    return text


def _source_info(where: str, value: Json, names: Names) -> list[dict[str, str]]:
    pairs = []
    for index, one in enumerate(_list(where, value)):
        at = f"{where}[{index}]"
        if not isinstance(one, dict) or one.keys() != {"key", "value"}:
            raise BadRequestData(f'{at}: send {{"key": ..., "value": ...}}.')
        key, text = one["key"], one["value"]
        if not isinstance(key, str) or not TOKEN.match(key) or key.lower() in OUR_HEADERS:
            raise BadRequestData(f"{at}.key: {str(key)[:60]!r} is no header that a registration may set.")
        if not isinstance(text, str) or len(text) > 8_000 or not text.isprintable() or not text.isascii():
            raise BadRequestData(f"{at}.value: send printable ASCII text.")
        if key == "jsonldContext":
            _uri(f"{at}.value", text, names)
        if text == PASSED_ON and key.lower() in SECRET_HEADERS:
            raise BadRequestData(
                f"{at}.value: the {key} of those who ask here is not given to others; send the source's own."
            )
        pairs.append({"key": key, "value": text})
    return pairs


def _interval(where: str, value: Json, _names: Names) -> Document:
    given = _object(where, value)
    if "startAt" not in given:
        raise BadRequestData(f"{where}.startAt: is missing.")
    kept: Document = {}
    for key in ("startAt", "endAt"):
        if key in given:
            kept[key] = _time(f"{where}.{key}", given[key], _names)
    if "endAt" in kept and not _at(kept["startAt"]) <= _at(kept["endAt"]):
        raise BadRequestData(f"{where}.endAt: lies before startAt.")
    return kept


def _at(text: str) -> datetime:
    found = moment(text)
    assert found is not None
    return found


def _time(where: str, value: Json, _names: Names) -> str:
    if not isinstance(value, str) or moment(value) is None:
        raise BadRequestData(
            f"{where}: {str(value)[:60]!r} is no date and time; send ISO 8601 such as 2030-01-01T00:00:00Z."
        )
    return value


def _geometry(where: str, value: Json, _names: Names) -> Json:
    if isinstance(value, dict) and value.get("type") == "GeoProperty" and "value" in value:
        value = value["value"]
    return check_geometry(where, value, nulls=False)


def _duration(where: str, value: Json, names: Names) -> str:
    text = _text(where, value, names)
    if not DURATION.match(text):
        raise BadRequestData(f"{where}: {text[:40]!r} is no ISO 8601 duration such as PT30S.")
    return text


def _milliseconds(where: str, value: Json, _names: Names) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= MAX_MS:
        raise BadRequestData(f"{where}: send milliseconds, from 1 to {MAX_MS:,}.")
    return value


def _truth(where: str, value: Json, _names: Names) -> bool:
    if not isinstance(value, bool):
        raise BadRequestData(f"{where}: send true or false.")
    return value


MANAGEMENT: Final[dict[str, Callable[[str, Json, Names], Json]]] = {
    "localOnly": _truth,
    "cacheDuration": _duration,
    "timeout": _milliseconds,
    "cooldown": _milliseconds,
}


def _management(where: str, value: Json, names: Names) -> Document:
    return {
        key: MANAGEMENT[key](f"{where}.{key}", part, names)
        for key, part in _object(where, value).items()
        if key in MANAGEMENT
    }


def _scope(where: str, value: Json, _names: Names) -> Json:
    try:
        check_scopes(value)
    except BadRequestData as problem:
        raise BadRequestData(f"{where}: {problem.detail.removeprefix('scope: ')}") from None
    return value


def _datasets(where: str, value: Json, names: Names) -> Json:
    for one in [value] if isinstance(value, str) else _list(where, value):
        if one != "@none":
            _uri(where, one, names)
    return value


MEMBERS: Final[dict[str, Callable[[str, Json, Names], Json]]] = {
    "id": _id,
    "type": _one_of(TYPE),
    "registrationName": _text,
    "description": _text,
    "information": _information,
    "tenant": _tenant,
    "observationInterval": _interval,
    "managementInterval": _interval,
    "location": _geometry,
    "observationSpace": _geometry,
    "operationSpace": _geometry,
    "expiresAt": _time,
    "endpoint": _endpoint,
    "contextSourceInfo": _source_info,
    "contextSourceAlias": _text,
    "scope": _scope,
    "mode": _one_of(*MODES),
    "operations": _operations,
    "refreshRate": _duration,
    "management": _management,
    "datasetId": _datasets,
}
