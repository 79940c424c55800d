"""The @contexts that clients use: hosted here, read from elsewhere and kept, or made from what they send inline.

`context_of` is what the rest of the broker calls. What it has resolved stays in the process; every two seconds one look at
the stamp in the database tells whether another process replaced or removed a kept context meanwhile.

A context that cannot be had is an error of the request that named it. Nothing of it is kept, so that the next request
tries again; a copy that was good stays in use while its server is away.

References
----------
ETSI GS CIM 009 v1.9.1, 5.13 (storing, managing and serving @contexts).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

import orjson
from django.conf import settings
from django.db import connection, transaction

from amb247.context.adapters.remote_contexts import Fetched, fetch
from amb247.context.documents.times import time_text
from amb247.context.domain.tenants import DEFAULT, inside
from amb247.context.jsonld.context import CORE, Context
from amb247.context.jsonld.core import core_version
from amb247.context.jsonld.resolve import is_single, resolve
from amb247.context.ngsi_errors import (
    BadRequestData,
    LdContextNotAvailable,
    OperationNotSupported,
    ResourceNotFound,
)

Json = Any
Kind = Literal["Hosted", "Cached", "ImplicitlyCreated"]
log = logging.getLogger("amb247.ngsi.contexts")

PATH: Final = "/ngsi-ld/v1/jsonldContexts/"
KINDS: Final = {"hosted": "Hosted", "cached": "Cached", "implicitlycreated": "ImplicitlyCreated"}
FRESH_S: Final = 2.0
STALE: Final = timedelta(days=7)  # so long a copy serves while its server is away
MAX_ENTRIES: Final = 1_000
MAX_TERMS: Final = 200_000  # of all remembered contexts together
MAX_ROWS: Final = {"Cached": 1_000, "ImplicitlyCreated": 10_000, "Hosted": 10_000}
MAX_BODY: Final = 1_000_000
MAX_SECONDS: Final = 10.0  # for all parts of one context together

fetch_remote = fetch  # a name that tests replace


@dataclass(slots=True)
class _Entry:
    """A resolved context, the rows that it was made of, and when one of them is to be read again."""

    context: Context
    ids: tuple[str, ...]
    until: float
    weight: int


@dataclass(slots=True)
class _Memory:
    """What this process remembers."""

    entries: OrderedDict[str | bytes, _Entry] = field(default_factory=OrderedDict)
    weight: int = 0
    fresh_until: float = 0.0
    stamp: int = -1
    hits: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_memory = _Memory()


def context_of(value: Json | None) -> Context:
    """The context that a request carries, in its body or its Link header; the core where it carries none.

    Costs well under a microsecond for a URL seen before; may wait for the network otherwise, so it is not called where
    others wait (`known` is).

    Raises
    ------
    BadRequestData
        What was given is no @context.
    LdContextNotAvailable
        A remote one cannot be had.
    """
    if value is None or (type(value) is str and core_version(value) is not None):
        return CORE
    key = value if type(value) is str else _key(value)
    now = time.monotonic()
    if now >= _memory.fresh_until:
        _look(now)
    entry = _memory.entries.get(key)
    if entry is None or entry.until < now:
        entry = _resolved(key, value)
    return _used(key, entry)


def known(value: Json | None) -> Context | None:
    """The same without any waiting: None where the database or the network would have to be asked."""
    if value is None or (type(value) is str and core_version(value) is not None):
        return CORE
    now = time.monotonic()
    if now >= _memory.fresh_until:
        return None
    key = value if type(value) is str else _key(value)
    entry = _memory.entries.get(key)
    return None if entry is None or entry.until < now else _used(key, entry)


def host(document: Json) -> str:
    """Keep a client's @context and serve it from now on (5.13.2).

    Parameters
    ----------
    document : Json
        An object with `@context`; what stands beside it is dropped.

    Returns
    -------
    str
        The local id.

    Raises
    ------
    BadRequestData, LdContextNotAvailable
    """
    if not isinstance(document, dict) or "@context" not in document:
        raise BadRequestData('the body has no @context; send {"@context": ...}')
    body = orjson.dumps({"@context": document["@context"]})
    if len(body) > MAX_BODY:
        raise BadRequestData(f"the @context is larger than {MAX_BODY:,} bytes")
    if b"\\u0000" in body:
        raise BadRequestData("the @context contains the character NUL")
    pages = _Pages()
    resolve(document["@context"], fetch=pages.read, link=CORE.link)
    local_id = f"urn:ngsi-ld:Context:{uuid.uuid4()}"
    with inside(DEFAULT), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM context_jsonld WHERE kind = 'Hosted'")
        if cursor.fetchone()[0] >= MAX_ROWS["Hosted"]:
            raise BadRequestData(f"there are {MAX_ROWS['Hosted']:,} hosted contexts; delete one first")
        cursor.execute(
            "INSERT INTO context_jsonld (id, kind, body, created_at) VALUES (%s, 'Hosted', %s, now())",
            [local_id, body.decode()],
        )
        pages.keep()  # in the same transaction: parts that cannot be kept refuse the whole
    return local_id


def listed(*, kind: str | None = None, details: bool = False) -> list[Json]:
    """URLs of what is kept, or what is known about each (5.13.3).

    Raises
    ------
    BadRequestData
        No such kind.
    """
    wanted = None
    if kind is not None:
        wanted = KINDS.get(kind.lower())
        if wanted is None:
            raise BadRequestData(f"kind: send Hosted, Cached or ImplicitlyCreated, not {kind[:40]!r}")
    flush()
    with inside(DEFAULT), connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM context_jsonld WHERE kind = coalesce(%s, kind) ORDER BY created_at, id",
            [wanted],
        )
        rows = [_Row(*row) for row in cursor.fetchall()]
    return [row.metadata() if details else row.address() for row in rows]


def served(context_id: str) -> Json:
    """The document of a hosted or implicitly created context (5.13.4).

    Raises
    ------
    ResourceNotFound, OperationNotSupported
    """
    row = _row(context_id)
    if row.kind == "Cached":
        raise OperationNotSupported(f"{context_id} is kept for this broker's own use; read it at {row.url}")
    _count([row.id])
    return orjson.loads(row.body)


def metadata(context_id: str) -> Json:
    """What is known about a kept context, by local id or, for a cached one, URL.

    Raises
    ------
    ResourceNotFound
    """
    flush()
    return _row(context_id).metadata()


def delete(context_id: str, *, reload: bool = False) -> None:
    """Forget a kept context, or read a cached one again (5.13.5).

    Raises
    ------
    ResourceNotFound
    BadRequestData
        Only cached ones can be read again.
    LdContextNotAvailable
        It cannot be had now; the copy stays.
    """
    row = _row(context_id)
    if not reload:
        with inside(DEFAULT), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM context_jsonld WHERE id = %s", [row.id])
            _stamp(cursor)
        _forget_here()
        return
    if row.kind != "Cached" or row.url is None:
        raise BadRequestData(f"{context_id} is {row.kind}; only a cached @context can be read again")
    pages = _Pages(refetch=row.url)
    resolve(row.url, fetch=pages.read)
    pages.keep()
    _forget_here()


def flush() -> None:
    """Write how often contexts were used since the last time."""
    hits, _memory.hits = _memory.hits, {}
    if not hits:
        return
    with inside(DEFAULT), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE context_jsonld c SET hits = c.hits + u.n, last_usage = now() "
            "FROM (SELECT unnest(%s::text[]) id, unnest(%s::bigint[]) n) u WHERE c.id = u.id",
            [list(hits), list(hits.values())],
        )


def forget() -> None:
    """After the database was swapped under the process (tests, restore)."""
    _forget_here()
    _memory.hits = {}
    _memory.stamp = -1


def _forget_here() -> None:
    with _memory.lock:
        _memory.entries.clear()
        _memory.weight = 0
        _memory.fresh_until = 0.0


def _key(value: Json) -> bytes:
    try:
        key = orjson.dumps(value)
    except (TypeError, ValueError):
        raise BadRequestData("@context is no JSON") from None
    if len(key) > MAX_BODY:
        raise BadRequestData(f"@context is larger than {MAX_BODY:,} bytes; host it and send its URL")
    return key


def _used(key: str | bytes, entry: _Entry) -> Context:
    with contextlib.suppress(KeyError):  # another thread may have dropped it just now
        _memory.entries.move_to_end(key)
    _count(entry.ids)
    return entry.context


def _count(ids: Iterable[str]) -> None:
    hits = _memory.hits
    for one in ids:
        hits[one] = hits.get(one, 0) + 1


def _look(now: float) -> None:
    """See whether another process changed a kept context, and write the counts where no transaction of others is open."""
    with inside(DEFAULT), connection.cursor() as cursor:
        cursor.execute("SELECT stamp FROM context_jsonld_stamp")
        found = cursor.fetchone()
    stamp = found[0] if found else 0
    if stamp != _memory.stamp:
        _forget_here()
        _memory.stamp = stamp
    _memory.fresh_until = now + FRESH_S
    if not connection.in_atomic_block:
        flush()


def _stamp(cursor: Any) -> None:
    cursor.execute(
        "INSERT INTO context_jsonld_stamp (stamp) VALUES (1) ON CONFLICT (only_one) "
        "DO UPDATE SET stamp = context_jsonld_stamp.stamp + 1"
    )


def _resolved(key: str | bytes, value: Json) -> _Entry:
    pages = _Pages()
    link, implicit = None, None
    if not is_single(value):
        implicit = _implicit_id(key)
        link = _public(implicit)
    context = resolve(value, fetch=pages.read, link=link)
    pages.keep()
    if implicit is not None and context is not CORE:
        _host_implicitly(implicit, value)
        pages.ids.append(implicit)
    entry = _Entry(context, tuple(pages.ids), time.monotonic() + pages.left_s, len(context) + 10)
    with _memory.lock:
        old = _memory.entries.pop(key, None)
        _memory.weight += entry.weight - (old.weight if old else 0)
        _memory.entries[key] = entry
        while len(_memory.entries) > MAX_ENTRIES or (_memory.weight > MAX_TERMS and len(_memory.entries) > 1):
            _, gone = _memory.entries.popitem(last=False)
            _memory.weight -= gone.weight
    return entry


def _implicit_id(key: str | bytes) -> str:
    text = key.encode() if isinstance(key, str) else key
    return f"urn:ngsi-ld:Context:{uuid.UUID(bytes=hashlib.sha256(text).digest()[:16], version=4)}"


def _host_implicitly(local_id: str, value: Json) -> None:
    """Give a list or an inline context a URL, so that a Link header can name it."""
    body = orjson.dumps({"@context": value}).decode()
    if "\\u0000" in body:
        raise BadRequestData("the @context contains the character NUL")
    with inside(DEFAULT), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO context_jsonld (id, kind, body, created_at, last_usage) "
            "VALUES (%s, 'ImplicitlyCreated', %s, now(), now()) ON CONFLICT (id) DO NOTHING",
            [local_id, body],
        )
        if cursor.rowcount:
            _drop_least_used(cursor, "ImplicitlyCreated")


def _drop_least_used(cursor: Any, kind: Kind) -> None:
    cursor.execute(
        "DELETE FROM context_jsonld WHERE id IN (SELECT id FROM context_jsonld WHERE kind = %s "
        "ORDER BY coalesce(last_usage, created_at) DESC OFFSET %s)",
        [kind, MAX_ROWS[kind]],
    )


def _public(local_id: str) -> str:
    base = settings.PUBLIC_URL or f"http://localhost:{os.environ.get('AMB_PORT') or '8247'}"
    return f"{base}{PATH}{local_id}"


def _local_id(url: str) -> str | None:
    """The id in a URL of a context that a broker of ours serves; whether it is ours, the table knows."""
    try:
        path = urlsplit(url).path
    except ValueError:  # such as "http://["
        return None
    return unquote(path[len(PATH) :]) if path.startswith(PATH) and len(path) > len(PATH) else None


COLUMNS: Final = "id, kind, url, body, created_at, expires_at, last_usage, hits"


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    kind: Kind
    url: str | None
    body: str
    created_at: datetime
    expires_at: datetime | None
    last_usage: datetime | None
    hits: int

    def address(self) -> str:
        return self.url or _public(self.id)

    def metadata(self) -> Json:
        times = {"createdAt": self.created_at, "expiresAt": self.expires_at, "lastUsage": self.last_usage}
        return {
            "URL": self.address(),
            "localId": self.id,
            "kind": self.kind,
            **{name: time_text(at) for name, at in times.items() if at is not None},
            "numberOfHits": self.hits,
        }


def _row(context_id: str) -> _Row:
    found = _find("id = %s OR (kind = 'Cached' AND url = %s)", [context_id, context_id])
    if found is None:
        local = _local_id(context_id)
        found = _find("id = %s", [local]) if local is not None else None
    if found is None:
        raise ResourceNotFound(f"there is no @context {context_id[:200]!r} here")
    return found


def _find(condition: str, parameters: list[Any]) -> _Row | None:
    if any("\x00" in one for one in parameters):
        return None
    with inside(DEFAULT), connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM context_jsonld WHERE {condition}", parameters)
        row = cursor.fetchone()
    return None if row is None else _Row(*row)


class _Pages:
    """The documents that one context is made of: kept ones, and those read now, which are kept when all is well.

    Parameters
    ----------
    refetch : str, optional
        The URL that is to be read anew although a copy is kept.
    """

    def __init__(self, *, refetch: str | None = None) -> None:
        self.refetch = refetch
        self.deadline = time.monotonic() + MAX_SECONDS
        self.ids: list[str] = []
        self.left_s = 3_600.0  # so long what was resolved may be used before its parts are looked at again
        self.fresh: dict[str, Fetched] = {}

    def read(self, url: str) -> Json:
        local = _local_id(url)
        if local is not None:
            hosted = _find("id = %s AND kind <> 'Cached'", [local])
            if hosted is not None:
                self.ids.append(hosted.id)
                return orjson.loads(hosted.body)
        kept = _find("kind = 'Cached' AND url = %s", [url])
        now = datetime.now(UTC)
        if kept is not None and url != self.refetch and kept.expires_at is not None and kept.expires_at > now:
            return self._use(kept, (kept.expires_at - now).total_seconds())
        if time.monotonic() > self.deadline:
            raise LdContextNotAvailable(
                f"the parts of the @context did not come within {MAX_SECONDS:.0f} seconds"
            )
        try:
            found = fetch_remote(url)
        except LdContextNotAvailable:
            if kept is None or url == self.refetch or kept.created_at < now - STALE:
                raise
            log.warning("the @context %s cannot be read; the copy of %s serves on", url, kept.created_at)
            return self._use(kept, 60.0)
        self.fresh[url] = found
        self.left_s = min(self.left_s, found.kept_s)
        return found.document

    def _use(self, row: _Row, left_s: float) -> Json:
        self.ids.append(row.id)
        self.left_s = min(self.left_s, left_s)
        return orjson.loads(row.body)

    def keep(self) -> None:
        """Keep what was read, now that the whole of it proved good."""
        if not self.fresh:
            return
        now = datetime.now(UTC)
        with inside(DEFAULT), transaction.atomic(), connection.cursor() as cursor:
            for url, found in self.fresh.items():
                body = orjson.dumps(found.document).decode()
                if "\\u0000" in body or "\x00" in url:
                    raise LdContextNotAvailable(f"the @context {url[:200]!r} contains the character NUL")
                cursor.execute(
                    "INSERT INTO context_jsonld (id, kind, url, body, created_at, expires_at, last_usage) "
                    "VALUES (%s, 'Cached', %s, %s, %s, %s, %s) ON CONFLICT (url) WHERE kind = 'Cached' "
                    "DO UPDATE SET body = EXCLUDED.body, created_at = EXCLUDED.created_at, "
                    "expires_at = EXCLUDED.expires_at RETURNING id, (xmax <> 0)",
                    [
                        f"urn:ngsi-ld:Context:{uuid.uuid4()}",
                        url,
                        body,
                        now,
                        now + timedelta(seconds=found.kept_s),
                        now,
                    ],
                )
                local_id, was_there = cursor.fetchone()
                self.ids.append(local_id)
                if was_there:
                    _stamp(cursor)
            _drop_least_used(cursor, "Cached")
