"""One request to the NGSI-LD interface and its answer: who asks, in which tenant, in whose words, in which form.

References
----------
ETSI GS CIM 009 v1.8.1, 6.3 (common behaviours of the HTTP binding); RFC 8288 (Link), RFC 9110 (content negotiation).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from amb247.context.documents.projection import parse_projection
from amb247.context.documents.represent import Form
from amb247.context.documents.text import read_json
from amb247.context.documents.versions import NEWEST, Version, preferred_version, version_text
from amb247.context.domain import contexts, tenants
from amb247.context.domain.validate import MAX_ID, URI
from amb247.context.domain.writing import Writing
from amb247.context.jsonld.context import CORE, Context
from amb247.context.ngsi_errors import (
    BadRequestData,
    InvalidRequest,
    LengthRequired,
    NonexistentTenant,
    NotAcceptable,
    TooManyResults,
    UnsupportedMediaType,
)
from amb247.context.querying.query import TypeExpr
from amb247.context.querying.syntax import parse_types
from amb247.context.rest.access import Access, require

Json = Any
Result = TypeVar("Result")

JSON = "application/json"
LD = "application/ld+json"
GEO = "application/geo+json"
MERGE = "application/merge-patch+json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
CONTEXT_REL = "http://www.w3.org/ns/json-ld#context"
DEFAULT_LIMIT = 20
MAX_LIMIT = 1_000
MAX_OFFSET = 1_000_000
BASE = "/ngsi-ld/v1"
LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[A-Za-z*]+\s*=\s*(?:"[^"]*"|[^\s;,"]+))*)')
PREFERRED_BODY = re.compile(r'(?:^|[,;\s])body\s*=\s*"?(json|ld\+json)"?\s*(?:$|[,;])', re.IGNORECASE)
REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)
FORMATS = {
    "normalized": "normalized",
    "concise": "concise",
    "simplified": "simplified",
    "keyValues": "simplified",
}
FLAGS = frozenset({"local", "sysAttrs", "count"})  # of every operation
OPTIONS = frozenset(
    {
        *FORMATS,
        "sysAttrs",
        "count",
        "noOverwrite",
        "update",
        "replace",
        "temporalValues",
        "aggregatedValues",
        "append",
    }
)


@dataclass(slots=True)
class Exchange:
    """What a handler works with. Made by `open_exchange`."""

    request: Request
    access: Access
    tenant: str
    parameters: Mapping[str, str]
    options: frozenset[str]
    accept: str
    context: Context = CORE
    body: Json = None
    creates: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    conforms_to: Version = NEWEST  # what the answer's body is amended to

    # --- what was asked ---------------------------------------------------------------------------------------------

    def text(self, name: str) -> str | None:
        """A query parameter, None when absent or empty."""
        return self.parameters.get(name) or None

    def texts(self, name: str) -> tuple[str, ...]:
        """A comma-separated query parameter."""
        given = self.parameters.get(name, "")
        return tuple(part.strip() for part in given.split(",") if part.strip())

    def flag(self, name: str, *, default: bool = False) -> bool:
        given = self.parameters.get(name)
        if given is None:
            return default
        if given not in {"true", "false"}:
            raise BadRequestData(f"{name}: send true or false, not {given[:40]!r}.")
        return given == "true"

    def number(self, name: str, default: int, *, lowest: int, highest: int) -> int:
        given = self.parameters.get(name)
        if given is None:
            return default
        if not re.fullmatch(r"-?\d{1,12}", given) or not lowest <= int(given) <= highest:
            raise BadRequestData(
                f"{name}: send a whole number from {lowest} to {highest}, not {given[:40]!r}."
            )
        return int(given)

    def uri(self, name: str) -> str:
        """A part of the path that must be a URI."""
        return checked_uri(name, self.request.path_params[name])

    def names(self, parameter: str) -> tuple[str, ...]:
        """A comma-separated list of attribute names, as internal names."""
        return tuple(self.context.expand(name) for name in self.texts(parameter))

    def datasets(self) -> tuple[str, ...]:
        """The parameter `datasetId` of a read: URIs, or `@none` for the default instance (4.5.5)."""
        return tuple(
            one if one == "@none" else checked_uri("datasetId", one) for one in self.texts("datasetId")
        )

    def page(self) -> tuple[int, int, bool]:
        """limit, offset and whether the total is wanted (6.3.10, 6.3.13).

        Raises
        ------
        BadRequestData
            limit=0 without count=true, or a number out of range.
        """
        given = self.parameters.get("limit", "")
        if re.fullmatch(r"\d{1,12}", given) and int(given) > MAX_LIMIT:
            raise TooManyResults(f"limit: ask for at most {MAX_LIMIT:,} at once; the next pages are linked.")
        limit = self.number("limit", DEFAULT_LIMIT, lowest=0, highest=MAX_LIMIT)
        offset = self.number("offset", 0, lowest=0, highest=MAX_OFFSET)
        wants_count = self.flag("count") or "count" in self.options
        if limit == 0 and not wants_count:
            raise BadRequestData("limit: 0 is only for counting; add count=true.")
        return limit, offset, wants_count

    def types(self) -> TypeExpr | None:
        """The parameter `type` of an operation on one entity (4.17): another type's entity is not the one that is meant."""
        given = self.text("type")
        return parse_types(given, self.context) if given else None

    def form(self) -> Form:
        """How entities are to be shown (6.3.7, 6.3.11, 6.3.15)."""
        kind = "normalized"
        for name in ("concise", "simplified", "keyValues"):
            if name in self.options:
                kind = FORMATS[name]
        asked = self.text("format")
        if asked is not None and asked not in {"temporalValues", "aggregatedValues"}:
            if asked not in FORMATS:
                raise BadRequestData(f"format: use normalized, concise or simplified, not {asked[:40]!r}.")
            kind = FORMATS[asked]
        if self.text("geometryProperty") and self.accept != GEO:
            raise BadRequestData(f"geometryProperty: is for Accept: {GEO}; leave it out (5.7.1.4).")
        pick, omit, attrs = self.text("pick"), self.text("omit"), self.text("attrs")
        return Form(
            kind=kind,  # type: ignore[arg-type]
            geojson=self.accept == GEO,
            geometry_property=self.context.expand(self.text("geometryProperty") or "location"),
            sys_attrs="sysAttrs" in self.options or self.flag("sysAttrs"),
            lang=self.text("lang"),
            attrs=self.names("attrs") if attrs else None,
            pick=parse_projection(pick, self.context, parameter="pick") if pick else None,
            omit=parse_projection(omit, self.context, parameter="omit") if omit else None,
            dataset_ids=self.datasets() or None,
        )

    # --- the database -----------------------------------------------------------------------------------------------

    async def read(self, work: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """`work` on a reading thread, inside the tenant."""
        result: Result = await self.request.app.state.readers.run(self.tenant, work, *args, **kwargs)
        return result

    async def write(self, ids: Sequence[str], work: Callable[[Writing], Result]) -> Result:
        """`work` with the locked state of these entities, in a durable transaction; what it returned.

        Only an operation that creates makes a tenant that is not there yet (5.5.10).

        Raises
        ------
        NonexistentTenant
        """
        if (
            not self.creates
            and not tenants.is_known(self.tenant)
            and not await self.request.app.state.readers.run("", tenants.exists, self.tenant)
        ):
            raise NonexistentTenant(
                f"There is no tenant {self.tenant!r}; it comes to be with the first thing created in it."
            )
        result: Result = await self.request.app.state.committers.run(
            self.tenant, ids, work, source=self.access.name
        )
        return result

    # --- the answer -------------------------------------------------------------------------------------------------

    def answer(
        self, document: Json = None, status: int = 200, *, headers: Mapping[str, str] | None = None
    ) -> Response:
        """A JSON document in the accepted type with its @context; without a document an empty answer."""
        out = {**self.headers, **(headers or {})}
        if self.tenant:
            out["NGSILD-Tenant"] = self.tenant
        if document is None:
            return Response(status_code=status, headers=out)
        applied = []
        body = self._preferred_body() if self.accept == GEO else None
        if body is not None:
            applied.append(f"body={body}")
        if self.preferred_version() is not None:
            applied.append(f"ngsi-ld={version_text(self.conforms_to)}")
        if applied:
            out["Preference-Applied"] = ", ".join(applied)
        if self.accept == LD or (self.accept == GEO and body != "json"):
            document = self._with_context(document)
        else:
            out["Link"] = _joined(out.get("Link"), link_header(self.context))
        return Response(orjson.dumps(document), status, out, media_type=self.accept)

    def _preferred_body(self) -> str | None:
        """What `Prefer: body=...` asks for: `json` without, `ld+json` with @context (6.3.6); None when it says nothing."""
        found = PREFERRED_BODY.search(self.request.headers.get("prefer", ""))
        return found[1].lower() if found else None

    def preferred_version(self) -> Version | None:
        """The version of the standard that `Prefer: ngsi-ld=...` asks for (6.3.6), as far as we speak it."""
        return preferred_version(self.request.headers.get("prefer", ""))

    def plain(self, document: Json, status: int = 200) -> Response:
        """A document without any @context: results of batches, lists of contexts."""
        out = dict(self.headers)
        if self.tenant:
            out["NGSILD-Tenant"] = self.tenant
        return Response(orjson.dumps(document), status, out, media_type=JSON)

    def table(self, content: bytes, media_type: str, status: int = 200) -> Response:
        """Rows instead of a document."""
        out = dict(self.headers)
        if self.tenant:
            out["NGSILD-Tenant"] = self.tenant
        return Response(content, status, out, media_type=media_type)

    def _with_context(self, document: Json) -> Json:
        context = self.context.as_jsonld()
        if isinstance(document, list):
            return [{**one, "@context": context} if isinstance(one, dict) else one for one in document]
        return {**document, "@context": context}

    def page_headers(self, found: int, limit: int, offset: int, total: int | None, *, has_more: bool) -> None:
        """Links to the neighbouring pages, and the total when it was asked for (6.3.10, 6.3.13)."""
        if total is not None:
            self.headers["NGSILD-Results-Count"] = str(total)
        links = []
        if limit and offset:
            links.append(self._page_link("prev", limit, max(offset - limit, 0)))
        if limit and has_more:
            links.append(self._page_link("next", limit, offset + found))
        if links:
            self.headers["Link"] = _joined(self.headers.get("Link"), *links)

    def _page_link(self, rel: str, limit: int, offset: int) -> str:
        query = {k: v for k, v in self.parameters.items() if k not in {"limit", "offset"}}
        address = f"{self.request.url.path}?{urlencode({**query, 'limit': limit, 'offset': offset})}"
        return f'<{address}>;rel="{rel}";type="{self.accept}"'


def link_header(context: Context) -> str:
    """The Link header that names a context (6.3.5)."""
    return f'<{context.link}>; rel="{CONTEXT_REL}"; type="{LD}"'


def _joined(*links: str | None) -> str:
    return ", ".join(link for link in links if link)


def checked_uri(name: str, given: Any) -> str:
    """A URI, or BadRequestData that names the field."""
    if not isinstance(given, str) or len(given) > MAX_ID or not URI.match(given):
        raise BadRequestData(
            f"{name}: {str(given)[:60]!r} is no URI of at most {MAX_ID} characters; "
            "send one such as urn:ngsi-ld:Vehicle:amb:0417."
        )
    return given


async def open_exchange(
    request: Request,
    *,
    write: bool = False,
    creates: bool = False,
    history: bool = False,
    body: bool | None = None,
    accepts: Sequence[str] = (JSON, LD),
    needs_context_in_body: bool = True,
) -> Exchange:
    """Check all that is common to the operations, before anything is done.

    Parameters
    ----------
    write, history : bool
        What the caller's access must allow.
    creates : bool
        Whether the operation makes the tenant where it is not there yet.
    body : bool, optional
        Whether a JSON body is expected; by default for POST, PUT and PATCH.
    accepts : sequence of str
        Media types that the operation can answer with, the preferred one first.
    needs_context_in_body : bool
        False where the body of `application/ld+json` may be without @context.

    Raises
    ------
    NgsiError
    """
    state = request.app.state
    access = state.gate.quick(request) or await state.readers.run("", state.gate.look, request)
    tenant = request.headers.get("ngsild-tenant", "")
    if tenant and not tenants.NAME.match(tenant):
        raise BadRequestData("NGSILD-Tenant: use up to 100 letters, digits, '_', '-' and '.'.")
    require(access, tenant=tenant, write=write, history=history)
    parameters = _parameters(request)
    options = frozenset(part.strip() for part in parameters.get("options", "").split(",") if part.strip())
    unknown = options - OPTIONS
    if unknown:
        raise BadRequestData(f"options: {min(unknown)[:40]!r} is unknown; use {', '.join(sorted(OPTIONS))}.")
    exchange = Exchange(
        request, access, tenant, parameters, options, _accepted(request.headers.get("accept"), accepts)
    )
    exchange.creates = creates
    for name in FLAGS & parameters.keys():
        exchange.flag(name)  # refused where it is neither, also by operations to which it says nothing
    link = _context_link(request.headers.get("link"))
    expects_body = request.method in {"POST", "PUT", "PATCH"} if body is None else body
    if expects_body:
        await _read_body(exchange, link, needs_context=needs_context_in_body)
    elif link is not None:
        exchange.context = await resolve(exchange, link)
    return exchange


async def resolve(exchange: Exchange, value: Json) -> Context:
    """The context that a link or a body names; known ones without leaving the event loop."""
    if value is None:
        return CORE
    known: Context | None = contexts.known(value)
    if known is None:
        # On threads of its own: a remote context may take seconds, and reads must not wait behind it.
        known = await exchange.request.app.state.fetchers.run("", contexts.context_of, value)
    return known


def _parameters(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if "\x00" in value or "\x00" in name:
            raise BadRequestData(f"{name[:40]!r}: contains the character NUL.")
        # Generated clients repeat a list's parameter instead of joining it by commas.
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _accepted(header: str | None, offered: Sequence[str]) -> str:
    """The best of the offered types (RFC 9110, 12.5.1).

    Raises
    ------
    NotAcceptable
    """
    if not header or header == offered[0]:
        return offered[0]
    ranges = []
    for part in header.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        ranges.append((kind, _weight(parameters)))
    named = dict(ranges)
    best, best_weight = None, 0.0
    for offer in offered:
        group = offer.partition("/")[0] + "/*"
        # The most specific range decides; of offers that are equally welcome the first is taken (6.3.4).
        weight = next((named[kind] for kind in (offer, group, "*/*") if kind in named), 0.0)
        if weight > best_weight:
            best, best_weight = offer, weight
    if best is None:
        raise NotAcceptable(
            f"Accept: this answers with {', '.join(offered)}.", availableRepresentations=list(offered)
        )
    return best


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                weight = float(parameter[2:])
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0


def _context_link(header: str | None) -> str | None:
    """The target of the Link header's JSON-LD context, None when there is none.

    Raises
    ------
    BadRequestData
    """
    if not header:
        return None
    found = []
    for target, parameters in LINK.findall(header):
        rel = REL.search(parameters)
        if rel is not None and CONTEXT_REL in (rel.group(1) or rel.group(2) or "").split():
            found.append(target)
    if len(found) > 1:
        raise BadRequestData("Link: names more than one JSON-LD context; join them in one hosted context.")
    if not found:
        return None
    link: str = found[0]
    return link


async def _read_body(exchange: Exchange, link: str | None, *, needs_context: bool) -> None:
    request = exchange.request
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
        raise LengthRequired("Content-Length: is missing.")
    known = {JSON, LD} if request.method != "PATCH" else {JSON, LD, MERGE}
    if media not in known:
        raise UnsupportedMediaType(f"Content-Type: send {', '.join(sorted(known))}, not {media[:60]!r}.")
    try:
        raw = await request.body()
    except (ClientDisconnect, OSError) as problem:  # gone, too slow, or larger than the site allows
        raise InvalidRequest("The body did not arrive.") from problem
    if not raw.strip():
        raise InvalidRequest("The body is empty; send JSON.")
    if len(raw) > 200_000:  # a large one would hold up everybody else on the event loop
        exchange.body = await request.app.state.readers.run("", read_json, raw)
    else:
        exchange.body = read_json(raw)
    if media == LD and link is not None:
        raise BadRequestData("Link: with application/ld+json the @context belongs into the body alone.")
    if isinstance(exchange.body, dict):
        inline = exchange.body.pop("@context", None)
        check_context(media, inline, needs_context=needs_context)
        exchange.context = await resolve(exchange, inline if inline is not None else link)
    elif link is not None:
        exchange.context = await resolve(exchange, link)


def check_context(media: str, inline: Json, *, needs_context: bool) -> None:
    """Whether @context stands where the media type wants it (6.3.5).

    Raises
    ------
    BadRequestData
    """
    if media == LD and inline is None and needs_context:
        raise BadRequestData("@context: is missing, and application/ld+json needs one in the body.")
    if media != LD and inline is not None:
        raise BadRequestData(
            "@context: does not belong into a body of application/json; send a Link header, or application/ld+json."
        )
