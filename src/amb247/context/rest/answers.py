"""Entities in the form that was asked for: JSON, JSON-LD, GeoJSON, CSV, with linked entities where wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from amb247.context.documents.join import check_projection, join_flat, join_flat_geojson, join_inline
from amb247.context.documents.represent import (
    Form,
    feature_collection,
    represent,
    represent_geojson,
)
from amb247.context.documents.table import as_csv
from amb247.context.documents.versions import amended
from amb247.context.domain.queries.find import get_many
from amb247.context.ngsi_errors import BadRequestData, ResourceNotFound
from amb247.context.rest.distributed import get_everywhere
from amb247.context.rest.exchange import CSV, GEO, Exchange
from amb247.context.stored import Stored

MAX_JOIN = 10
CSV_TYPE = "text/csv; charset=utf-8; header=present"


async def entity_answer(exchange: Exchange, entity_id: str, form: Form) -> Response:
    """One entity.

    Raises
    ------
    ResourceNotFound
        There is none within reach, or it has none of the attributes asked for.
    """
    join, level = join_of(exchange, form)
    types = exchange.types()
    found = await get_everywhere(exchange, entity_id, form)
    if found is not None and types is not None and not types.fits(found.types):
        found = None
    if found is None or (form.attrs and not set(form.attrs) & set(found.attributes)):
        problem = ResourceNotFound(
            f"There is no entity {entity_id}" + (" with such attributes." if found else ".")
        )
        problem.headers = exchange.headers
        raise problem
    amend = Amendment(exchange)
    found = amend(found)
    if join is not None:
        shown = await exchange.read(joined, exchange, [found], form, join, level, amend)
        return exchange.answer(shown[0] if join == "inline" else shown, amend.status)
    if exchange.accept == GEO:
        return exchange.answer(represent_geojson(found, exchange.context, form), amend.status)
    return exchange.answer(represent(found, exchange.context, form), amend.status)


class Amendment:
    """Entities as the version of the standard that the client prefers has them; the status says whether any had to change."""

    def __init__(self, exchange: Exchange, status: int = 200) -> None:
        self.version = exchange.preferred_version()
        self.context = exchange.context
        self.status = status
        if self.version is not None:
            exchange.conforms_to = self.version

    def __call__(self, entity: Stored) -> Stored:
        if self.version is None:
            return entity
        made = amended(entity, self.version, self.context)
        if made is not entity and self.status == 200:
            self.status = 203  # Non-Authoritative Information: tables 6.4.3.2-3, 6.5.3.1-3
        return made


async def entities_answer(
    exchange: Exchange, found: Sequence[Stored], form: Form, status: int = 200
) -> Response:
    """A list of entities, a FeatureCollection, or a table. `status`: 201 where a map was made of what was found."""
    join, level = join_of(exchange, form)
    context = exchange.context
    if exchange.accept == CSV:
        return exchange.table(as_csv(found, context, form), CSV_TYPE, status)
    amend = Amendment(exchange, status)
    found = [amend(one) for one in found]
    if join is not None:
        shown = await exchange.read(joined, exchange, found, form, join, level, amend)
        return exchange.answer(shown, amend.status)
    if exchange.accept == GEO:
        features = feature_collection(represent_geojson(one, context, form) for one in found)
        return exchange.answer(features, amend.status)
    return exchange.answer([represent(one, context, form) for one in found], amend.status)


def join_of(exchange: Exchange, form: Form) -> tuple[str | None, int]:
    """How, and how many links deep, the linked entities are wanted (4.5.23)."""
    join = exchange.text("join")
    if join not in {None, "inline", "flat", "@none"}:
        raise BadRequestData(f"join: use inline, flat or @none, not {str(join)[:40]!r}.")
    if join == "@none":
        join = None
    level = exchange.number("joinLevel", 1, lowest=1, highest=MAX_JOIN)
    check_projection(form, join=join, level=level)
    return join, level


def joined(
    exchange: Exchange, found: Sequence[Stored], form: Form, join: str, level: int, amend: Amendment
) -> Any:
    """The entities with what they are linked to; runs where the database is."""

    def lookup(ids: Sequence[str]) -> Mapping[str, Stored]:
        linked = get_many(ids, exchange.access.restriction)
        return {entity_id: amend(one) for entity_id, one in linked.items()}

    contained_by = exchange.texts("containedBy")
    if join == "inline":
        return join_inline(
            found, exchange.context, form, lookup=lookup, level=level, contained_by=contained_by
        )
    if exchange.accept == GEO:
        return join_flat_geojson(found, exchange.context, form, lookup=lookup, level=level)
    return join_flat(found, exchange.context, form, lookup=lookup, level=level, contained_by=contained_by)
