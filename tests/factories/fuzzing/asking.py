"""Whole requests: every route of the interface and every method, each parameter with the values that suit it least."""

from __future__ import annotations

from random import Random
from typing import Any
from urllib.parse import quote_from_bytes

from amb247.context.rest.openapi import OPERATIONS, PARAMETERS, Operation

from . import documents, hostile
from .neighbours import SLOW, Neighbours
from .parameters import FLAGS, GIVEN, q_text
from .wire import Request

BASE = "/ngsi-ld/v1"
JSON, LD, MERGE = b"application/json", b"application/ld+json", b"application/merge-patch+json"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "QUERY", "get", "CONNECT")
TENANTS = ("night", "Giron-2", "a.b", "x_y")
BIG = "big"  # a tenant with much in it, which is only asked
ASKED_BIG = frozenset(
    {
        "queryEntity",
        "queryBatch",
        "queryTemporal",
        "temporalQueryBatch",
        "retrieveTypes",
        "retrieveAttributes",
        "retrieveTypeInfo",
    }
)
ODD_TENANTS = (
    "-a",
    "a b",
    "../x",
    "a" * 101,
    "a'b",
    'a"b',
    "a;b",
    "public",
    "pg_catalog",
    "é",
    "a/b",
    "%00",
    "{}",
    "a,b",
    ".",
    "tenant_night",
)
REMOTE_S = 12.0  # a context may take ten seconds of whoever reads it
FITTING = {  # parameters that a request needs before the others are looked at
    "queryTemporal": {"timerel": "after", "timeAt": "2026-11-01T00:00:00Z", "type": "Bus"},
    "queryEntity": {"type": "Bus"},
}


class Asking:
    """Makes requests; `request(rng)` is another each time, and the same for the same state of `rng`."""

    def __init__(self, neighbours: Neighbours) -> None:
        self.neighbours = neighbours
        self.contexts = neighbours.contexts()
        self.endpoints = [
            *neighbours.endpoints(),
            "mqtt://127.0.0.1:1/a/b",
            "http://127.0.0.1:1/",
            "http://10.0.0.1/",
            "sse:x",
            "http://x.invalid/",
        ]
        self.sources = [*neighbours.sources(), "http://127.0.0.1:1/"]
        self.made_ids: dict[str, list[str]] = {"contextId": [], "instance_id": [], "notification_id": []}
        self.weights = [
            8 if one.body is not None or "emporal" in one.name or one.name == "queryEntity" else 3
            for one in OPERATIONS
        ]

    def request(self, rng: Random) -> Request:
        if rng.random() < 0.03:
            return self._nonsense(rng)
        one = rng.choices(OPERATIONS, self.weights)[0]
        method = one.method if rng.random() < 0.97 else rng.choice(METHODS)
        about, waits = set(), 0.0
        headers: list[tuple[bytes, bytes]] = []
        if method == one.method and one.name in ASKED_BIG and rng.random() < 0.3:
            tenant = BIG
            headers.append((b"NGSILD-Tenant", BIG.encode()))
        else:
            tenant = self._tenant(rng, headers)
        body = None
        if one.body is not None and rng.random() < 0.98:
            media = rng.choice((JSON, JSON, JSON, LD)) if method != "PATCH" or rng.random() < 0.8 else MERGE
            document, waits = self._document(rng, one, is_ld=media == LD)
            body = hostile.written(document)
            if waits or b"/c/" in body or b"/chain/" in body or b"@context" in body or b"//" in body:
                about.add("context")
            way = rng.random()
            if way < 0.12 and len(body) < 100_000:
                body = hostile.mutated_bytes(rng, body)
            elif way < 0.14:
                body = rng.choice(
                    (
                        b"",
                        b" ",
                        b"null",
                        b"[]",
                        b"{}",
                        b"0",
                        b"\xff\xfe{\x00}\x00",
                        b"\xef\xbb\xbf{}",
                        b"[" * 100_000,
                        b'"' + b"a" * 3_000_000 + b'"',
                    )
                )
            headers.append(
                (
                    b"Content-Type",
                    media
                    if rng.random() < 0.97
                    else rng.choice(
                        (
                            b"text/plain",
                            b"application/xml",
                            b"",
                            b"application/json;charset=utf-16",
                            b"a" * 500,
                            b"multipart/form-data",
                            b"application/json, application/ld+json",
                        )
                    ),
                )
            )
        elif rng.random() < 0.02:
            body = b"{}"
        if rng.random() < 0.07:
            address, slow = self._address(rng)
            waits = max(waits, slow)
            about.add("context")
            headers.append(
                (
                    b"Link",
                    b'<%b>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
                    % address.encode("utf-8", "surrogatepass").replace(b"\r", b"").replace(b"\n", b""),
                )
            )
        self._more_headers(rng, headers)
        target, is_http = self._target(rng, one)
        is_http = is_http and method.isupper() and method != "CONNECT"
        if one.name.endswith("Batch") and "uery" not in one.name and method == "POST":
            about.add("batch")
        return Request(
            method,
            target,
            tuple(_clean(headers)),
            body,
            f"{method} {one.path}",
            is_http,
            waits,
            frozenset(about),
            tenant,
        )

    def _tenant(self, rng: Random, headers: list[tuple[bytes, bytes]]) -> str:
        way = rng.random()
        if way > 0.06:
            return ""
        tenant = rng.choice(TENANTS if way < 0.045 else ODD_TENANTS)
        headers.append((b"NGSILD-Tenant", tenant.encode()))
        return tenant

    def _address(self, rng: Random) -> tuple[str, float]:
        way = rng.random()
        base = self.neighbours.base
        if way < 0.004:
            return base + rng.choice(SLOW[:2]), REMOTE_S
        if way < 0.3:
            return f"{base}/many/{rng.randrange(400)}", 0.0
        if way < 0.85:
            return rng.choice(self.contexts), 0.0
        if way < 0.9:
            return rng.choice(
                (
                    "http://10.0.0.1/",
                    "http://169.254.169.254/",
                    "http://[::1]/",
                    "file:///etc/passwd",
                    "ftp://a/",
                    "http://127.0.0.1:5432/",
                    "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld",
                )
            ), 0.0
        return hostile.text(rng), 0.0

    def _document(self, rng: Random, one: Operation, *, is_ld: bool) -> tuple[Any, float]:
        """A body that suits the operation, mostly with something wrong, and how long its @context may take."""
        document = self._suiting(rng, one)
        waits = 0.0
        if rng.random() < 0.65:
            document = documents.mutated(rng, document)
        if (is_ld and rng.random() < 0.9) or rng.random() < 0.01:
            if rng.random() < 0.5:
                found, waits = self._address(rng)
            else:
                found = documents.context(rng, self.contexts)
            for part in (
                document
                if isinstance(document, list) and not isinstance(document, hostile.Pairs)
                else [document]
            ):
                if type(part) is dict:
                    part["@context"] = found
        return document, waits

    def _suiting(self, rng: Random, one: Operation) -> Any:
        match one.name:
            case "createEntity":
                return documents.entity(rng)
            case "updateAttrs" | "replaceAttrs":
                return documents.instance(rng)
            case "deleteBatch":
                return [documents.known_id(rng) for _ in range(rng.randrange(4))]
            case "upsertTemporal":
                return documents.evolution(rng)
            case "appendAttrsTemporal" | "updateAttrsTemporal":
                return documents.past_fragment(rng)
            case "queryBatch" | "temporalQueryBatch":
                return documents.query(rng, q_text(rng))
            case "createContext":
                return {"@context": documents.context(rng, self.contexts)}
            case (
                "createSubscription"
                | "updateSubscription"
                | "createCSRSubscription"
                | "updateCSRSubscription"
            ):
                made = documents.subscription(rng, self.endpoints)
                return (
                    made
                    if one.method == "POST"
                    else {key: made[key] for key in rng.sample(sorted(made), rng.randrange(1, len(made)))}
                )
            case "createCSR" | "updateCSR":
                return documents.registration(rng, self.sources)
            case name if name.endswith("Batch"):
                return [documents.entity(rng) for _ in range(rng.choice((1, 2, 3, 5, 20)))]
            case _:
                return documents.fragment(rng) if rng.random() < 0.6 else documents.entity(rng)

    def _target(self, rng: Random, one: Operation) -> tuple[bytes, bool]:
        parts = [
            self._segment(rng, part[1:-1]) if part.startswith("{") else part for part in one.path.split("/")
        ]
        path = BASE + "/".join(parts)
        asked = self._parameters(rng, one)
        if asked:
            path += "?" + "&".join(f"{_percent(name, rng)}={_percent(value, rng)}" for name, value in asked)
        raw = path.encode("utf-8", "surrogatepass")
        if rng.random() < 0.01:
            spot = rng.randrange(len(BASE), len(raw))
            raw = (
                raw[:spot]
                + rng.choice(
                    (b"%", b"%ff", b"%00", b"%2f", b"\xff", b" ", b"//", b"?", b"#", b"%c0%ae", b"%ed%a0%80")
                )
                + raw[spot:]
            )
        return raw, all(33 <= byte < 127 for byte in raw) and len(raw) < 60_000

    def _segment(self, rng: Random, key: str) -> str:
        known = rng.random() < 0.8
        if key == "entity_id":
            given = documents.known_id(rng) if known else hostile.text(rng)
        elif key in {"attribute", "attr_id"}:
            given = rng.choice(documents.NAMES) if known else hostile.text(rng)
        elif key in self.made_ids and self.made_ids[key] and known:
            given = rng.choice(self.made_ids[key])
        elif key == "subscription_id" and known:
            given = f"urn:ngsi-ld:Subscription:{rng.randrange(6)}"
        elif key == "registration_id" and known:
            given = f"urn:ngsi-ld:ContextSourceRegistration:{rng.randrange(6)}"
        elif key == "type" and known:
            given = rng.choice(documents.KINDS)
        elif key == "contextId":
            given = rng.choice((hostile.text(rng), rng.choice(self.contexts)))
        else:
            given = rng.choice(
                (hostile.text(rng), "urn:x:1", "urn:ngsi-ld:instance:" + "9" * rng.choice((1, 19, 20, 5_000)))
            )
        return _percent(given, rng)

    def _parameters(self, rng: Random, one: Operation) -> list[tuple[str, str]]:
        fitting = FITTING.get(one.name, {}) if rng.random() < 0.9 else {}
        asked = dict(fitting)
        names = [*one.parameters, *(("options", "format") if one.options or one.form else ())]
        for name in names:
            if rng.random() < (0.12 if len(names) > 8 else 0.25):
                asked[name] = GIVEN[name](rng) if name in GIVEN else rng.choice(FLAGS)
        if {"geometry", "georel", "coordinates"} & asked.keys() and rng.random() < 0.8:
            for name in ("geometry", "georel", "coordinates"):
                asked.setdefault(name, GIVEN[name](rng))
        if "aggrMethods" in asked or "aggrPeriodDuration" in asked:
            asked.setdefault("format", "aggregatedValues")
            asked.setdefault("aggrMethods", "avg,max")
        found = list(asked.items())
        if rng.random() < 0.03:
            found.append(
                rng.choice(
                    ((rng.choice(sorted(PARAMETERS)), hostile.text(rng)), (hostile.text(rng), "x"), *found)
                )
            )
        return found

    def _more_headers(self, rng: Random, headers: list[tuple[bytes, bytes]]) -> None:
        for name, chance, choices in MORE_HEADERS:
            if rng.random() < chance:
                headers.append((name, rng.choice(choices)))

    def _nonsense(self, rng: Random) -> Request:
        """Paths that are none, methods that are none, HTTP that is none."""
        path = rng.choice(("/ngsi-ld/v1/", "/ngsi-ld/v1", "/ngsi-ld/", "/ngsi-ld/v2/entities", "/ngsi-ld/v1//entities", "/ngsi-ld/v1/entities/",
                           "/ngsi-ld/v1/entities/%", "/ngsi-ld/v1/entities/%00", "/ngsi-ld/v1/../v1/entities", "/ngsi-ld/v1/entities/a/b/c/d/e/f", "/ngsi-ld/v1/" + "a/" * 3_000,
                           "/ngsi-ld/v1/entities?" + "a=b&" * 2_000, "/ngsi-ld/v1/entities?" + "q" * 9_000, "/ngsi-ld/v1/temporal", "/ngsi-ld/v1/%65ntities?type=Bus", "*",
                           "/ngsi-ld/v1/entities?type=%ff%fe", "/ngsi-ld/v1/entities?type=%ed%a0%80", "/ngsi-ld/v1/entities?type=Bus&type=Lamp&limit=1&limit=2", "/ngsi-ld/v1/entities?&&=&;"))  # fmt: skip
        method = rng.choice(METHODS)
        way = rng.random()
        if way < 0.7:
            return Request(
                method, path.encode(), (), None, "", method.isupper() and method != "CONNECT" and path != "*"
            )
        headers = rng.choice((((b"Content-Length", b"-5"),), ((b"Content-Length", b"5"), (b"Content-Length", b"6")), ((b"Transfer-Encoding", b"chunked"),), ((b"Content-Length", b"9" * 30),),
                              ((b"A" * 70_000, b"x"),), ((b"X-A", b"\x00"),), ((b"X A", b"x"),), tuple((b"X-%d" % n, b"y") for n in range(600)), ((b"Expect", b"100-continue"),)))  # fmt: skip
        body = rng.choice((None, b"0\r\n\r\n", b"zz\r\n", b"5\r\n{}\r\n\r\n0\r\n\r\n"))
        return Request(
            "POST",
            b"/ngsi-ld/v1/entities",
            ((b"Content-Type", JSON), (b"Connection", b"close"), *headers),
            body,
            "",
            is_http=False,
        )


MORE_HEADERS = (
    (b"Accept", 0.06, (LD, b"application/geo+json", b"text/csv", b"*/*", b"application/vnd.apache.parquet", b"text/html", b"a" * 3_000, b"*/*;q=nan", b"application/json;q=1e999,*/*;q=-1", b",,,;;;=", b"text/event-stream", b"application/ld+json;q=0.1, text/csv;q=0.2")),
    (b"Prefer", 0.03, (b"body=json", b"ngsi-ld=1.3", b"ngsi-ld=99.99", b"body=" * 500, b"\xff")),
    (b"Via", 0.03, (b"1.1 x", b"1.1 urn:a" + b", 1.1 b" * 400, b",,,", b"\xe9")),
    (b"Authorization", 0.004, (b"Bearer ", b"Bearer x", b"Basic eDp5", b"Bearer " + b"a" * 5_000, b"\xff")),
    (b"Cookie", 0.004, (b"sessionid=" + b"a" * 32, b"sessionid=\xff", b"=;=;" * 100)),
    (b"Link", 0.02, (b"<", b'<>; rel="http://www.w3.org/ns/json-ld#context"', b"<a>" * 500, b'<x>; rel="http://www.w3.org/ns/json-ld#context"; rel="b"', b"<\xff>", b"<" + b"a" * 4_000 + b'>; rel="http://www.w3.org/ns/json-ld#context"', b"<x>;" + b' a="b";' * 800)),
    (b"Last-Event-ID", 0.02, (b"1-1", b"\xff", b"9" * 100, b"-")),
    (b"NGSILD-EntityMap", 0.01, (b"urn:x:1", b"\xff")),
    (b"X-Forwarded-For", 0.003, (b"10.0.0.1",)),
)  # fmt: skip


def _percent(text: str, rng: Random) -> str:
    raw = text.encode("utf-8", "surrogatepass")
    return quote_from_bytes(raw, safe=rng.choice((":", "", ":/,;=()[]!*'$~@|\"")))


def _clean(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Values that HTTP allows: no line ends, no NUL, no other control characters."""
    return [
        (name, bytes(byte for byte in value if byte == 9 or (byte >= 32 and byte != 127)).strip())
        for name, value in headers
    ]
