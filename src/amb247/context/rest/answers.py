"""Entities in the form that was asked for: JSON, JSON-LD, GeoJSON, CSV."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from amb247.context.documents.represent import (
    Form,
    feature_collection,
    represent,
    represent_geojson,
)
from amb247.context.domain.queries.find import get
from amb247.context.ngsi_errors import ResourceNotFound
from amb247.context.rest.exchange import CSV, GEO, Exchange
from amb247.context.stored import Stored


async def entity_answer(exchange: Exchange, entity_id: str, form: Form) -> Response:
    """One entity.

    Raises
    ------
    ResourceNotFound
        There is none within reach, or it has none of the attributes asked for.
    """
    found = await exchange.read(get, entity_id, restriction=exchange.access.restriction)
    if found is None or (form.attrs and not set(form.attrs) & set(found.attributes)):
        raise ResourceNotFound(
            f"There is no entity {entity_id}" + (" with such attributes." if found else ".")
        )
    if exchange.accept == GEO:
        return exchange.answer(represent_geojson(found, exchange.context, form))
    return exchange.answer(represent(found, exchange.context, form))


async def entities_answer(exchange: Exchange, found: Sequence[Stored], form: Form) -> Response:
    """A list of entities, a FeatureCollection, or a table."""
    if exchange.accept == GEO:
        return exchange.answer(
            feature_collection(represent_geojson(one, exchange.context, form) for one in found)
        )
    if exchange.accept == CSV:
        from amb247.context.documents.table import as_csv

        return Response(
            as_csv(found, exchange.context, form),
            headers=exchange.headers,
            media_type="text/csv; charset=utf-8; header=present",
        )
    return exchange.answer([represent(one, exchange.context, form) for one in found])
