"""Values of the interface's parameters, sane and otherwise."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from . import documents, hostile

COLUMNS = ("speed", "power", "location", "name", "status", "words[es]", "owner.name", "owner{Bus}.speed", "extra[a.b]", "observedAt",
           "createdAt", "type", "id", "é", "https://example.org/x", "a:b", "__proto__")  # fmt: skip
TERMS = ("speed>1", "speed==1,2,3", 'status=="on"', "power==1..5", 'name~="^a.*"', "name!~=b", "!speed", "speed", 'words[es]=="bus"',
         'observedAt>"2026-11-01T00:00:00Z"', "createdAt>=2020-01-01T00:00:00Z", "extra[a.b]==1", "owner==urn:ngsi-ld:Bus:1")  # fmt: skip


def q_text(rng: Random) -> str:
    """Conditions, sane and otherwise."""
    match rng.randrange(14):
        case 0:
            return "(" * (n := rng.choice((5, 20, 50, 300, 3_000))) + "speed>1" + ")" * rng.choice((n, n - 1))
        case 1:
            return rng.choice(";|").join(rng.choice(TERMS) for _ in range(rng.choice((20, 60, 100, 200))))
        case 2:
            return "speed==" + ",".join(str(n) for n in range(rng.choice((10, 300, 1_500))))
        case 3:
            return f"name{rng.choice(('~=', '!~='))}{rng.choice(hostile.PATTERNS)}"
        case 4:
            return (
                rng.choice(COLUMNS)
                + rng.choice(("==", "!=", ">", "<=", "~=", "!~=", "="))
                + rng.choice(('"', '""', '"a', "'a'", '"a""b"', "..", "1..", "..1", '"\\"', '"a"..1'))
            )
        case 5:
            return (
                rng.choice(COLUMNS)
                + rng.choice(("==", ">", ".."))
                + rng.choice(hostile.NUMBERS).decode()[:3_000]
            )
        case 6:
            return rng.choice(COLUMNS) + rng.choice(("==", ">", "<")) + rng.choice(hostile.TIMES)
        case 7:
            return (
                "a"
                + rng.choice((".a" * 100, "[" * 50, "[a" + ".b" * 200 + "]", "{Bus}.b" * 20, "[a]" * 50))
                + rng.choice(("", "==1"))
            )
        case 8:
            return hostile.text(rng)
        case 9:
            return "!" * rng.choice((1, 2, 100)) + "speed"
        case 10:
            return (
                "("
                + ")|(".join(
                    f"speed{rng.choice(('>', '<='))}{n};power<{n}" for n in range(rng.choice((5, 40, 90)))
                )
                + ")"
            )
        case 11:
            parts = [
                rng.choice(
                    (*TERMS, "(", ")", ";", "|", ",", "..", '"', "==", "[", "]", "{", "}", "!", "speed")
                )
                for _ in range(rng.randrange(1, 12))
            ]
            return "".join(parts)
        case _:
            return rng.choice(TERMS) + rng.choice((";", "|")) + rng.choice(TERMS)


def types_text(rng: Random) -> str:
    return rng.choice(("Bus", "Lamp,Device", "*", "Elsewhere", "(Bus;Thing)|Lamp", "Bus;Lamp;Device", "(" * 40 + "Bus" + ")" * 40, "Bus," * 300 + "Bus",
                       "(A|B);(C|D);(E|F);(G|H);(I|J);(K|L);(M|N);(O|P)", "Bus;;Lamp", "|", "()", "Bus Lamp", hostile.text(rng)))  # fmt: skip


def one_of(*choices: str) -> Callable[[Random], str]:
    return lambda rng: rng.choice(choices) if rng.random() < 0.8 else hostile.text(rng)


def names_text(rng: Random) -> str:
    if rng.random() < 0.1:
        return ",".join(f"a{n}" for n in range(rng.choice((100, 900))))
    return ",".join(rng.choice((*documents.NAMES, hostile.text(rng))) for _ in range(rng.randrange(1, 4)))


def coordinates_text(rng: Random) -> str:
    return hostile.written(hostile.coordinates(rng)).decode("utf-8", "replace")[
        : rng.choice((7_000, 200_000))
    ]


def ids_text(rng: Random) -> str:
    if rng.random() < 0.1:
        return ",".join(f"urn:x:{n}" for n in range(700))
    return rng.choice(
        (documents.known_id(rng), f"{documents.known_id(rng)},{documents.known_id(rng)}", hostile.text(rng))
    )


def pick_text(rng: Random) -> str:
    return rng.choice(
        (
            names_text(rng),
            "owner{name,speed}",
            "owner{" * 60 + "a" + "}" * 60,
            "a{b",
            "}{",
            "id,type",
            "a{}",
            "a|b",
            "links{name}|power",
        )
    )


GIVEN: dict[str, Callable[[Random], str]] = {
    "id": ids_text,
    "idPattern": lambda rng: rng.choice(hostile.PATTERNS),
    "type": types_text,
    "attrs": names_text,
    "pick": pick_text,
    "omit": pick_text,
    "q": q_text,
    "csf": q_text,
    "geometry": one_of("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"),
    "georel": one_of("near;maxDistance==1000", "near;minDistance==1", "near;maxDistance==1e308", "near;maxDistance==40075017", "near;maxDistance==1e-300", "near", "within",
                     "contains", "intersects", "equals", "disjoint", "overlaps", "near;maxDistance==" + "9" * 400),
    "coordinates": coordinates_text,
    "geoproperty": one_of("location", "speed", "words"),
    "geometryProperty": one_of("location", "speed"),
    "lang": one_of("es", "*", "en;q=0.5,es;q=9", "es;q=nan", "," * 1_000, "es-" * 500),
    "scopeQ": one_of("/AMB/#", "/AMB", "/+/+", "/#", "/a/b/c/d", "/+" * 200, "(/a;/b)|/c", "/a//b", "#", "/AMB/#/x"),
    "expandValues": names_text,
    "jsonKeys": names_text,
    "datasetId": lambda rng: rng.choice(("urn:ngsi-ld:dataset:0", "@none", hostile.text(rng))),
    "orderBy": lambda rng: rng.choice(("speed", "speed;desc", "location;dist-asc", "id", "createdAt;desc", "name,speed,power", "a[b]", "a[b.c];desc", "type", "scope",
                                       "words[es]", "a" * 300, ",".join(["speed"] * 11), hostile.text(rng))),
    "orderFrom": coordinates_text,
    "orderGeometry": one_of("Point", "Polygon"),
    "join": one_of("flat", "inline", "@none"),
    "joinLevel": lambda rng: rng.choice(("1", "3", "10", *hostile.SIZES)),
    "containedBy": ids_text,
    "limit": lambda rng: rng.choice(hostile.SIZES),
    "offset": lambda rng: rng.choice(hostile.SIZES),
    "observedAt": lambda rng: rng.choice(hostile.TIMES),
    "timerel": one_of("before", "after", "between", "during"),
    "timeAt": lambda rng: rng.choice((*hostile.TIMES, documents.time(rng), documents.time(rng), "2026-11-01T00:00:00Z")),
    "endTimeAt": lambda rng: rng.choice((*hostile.TIMES, documents.time(rng), "2026-12-01T00:00:00Z")),
    "timeproperty": one_of("observedAt", "createdAt", "modifiedAt", "deletedAt"),
    "lastN": lambda rng: rng.choice(("1", "5", *hostile.SIZES)),
    "aggrMethods": one_of("sum,avg", "min,max", "totalCount,distinctCount", "stddev,sumsq", "sum," * 100, "avg"),
    "aggrPeriodDuration": lambda rng: rng.choice(hostile.DURATIONS),
    "kind": one_of("Hosted", "Cached", "ImplicitlyCreated"),
    "lastEventId": one_of("1-1", "9" * 30 + "-1", "-1--1", "0-0"),
    "drop": names_text,
    "keep": names_text,
    "format": one_of("normalized", "concise", "simplified", "keyValues", "temporalValues", "aggregatedValues"),
    "options": one_of("count", "sysAttrs", "keyValues", "update", "noOverwrite", "replace", "temporalValues", "aggregatedValues", "concise,sysAttrs"),
}  # fmt: skip
FLAGS = ("true", "false", "TRUE", "1", "")
