"""Operations that concern other context sources too: which ones, how they are asked, and what they say together.

Where nothing is registered in a tenant, the question costs a look into a dictionary. Otherwise the sources are asked
at once and together with the own store; one that fails takes nothing from the answer but its part, and is named in
`NGSILD-Warning`.

References
----------
ETSI GS CIM 009 v1.8.1, 4.3.6, 5.7.1, 5.7.2, 5.12, 6.3.17 (partial results), 6.3.18 (loops, local).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from amb247.context.documents.registration import PASSED_ON
from amb247.context.documents.represent import Form
from amb247.context.domain.merging import AUXILIARY, EQUAL, PROXIED, Part, entity_of, merged
from amb247.context.domain.registered import Attributes, Match, Registered
from amb247.context.jsonld.context import CORE, Context
from amb247.context.ngsi_errors import NgsiError
from amb247.context.querying.matching import allows
from amb247.context.querying.query import (
    TypeExpr,
)
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


def type_text(types: TypeExpr, context: Context) -> str:
    """A selection of types in the words of a source."""
    alternatives = [[context.compact(name) for name in names] for names in types.alternatives]
    given = (names[0] if len(names) == 1 else f"({';'.join(names)})" for names in alternatives if names)
    return ",".join(given) or "*"


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
    parts = undoubled(list(zip(origins, parts, strict=True)), [one.registered for one in matches])
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
        found = (await entities_of(exchange, one, speech, [reply.body]))[0]
        return registered_part(one, found) if found.id == entity_id else None
    except NgsiError as problem:
        return named(problem, one)


def note_age(exchange: Exchange, one: Registered, reply: Reply) -> None:
    if reply.age_s:
        agent = alias_of(exchange.tenant)
        text = f'110 {agent} "{one.id} kept for {reply.age_s:.0f} s"'
        before = exchange.headers.get("NGSILD-Warning")
        exchange.headers["NGSILD-Warning"] = f"{before}, {text}" if before else text


def named(problem: NgsiError, one: Registered) -> NgsiError:
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


async def entities_of(
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


def registered_part(one: Registered, found: Stored) -> Stored | None:
    """What of an entity the source is registered for: what else it has is none of our business."""
    attributes = one.attributes_of(found.id, found.types)
    if attributes is None:
        return None
    if attributes.names is None:
        return found
    kept = {name: value for name, value in found.attributes.items() if name in attributes}
    return dataclasses.replace(found, attributes=kept)


def undoubled(parts: Sequence[tuple[Registered | None, Part]], asked: Iterable[Registered]) -> list[Part]:
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
