"""Values that break careless programs, and the bytes of JSON with them inside.

A document under construction is made of Python's own values and of two things that JSON's writer does not know: `Raw`, bytes
that stand where a value would, and `Pairs`, an object whose members are in a list, so that one may come twice.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any


class Raw:
    """Bytes in the place of a value."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


class Pairs(list[Any]):
    """An object as a list of (name, value)."""


def written(document: Any) -> bytes:
    """The bytes of a document; only as deep as its Python values, deeper ones are `Raw`."""
    if isinstance(document, Raw):
        return document.text
    if isinstance(document, Pairs | dict):
        pairs = document.items() if isinstance(document, dict) else document
        return b"{" + b",".join(name_of(name) + b":" + written(value) for name, value in pairs) + b"}"
    if isinstance(document, list | tuple):
        return b"[" + b",".join(map(written, document)) + b"]"
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def name_of(name: Any) -> bytes:
    return (
        name.text
        if isinstance(name, Raw)
        else json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")
    )


NULL = "urn:ngsi-ld:null"
NUMBERS = (
    b"1e999", b"-1e999", b"1e-999", b"NaN", b"Infinity", b"-Infinity", b"-0", b"-0.0", b"9007199254740993",
    b"9223372036854775807", b"9223372036854775808", b"18446744073709551615", b"18446744073709551616",
    b"1.7976931348623157e308", b"1.7976931348623159e308", b"5e-324", b"1e400", b"0.1e1", b"01", b"1.", b".5", b"+1", b"0x10",
    b"1" * 10_000, b"-" + b"9" * 10_000, b"0." + b"3" * 10_000, b"1e" + b"9" * 5_000, b"1E+2", b"1_000",
)  # fmt: skip
TEXTS = (
    "", " ", "\t", "\n", "\r\n", "\0", "a\0b", "\x01", "\x1b[31m", "\x7f", "\ufeff", "\u2028", "\u202e", "\U0001f600", "\ud800",
    "\udfff\ud800", "é" * 300, "e\u0301", "ﷺ" * 100, "null", "undefined", "true", "NaN", "-1", "1e999", "\\N", "\\.", "\\", '"', "'",
    "';--", "$1", "%s", "%(x)s", "{}", "{0}", "${x}", "../../etc/passwd", "<script>", "@id", "@type", "@value", "@context", "@none",
    "@vocab", "@graph", "@list", "@set", "@reverse", "@nest", "@", "@@", "__proto__", "constructor", "toString", "hasOwnProperty",
    "__class__", "__init__", "id", "type", "scope", "value", "object", "Property", "Relationship", "GeoProperty", "LanguageProperty",
    "createdAt", "observedAt", "datasetId", "unitCode", "expiresAt", "instanceId", NULL, "urn:", "urn:a", "urn:ngsi-ld:", "http:", "://",
    "http://[", "http://[::1", "http://a:99999999/", "http://\u0130.com", "https://uri.etsi.org/ngsi-ld/default-context/", "a" * 511,
    "a" * 513, "urn:" + "a" * 506, "urn:" + "a" * 600, "urn:a b", "urn:a\tb", "urn:a\\b", "urn:a:%00", "urn:a:\u0661", "x:y:z",
    "a,b", "a;b", "a|b", "(", ")", "[]", "a[b", "a.b", ".", "..", "/", "//", "#", "?", "&", "=", "+", "*", "!", "~", "\u0000urn:a",
)  # fmt: skip
TIMES = (
    "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-14:00", "2016-12-31T23:59:60Z", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2026-11-22T24:00:00Z",
    "2026-11-22T10:00:00", "2026-11-22", "2026-11-22T10:00:00.123456789Z", "2026-11-22T10:00:00,5Z", "2026-11-22T10:00Z",
    "2026-11-22T10:00:00+99:99", "2026-11-22t10:00:00z", "2026-W47-7", "20261122T100000Z", "-2026-11-22T10:00:00Z",
    "+12026-11-22T10:00:00Z", "1600-02-29T12:00:00Z", "1969-12-31T23:59:59Z", "4713-01-01T00:00:00Z", "2026-11-22T10:00:00Z",
    "2026-11-22T10:00:00.000001Z", "٢٠٢٦-11-22T10:00:00Z", "now", "infinity", "-infinity", "epoch", "", "2038-01-19T03:14:08Z",
    "2026-11-22T10:00:00." + "1" * 500 + "Z", "294277-01-01T00:00:00Z",
)  # fmt: skip
DURATIONS = (
    "P99999Y", "PT0S", "P", "PT", "P1Y2M", "PT1H", "P1D", "PT0.000001S", "P0D", "P-1D", "PT1S", "P99999999999999999999D",
    "P" + "9" * 5_000 + "D", "PT" + "9" * 400 + "S", "P1M", "P1W", "PT1M", "p1d", "P1.5D", "PT1e3S", "P1Y1M1W1DT1H1M1.5S", "P٣D",
)  # fmt: skip
SIZES = (
    "0", "-1", "1", "20", "1000", "1001", "999999", "1000000", "1000001", "2147483648", "9223372036854775808", "1e3", "1.0", " 5",
    "0x10", "٣", "", "null", "true", "9" * 4_999, "-0", "+1",
)  # fmt: skip
PATTERNS = (
    ".*", "(a+)+$", "(a|a)*b", "(.*)*", "(((((((((((a*)*)*)*)*)*)*)*)*)*)*", "[", "(", ")", "*", "a{1000}", "(a{1000}){1000}", "a{99999999}",
    "\\", "\\p{L}+", "(?=a)", "(?<=a)b", "(a)\\1", "(?P<x>a)", "(?#", "[[:alpha:]]", "[^]", "^urn:.*:[0-9]+$", ".*" * 40, "(x+x+)+y", "\\d\\d",
    "\\x{110000}", "[z-a]", "(?i)URN", "\\Q", "$^", "a" * 511, "a" * 600, "|" * 100, "(|a)*", "(a?){50}a{50}", "[\\s\\S]*", "\ud800", "é+",
)  # fmt: skip


def text(rng: Random) -> str:
    way = rng.random()
    if way < 0.8:
        return rng.choice(TEXTS)
    if way < 0.84:
        return rng.choice('aé\\"\u0000') * rng.choice((1_000, 20_000, 100_000))
    if way < 0.9:
        return rng.choice(TIMES)
    return "".join(
        chr(rng.choice((rng.randrange(128), rng.randrange(0x300), rng.randrange(0x11000))))
        for _ in range(rng.randrange(12))
    )


def number(rng: Random) -> Any:
    if rng.random() < 0.6:
        return Raw(rng.choice(NUMBERS))
    return rng.choice(
        (0, 1, -1, 2**31, 2**53, 2**53 + 1, 2**63, -(2**63), 10**400, 1e308, -1e-308, 0.1 + 0.2)
    )


def deep(rng: Random) -> Raw:
    """A value inside many lists or objects; the reader's own limit is near 1,024."""
    levels = rng.choice((5, 30, 100, 200, 330, 500, 900, 990, 1_010, 1_022, 1_024, 1_026, 3_000, 100_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'{"value":', b"}"), (b'{"type":"Property","value":', b"}"),
                                   (b'{"@context":', b"}"), (b'[{"b":', b"}]")))  # fmt: skip
    inner = rng.choice((b"1", b'"x"', b"[]", b"{}", b"null"))
    return Raw(opening * levels + inner + closing * (levels if rng.random() < 0.9 else levels - 1))


def broken_text(rng: Random) -> Raw:
    """A text that is none: half surrogates as escapes, bytes that are no UTF-8, control characters."""
    return Raw(rng.choice((b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff\xfe"', b'"\xc3"', b'"\xed\xa0\x80"', b'"\\u00zz"', b'"\\x41"',
                           b'"a\nb"', b'"\x00"', b'"\\u0000"', b'"abc', b"'a'", b'"\xf4\x90\x80\x80"', b'"\\ud83d\\ude00"')))  # fmt: skip


def geometry(rng: Random) -> Any:
    """GeoJSON, right and wrong."""
    kind = rng.choice(
        (
            "Point",
            "MultiPoint",
            "LineString",
            "MultiLineString",
            "Polygon",
            "MultiPolygon",
            "GeometryCollection",
            "Circle",
            "point",
        )
    )
    shape: Any = {"type": kind, "coordinates": coordinates(rng)}
    if rng.random() < 0.1:
        shape["geometries"] = [{"type": "Point", "coordinates": [0, 0]}]
    if rng.random() < 0.1:
        shape["crs"] = {"type": "name", "properties": {"name": "EPSG:3857"}}
    return shape


LONG_LINES = [
    Raw(b"[" + b",".join(b"[%d.%04d,7]" % (i % 180, i % 10_000) for i in range(count)) + b"]")
    for count in (1_000, 10_000, 100_000)
]


def coordinates(rng: Random) -> Any:
    ring = [[-73.2, 7.0], [-73.0, 7.0], [-73.0, 7.2], [-73.2, 7.2], [-73.2, 7.0]]
    position = rng.choice(
        (
            [-73.12, 7.11], [180, 90], [-180, -90], [179.9999999, 89.9999999], [180.0001, 0], [0, 90.0001], [1e308, 1e308], [0, 0, 1e308],
            [0], [], [0, 0, 0, 0], ["0", "0"], [None, None], [Raw(b"1e999"), 0], [0, Raw(b"NaN")], [True, False], [[0, 0]],
        )
    )  # fmt: skip
    return rng.choice(
        (
            position,
            [position] * rng.choice((1, 2, 3, 5)),
            [ring],
            [ring, [[-73.15, 7.05], [-73.05, 7.05], [-73.1, 7.15], [-73.15, 7.05]]],
            [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]],  # crosses itself
            [[[0, 0], [1, 1], [0, 0]]],
            [[[0, 0], [0, 0], [0, 0], [0, 0]]],
            [[[170, -10], [-170, -10], [-170, 10], [170, 10], [170, -10]]],  # over the antimeridian, or round the world
            [[[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]],
            [[[0, 80], [120, 80], [-120, 80], [0, 80]]],  # round the pole
            [ring[:-1]],
            [[*ring[:-1], [-73.2, 7.0000001]]],
            [[position, position, position, position]],
            [[ring]],
            [[ring], [ring]],
            LONG_LINES[rng.choice((0, 1, 1, 2))],
            Raw(b"[[" + b",".join(b"[%d,%d]" % (i % 7, i % 5) for i in range(2_000)) + b",[0,0]]]"),
            "[0,0]",
            {},
            None,
            0,
            deep(rng),
        )
    )  # fmt: skip


def value(rng: Random) -> Any:
    """Anything."""
    match rng.randrange(12):
        case 0 | 1:
            return number(rng)
        case 2 | 3 | 4:
            return text(rng)
        case 5:
            return broken_text(rng)
        case 6:
            return deep(rng)
        case 7:
            return rng.choice((None, True, False, [], {}, [[]], [None], {"": None}))
        case 8:
            return rng.choice(TIMES)
        case 9:
            return geometry(rng)
        case 10:
            return [value(rng) for _ in range(rng.randrange(4))]
        case _:
            return Pairs((text(rng), value(rng)) for _ in range(rng.randrange(4)))


def mutated_bytes(rng: Random, body: bytes) -> bytes:
    """The same bytes with a few wrong ones."""
    out = bytearray(body)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(6):
            case 0 if at < len(out):
                out[at] = rng.randrange(256)
            case 1:
                out[at:at] = bytes([rng.choice(b'{}[]",:\\\x00\xff0e-')])
            case 2:
                del out[at : at + rng.choice((1, 3, 20))]
            case 3:
                del out[at:]
            case 4:
                out[at:at] = out[max(at - rng.randrange(1, 60), 0) : at]
            case _:
                out[at:at] = rng.choice((b"\xef\xbb\xbf", b"/**/", b"null", b",", b"\\u0000", b"\xc0\x80"))
    return bytes(out)
