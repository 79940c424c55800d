"""Queries that concern other context sources too: what each is asked, and one page out of what they say.

A query over several sources asks each for as many entities as the page lies deep, puts what came together by id, and cuts the
page out of that: exact as long as the sources order by id too, or have no more than `AT_LEAST` entities that fit. The
total (`count`) is exact under the same condition; else it is the sum of what each source says, less the doubles seen.

With `splitEntities=true` nobody's part of an entity says whether it fits: all are asked by id and type alone, and each entity
is judged when it is whole. That reads everything of the types, up to `MOST` entities of each source.

References
----------
ETSI GS CIM 009 v1.8.1, 4.3.6, 5.7.2, 6.3.17 (partial results); v1.9.1, 5.7.2 and 6.4.3.2 (splitEntities).
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from amb247.context.domain.merging import EQUAL, Part, merged, sort_key
from amb247.context.domain.queries.find import count, find, get_many
from amb247.context.domain.registered import Attributes, Match, Registered, Wanted, selectors_of
from amb247.context.jsonld.context import Context
from amb247.context.ngsi_errors import NgsiError, TooComplexQuery, TooManyResults
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
from amb247.context.rest.distributed import (
    RANKS,
    Speech,
    entities_of,
    named,
    note_age,
    problem_of,
    registered_part,
    sources_of,
    speech_of,
    type_text,
    undoubled,
    via_of,
    warn,
)
from amb247.context.rest.exchange import JSON, Exchange
from amb247.context.stored import Stored

Json = Any

MOST: Final = 10_000  # entities of one source for one query
AT_A_TIME: Final = 1_000
AT_LEAST: Final = 100  # entities that a source is asked for, so that small ones are known whole
MOST_SELECTORS: Final = 20


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
    exchange: Exchange,
    query: Query,
    *,
    limit: int,
    wants_count: bool,
    only: frozenset[str] | None = None,
    origins: dict[str, list[str]] | None = None,
) -> tuple[list[Stored], int | None]:
    """Up to `limit` entities from `query.offset` on, and how many there are when that is wanted.

    Parameters
    ----------
    only : ids of registrations, optional
        No others are asked.
    origins : dict, optional
        Takes of each entity that other sources were asked for: the registrations whose sources have it, `@none` for us.
    """
    if splits(exchange):
        return await _find_split(
            exchange, query, limit=limit, wants_count=wants_count, only=only, origins=origins
        )
    matches = await _concerned_by(exchange, query, only)
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
        query, [*own, *known.values()], found_by, [one.registered for one in matches], origins=origins
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


def splits(exchange: Exchange) -> bool:
    """Whether parts of one entity may lie with several sources; `AMB_NGSI_SPLIT_ENTITIES=1` makes it the default."""
    default = os.environ.get("AMB_NGSI_SPLIT_ENTITIES") == "1"
    return exchange.flag("splitEntities", default=default) and not exchange.flag("local")


async def _find_split(
    exchange: Exchange,
    query: Query,
    *,
    limit: int,
    wants_count: bool,
    only: frozenset[str] | None,
    origins: dict[str, list[str]] | None,
) -> tuple[list[Stored], int | None]:
    """As `find_everywhere`, filtered only when all parts are together.

    Raises
    ------
    TooManyResults
        A source has more than `MOST` entities of these ids and types.
    TooComplexQuery
        `q` looks at linked entities, which may be anywhere.
    """
    bare = dataclasses.replace(
        query, q=None, geo=None, scope=None, attrs=(), order_by=(), offset=0, limit=MOST + 1, restriction=None
    )
    matches = await _concerned_by(exchange, bare, only)
    if not matches:
        return await exchange.read(_find_and_count, query, limit, wants_count)
    if link_depth(query.q):
        raise TooComplexQuery(
            "q: linked entities cannot be looked at in split entities; leave one of the two."
        )
    own, answers = await asyncio.gather(
        exchange.read(find, bare), _answers(exchange, matches, bare, MOST, wants_count=False)
    )
    warn(exchange, [one.problem for one in answers if one.problem is not None])
    found_by = [one for one in answers if one.problem is None]
    if len(own) > MOST or not all(one.is_whole for one in found_by):
        raise TooManyResults(
            f"splitEntities: more than {MOST:,} entities would have to be put together; narrow the query by id or type."
        )
    for one in found_by:
        one.is_filtered = False
    fitting, _ = _together(
        query, own, found_by, [one.registered for one in matches], is_judged_here=False, origins=origins
    )
    fitting = _in_order(fitting, query.order_by)
    return fitting[query.offset : query.offset + limit], len(fitting) if wants_count else None


async def _concerned_by(exchange: Exchange, query: Query, only: frozenset[str] | None = None) -> list[Match]:
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
    return [one for one in matches if _reads(one.registered) and (only is None or one.registered.id in only)]


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
        found.problem = named(problem, one)
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
        for entity in await entities_of(exchange, one, speech, reply.body):
            part = registered_part(one, entity)
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
        for name in ("attrs", "q", "scopeQ", "expandValues", "join"):
            if name in common:
                text = common.pop(name)
                document[name] = text.split(",") if name in {"attrs", "expandValues"} else text
        if "joinLevel" in common:
            document["joinLevel"] = int(common.pop("joinLevel"))
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
            if links := link_depth(query.q):  # 5.7.2.4: q follows links only as far as they are joined
                common |= {"join": "inline", "joinLevel": str(links)}
        else:
            is_whole = False
    if query.geo is not None:
        for name in ("georel", "geometry", "coordinates"):
            common[name] = exchange.parameters[name]
        if query.geo.geoproperty != "location":
            common["geoproperty"] = compact(query.geo.geoproperty)
    if query.order_by and speech.is_clients:
        for name in ("orderBy", "orderFrom", "orderGeometry", "collation"):
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


def _parameters(selector: Selector, context: Context) -> dict[str, str]:
    made = {}
    if selector.ids:
        made["id"] = ",".join(selector.ids)
    if selector.id_pattern is not None:
        made["idPattern"] = selector.id_pattern
    if selector.types is not None:
        made["type"] = type_text(selector.types, context)
    return made


def _document(selector: Selector, context: Context) -> Json:
    made: dict[str, Json] = {"type": "*" if selector.types is None else type_text(selector.types, context)}
    if selector.ids:
        made["id"] = list(selector.ids)
    if selector.id_pattern is not None:
        made["idPattern"] = selector.id_pattern
    return made


def _together(
    query: Query,
    own: Iterable[Stored],
    answers: Sequence[Found],
    asked: Sequence[Registered],
    *,
    is_judged_here: bool = True,
    origins: dict[str, list[str]] | None = None,
) -> tuple[list[Stored], int]:
    """The entities that fit, each out of all that is known of it, by id; and how often one came twice.

    `is_judged_here`: `own` are known to fit by what is here of them.
    """
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
        kept = undoubled(parts[entity_id], asked)
        if not kept:
            continue
        entity = merged(kept)
        # What one source alone says, it has judged itself; what was put together is judged as a whole.
        is_alone = len(parts[entity_id]) == 1 and judged.get(entity_id, is_judged_here)
        if fits is not None and not is_alone and not fits(entity):
            continue
        if allowed is None or allowed(entity):
            fitting.append(entity)
            if origins is not None:
                origins[entity_id] = ["@none" if one is None else one.id for one, _ in parts[entity_id]]
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
        completed.append(merged(undoubled(parts, [one.registered for one in later]) or [parts[0][1]]))
    return completed


def _in_order(found: list[Stored], order: Sequence[Order]) -> list[Stored]:
    """By id where nothing else is asked for; entities without the attribute come last."""
    for one in reversed(order):
        keyed = [(sort_key(entity, one), entity) for entity in found]
        with_key = [pair for pair in keyed if pair[0] is not None]
        with_key.sort(key=lambda pair: pair[0], reverse=one.descending)  # type: ignore[arg-type, return-value] # no None
        found = [entity for _, entity in with_key] + [entity for key, entity in keyed if key is None]
    return found
