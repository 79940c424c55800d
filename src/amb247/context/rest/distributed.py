"""Operations that concern other context sources too: which ones, how they are asked, and what they say together.

Where nothing is registered in a tenant, the question costs a look into a dictionary. Otherwise the sources are asked
at once and together with the own store; one that fails takes nothing from the answer but its part, and is named in
`NGSILD-Warning`.

A query over several sources asks each for as many entities as the page lies deep, puts what came together by id, and cuts the
page out of that: exact as long as the sources order by id too, or have no more than `AT_LEAST` entities that fit. The
total (`count`) is exact under the same condition; else it is the sum of what each source says, less the doubles seen.

References
----------
ETSI GS CIM 009 v1.8.1, 4.3.6, 5.7.1, 5.7.2, 5.12, 6.3.17 (partial results), 6.3.18 (loops, local).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import orjson

from amb247.context.documents.registration import PASSED_ON
from amb247.context.documents.represent import Form
from amb247.context.domain.merging import AUXILIARY, EQUAL, PROXIED, Part, entity_of, merged, sort_key
from amb247.context.domain.queries.find import count, find, get_many
from amb247.context.domain.registered import Attributes, Match, Registered, Wanted, selectors_of
from amb247.context.jsonld.context import CORE, Context
from amb247.context.ngsi_errors import NgsiError, TooManyResults
from amb247.context.querying.matching import allows, matcher, member_matcher
from amb247.context.querying.query import (
    ENTITY_MEMBERS,
    Order,
    Query,
    Selector,
    TypeExpr,
    attributes_of,
    link_depth,
)
from amb247.context.querying.syntax import parse_csf
from amb247.context.rest.exchange import JSON, LD, Exchange, link_header, resolve
from amb247.context.rest.sources import Reply, SourceProblem, Sources, alias_of
from amb247.context.stored import Stored

Json = Any

MOST: Final = 10_000  # entities of one source for one query
AT_A_TIME: Final = 1_000
AT_LEAST: Final = 100  # entities that a source is asked for, so that small ones are known whole
MOST_SELECTORS: Final = 20
MOST_WARNINGS: Final = 20
# What a source answers that means the same to our client; all else is a source that failed.
SAYS_THE_SAME: Final = frozenset({400, 404, 409, 422, 504, 508})
RANKS: Final = {"exclusive": PROXIED, "redirect": PROXIED, "auxiliary": AUXILIARY}


def sources_of(exchange: Exchange) -> Sources:
    sources: Sources = exchange.request.app.state.sources
    return sources


# --- who is concerned ----------------------------------------------------------------------------------------------


def via_of(exchange: Exchange) -> frozenset[str]:
    """Whom the request came through.

    Raises
    ------
    SourceProblem
        Through ourselves already: 508.
    """
    header = exchange.request.headers.get("via")
    if header is None:
        return frozenset()
    found = frozenset(words[1] for part in header.split(",") if len(words := part.split()) > 1)
    if alias_of(exchange.tenant) in found:
        raise SourceProblem(
            "This request came through here already (Via).",
            status=508,
            title="Loop detected",
            kind="LoopDetected",
        )
    return found


async def concerned(
    exchange: Exchange, entity_id: str, types: Collection[str] | None = None, *, write: bool = False
) -> Sequence[Match]:
    """Registrations that may have something of an entity; none with `local=true`."""
    if exchange.flag("local"):
        return ()
    via = via_of(exchange)
    index = await sources_of(exchange).index(exchange.tenant, write=write)
    if not index:
        return ()
    asked = exchange.types()
    if types is None and asked is not None and () not in asked.alternatives:
        types = asked.names()
    matches = index.for_entity(entity_id, types, via=via)
    if types is None and any(not one.registered.names(entity_id) for one in matches):
        # A registration of all entities of a type says nothing of an entity that is known here to be another type's.
        own = await exchange.request.app.state.lookups.get(exchange.tenant, entity_id, None)
        if own is not None:
            matches = index.for_entity(entity_id, own.types, via=via)
    return matches


# --- in whose words ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Speech:
    """The @context in which a source is asked, and the headers that go with it."""

    context: Context
    headers: Mapping[str, str]
    is_clients: bool  # the client's own words can be passed on as they are


async def speech_of(exchange: Exchange, one: Registered) -> Speech:
    """The client's @context, or the one that the registration says (5.2.9, jsonldContext).

    Raises
    ------
    LdContextNotAvailable
    """
    context = exchange.context
    is_clients = True
    if one.jsonld_context is not None:
        context = await resolve(exchange, one.jsonld_context)
        is_clients = context is exchange.context
    headers = {"Accept": JSON}
    headers |= {key: text for key, text in one.headers if key.lower() != "accept" or text in {JSON, LD}}
    for key in one.passed_on:
        given = exchange.request.headers.get(key)
        if given is not None and given != PASSED_ON:
            headers[key] = given
    if context is not CORE:
        headers["Link"] = link_header(context)
    if one.tenant:
        headers["NGSILD-Tenant"] = one.tenant
    before = exchange.request.headers.get("via")
    own = f"1.1 {alias_of(exchange.tenant)}"
    headers["Via"] = f"{before}, {own}" if before else own
    return Speech(context, headers, is_clients)


def problem_of(one: Registered, reply: Reply) -> SourceProblem:
    """What a source's refusal means to our client."""
    document = reply.body if isinstance(reply.body, dict) else {}
    said = str(document.get("detail") or document.get("title") or "")[:500]
    if reply.status not in SAYS_THE_SAME:
        return SourceProblem(
            f"{one.endpoint} answered {reply.status}. {said}".rstrip(),
            status=502,
            title="Source failed",
            registration=one.id,
        )
    kind = str(document.get("type") or "").rpartition("/")[2]
    return SourceProblem(
        said or f"{one.endpoint} answered {reply.status}.",
        status=reply.status,
        title=str(document.get("title") or f"Source answered {reply.status}")[:200],
        kind=kind if kind.isalpha() and kind.isascii() and len(kind) < 40 else "InternalError",
        registration=one.id,
    )


def warn(exchange: Exchange, problems: Iterable[NgsiError], *, code: int = 199) -> None:
    """Name in `NGSILD-Warning` what is missing from the answer (6.3.17)."""
    agent = alias_of(exchange.tenant)
    texts = [exchange.headers["NGSILD-Warning"]] if "NGSILD-Warning" in exchange.headers else []
    for one in problems:
        if one.status == 508:  # it asks us: whatever it has from us is here
            continue
        said = f"{getattr(one, 'registration', '')}: {one.title}: {one.detail}"
        plain = "".join(
            char if char.isascii() and char.isprintable() and char not in '"\\' else " " for char in said
        )
        texts.append(f'{code} {agent} "{plain[:300]}"')
    if texts:
        del texts[MOST_WARNINGS:]
        exchange.headers["NGSILD-Warning"] = ", ".join(texts)


# --- one entity ----------------------------------------------------------------------------------------------------


async def get_everywhere(exchange: Exchange, entity_id: str, form: Form) -> Stored | None:
    """One entity as all sources together know it, within the caller's reach.

    Raises
    ------
    SourceProblem
        There is none, but a source that alone may have it did not answer.
    """
    restriction = exchange.access.restriction
    lookups = exchange.request.app.state.lookups
    matches = await concerned(exchange, entity_id)
    matches = [one for one in matches if one.registered.supports("retrieveEntity")]
    wanted = None if form.attrs is None else frozenset(form.attrs)
    if wanted is not None:
        matches = [one for one in matches if one.attributes.meets(wanted)]
    if not matches:
        own: Stored | None = await lookups.get(exchange.tenant, entity_id, restriction)
        return own
    if restriction is not None and wanted is not None:
        wanted |= {"location"}
    own, *replies = await asyncio.gather(
        lookups.get(exchange.tenant, entity_id, None),
        *(_retrieve(exchange, one, entity_id, wanted) for one in matches),
    )
    problems = [one for one in replies if isinstance(one, NgsiError)]
    warn(exchange, problems)
    parts = [] if own is None else [Part(own, is_local=True)]
    parts += [
        Part(one, RANKS.get(match.registered.mode, EQUAL))
        for match, one in zip(matches, replies, strict=True)
        if isinstance(one, Stored)
    ]
    origins: list[Registered | None] = [] if own is None else [None]
    origins += [
        match.registered for match, one in zip(matches, replies, strict=True) if isinstance(one, Stored)
    ]
    parts = _undoubled(list(zip(origins, parts, strict=True)), [one.registered for one in matches])
    if parts:
        found = merged(parts)
        return found if restriction is None or allows(restriction)(found) else None
    for match, one in zip(matches, replies, strict=True):
        if isinstance(one, SourceProblem) and match.registered.is_proxy and one.status != 508:
            raise one
    return None


async def _retrieve(
    exchange: Exchange, match: Match, entity_id: str, wanted: Collection[str] | None
) -> Stored | NgsiError | None:
    """What one source says of an entity: None when it has none, the problem when it cannot say."""
    one = match.registered
    try:
        speech = await speech_of(exchange, one)
        parameters = {"options": "sysAttrs"}
        names = _narrowed(match.attributes, wanted)
        if names is not None:
            parameters["attrs"] = ",".join(sorted(map(speech.context.compact, names)))
        if one.local_only:
            parameters["local"] = "true"
        reply = await sources_of(exchange).ask(
            exchange.tenant,
            one,
            "GET",
            f"/entities/{quote(entity_id, safe=':')}",
            parameters=parameters,
            headers=speech.headers,
        )
        if reply.status == 404:
            return None
        if reply.status != 200:
            return problem_of(one, reply)
        note_age(exchange, one, reply)
        found = (await _entities(exchange, one, speech, [reply.body]))[0]
        return _registered_part(one, found) if found.id == entity_id else None
    except NgsiError as problem:
        return _named(problem, one)


def note_age(exchange: Exchange, one: Registered, reply: Reply) -> None:
    if reply.age_s:
        agent = alias_of(exchange.tenant)
        text = f'110 {agent} "{one.id} kept for {reply.age_s:.0f} s"'
        before = exchange.headers.get("NGSILD-Warning")
        exchange.headers["NGSILD-Warning"] = f"{before}, {text}" if before else text


def _named(problem: NgsiError, one: Registered) -> NgsiError:
    if isinstance(problem, SourceProblem):
        return problem
    return SourceProblem(
        problem.detail, status=502, title=problem.title, kind=problem.kind, registration=one.id
    )


def _narrowed(attributes: Attributes, wanted: Collection[str] | None) -> frozenset[str] | None:
    """Which attributes to ask for; None for all."""
    if attributes.names is None:
        return None if wanted is None else frozenset(wanted)
    return attributes.names if wanted is None else attributes.names.intersection(wanted) or attributes.names


async def _entities(
    exchange: Exchange, one: Registered, speech: Speech, raws: Sequence[Json]
) -> list[Stored]:
    """The entities that a source sent.

    Raises
    ------
    SourceProblem
        It sent something else.
    """
    context = speech.context
    now = datetime.now(UTC)
    try:
        given = raws[0].get("@context") if raws and isinstance(raws[0], dict) else None
        if given is not None:
            context = await resolve(exchange, given)
        if len(raws) > 50:
            return await asyncio.to_thread(_read_entities, raws, context, now)
        return _read_entities(raws, context, now)
    except NgsiError as problem:
        raise SourceProblem(
            f"{one.endpoint} sent what is no entity: {problem.detail}"[:500],
            status=502,
            title="Source failed",
            registration=one.id,
        ) from None


def _read_entities(raws: Sequence[Json], context: Context, now: datetime) -> list[Stored]:
    return [entity_of(raw, context, now=now) for raw in raws]


def _registered_part(one: Registered, found: Stored) -> Stored | None:
    """What of an entity the source is registered for: what else it has is none of our business."""
    attributes = one.attributes_of(found.id, found.types)
    if attributes is None:
        return None
    if attributes.names is None:
        return found
    kept = {name: value for name, value in found.attributes.items() if name in attributes}
    return dataclasses.replace(found, attributes=kept)


def _undoubled(parts: Sequence[tuple[Registered | None, Part]], asked: Iterable[Registered]) -> list[Part]:
    """Without what exclusive and redirect registrations say is held by their sources and nowhere else."""
    proxies = [one for one in asked if one.is_proxy]
    kept = []
    for origin, part in parts:
        entity = part.entity
        for proxy in proxies:
            if proxy is origin or (origin is not None and origin.is_proxy):
                continue
            held = proxy.attributes_of(entity.id, entity.types)
            if held is None:
                continue
            if held.names is None:
                break
            entity = dataclasses.replace(
                entity, attributes={n: v for n, v in entity.attributes.items() if n not in held}
            )
        else:
            kept.append(part if entity is part.entity else dataclasses.replace(part, entity=entity))
    return kept


# --- queries -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Found:
    """What one source has for a query. `total` is what it says to have in all."""

    match: Match
    entities: dict[str, Stored] = field(default_factory=dict)
    is_whole: bool = True  # it has no more
    is_filtered: bool = True  # by all of the query
    total: int | None = None
    problem: NgsiError | None = None


def _find_and_count(query: Query, limit: int, wants_count: bool) -> tuple[list[Stored], int | None]:
    """Both in one read: they share its time."""
    found = find(dataclasses.replace(query, limit=limit)) if limit else []
    return found, count(query) if wants_count else None


async def find_everywhere(
    exchange: Exchange, query: Query, *, limit: int, wants_count: bool
) -> tuple[list[Stored], int | None]:
    """Up to `limit` entities from `query.offset` on, and how many there are when that is wanted."""
    matches = await _concerned_by(exchange, query)
    if not matches:
        return await exchange.read(_find_and_count, query, limit, wants_count)
    need = query.offset + limit
    if need > MOST:
        raise TooManyResults(
            f"offset: over several sources at most {MOST:,} entities can be looked through; narrow the query, "
            "or add local=true."
        )
    local = dataclasses.replace(query, limit=max(need, AT_LEAST if wants_count else 1), offset=0)
    is_reach_limited = query.restriction is not None
    at_source = MOST if is_reach_limited else max(need, AT_LEAST)
    now_asked = [one for one in matches if _can_judge(one.attributes, query)]
    own, answers = await asyncio.gather(
        exchange.read(find, local),
        _answers(exchange, now_asked, query, at_source, wants_count=wants_count),
    )
    found_by = [one for one in answers if one.problem is None]
    warn(exchange, [one.problem for one in answers if one.problem is not None])
    others = sorted({one for answer in found_by for one in answer.entities} - {one.id for one in own})
    known = await exchange.read(get_many, others)
    fitting, doubles = _together(
        query, [*own, *known.values()], found_by, [one.registered for one in matches]
    )
    fitting = _in_order(fitting, query.order_by)
    page = fitting[query.offset : need]
    later = [one for one in matches if one not in now_asked]
    if later and page:
        page = await _completed(exchange, page, later)
    if query.restriction is not None:
        page = [one for one in page if allows(query.restriction)(one)]
    if not wants_count:
        return page, None
    if len(own) < local.limit and all(one.is_whole for one in found_by):
        return page, len(fitting)
    total = await exchange.read(count, query)
    if is_reach_limited:  # what lies out of reach is not even counted
        here = {one.id for one in own} | set(known)
        return page, total + sum(one.id not in here for one in fitting)
    total += sum(max(len(one.entities), one.total or 0) for one in found_by) - doubles
    return page, total


async def _concerned_by(exchange: Exchange, query: Query) -> list[Match]:
    """Registrations whose sources may have entities that fit."""
    if exchange.flag("local"):
        return []
    via = via_of(exchange)
    index = await sources_of(exchange).index(exchange.tenant)
    if not index:
        return []
    if query.types is not None and () in query.types.alternatives:
        return []  # type=* asks for what is here (4.17)
    csf = exchange.text("csf")
    wanted = Wanted(
        selectors=selectors_of(query.ids, query.id_pattern, query.types, query.selectors),
        attributes=frozenset(query.attrs),
        geo=query.geo,
        scope=query.scope,
        datasets=frozenset(query.dataset_ids),
        csf=None if csf is None else member_matcher(parse_csf(csf, exchange.context)),
    )
    matches = index.for_query(wanted, via=via)
    return [one for one in matches if _reads(one.registered)]


def _reads(one: Registered) -> bool:
    return one.supports("queryEntity") or one.supports("queryBatch")


def _needed(query: Query) -> frozenset[str]:
    """Attributes by which it is decided whether an entity fits."""
    names = set() if query.q is None else set(attributes_of(query.q))
    if query.geo is not None:
        names.add(query.geo.geoproperty)
    return frozenset(names - ENTITY_MEMBERS)


def _can_judge(attributes: Attributes, query: Query) -> bool:
    """Whether a source that has these attributes can say whether an entity fits."""
    return attributes.holds(_needed(query))


async def _answers(
    exchange: Exchange, matches: Sequence[Match], query: Query, need: int, *, wants_count: bool
) -> list[Found]:
    return await asyncio.gather(
        *(_query(exchange, one, query, need, wants_count=wants_count) for one in matches)
    )


async def _query(exchange: Exchange, match: Match, query: Query, need: int, *, wants_count: bool) -> Found:
    """Page by page until there is enough."""
    one = match.registered
    found = Found(match)
    try:
        speech = await speech_of(exchange, one)
        requests, found.is_filtered = _requests(exchange, match, query, speech)
        fits = None if found.is_filtered or link_depth(query.q) else matcher(_without_reach(query))
        for selector, document in requests:
            await _pages(
                exchange, found, speech, selector, document, min(need, MOST), fits, wants_count=wants_count
            )
    except NgsiError as problem:
        found.problem = _named(problem, one)
    return found


async def _pages(
    exchange: Exchange,
    found: Found,
    speech: Speech,
    parameters: Mapping[str, str],
    document: Json,
    need: int,
    fits: Callable[[Stored], bool] | None,
    *,
    wants_count: bool,
) -> None:
    """Until there are `need` entities that fit (where the source was not told the whole query, we test them)."""
    one = found.match.registered
    offset = fitting = 0
    while True:
        limit = min(max(need - fitting, 1 if fits is None else AT_LEAST), AT_A_TIME, MOST - offset)
        asked = {**parameters, "options": "sysAttrs", "limit": str(limit)}
        if offset:
            asked["offset"] = str(offset)
        if wants_count:
            asked["count"] = "true"
        reply = await sources_of(exchange).ask(
            exchange.tenant,
            one,
            "GET" if document is None else "POST",
            "/entities" if document is None else "/entityOperations/query",
            parameters=asked,
            headers=speech.headers if document is None else {**speech.headers, "Content-Type": JSON},
            body=document,
        )
        if reply.status == 404:
            return
        if reply.status != 200 or not isinstance(reply.body, list):
            raise problem_of(one, reply)
        if not offset:
            note_age(exchange, one, reply)
            said = reply.headers.get("ngsild-results-count", "")
            found.total = (found.total or 0) + (int(said) if said.isdigit() else len(reply.body))
        for entity in await _entities(exchange, one, speech, reply.body):
            part = _registered_part(one, entity)
            if part is not None:
                found.entities[part.id] = part
            fitting += fits is None or fits(entity)
        if len(reply.body) < limit:
            return
        offset += limit
        if fitting >= need or offset >= MOST:
            found.is_whole = False
            return


def _requests(
    exchange: Exchange, match: Match, query: Query, speech: Speech
) -> tuple[list[tuple[dict[str, str], Json]], bool]:
    """Parameters and document of each request that asks a source, and whether they say all of the query."""
    one = match.registered
    common, is_whole = _common(exchange, match, query, speech)
    if one.local_only:
        common["local"] = "true"
    selectors = selectors_of(query.ids, query.id_pattern, query.types, query.selectors) or (Selector(),)
    selectors = tuple(_selected(one, selector) for selector in selectors if _has(one, selector))
    if not one.supports("queryEntity") or len(selectors) > MOST_SELECTORS:
        # 5.7.2.4: what only takes posted queries, or would have to be asked one by one.
        document: dict[str, Json] = {
            "type": "Query",
            "entities": [_document(one, speech.context) for one in selectors],
        }
        names = {"attrs": "attrs", "q": "q", "scopeQ": "scopeQ", "expandValues": "expandValues"}
        for parameter, member in names.items():
            if parameter in common:
                text = common.pop(parameter)
                document[member] = text.split(",") if member in {"attrs", "expandValues"} else text
        if query.geo is not None and "georel" in common:
            document["geoQ"] = {
                name: common.pop(name)
                for name in ("georel", "geometry", "coordinates", "geoproperty")
                if name in common
            }
            document["geoQ"]["coordinates"] = orjson.loads(document["geoQ"]["coordinates"])
        return [(common, document)], is_whole
    return [({**common, **_parameters(one, speech.context)}, None) for one in selectors], is_whole


def _common(exchange: Exchange, match: Match, query: Query, speech: Speech) -> tuple[dict[str, str], bool]:
    """Parameters of a query besides ids and types, in the words of the source."""
    compact = speech.context.compact
    common: dict[str, str] = {}
    is_whole = True
    needed = _needed(query)
    if query.q is not None:
        if speech.is_clients or all(exchange.context.compact(name) == compact(name) for name in needed):
            common["q"] = exchange.parameters["q"]
            if exchange.text("expandValues"):
                common["expandValues"] = exchange.parameters["expandValues"]
        else:
            is_whole = False
    if query.geo is not None:
        for name in ("georel", "geometry", "coordinates"):
            common[name] = exchange.parameters[name]
        if query.geo.geoproperty != "location":
            common["geoproperty"] = compact(query.geo.geoproperty)
    if query.order_by and speech.is_clients:
        for name in ("orderBy", "orderFrom", "orderGeometry"):
            if exchange.text(name):
                common[name] = exchange.parameters[name]
    if query.scope is not None:
        common["scopeQ"] = exchange.parameters["scopeQ"]
    names = match.attributes.names
    if query.attrs:
        asked = frozenset(query.attrs) | needed
        if exchange.access.restriction is not None:
            asked |= {"location"}
        names = asked if names is None else names & asked
        # More attributes than the client wants: an entity may come that has none of those.
        is_whole = is_whole and asked == frozenset(query.attrs)
    if names is not None:
        common["attrs"] = ",".join(sorted(map(compact, names)))
    return common, is_whole


def _without_reach(query: Query) -> Query:
    return dataclasses.replace(query, restriction=None)


def _has(one: Registered, selector: Selector) -> bool:
    return one.attributes_for((selector,)) is not None


def _selected(one: Registered, selector: Selector) -> Selector:
    """Narrowed to what is registered, where that can be said."""
    infos = [info for part in one.information for info in part.entities]
    if not infos or not all(part.entities for part in one.information):
        return selector
    ids = selector.ids
    if all(info.id is not None for info in infos):
        listed = [str(info.id) for info in infos]
        ids = tuple(entity_id for entity_id in dict.fromkeys(listed) if not ids or entity_id in ids)
    types = selector.types
    if types is None:
        types = TypeExpr(tuple(dict.fromkeys(tuple(sorted(info.types)) for info in infos)))
    return Selector(ids=ids, id_pattern=selector.id_pattern, types=types)


def _type_text(types: TypeExpr, context: Context) -> str:
    alternatives = [[context.compact(name) for name in names] for names in types.alternatives]
    return ",".join(
        names[0] if len(names) == 1 else f"({';'.join(names)})" for names in alternatives if names
    )


def _parameters(selector: Selector, context: Context) -> dict[str, str]:
    made = {}
    if selector.ids:
        made["id"] = ",".join(selector.ids)
    if selector.id_pattern is not None:
        made["idPattern"] = selector.id_pattern
    if selector.types is not None:
        made["type"] = _type_text(selector.types, context)
    return made


def _document(selector: Selector, context: Context) -> Json:
    made: dict[str, Json] = {"type": "*" if selector.types is None else _type_text(selector.types, context)}
    if selector.ids:
        made["id"] = list(selector.ids)
    if selector.id_pattern is not None:
        made["idPattern"] = selector.id_pattern
    return made


def _together(
    query: Query, own: Iterable[Stored], answers: Sequence[Found], asked: Sequence[Registered]
) -> tuple[list[Stored], int]:
    """The entities that fit, each out of all that is known of it, by id; and how often one came twice."""
    parts: dict[str, list[tuple[Registered | None, Part]]] = {}
    for entity in own:
        parts.setdefault(entity.id, []).append((None, Part(entity, is_local=True)))
    doubles = 0
    judged: dict[str, bool] = {}
    for answer in answers:
        one = answer.match.registered
        for entity_id, entity in answer.entities.items():
            doubles += entity_id in parts
            judged[entity_id] = answer.is_filtered
            parts.setdefault(entity_id, []).append((one, Part(entity, RANKS.get(one.mode, EQUAL))))
    can_test = not link_depth(query.q)
    fits = matcher(_without_reach(query)) if can_test else None
    allowed = None if query.restriction is None else allows(query.restriction)
    fitting = []
    for entity_id in sorted(parts):
        kept = _undoubled(parts[entity_id], asked)
        if not kept:
            continue
        entity = merged(kept)
        # What one source alone says, it has judged itself; what was put together is judged as a whole.
        is_alone = len(parts[entity_id]) == 1 and judged.get(entity_id, True)
        if fits is not None and not is_alone and not fits(entity):
            continue
        if allowed is None or allowed(entity):
            fitting.append(entity)
    return fitting, doubles


async def _completed(exchange: Exchange, page: Sequence[Stored], later: Sequence[Match]) -> list[Stored]:
    """The page with what sources know of these entities that could not judge the query."""
    ids = tuple(one.id for one in page)
    asked = Query(ids=ids, limit=len(ids))
    answers = await _answers(exchange, later, asked, len(ids) + 1, wants_count=False)
    warn(exchange, [one.problem for one in answers if one.problem is not None])
    completed = []
    for entity in page:
        parts: list[tuple[Registered | None, Part]] = [(None, Part(entity, is_local=True))]
        for answer in answers:
            more = answer.entities.get(entity.id)
            if more is not None:
                one = answer.match.registered
                parts.append((one, Part(more, RANKS.get(one.mode, EQUAL))))
        completed.append(merged(_undoubled(parts, [one.registered for one in later]) or [parts[0][1]]))
    return completed


def _in_order(found: list[Stored], order: Sequence[Order]) -> list[Stored]:
    """By id where nothing else is asked for; entities without the attribute come last."""
    for one in reversed(order):
        keyed = [(sort_key(entity, one), entity) for entity in found]
        with_key = [pair for pair in keyed if pair[0] is not None]
        with_key.sort(key=lambda pair: pair[0], reverse=one.descending)  # type: ignore[arg-type, return-value] # no None
        found = [entity for _, entity in with_key] + [entity for key, entity in keyed if key is None]
    return found
