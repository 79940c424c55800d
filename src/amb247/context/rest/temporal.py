"""/temporal: the past of entities, asked for, written and corrected.

References
----------
ETSI GS CIM 009 v1.8.1, 6.18 to 6.24; 6.3.10 (pagination of instances), 6.3.12 (representations).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from amb247.context.documents import temporal_table as table
from amb247.context.documents.parse import parse_temporal
from amb247.context.documents.projection import MEMBERS, Pick
from amb247.context.documents.represent import Form
from amb247.context.documents.temporal import (
    Shape,
    brief,
    expanded,
    named_by,
    represent_aggregated,
    represent_evolution,
)
from amb247.context.domain import temporal as past
from amb247.context.domain.entity_maps import HERE
from amb247.context.domain.queries import aggregation, evolution
from amb247.context.ngsi_errors import BadRequestData, ResourceNotFound, TooManyResults
from amb247.context.querying.query import Query
from amb247.context.querying.temporal import TemporalQuery, parse_temporal_query
from amb247.context.rest.distributed_queries import MOST
from amb247.context.rest.entity_maps import answer_made, ids_by_map, keep
from amb247.context.rest.exchange import (
    BASE,
    CSV,
    JSON,
    LD,
    PARQUET,
    Exchange,
    checked_uri,
    open_exchange,
)
from amb247.context.rest.queries import query_of, query_of_document

READS = (JSON, LD, CSV, PARQUET)
SHAPES: dict[str, Shape] = {
    "normalized": "normalized",
    "concise": "concise",
    "temporalValues": "temporalValues",
    "simplified": "temporalValues",
    "keyValues": "temporalValues",
    "aggregatedValues": "aggregatedValues",
}
ASKED = ("timerel", "timeAt", "endTimeAt", "timeproperty", "lastN", "aggrMethods", "aggrPeriodDuration")
ROWS_AT_ONCE = 50_000
NOBODY = ("urn:ngsi-ld:none",)  # of a map without entities


@dataclass(frozen=True, slots=True)
class Asked:
    """A temporal query with all that decides its answer."""

    query: Query
    temporal: TemporalQuery
    form: Form
    shape: Shape
    attributes: tuple[str, ...] | None  # None: all
    is_strict: bool  # whether the attributes were named

    @property
    def datasets(self) -> tuple[str, ...]:
        return self.form.dataset_ids or ()


@dataclass(frozen=True, slots=True)
class Answer:
    documents: list[Any]
    part: evolution.Slice | None = None
    has_more: bool = False
    total: int | None = None


# --- reading --------------------------------------------------------------------------------------------------------


async def retrieve(request: Request) -> Response:
    """6.19.3.1."""
    exchange = await open_exchange(request, history=True, accepts=READS)
    entity_id = exchange.uri("entity_id")
    asked = _asked(
        exchange, Query(restriction=exchange.access.restriction), exchange.parameters, is_required=False
    )
    if exchange.accept in {CSV, PARQUET}:
        head = await exchange.read(_existing, entity_id, asked)
        return await _export(exchange, asked, iter([[head]]))
    answer = await exchange.read(_retrieve, entity_id, asked, exchange)
    return _answer(exchange, asked, answer, answer.documents[0])


async def query(request: Request) -> Response:
    """6.18.3.2."""
    exchange = await open_exchange(request, history=True, accepts=READS)
    return await _run(exchange, query_of(exchange), exchange.parameters)


async def post_query(request: Request) -> Response:
    """6.24.3.1: the same query as a document."""
    exchange = await open_exchange(request, history=True, accepts=READS, needs_context_in_body=False)
    wanted = query_of_document(exchange)
    # Paging and the representation stand in the address; so may the aggregation.
    return await _run(exchange, wanted, {**exchange.parameters, **_temporal_q(exchange)})


def _temporal_q(exchange: Exchange) -> Mapping[str, Any]:
    given = exchange.body.get("temporalQ")
    if not isinstance(given, dict):
        raise BadRequestData(
            'temporalQ: is missing; send an object such as {"timerel": "after", "timeAt": "2026-11-22T14:03:00Z"}.'
        )
    return given


async def make_map(request: Request) -> Response:
    """6.35.3.1: which entities a temporal query finds."""
    exchange = await open_exchange(request, history=True)
    return await _make_map(exchange, query_of(exchange), exchange.parameters)


async def post_map(request: Request) -> Response:
    """6.35.3.2."""
    exchange = await open_exchange(request, history=True, needs_context_in_body=False)
    wanted = query_of_document(exchange)
    return await _make_map(exchange, wanted, {**exchange.parameters, **_temporal_q(exchange)})


async def _make_map(exchange: Exchange, wanted: Query, given: Mapping[str, Any]) -> Response:
    asked = _asked(exchange, wanted, given, is_required=True)
    most = replace(wanted, limit=MOST + 1, offset=0)
    heads = await exchange.read(evolution.find_heads, most, asked.temporal, attributes=_selecting(asked))
    if len(heads) > MOST:
        raise TooManyResults(
            f"The query finds more than {MOST:,} entities, which is what a map holds; narrow it."
        )
    return answer_made(exchange, await keep(exchange, {one.id: [HERE] for one in heads}, "temporal"))


async def _run(exchange: Exchange, wanted: Query, given: Mapping[str, Any]) -> Response:
    mapped = await ids_by_map(exchange)
    if mapped is not None:
        fixed = tuple(one for one in mapped if not wanted.ids or one in wanted.ids)
        wanted = replace(wanted, ids=fixed or NOBODY)
    asked = _asked(exchange, wanted, given, is_required=True)
    if exchange.accept in {CSV, PARQUET}:
        if "limit" in exchange.parameters:
            heads = await exchange.read(
                evolution.find_heads, wanted, asked.temporal, attributes=_selecting(asked)
            )
            return await _export(exchange, asked, iter([heads]))
        return await _export(
            exchange, asked, evolution.every_head(wanted, asked.temporal, attributes=_selecting(asked))
        )
    limit, offset, wants_count = exchange.page()
    answer = await exchange.read(_query, asked, exchange, limit, wants_count=wants_count)
    found = len(answer.documents) if not answer.has_more else limit
    exchange.page_headers(found, limit, offset, answer.total, has_more=answer.has_more)
    return _answer(exchange, asked, answer, answer.documents)


def _asked(exchange: Exchange, wanted: Query, given: Mapping[str, Any], *, is_required: bool) -> Asked:
    shape = _shape(exchange)
    temporal = parse_temporal_query(
        {name: given[name] for name in ASKED if given.get(name) not in (None, "")},
        is_required=is_required,
        is_aggregated=shape == "aggregatedValues",
    )
    form = exchange.form()
    for name, terms in (("pick", form.pick), ("omit", form.omit)):
        if any(isinstance(one, Pick) and one.nested for one in terms or ()):
            raise BadRequestData(f"{name}: linked entities are not for temporal queries (5.7.4.4).")
    attributes = form.attrs
    if form.pick is not None:
        picked = tuple(name for one in form.pick if (name := named_by(one)) not in MEMBERS)
        attributes = picked if attributes is None else tuple(name for name in attributes if name in picked)
    return Asked(wanted, temporal, form, shape, attributes, bool(attributes))


def _shape(exchange: Exchange) -> Shape:
    """6.3.12: `format` goes before `options`, which may name one representation."""
    given = exchange.text("format")
    if given is not None:
        if given not in SHAPES:
            raise BadRequestData(
                f"format: use normalized, temporalValues or aggregatedValues, not {given[:40]!r}."
            )
        return SHAPES[given]
    named = {SHAPES[name] for name in exchange.options if name in SHAPES}
    if {"temporalValues", "aggregatedValues"} <= named:
        raise BadRequestData("options: use one of temporalValues and aggregatedValues, not both.")
    return next(
        (shape for shape in ("aggregatedValues", "temporalValues", "concise") if shape in named), "normalized"
    )


def _selecting(asked: Asked) -> tuple[str, ...] | None:
    """The attributes of which one must have data; picking members that are no attributes selects nothing."""
    return asked.attributes or None


def _existing(entity_id: str, asked: Asked) -> evolution.Head:
    head = evolution.head_of(entity_id, asked.query)
    if head is None:
        raise ResourceNotFound(f"There is no temporal evolution of {entity_id}.")
    return head


def _retrieve(entity_id: str, asked: Asked, exchange: Exchange) -> Answer:
    head = _existing(entity_id, asked)
    if asked.form.attrs and not evolution.has_attribute(entity_id, asked.form.attrs):
        raise ResourceNotFound(f"The temporal evolution of {entity_id} has no such attributes.")
    documents, part = _documents([head], asked, exchange)
    return Answer(documents, part)


def _query(asked: Asked, exchange: Exchange, limit: int, *, wants_count: bool) -> Answer:
    # One more than the page says whether there is a next one.
    wanted = replace(asked.query, limit=limit + 1)
    heads = evolution.find_heads(wanted, asked.temporal, attributes=_selecting(asked)) if limit else []
    documents, part = _documents(heads[:limit], asked, exchange, only_with_data=True)
    total = None
    if wants_count:
        total = evolution.count_heads(asked.query, asked.temporal, attributes=_selecting(asked))
    return Answer(documents, part, len(heads) > limit > 0, total)


def _documents(
    heads: Sequence[evolution.Head], asked: Asked, exchange: Exchange, *, only_with_data: bool = False
) -> tuple[list[Any], evolution.Slice | None]:
    context, form = exchange.context, asked.form
    if asked.shape == "aggregatedValues":
        found = aggregation.aggregate(
            heads,
            asked.temporal,
            attributes=asked.attributes,
            dataset_ids=asked.datasets,
            is_strict=asked.is_strict,
        )
        return [represent_aggregated(one, context, form) for one in found], None
    part = evolution.evolve(heads, asked.temporal, attributes=asked.attributes, dataset_ids=asked.datasets)
    # What has nothing in this slice of a long series comes with a later one.
    shown = [one for one in part.evolutions if one.attributes or not (only_with_data and part.is_partial)]
    documents = [
        represent_evolution(one, context, form, asked.shape, asked.temporal.timeproperty) for one in shown
    ]
    return documents, part


def _answer(exchange: Exchange, asked: Asked, answer: Answer, document: Any) -> Response:
    rest = None if answer.part is None else evolution.rest_of(asked.temporal, answer.part)
    if answer.part is None or rest is None:
        return exchange.answer(document)
    _link_rest(exchange, asked.temporal, rest)
    return exchange.answer(
        document, 206, headers={"Content-Range": content_range(asked.temporal, answer.part)}
    )


def content_range(temporal: TemporalQuery, part: evolution.Slice) -> str:
    """6.3.10: from where to where the answer goes in time; backwards with lastN, whose number is then the size."""
    assert part.first is not None
    assert part.last is not None
    if temporal.last_n is not None:
        start, end, size = temporal.end or part.last, part.first, str(temporal.last_n)
    else:
        start, end, size = temporal.start or part.first, part.last, "*"
    return f"date-time {brief(start)}-{brief(end)}/{size}"


def _link_rest(exchange: Exchange, temporal: TemporalQuery, rest: TemporalQuery) -> None:
    """Where the series goes on, as an address (the relation names are those of ETSI TS 104 176, this API's successor)."""
    if exchange.request.method != "GET":
        return
    given = {
        name: value
        for name, value in exchange.parameters.items()
        if name not in {"timerel", "timeAt", "endTimeAt"}
    }
    given["timerel"] = str(rest.relation)
    first = rest.end if rest.relation == "before" else rest.start
    assert first is not None
    given["timeAt"] = brief(first)
    if rest.relation == "between":
        assert rest.end is not None
        given["endTimeAt"] = brief(rest.end)
    relation = "intervalbefore" if temporal.last_n is not None else "intervalafter"
    link = f'<{exchange.request.url.path}?{urlencode(given)}>;rel="{relation}";type="{exchange.accept}"'
    exchange.headers["Link"] = ", ".join(one for one in (exchange.headers.get("Link"), link) if one)


# --- tables ---------------------------------------------------------------------------------------------------------


async def _export(exchange: Exchange, asked: Asked, heads: Iterator[list[evolution.Head]]) -> Response:
    """Everything that was asked for, written as it is read; `limit` only where it was given."""
    is_aggregated = asked.shape == "aggregatedValues"
    columns = table.AGGREGATES if is_aggregated else table.INSTANCES
    batches = _batches(exchange, asked, heads)
    headers = {"NGSILD-Tenant": exchange.tenant} if exchange.tenant else {}
    if exchange.accept == CSV:
        first = await exchange.read(next, batches, None)  # its problems are still answered as such

        async def lines() -> AsyncIterator[bytes]:
            yield table.as_csv(first or [], columns, is_first=True)
            while rows := await exchange.read(next, batches, None):
                yield await asyncio.to_thread(table.as_csv, rows, columns, is_first=False)

        return StreamingResponse(
            lines(), headers=headers, media_type="text/csv; charset=utf-8; header=present"
        )
    folder = tempfile.TemporaryDirectory(prefix="amb-parquet-")
    try:
        file = await _parquet(exchange, Path(folder.name), batches, columns)
    except BaseException:
        folder.cleanup()
        raise

    async def content() -> AsyncIterator[bytes]:
        try:
            with file.open("rb") as stream:
                while piece := await asyncio.to_thread(stream.read, 1 << 20):
                    yield piece
        finally:
            folder.cleanup()

    headers["Content-Length"] = str(file.stat().st_size)
    return StreamingResponse(content(), headers=headers, media_type=PARQUET)


async def _parquet(
    exchange: Exchange, folder: Path, batches: Iterator[list[table.Row]], columns: tuple[str, ...]
) -> Path:
    parts = folder / "parts"
    parts.mkdir()
    number = 0
    rows = await exchange.read(next, batches, None) or []
    while rows or not number:
        await asyncio.to_thread(table.write_part, rows, columns, parts / f"{number:06d}.parquet")
        number += 1
        rows = await exchange.read(next, batches, None) or []
    file = folder / "evolution.parquet"
    await asyncio.to_thread(table.join_parts, parts, file)
    return file


def _batches(
    exchange: Exchange, asked: Asked, heads: Iterator[list[evolution.Head]]
) -> Iterator[list[table.Row]]:
    """Rows in batches; each is read by statements of its own, on whatever thread asks for it."""
    batch: list[table.Row] = []
    for row in _rows(exchange, asked, heads):
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _rows(exchange: Exchange, asked: Asked, heads: Iterator[list[evolution.Head]]) -> Iterator[table.Row]:
    if asked.shape != "aggregatedValues":
        found = evolution.stream(
            heads, asked.temporal, attributes=asked.attributes, dataset_ids=asked.datasets
        )
        yield from table.instance_rows(found, exchange.context)
        return
    for chunk in heads:
        units = evolution.units_of([head.id for head in chunk])
        aggregated = aggregation.stream(
            [chunk], asked.temporal, attributes=asked.attributes, dataset_ids=asked.datasets
        )
        yield from table.aggregate_rows(aggregated, exchange.context, units)


# --- writing --------------------------------------------------------------------------------------------------------


async def upsert(request: Request) -> Response:
    """6.18.3.1."""
    exchange = await open_exchange(request, write=True, creates=True)
    parsed = parse_temporal(expanded(exchange.body), exchange.context)
    access = exchange.access
    is_new = await exchange.write(
        (),
        lambda _: past.upsert_evolution(parsed, restriction=access.restriction, guard=access.guard),
    )
    if not is_new:
        return exchange.answer(status=204)
    location = f"{BASE}/temporal/entities/{quote(str(parsed.id), safe=':')}"
    return exchange.answer(status=201, headers={"Location": location})


async def delete(request: Request) -> Response:
    """6.19.3.2."""
    exchange = await open_exchange(request, write=True)
    entity_id = exchange.uri("entity_id")
    await exchange.write(
        (), lambda _: past.delete_evolution(entity_id, restriction=exchange.access.restriction)
    )
    return exchange.answer(status=204)


async def add(request: Request) -> Response:
    """6.20.3.1."""
    exchange = await open_exchange(request, write=True)
    entity_id = exchange.uri("entity_id")
    parsed = parse_temporal(expanded(exchange.body), exchange.context, need_id=False)
    await exchange.write(
        (), lambda _: past.add_instances(entity_id, parsed, restriction=exchange.access.restriction)
    )
    return exchange.answer(status=204)


async def delete_attribute(request: Request) -> Response:
    """6.21.3.1."""
    exchange = await open_exchange(request, write=True)
    entity_id, name = exchange.uri("entity_id"), exchange.context.expand(request.path_params["attr_id"])
    dataset, every = exchange.text("datasetId"), exchange.flag("deleteAll")
    if dataset is not None and dataset != "@none":
        checked_uri("datasetId", dataset)
    await exchange.write(
        (),
        lambda _: past.delete_attribute(
            entity_id,
            name,
            dataset_id=None if dataset == "@none" else dataset,
            every=every,
            restriction=exchange.access.restriction,
        ),
    )
    return exchange.answer(status=204)


async def modify_instance(request: Request) -> Response:
    """6.22.3.1."""
    exchange = await open_exchange(request, write=True)
    entity_id, term = exchange.uri("entity_id"), request.path_params["attr_id"]
    name, instance = exchange.context.expand(term), exchange.uri("instance_id")
    body = exchange.body
    if (
        isinstance(body, dict)
        and term not in body
        and isinstance(body.get("type"), str)
        and not isinstance(body.get(body["type"]), dict)
    ):
        # Many clients send the instance itself where the standard has it inside a fragment.
        known = {key: value for key, value in body.items() if key != "id"}
        body = {term: [known]} if known.keys() & VALUES else body
    parsed = parse_temporal(expanded(body), exchange.context, need_id=False)
    given = parsed.attributes.get(name)
    if not isinstance(given, list) or len(given) != 1 or len(parsed.attributes) != 1:
        raise BadRequestData(f"{term}: send this attribute alone, with exactly one instance in a list.")
    await exchange.write(
        (),
        lambda _: past.replace_instance(
            entity_id, name, instance, given[0], restriction=exchange.access.restriction
        ),
    )
    return exchange.answer(status=204)


VALUES = frozenset({"value", "object", "languageMap", "vocab", "valueList", "objectList", "json"})


async def delete_instance(request: Request) -> Response:
    """6.22.3.2."""
    exchange = await open_exchange(request, write=True)
    entity_id, name = exchange.uri("entity_id"), exchange.context.expand(request.path_params["attr_id"])
    instance = exchange.uri("instance_id")
    await exchange.write(
        (),
        lambda _: past.delete_instance(entity_id, name, instance, restriction=exchange.access.restriction),
    )
    return exchange.answer(status=204)


ROUTES = [
    Route("/temporal/entities", upsert, methods=["POST"]),
    Route("/temporal/entities", query, methods=["GET"]),
    Route("/temporal/entityOperations/query", post_query, methods=["POST"]),
    Route("/temporal/entityMaps", make_map, methods=["GET"]),
    Route("/temporal/entityMaps", post_map, methods=["POST"]),
    Route("/temporal/entities/{entity_id}", retrieve, methods=["GET"]),
    Route("/temporal/entities/{entity_id}", delete, methods=["DELETE"]),
    Route("/temporal/entities/{entity_id}/attrs", add, methods=["POST"]),
    Route("/temporal/entities/{entity_id}/attrs/{attr_id}", delete_attribute, methods=["DELETE"]),
    Route("/temporal/entities/{entity_id}/attrs/{attr_id}/{instance_id}", modify_instance, methods=["PATCH"]),
    Route(
        "/temporal/entities/{entity_id}/attrs/{attr_id}/{instance_id}", delete_instance, methods=["DELETE"]
    ),
]
