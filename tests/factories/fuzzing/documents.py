"""Bodies: valid ones of every kind, and the same with something wrong in them."""

from __future__ import annotations

import copy
import json
from functools import cache
from random import Random
from typing import Any

from factories.data_models import DATA

from . import hostile
from .hostile import Pairs, Raw

KINDS = ("Bus", "Lamp", "Device")
NAMES = (
    "speed",
    "power",
    "location",
    "name",
    "owner",
    "status",
    "words",
    "series",
    "links",
    "extra",
    "observedAt",
    "scope",
)
PER_KIND = 6
TIME = "2026-11-%02dT%02d:%02d:00Z"
VALUES = {
    "Property": "value", "GeoProperty": "value", "Relationship": "object", "LanguageProperty": "languageMap", "VocabProperty": "vocab",
    "ListProperty": "valueList", "ListRelationship": "objectList", "JsonProperty": "json",
}  # fmt: skip


def known_id(rng: Random) -> str:
    kind = rng.choice(KINDS) if rng.random() < 0.93 else "Elsewhere"
    return f"urn:ngsi-ld:{kind}:{rng.randrange(PER_KIND)}"


def time(rng: Random) -> str:
    return TIME % (rng.randrange(1, 29), rng.randrange(24), rng.randrange(60))


def plain(rng: Random) -> Any:
    return rng.choice(
        (
            1,
            2.5,
            -7,
            True,
            "on",
            "off",
            "café",
            [1, 2],
            {"a": {"b": 1}},
            {"@type": "DateTime", "@value": time(rng)},
            "",
            0,
        )
    )


def instance(rng: Random, kind: str | None = None, depth: int = 1) -> Any:
    """One attribute instance that the standard allows."""
    kind = kind or rng.choice(tuple(VALUES))
    point = {
        "type": "Point",
        "coordinates": [round(-73.2 + rng.random() / 5, 4), round(7 + rng.random() / 5, 4)],
    }
    content = {
        "Property": plain(rng), "GeoProperty": point, "Relationship": rng.choice((known_id(rng), [known_id(rng), known_id(rng)])),
        "LanguageProperty": {"es": "bus", "en": ["bus", "coach"]}, "VocabProperty": rng.choice(("on", ["on", "off"])),
        "ListProperty": [1, "b", {"c": 2}], "ListRelationship": [{"object": known_id(rng)}], "JsonProperty": {"@id": 5, "type": None},
    }[kind]  # fmt: skip
    made = {"type": kind, VALUES[kind]: content}
    if rng.random() < 0.5:
        made["observedAt"] = time(rng)
    if kind == "Property" and rng.random() < 0.3:
        made["unitCode"] = "KMH"
    if depth and rng.random() < 0.2:
        made[rng.choice(("accuracy", "source"))] = instance(rng, depth=depth - 1)
    return made


def attribute(rng: Random, name: str) -> Any:
    kind = "GeoProperty" if name == "location" else "Property" if name in {"speed", "power"} else None
    if rng.random() < 0.85:
        return instance(rng, kind)
    several = [instance(rng, kind) for _ in range(rng.choice((2, 3)))]
    for number, one in enumerate(several[1:]):
        one["datasetId"] = f"urn:ngsi-ld:dataset:{number}"
    return several


def fragment(rng: Random) -> Any:
    return {name: attribute(rng, name) for name in rng.sample(NAMES[:10], rng.randrange(1, 4))}


@cache
def examples() -> list[Any]:
    """The Smart Data Models' own examples, without @context; none where the shared data are absent."""
    found = []
    for path in sorted((DATA / "smart-data-models").glob("*.jsonld")):
        try:
            found.append(json.loads(path.read_text()))
        except ValueError:
            continue
    for one in found:
        one.pop("@context", None)
    return found


def entity(rng: Random) -> Any:
    if examples() and rng.random() < 0.25:
        chosen = copy.deepcopy(rng.choice(examples()))
        return chosen | {"id": known_id(rng)} if rng.random() < 0.7 else chosen
    entity_id = known_id(rng)
    kind = entity_id.split(":")[2]
    made = {"id": entity_id, "type": kind if rng.random() < 0.9 else [kind, "Thing"]}
    if rng.random() < 0.2:
        made["scope"] = rng.choice(("/AMB/Giron", ["/AMB", "/x/y"]))
    if rng.random() < 0.05:
        made["expiresAt"] = "2031-01-01T00:00:00Z"
    return made | fragment(rng)


def evolution(rng: Random) -> Any:
    """A temporal entity: every attribute a list of instances."""
    made = {"id": known_id(rng), "type": rng.choice(KINDS)}
    for name in rng.sample(NAMES[:6], rng.randrange(1, 3)):
        kind = "GeoProperty" if name == "location" else "Property"
        made[name] = [{**instance(rng, kind), "observedAt": time(rng)} for _ in range(rng.randrange(1, 4))]
    return made


def past_fragment(rng: Random) -> Any:
    made = evolution(rng)
    del made["id"], made["type"]
    return made


def selector(rng: Random) -> Any:
    made = {"type": rng.choice((*KINDS, "Bus,Lamp", "*", "(Bus;Thing)|Lamp"))}
    way = rng.random()
    if way < 0.2:
        made["id"] = known_id(rng)
    elif way < 0.4:
        made["idPattern"] = rng.choice(hostile.PATTERNS)
    return made


def subscription(rng: Random, endpoints: list[str]) -> Any:
    made: dict[str, Any] = {
        "type": "Subscription",
        "notification": {
            "endpoint": {
                "uri": rng.choice(endpoints),
                "accept": rng.choice(("application/json", "application/ld+json", "application/geo+json")),
            },
            "format": rng.choice(("normalized", "concise", "simplified")),
        },
    }
    if rng.random() < 0.5:
        made["id"] = f"urn:ngsi-ld:Subscription:{rng.randrange(6)}"
    if rng.random() < 0.9:
        made["entities"] = [selector(rng) for _ in range(rng.randrange(1, 3))]
    if rng.random() < 0.4:
        made["watchedAttributes"] = rng.sample(NAMES[:10], 2)
    for name, choices in (
        ("q", ("speed>1", 'status=="on";power<5', "name~=(a+)+$", 'words[es]=="x"')), ("scopeQ", ("/AMB/#", "/x/+")), ("throttling", (1, 0.5, 1e9)),
        ("timeInterval", (60, 1e9)), ("expiresAt", ("2031-01-01T00:00:00Z", *hostile.TIMES)), ("isActive", (True, False)), ("lang", ("es", "*")),
        ("notificationTrigger", (["entityCreated", "attributeUpdated"], ["entityDeleted"])), ("jsonldContext", ("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld",)),
        ("geoQ", ({"geometry": "Point", "coordinates": [-73.1, 7.1], "georel": "near;maxDistance==9000"},)),
    ):  # fmt: skip
        if rng.random() < 0.12:
            made[name] = rng.choice(choices)
    if rng.random() < 0.15:
        made["notification"]["endpoint"]["receiverInfo"] = [
            {"key": rng.choice(("X-A", "Host", "a\r\nb", "")), "value": hostile.text(rng)}
        ]
    if rng.random() < 0.2:
        made["notification"][rng.choice(("showChanges", "sysAttrs"))] = True
    if rng.random() < 0.1:
        made["notification"][rng.choice(("attributes", "pick", "omit"))] = rng.sample(NAMES, 2)
    return made


def registration(rng: Random, sources: list[str]) -> Any:
    """What a source may say of itself; mostly about things that only it has."""
    kind = rng.choice(("Elsewhere", "Elsewhere", "Elsewhere", "Bus"))
    info: dict[str, Any] = {"entities": [{"type": kind}]}
    if rng.random() < 0.3:
        info["propertyNames"] = rng.sample(NAMES[:6], 2)
    mode = rng.choice(("inclusive", "inclusive", "auxiliary", "redirect", "exclusive"))
    if mode == "exclusive":
        info["entities"][0]["id"] = f"urn:ngsi-ld:{kind}:{rng.randrange(PER_KIND)}"
        info.setdefault("propertyNames", ["power"])
    made = {
        "type": "ContextSourceRegistration", "information": [info], "endpoint": rng.choice(sources), "mode": mode,
        "operations": rng.choice((["federationOps"], ["redirectionOps"], ["retrieveEntity", "queryEntity"], ["updateOps"], ["createEntity", "retrieveOps"])),
    }  # fmt: skip
    if rng.random() < 0.5:
        made["id"] = f"urn:ngsi-ld:ContextSourceRegistration:{rng.randrange(6)}"
    if rng.random() < 0.15:
        made["management"] = {
            "timeout": rng.choice((100, 500, Raw(b"1e999"), -1, "x")),
            "localOnly": rng.choice((True, "x")),
        }
    if rng.random() < 0.1:
        made["contextSourceInfo"] = [
            {"key": rng.choice(("jsonldContext", "Authorization", "a b")), "value": hostile.text(rng)}
        ]
    return made


def query(rng: Random, q: str) -> Any:
    made: dict[str, Any] = {"type": "Query", "entities": [selector(rng) for _ in range(rng.randrange(3))]}
    if rng.random() < 0.5:
        made["q"] = q
    if rng.random() < 0.2:
        made["geoQ"] = {
            "geometry": "Polygon",
            "coordinates": hostile.coordinates(rng),
            "georel": rng.choice(("within", "overlaps")),
        }
    if rng.random() < 0.5:
        made["temporalQ"] = {
            "timerel": rng.choice(("before", "after", "between")),
            "timeAt": rng.choice((time(rng), *hostile.TIMES)),
            "endTimeAt": "2026-12-01T00:00:00Z",
        }
    for name in (
        "attrs",
        "pick",
        "omit",
        "datasetId",
        "containedBy",
        "ordering",
        "lang",
        "scopeQ",
        "aggrParams",
        "join",
        "joinLevel",
        "expandValues",
    ):
        if rng.random() < 0.06:
            made[name] = hostile.value(rng)
    return made


def context(rng: Random, addresses: list[str]) -> Any:
    """The value of @context."""
    way = rng.random()
    if way < 0.35:
        return rng.choice(addresses)
    if way < 0.5:
        return [rng.choice(addresses) for _ in range(rng.randrange(4))]
    if way < 0.75:
        return {
            rng.choice(("Bus", "speed", "@vocab", "@base", "a", "id", "", "__proto__", "a:b")): rng.choice(
                ("https://example.org/x", {"@id": "https://example.org/y", "@type": "@vocab"}, {"@id": "a:b"}, None, 5, [], {"@reverse": "x"},
                 {"@id": "@type"}, {"@id": "https://e.org/z", "@context": {"b": "https://e.org/b"}}, {"@container": "@list"}, "a", hostile.text(rng))
            )
            for _ in range(rng.randrange(5))
        }  # fmt: skip
    return hostile.value(rng)


# --- something wrong ---------------------------------------------------------------------------------------------------


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all parts of a document."""
    found = [path]
    if isinstance(document, dict):
        for name, part in document.items():
            found += places(part, (*path, name))
    elif isinstance(document, list) and not isinstance(document, Pairs):
        for number, part in enumerate(document):
            found += places(part, (*path, number))
    return found


def mutated(rng: Random, document: Any) -> Any:
    """The same document with one to three parts replaced, dropped, doubled, renamed, wrapped or made deep."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        path = rng.choice(places(document))
        if not path:
            if rng.random() < 0.1:
                return rng.choice((hostile.value(rng), [document], [document] * 3, [[document]]))
            continue
        holder = document
        for step in path[:-1]:
            holder = holder[step]
        _spoil(rng, holder, path[-1])
    if isinstance(document, dict) and rng.random() < 0.05:
        pairs = Pairs(document.items())
        pairs.append(
            rng.choice(pairs) if pairs and rng.random() < 0.6 else (hostile.text(rng), hostile.value(rng))
        )
        return pairs
    return document


def _spoil(rng: Random, holder: Any, key: Any) -> None:
    match rng.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice((*hostile.TEXTS[:90], *NAMES, *VALUES.values()))] = holder.pop(key)
        case 2:
            holder[key] = [holder[key]]
        case 3:
            holder[key] = {rng.choice(("value", "@value", "type", "a")): holder[key]}
        case 4:
            holder[key] = rng.choice((hostile.NULL, None, [], {}, "", hostile.deep(rng)))
        case 5 if isinstance(holder, dict):
            holder[hostile.text(rng)] = hostile.value(rng)
        case _:
            holder[key] = hostile.value(rng)
