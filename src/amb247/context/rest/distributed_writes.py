"""Changes that concern other context sources too: what goes to whom, and what became of it.

What an exclusive or redirect registration names goes to its source and not into the own store; what an inclusive one names
goes to both. Only operations that a registration lists are passed on (4.20; without a list it lists none that change
anything); where an exclusive or redirect source does not take one, that part is a Conflict. Auxiliary sources are never written.

All parts are done at once. What failed is named in a 207; where all failed the same way, the answer is that failure. Of
sources that are equals, one that does not have the entity fails nothing as long as another has it.

References
----------
ETSI GS CIM 009 v1.8.1, 4.3.6, 5.6, 5.2.16 to 5.2.19 (results), 6.3.17, 6.3.18.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from amb247.context.documents.kinds import DELETE, NGSI_NULL, Delete
from amb247.context.documents.parse import Parsed
from amb247.context.documents.represent import Form, represent
from amb247.context.documents.times import time_text
from amb247.context.domain.merging import LONG_AGO
from amb247.context.domain.operations import Outcome, Updated
from amb247.context.domain.queries.find import get_many
from amb247.context.domain.registered import Match, Registered
from amb247.context.domain.writing import Writing
from amb247.context.jsonld.context import CORE, Context
from amb247.context.jsonld.names import iri
from amb247.context.ngsi_errors import Forbidden, NgsiError, ResourceNotFound
from amb247.context.querying.matching import allows
from amb247.context.rest.distributed import (
    Speech,
    concerned,
    get_everywhere,
    problem_of,
    sources_of,
    speech_of,
    type_text,
    via_of,
)
from amb247.context.rest.exchange import JSON, LD, Exchange
from amb247.context.rest.sources import Reply, SourceProblem
from amb247.context.stored import Stored

Json = Any
Work = Callable[[Writing], Any]

FIXED: Final = frozenset({"id", "type", "scope", "expiresAt", "@context"})
# Parameters of a change that mean the same to another broker.
PASSED: Final = ("options", "observedAt", "lang", "format", "datasetId", "deleteAll")
AT_A_TIME: Final = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """One operation on one entity.

    Attributes
    ----------
    operation : str
        Its name in 4.20.
    path : str
        Where a source takes it, below `/ngsi-ld/v1`.
    parsed : Parsed or None
        The body, where it is an entity or a fragment of one.
    attribute : str or None
        The attribute that the address names (internal name).
    by_attribute : bool
        Whether a result tells of attributes (UpdateResult) rather than of the entity (BatchOperationResult).
    """

    operation: str
    path: str
    entity_id: str
    parsed: Parsed | None = None
    attribute: str | None = None
    by_attribute: bool = False
    is_whole: bool = False  # the body is all of the entity


@dataclass(slots=True)
class Result:
    """What became of one part of a change."""

    one: Registered | None  # None: the own store
    names: tuple[str, ...] = ()
    problem: NgsiError | None = None
    value: Any = None
    not_updated: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Parts:
    """Who gets which attributes of one entity."""

    remote: list[tuple[Match, frozenset[str]]]
    refused: list[tuple[Match, frozenset[str]]]  # a proxied source that does not take the operation
    rest: frozenset[str]
    is_local: bool


def divide(
    names: frozenset[str], matches: Sequence[Match], operation: str, *, always_local: bool = False
) -> Parts:
    """Divide the attributes of a change among sources and the own store.

    Without attributes (deletion, types alone) everybody concerned gets all of it.
    """
    remote: list[tuple[Match, frozenset[str]]] = []
    refused: list[tuple[Match, frozenset[str]]] = []
    taken: set[str] = set()
    is_taken_whole = False
    for match in sorted(matches, key=lambda one: one.registered.mode):  # exclusive goes before redirect
        if not match.registered.is_proxy:
            continue
        part = frozenset(name for name in names if name in match.attributes)
        if names and not part:
            continue
        is_taken_whole = is_taken_whole or match.attributes.names is None
        taken |= part
        (remote if match.registered.supports(operation) else refused).append((match, part))
    rest = names - taken
    for match in matches:
        if match.registered.mode != "inclusive" or not match.registered.supports(operation):
            continue
        part = frozenset(name for name in rest if name in match.attributes)
        if part or (not names and not is_taken_whole):
            remote.append((match, part))
    is_local = always_local or bool(rest) or (not names and not is_taken_whole)
    return Parts(remote, refused, rest, is_local)


# --- one entity ----------------------------------------------------------------------------------------------------


async def everywhere(
    exchange: Exchange,
    change: Change,
    work: Callable[[Writing, Parsed], Any],
    answer: Callable[[Any], Response],
) -> Response:
    """Do a change in the own store and at all sources that it concerns.

    Parameters
    ----------
    work : callable
        Does it in the own store; its second argument is the part of the body that belongs there.
    answer : callable
        Makes the answer of success out of what `work` returned (None where nothing was done here).
    """
    parsed = change.parsed or Parsed(change.entity_id, None)
    types = parsed.types if change.is_whole else None
    matches = await concerned(exchange, change.entity_id, types, write=True)
    if not matches:
        return answer(await exchange.write((change.entity_id,), lambda writing: work(writing, parsed)))
    names = frozenset(parsed.attributes) if change.attribute is None else frozenset({change.attribute})
    always_local = change.operation in {"deleteEntity", "replaceEntity"}
    parts = divide(names, matches, change.operation, always_local=always_local)
    if not parts.remote and not parts.refused:
        return answer(await exchange.write((change.entity_id,), lambda writing: work(writing, parsed)))
    await _check_reach(exchange, change.entity_id, parsed, is_whole=change.is_whole)
    jobs: list[Awaitable[Result]] = []
    if parts.is_local:
        here = parsed
        if change.attribute is None and change.parsed is not None:
            here = dataclasses.replace(
                parsed, attributes={n: v for n, v in parsed.attributes.items() if n in parts.rest}
            )
        jobs.append(_here(exchange, change.entity_id, lambda writing: work(writing, here), parts.rest))
    jobs += [_there(exchange, change, match.registered, part) for match, part in parts.remote]
    results = list(await asyncio.gather(*jobs))
    results += [
        Result(match.registered, tuple(sorted(part)), _conflict(match.registered, change.operation))
        for match, part in parts.refused
    ]
    weighed = _weighed(results, is_deletion=change.operation == "deleteEntity")
    return _answer(exchange, change, weighed, answer)


async def _here(exchange: Exchange, entity_id: str, work: Work, names: frozenset[str]) -> Result:
    result = Result(None, tuple(sorted(names)))
    try:
        result.value = await exchange.write((entity_id,), work)
    except NgsiError as problem:
        result.problem = problem
    return result


async def _there(exchange: Exchange, change: Change, one: Registered, part: frozenset[str]) -> Result:
    result = Result(one, tuple(sorted(part)))
    try:
        speech = await speech_of(exchange, one)
        body, media = _body(exchange, change, speech, part)
        parameters = {name: text for name in PASSED if (text := exchange.text(name)) is not None}
        types = exchange.types()
        if types is not None:
            parameters["type"] = type_text(types, speech.context)
        if one.local_only:
            parameters["local"] = "true"
        reply = await sources_of(exchange).ask(
            exchange.tenant,
            one,
            exchange.request.method,
            change.path if speech.is_clients else _path(change, speech.context),
            parameters=parameters,
            headers=speech.headers if media is None else {**speech.headers, "Content-Type": media},
            body=body,
        )
        _judge(result, one, reply, speech.context)
    except SourceProblem as problem:
        result.problem = problem
    except NgsiError as problem:
        result.problem = SourceProblem(
            problem.detail, status=502, title=problem.title, kind=problem.kind, registration=one.id
        )
    return result


def _path(change: Change, context: Context) -> str:
    """The path in the words of a source that has others than the client."""
    if change.attribute is None:
        return change.path
    head = change.path.rpartition("/")[0]
    return f"{head}/{quote(context.compact(change.attribute), safe='')}"


def _body(
    exchange: Exchange, change: Change, speech: Speech, part: frozenset[str]
) -> tuple[Json, str | None]:
    """What a source is sent: the client's own words where it knows them, less what does not concern it."""
    if exchange.request.method == "DELETE":
        return None, None
    media = exchange.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    media = JSON if media == LD else media  # the @context goes into the Link header
    if change.attribute is not None:
        if speech.is_clients:
            return exchange.body, media
        given = {} if change.parsed is None else change.parsed.attributes
        return document_of(Parsed("", None, None, dict(given)), speech.context).popitem()[1], media
    assert change.parsed is not None
    if not speech.is_clients:
        kept = {name: value for name, value in change.parsed.attributes.items() if name in part}
        return document_of(dataclasses.replace(change.parsed, attributes=kept), speech.context), media
    expand = exchange.context.expand
    return {
        term: value
        for term, value in exchange.body.items()
        if (name := expand(term)) in FIXED or name in part
    }, media


def document_of(parsed: Parsed, context: Context) -> dict[str, Json]:
    """An entity or fragment as another broker reads it; what is to be removed as NGSI-LD Null."""
    kept = {name: value for name, value in parsed.attributes.items() if not isinstance(value, Delete)}
    stored = Stored(parsed.id, parsed.types or [], [], kept, LONG_AGO, LONG_AGO)
    document: dict[str, Json] = represent(stored, context, Form())
    if not parsed.id:
        del document["id"]
    if not parsed.types:
        del document["type"]
    if parsed.scope is not None:
        document["scope"] = NGSI_NULL if isinstance(parsed.scope, Delete) else parsed.scope
    if parsed.expires_at is not None:
        document["expiresAt"] = (
            NGSI_NULL if isinstance(parsed.expires_at, Delete) else time_text(parsed.expires_at)
        )
    for name, value in parsed.attributes.items():
        if value is DELETE:
            document[context.compact(name)] = NGSI_NULL
    return document


def _judge(result: Result, one: Registered, reply: Reply, context: Context) -> None:
    if reply.status == 207 and isinstance(reply.body, dict):
        for each in reply.body.get("notUpdated") or ():
            if isinstance(each, dict) and isinstance(each.get("attributeName"), str):
                result.not_updated.append(
                    {
                        "name": context.expand(each["attributeName"]),
                        "reason": str(each.get("reason", ""))[:500],
                        "one": one,
                    }
                )
        errors = [each for each in reply.body.get("errors") or () if isinstance(each, dict)]
        if errors:
            result.problem = _problem_in(one, errors[0])
    elif not 200 <= reply.status < 300:
        result.problem = problem_of(one, reply)


def _problem_in(one: Registered, error: Mapping[str, Json]) -> SourceProblem:
    """One error of a BatchOperationResult."""
    said = error.get("error")
    status = said.get("status") if isinstance(said, dict) else None
    return problem_of(one, Reply(status if isinstance(status, int) else 400, said, {}))


def _conflict(one: Registered, operation: str) -> SourceProblem:
    return SourceProblem(
        f"{one.id} ({one.mode}) holds this, and its source does not take {operation}.",
        status=409,
        title="Conflict",
        kind="Conflict",
        registration=one.id,
    )


def _weighed(results: Sequence[Result], *, is_deletion: bool = False) -> list[Result]:
    """Without failures that are none, since another did it: who asks us did, or who has the entity did."""
    good = any(one.problem is None for one in results)
    kept = [
        one
        for one in results
        if one.problem is None
        or not (
            one.problem.status == 508
            or (
                good
                and one.problem.status == 404
                and (is_deletion or one.one is None or not one.one.is_proxy)
            )
        )
    ]
    return kept or list(results)


def _answer(
    exchange: Exchange, change: Change, results: Sequence[Result], answer: Callable[[Any], Response]
) -> Response:
    bad = [one for one in results if one.problem is not None]
    value = next((one.value for one in results if one.one is None and one.problem is None), None)
    told = [each for one in results for each in one.not_updated]
    if not bad and not told:
        return answer(value)
    if len(bad) == len(results) and len({one.problem.status for one in bad if one.problem}) == 1:
        assert bad[0].problem is not None
        raise bad[0].problem
    if change.by_attribute:
        return exchange.plain(_update_result(results, value), 207)
    errors = [error_entry(change.entity_id, one.problem) for one in bad if one.problem is not None]
    success = [change.entity_id] if len(bad) < len(results) else []
    return exchange.plain({"success": success, "errors": errors}, 207)


def error_entry(entity_id: str, problem: NgsiError) -> dict[str, Json]:
    """One BatchEntityError (5.2.17)."""
    registration = getattr(problem, "registration", "")
    entry: dict[str, Json] = {"entityId": entity_id, "error": problem.document()}
    if registration:
        entry["registrationId"] = registration
    return entry


def _update_result(results: Sequence[Result], value: Any) -> Json:
    """UpdateResult (5.2.18); what comes without a @context has full names only (6.3.6)."""
    failed: list[dict[str, Json]] = []
    done: list[str] = []
    if isinstance(value, Updated):
        failed += [{"attributeName": iri(name), "reason": reason} for name, reason in value.not_updated]
    for one in results:
        if one.problem is not None:
            for name in one.names:
                entry = {"attributeName": iri(name), "reason": one.problem.detail}
                if one.one is not None:
                    entry["registrationId"] = one.one.id
                failed.append(entry)
            continue
        failed += [
            {
                "attributeName": iri(each["name"]),
                "reason": each["reason"],
                "registrationId": each["one"].id,
            }
            for each in one.not_updated
        ]
        done += one.names
    not_done = {entry["attributeName"] for entry in failed}
    updated = [name for name in dict.fromkeys(map(iri, done)) if name not in not_done]
    return {"updated": updated, "notUpdated": failed}


async def _check_reach(exchange: Exchange, entity_id: str, parsed: Parsed, *, is_whole: bool) -> None:
    """What the own store checks as it writes, for what is written elsewhere: the caller's reach.

    Raises
    ------
    ResourceNotFound, Forbidden
    """
    restriction = exchange.access.restriction
    if restriction is None:
        return
    unlimited = dataclasses.replace(
        exchange, access=dataclasses.replace(exchange.access, restriction=None), headers={}
    )
    before = await get_everywhere(unlimited, entity_id, Form())
    if before is not None and not allows(restriction)(before):
        raise ResourceNotFound(f"There is no entity {entity_id}.")
    if before is None and not is_whole:
        raise ResourceNotFound(f"There is no entity {entity_id}.")
    given = {name: value for name, value in parsed.attributes.items() if not isinstance(value, Delete)}
    types = [*(before.types if before is not None else ()), *(parsed.types or ())]
    if not exchange.access.guard(types, {**(before.attributes if before is not None else {}), **given}):
        raise Forbidden(
            f"{entity_id}: this token may not write an entity of this type at this place; "
            "use one whose types and territory include it."
        )


# --- batches -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch operation: its name in 4.20, where a source takes it, and what does the same to one entity."""

    operation: str
    path: str
    single: str
    options: tuple[str, ...] = ()
    is_whole: bool = False


async def batch_everywhere(
    exchange: Exchange,
    batch: Batch,
    entities: Sequence[Parsed],
    local: Callable[[Sequence[Parsed]], Awaitable[list[Outcome]]],
) -> list[Outcome]:
    """The outcome of each entity: one where all went well, else one for each part that did not."""
    if exchange.flag("local"):
        return await local(entities)
    via = via_of(exchange)
    index = await sources_of(exchange).index(exchange.tenant, write=True)
    if not index or not entities:
        return await local(entities)
    known: Mapping[str, Stored] = {}
    if not batch.is_whole:
        known = await exchange.read(get_many, [one.id for one in entities])
    here: list[tuple[int, Parsed]] = []
    there: dict[str, tuple[Registered, list[tuple[int, Parsed]]]] = {}
    results: list[list[Result]] = [[] for _ in entities]
    for position, parsed in enumerate(entities):
        types = parsed.types if batch.is_whole else known[parsed.id].types if parsed.id in known else None
        matches = index.for_entity(parsed.id, types, via=via)
        if not matches:
            here.append((position, parsed))
            continue
        parts = _batch_parts(batch, parsed, matches)
        if parts.remote or parts.refused:
            try:
                await _check_reach(exchange, parsed.id, parsed, is_whole=batch.is_whole)
            except NgsiError as problem:
                results[position].append(Result(None, (), problem))
                continue
        for match, _ in parts.refused:
            conflict = _conflict(match.registered, batch.operation)
            results[position].append(Result(match.registered, (), conflict))
        for match, part in parts.remote:
            jobs = there.setdefault(match.registered.id, (match.registered, []))[1]
            jobs.append((position, _only(parsed, part)))
        if parts.is_local:
            here.append((position, _only(parsed, parts.rest)))
    await asyncio.gather(
        _batch_here(here, local, results),
        *(_batch_there(exchange, batch, one, jobs, results) for one, jobs in there.values()),
    )
    return [
        outcome
        for one, found in zip(entities, results, strict=True)
        for outcome in _outcomes(one.id, found, batch)
    ]


def _batch_parts(batch: Batch, parsed: Parsed, matches: Sequence[Match]) -> Parts:
    """As `divide`; a source that takes the operation one by one takes it too."""
    always_local = batch.operation == "deleteBatch"
    parts = divide(frozenset(parsed.attributes), matches, batch.operation, always_local=always_local)
    singly = divide(frozenset(parsed.attributes), matches, batch.single, always_local=always_local)
    by_batch = {id(match) for match, _ in parts.remote}
    parts.remote += [(match, part) for match, part in singly.remote if id(match) not in by_batch]
    served = {id(match) for match, _ in parts.remote}
    parts.refused = [(match, part) for match, part in parts.refused if id(match) not in served]
    return parts


def _only(parsed: Parsed, names: frozenset[str]) -> Parsed:
    return dataclasses.replace(
        parsed, attributes={name: value for name, value in parsed.attributes.items() if name in names}
    )


async def _batch_here(
    jobs: Sequence[tuple[int, Parsed]],
    local: Callable[[Sequence[Parsed]], Awaitable[list[Outcome]]],
    results: Sequence[list[Result]],
) -> None:
    if jobs:
        outcomes = await local([parsed for _, parsed in jobs])
        for (position, _), outcome in zip(jobs, outcomes, strict=True):
            results[position].append(Result(None, (), outcome.error, outcome.is_new))


async def _batch_there(
    exchange: Exchange,
    batch: Batch,
    one: Registered,
    jobs: Sequence[tuple[int, Parsed]],
    results: Sequence[list[Result]],
) -> None:
    """Give a source its part: as batches where it takes them, else one by one."""
    try:
        speech = await speech_of(exchange, one)
    except NgsiError as problem:
        failed = SourceProblem(problem.detail, status=502, title=problem.title, registration=one.id)
        for position, _ in jobs:
            results[position].append(Result(one, (), failed))
        return
    if exchange.request.headers.get("content-type", "").startswith(LD):
        # Each entity may have come with a @context of its own: whole names need none.
        headers = {name: text for name, text in speech.headers.items() if name != "Link"}
        speech = Speech(CORE, headers, is_clients=False)
    if not one.supports(batch.operation):
        found = await asyncio.gather(
            *(_batch_single(exchange, batch, one, speech, parsed) for _, parsed in jobs)
        )
        for (position, _), result in zip(jobs, found, strict=True):
            results[position].append(result)
        return
    for first in range(0, len(jobs), AT_A_TIME):
        portion = jobs[first : first + AT_A_TIME]
        for (position, _), result in zip(
            portion,
            await _batch_portion(exchange, batch, one, speech, [parsed for _, parsed in portion]),
            strict=True,
        ):
            results[position].append(result)


async def _batch_portion(
    exchange: Exchange, batch: Batch, one: Registered, speech: Speech, entities: Sequence[Parsed]
) -> list[Result]:
    is_deletion = batch.operation == "deleteBatch"
    body = [parsed.id if is_deletion else document_of(parsed, speech.context) for parsed in entities]
    parameters = {"local": "true"} if one.local_only else {}
    if batch.options:
        parameters["options"] = ",".join(batch.options)
    try:
        reply = await sources_of(exchange).ask(
            exchange.tenant,
            one,
            "POST",
            batch.path,
            parameters=parameters,
            headers={**speech.headers, "Content-Type": JSON},
            body=body,
        )
    except SourceProblem as problem:
        return [Result(one, (), problem) for _ in entities]
    if reply.status == 207 and isinstance(reply.body, dict):
        errors = {
            error.get("entityId"): _problem_in(one, error)
            for error in reply.body.get("errors") or ()
            if isinstance(error, dict)
        }
        new = reply.body.get("success") or ()
        is_creation = batch.operation == "createBatch"
        return [
            Result(one, (), errors.get(parsed.id), is_creation and parsed.id in new) for parsed in entities
        ]
    if not 200 <= reply.status < 300:
        failure = problem_of(one, reply)
        return [Result(one, (), failure) for _ in entities]
    new = reply.body if isinstance(reply.body, list) else ()
    return [Result(one, (), None, parsed.id in new) for parsed in entities]


SINGLES: Final = {
    "createEntity": ("POST", ""),
    "appendAttrs": ("POST", "/attrs"),
    "mergeEntity": ("PATCH", ""),
    "deleteEntity": ("DELETE", ""),
    "replaceEntity": ("PUT", ""),
}


async def _batch_single(
    exchange: Exchange, batch: Batch, one: Registered, speech: Speech, parsed: Parsed
) -> Result:
    """One entity of a batch for a source that takes them one by one; an upsert is a creation, then a change."""
    result = await _single(exchange, batch.single, one, speech, parsed)
    if batch.operation != "upsertBatch":
        return result
    result.value = result.problem is None
    if result.problem is not None and result.problem.status == 409:
        second = "appendAttrs" if "update" in batch.options else "replaceEntity"
        if one.supports(second):
            return await _single(exchange, second, one, speech, parsed)
    return result


async def _single(
    exchange: Exchange, operation: str, one: Registered, speech: Speech, parsed: Parsed
) -> Result:
    method, path = SINGLES[operation]
    address = "/entities" if operation == "createEntity" else f"/entities/{quote(parsed.id, safe=':')}{path}"
    has_body = method != "DELETE"
    try:
        reply = await sources_of(exchange).ask(
            exchange.tenant,
            one,
            method,
            address,
            parameters={"local": "true"} if one.local_only else {},
            headers={**speech.headers, "Content-Type": JSON} if has_body else speech.headers,
            body=document_of(parsed, speech.context) if has_body else None,
        )
    except SourceProblem as problem:
        return Result(one, (), problem)
    result = Result(one, value=operation == "createEntity")
    _judge(result, one, reply, speech.context)
    return result


def _outcomes(entity_id: str, results: Sequence[Result], batch: Batch) -> list[Outcome]:
    weighed = _weighed(results, is_deletion=batch.operation == "deleteBatch")
    bad = [Outcome(entity_id, error=one.problem) for one in weighed if one.problem is not None]
    return bad or [Outcome(entity_id, is_new=any(bool(one.value) for one in weighed))]
