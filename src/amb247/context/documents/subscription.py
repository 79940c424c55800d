"""A Subscription on the wire and as it is kept: members checked one by one, names made internal.

References
----------
ETSI GS CIM 009 v1.8.1, 5.2.12 (Subscription), 5.2.13 (GeoQuery), 5.2.14 (NotificationParams), 5.2.15 (Endpoint), 5.2.22
(KeyValuePair), 5.2.33 (EntitySelector), 5.8.1 and 5.8.2 (create, update).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

from amb247.context.ngsi_errors import BadRequestData
from amb247.context.querying.patterns import compiled

Json = Any
Document = dict[str, Any]

TRIGGERS = (
    "entityCreated",
    "entityUpdated",
    "entityDeleted",
    "attributeCreated",
    "attributeUpdated",
    "attributeDeleted",
)
FORMATS = ("normalized", "concise", "keyValues", "simplified")
ACCEPTS = ("application/json", "application/ld+json", "application/geo+json")
JOINS = ("flat", "inline", "@none")
GEORELS = ("near", "within", "contains", "intersects", "equals", "disjoint", "overlaps")
GEOMETRIES = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")
NULL = "urn:ngsi-ld:null"
# Made by the broker: a client may send back what it read, but it does not decide them.
READ_ONLY = frozenset({"status", "createdAt", "modifiedAt", "deletedAt", "@context"})
MAX_ITEMS = 1_000
MAX_TEXT = 100_000
MAX_URI = 1_500  # some of them are keys of an index
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x1f]+\Z")
TYPE_TOKEN = re.compile(r"[^,;|()\s]+")
HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
# What says how long the message is or where it goes is ours to say.
OUR_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
)


class Names(Protocol):
    """What this module needs of a `jsonld.context.Context`."""

    def expand(self, term: str) -> str: ...
    def compact(self, name: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Patch:
    """Members that a fragment sets (already expanded), and those that it removes."""

    document: Document
    removed: tuple[str, ...]


def parse_subscription(raw: Json, names: Names, *, now: datetime | None = None) -> Document:
    """The document to keep. Its `id` is there when the client gave one.

    Raises
    ------
    BadRequestData
        A member is missing, of the wrong kind, out of range, or contradicts another; the detail names it.
    """
    if not isinstance(raw, dict):
        raise BadRequestData("A subscription is a JSON object.")
    if raw.get("type") != "Subscription":
        raise BadRequestData('type: must be "Subscription".')
    document = {
        key: check(_Place(key), value, names) for key, (value, check) in _known_members(raw, MEMBERS).items()
    }
    check_whole(document, now=now or datetime.now(UTC), is_new_expiry="expiresAt" in document)
    return document


def parse_fragment(raw: Json, names: Names, *, subscription_id: str) -> Patch:
    """A fragment of PATCH: the same members, each optional, and each whole; null removes one (5.5.8)."""
    if not isinstance(raw, dict):
        raise BadRequestData("A subscription fragment is a JSON object.")
    if raw.get("type", "Subscription") != "Subscription":
        raise BadRequestData('type: must be "Subscription".')
    if raw.get("id", subscription_id) != subscription_id:
        raise BadRequestData("id: cannot be changed.")
    if not raw.keys() - READ_ONLY - {"id", "type"}:
        raise BadRequestData("The fragment says nothing to change.")
    given = {key: raw[key] for key in MEMBERS if key in raw and key not in {"id", "type"}}
    removed = tuple(key for key, value in given.items() if value is None or value == NULL)
    if "notification" in removed:
        raise BadRequestData("notification: cannot be removed.")
    document = {
        key: MEMBERS[key](_Place(key), value, names) for key, value in given.items() if key not in removed
    }
    return Patch(document, removed)


def apply_patch(document: Document, patch: Patch, *, now: datetime | None = None) -> Document:
    """The document after a patch: each member is the fragment's, where it has it; `notification` as a whole too (5.5.8)."""
    merged = {key: value for key, value in (document | patch.document).items() if key not in patch.removed}
    check_whole(merged, now=now or datetime.now(UTC), is_new_expiry="expiresAt" in patch.document)
    return merged


def represent_subscription(document: Document, names: Names) -> Document:
    """The document with the client's names, without the members that the broker adds."""
    shown = {"id": document["id"], "type": "Subscription"} | {
        key: value for key, value in document.items() if key not in {"id", "type", "qContext"}
    }
    if "entities" in shown:
        shown["entities"] = [
            one | {"type": rename_types(one["type"], names.compact)} for one in shown["entities"]
        ]
    if "watchedAttributes" in shown:
        shown["watchedAttributes"] = [names.compact(name) for name in shown["watchedAttributes"]]
    if "geoproperty" in shown.get("geoQ", {}):
        shown["geoQ"] = shown["geoQ"] | {"geoproperty": names.compact(shown["geoQ"]["geoproperty"])}
    notification = dict(shown["notification"])
    for key in ("attributes", "pick", "omit"):
        if key in notification:
            notification[key] = [_compact_path(name, names) for name in notification[key]]
    shown["notification"] = notification
    return shown


def interest_of(document: Document) -> list[str]:
    """Types (internal names) whose changes may concern the subscription; `*` when any may."""
    if "timeInterval" in document:
        return []  # looks at the state when it is due
    found: set[str] = set()
    for selector in document.get("entities", [{"type": "*"}]):
        tokens = TYPE_TOKEN.findall(selector["type"])
        if "*" in tokens:
            return ["*"]
        found.update(tokens)
    return sorted(found)


def rename_types(expression: str, rename: Callable[[str], str]) -> str:
    """A type selection expression with each of its names renamed."""
    if expression == "*":
        return expression
    return TYPE_TOKEN.sub(lambda match: match[0] if match[0] == "*" else rename(match[0]), expression)


def check_whole(document: Document, *, now: datetime, is_new_expiry: bool) -> None:
    """What members say together."""
    if "notification" not in document:
        raise BadRequestData("notification: is missing.")
    notification = document["notification"]
    if "endpoint" not in notification:
        raise BadRequestData("notification.endpoint: is missing.")
    if "uri" not in notification["endpoint"]:
        raise BadRequestData("notification.endpoint.uri: is missing.")
    if "entities" not in document and "watchedAttributes" not in document:
        raise BadRequestData("entities: at least one of entities and watchedAttributes must be there.")
    if "timeInterval" in document:
        for other in ("watchedAttributes", "throttling"):
            if other in document:
                raise BadRequestData(f"timeInterval: cannot be together with {other}.")
        if "entities" not in document:
            raise BadRequestData("entities: a periodic subscription needs them.")
    if notification.get("showChanges") and notification.get("format") in {"keyValues", "simplified"}:
        raise BadRequestData("notification.showChanges: has no place in the simplified format.")
    if "attributes" in notification and ("pick" in notification or "omit" in notification):
        raise BadRequestData("notification.attributes: cannot be together with pick or omit.")
    if set(notification.get("pick", ())) & set(notification.get("omit", ())):
        raise BadRequestData("notification.omit: names what pick names.")
    if "joinLevel" in notification and notification.get("join", "@none") == "@none":
        raise BadRequestData("notification.joinLevel: needs join.")
    if is_new_expiry and datetime.fromisoformat(document["expiresAt"]) <= now:
        raise BadRequestData("expiresAt: lies in the past.")


# --- members -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the document a value stands, for the message of what is wrong with it."""

    path: str

    def __truediv__(self, key: str | int) -> _Place:
        return _Place(f"{self.path}[{key}]" if isinstance(key, int) else f"{self.path}.{key}")

    def wrong(self, reason: str) -> BadRequestData:
        return BadRequestData(f"{self.path}: {reason}.")


Check = Callable[[_Place, Json, Names], Json]


def _text(place: _Place, value: Json, _names: Names) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT or "\0" in value:
        raise place.wrong("must be a text that is not empty")
    return value


def _any_text(place: _Place, value: Json, _names: Names) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
        raise place.wrong("must be a text")
    return value


def _truth(place: _Place, value: Json, _names: Names) -> bool:
    if not isinstance(value, bool):
        raise place.wrong("must be true or false")
    return value


def _uri(place: _Place, value: Json, _names: Names) -> str:
    if not isinstance(value, str) or not URI.match(value) or len(value) > MAX_URI:
        raise place.wrong("must be a URI")
    return value


def _positive(place: _Place, value: Json, _names: Names) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value <= 0
    ):
        raise place.wrong("must be a number greater than 0")
    return min(value, 1e9)


def _not_negative(place: _Place, value: Json, names: Names) -> float:
    return 0 if value == 0 and not isinstance(value, bool) else _positive(place, value, names)


def _level(place: _Place, value: Json, _names: Names) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10:
        raise place.wrong("must be a whole number from 1 to 10")
    return value


def _one_of(*allowed: str) -> Check:
    def check(place: _Place, value: Json, _names: Names) -> str:
        if value not in allowed or not isinstance(value, str):
            raise place.wrong(f"must be one of {', '.join(allowed)}")
        return value

    return check


def _moment(place: _Place, value: Json, _names: Names) -> str:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or "T" not in value:
            raise ValueError(value)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    except (TypeError, ValueError, OverflowError):
        raise place.wrong("must be a date and time with time zone, such as 2030-01-01T00:00:00Z") from None


def _items(place: _Place, value: Json, each: Callable[[_Place, Json], Json]) -> list[Json]:
    if not isinstance(value, list) or not value:
        raise place.wrong("must be an array that is not empty")
    if len(value) > MAX_ITEMS:
        raise place.wrong(f"has more than {MAX_ITEMS} items")
    return [each(place / index, one) for index, one in enumerate(value)]


def _name_list(place: _Place, value: Json, names: Names) -> list[str]:
    return _items(place, value, lambda at, one: names.expand(_text(at, one, names)))


def _projection(place: _Place, value: Json, names: Names) -> list[str]:
    """Names of `pick` and `omit`: also id, type, scope, and paths into linked entities."""
    return _items(place, value, lambda at, one: _expand_path(_text(at, one, names), names))


PLAIN = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "deletedAt", "expiresAt"})
PATH_TOKEN = re.compile(r"[^,{}|\s]+")


def _expand_path(text: str, names: Names) -> str:
    return PATH_TOKEN.sub(lambda match: match[0] if match[0] in PLAIN else names.expand(match[0]), text)


def _compact_path(text: str, names: Names) -> str:
    return PATH_TOKEN.sub(lambda match: match[0] if match[0] in PLAIN else names.compact(match[0]), text)


def _triggers(place: _Place, value: Json, names: Names) -> list[str]:
    one_of = _one_of(*TRIGGERS)
    return _items(place, value, lambda at, one: one_of(at, one, names))


def _uri_or_list(place: _Place, value: Json, names: Names) -> Json:
    if isinstance(value, list):
        return _items(place, value, lambda at, one: _uri(at, one, names))
    return _uri(place, value, names)


def _dataset_ids(place: _Place, value: Json, names: Names) -> list[str]:
    given = value if isinstance(value, list) else [value]
    return _items(place, given, lambda at, one: one if one == "@none" else _uri(at, one, names))


def _types(place: _Place, value: Json, names: Names) -> str:
    text = _text(place, value, names)
    if text == "*":
        return text
    if text.count("(") != text.count(")") or not TYPE_TOKEN.search(text):
        raise place.wrong("is no type and no selection of types")
    return rename_types(text, names.expand)


def _selector(place: _Place, value: Json, names: Names) -> Document:
    if not isinstance(value, dict):
        raise place.wrong("must be an object")
    if "type" not in value:
        raise (place / "type").wrong("is missing")
    members = _known_members(value, {"id": _uri_or_list, "idPattern": _pattern, "type": _types})
    return {key: check(place / key, part, names) for key, (part, check) in members.items()}


def _pattern(place: _Place, value: Json, names: Names) -> str:
    text = _text(place, value, names)
    try:
        compiled(text)
    except BadRequestData as problem:
        raise place.wrong(f"is no regular expression: {problem.detail}") from None
    return text


def _selectors(place: _Place, value: Json, names: Names) -> list[Document]:
    return _items(place, value, lambda at, one: _selector(at, one, names))


def _geo_query(place: _Place, value: Json, names: Names) -> Document:
    if not isinstance(value, dict):
        raise place.wrong("must be an object")
    for key in ("geometry", "coordinates", "georel"):
        if key not in value:
            raise (place / key).wrong("is missing")
    geometry = _one_of(*GEOMETRIES)(place / "geometry", value["geometry"], names)
    georel = _text(place / "georel", value["georel"], names)
    if georel.split(";")[0] not in GEORELS:
        raise (place / "georel").wrong(f"must begin with one of {', '.join(GEORELS)}")
    coordinates = value["coordinates"]
    if isinstance(coordinates, str):
        try:
            coordinates = orjson.loads(coordinates)
        except ValueError:
            raise (place / "coordinates").wrong("is no JSON array") from None
    if not isinstance(coordinates, list) or not coordinates:
        raise (place / "coordinates").wrong("must be an array")
    query = {"geometry": geometry, "coordinates": coordinates, "georel": georel}
    if "geoproperty" in value:
        query["geoproperty"] = names.expand(_text(place / "geoproperty", value["geoproperty"], names))
    return query


def _pair(place: _Place, value: Json, names: Names) -> dict[str, str]:
    if not isinstance(value, dict) or value.keys() != {"key", "value"}:
        raise place.wrong('must be {"key": …, "value": …}')
    return {
        "key": _text(place / "key", value["key"], names),
        "value": _any_text(place / "value", value["value"], names),
    }


def _notifier_pairs(place: _Place, value: Json, names: Names) -> list[dict[str, str]]:
    pairs = [_pair(place / index, one, names) for index, one in enumerate(_array(place, value))]
    for index, pair in enumerate(pairs):
        at = place / index / "value"
        if pair["key"] == "MQTT-Version" and pair["value"] not in {"mqtt3.1.1", "mqtt5.0"}:
            raise at.wrong("must be mqtt3.1.1 or mqtt5.0")
        if pair["key"] == "MQTT-QoS" and pair["value"] not in {"0", "1", "2"}:
            raise at.wrong("must be 0, 1 or 2")
    return pairs


def _receiver_pairs(place: _Place, value: Json, names: Names) -> list[dict[str, str]]:
    pairs = [_pair(place / index, one, names) for index, one in enumerate(_array(place, value))]
    for index, pair in enumerate(pairs):
        if not HEADER_NAME.match(pair["key"]) or pair["key"].lower() in OUR_HEADERS:
            raise (place / index / "key").wrong("is no header that a subscription may set")
        if not pair["value"].isprintable() or not _is_latin(pair["value"]):
            raise (place / index / "value").wrong("has characters that a header cannot carry")
    return pairs


def _array(place: _Place, value: Json) -> list[Json]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise place.wrong("must be an array")
    return value


def _is_latin(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


ENDPOINT: dict[str, Check] = {
    "uri": _uri,
    "accept": _one_of(*ACCEPTS),
    "timeout": _positive,
    "cooldown": _not_negative,
    "receiverInfo": _receiver_pairs,
    "notifierInfo": _notifier_pairs,
}


def _members_of(table: dict[str, Check]) -> Check:
    def check(place: _Place, value: Json, names: Names) -> Document:
        if not isinstance(value, dict):
            raise place.wrong("must be an object")
        members = _known_members(value, table)
        return {key: each(place / key, part, names) for key, (part, each) in members.items()}

    return check


NOTIFICATION: dict[str, Check] = {
    "attributes": _name_list,
    "pick": _projection,
    "omit": _projection,
    "format": _one_of(*FORMATS),
    "showChanges": _truth,
    "sysAttrs": _truth,
    "onchange": _truth,
    "join": _one_of(*JOINS),
    "joinLevel": _level,
    "endpoint": _members_of(ENDPOINT),
}
MEMBERS: dict[str, Check] = {
    "id": _uri,
    "type": _one_of("Subscription"),
    "subscriptionName": _text,
    "description": _any_text,
    "entities": _selectors,
    "watchedAttributes": _name_list,
    "notificationTrigger": _triggers,
    "timeInterval": _positive,
    "q": _text,
    "geoQ": _geo_query,
    "csf": _text,
    "scopeQ": _text,
    "isActive": _truth,
    "notification": _members_of(NOTIFICATION),
    "expiresAt": _moment,
    "throttling": _positive,
    "lang": _text,
    "datasetId": _dataset_ids,
    "jsonldContext": _uri,
}


def _known_members(raw: Document, table: dict[str, Check]) -> dict[str, tuple[Json, Check]]:
    """Members that we know. What the standard may still add is passed over; null is no value."""
    for key, value in raw.items():
        if (value is None or value == NULL) and key not in READ_ONLY:
            raise BadRequestData(f"{key}: null is no value here.")
    return {key: (raw[key], check) for key, check in table.items() if key in raw and key not in READ_ONLY}
