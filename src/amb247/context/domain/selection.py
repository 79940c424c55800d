"""What a subscription asks for, as a query: the same language, the same matching, the same restriction as any question."""

from __future__ import annotations

from typing import Any

from shapely.geometry import shape

from amb247.context.documents.subscription import Document
from amb247.context.domain.contexts import context_of
from amb247.context.jsonld.context import CORE
from amb247.context.querying.qlanguage import parse_q
from amb247.context.querying.query import Query, Restriction, Selector
from amb247.context.querying.syntax import parse_csf, parse_geo, parse_pattern, parse_scope, parse_types

Json = Any
PAGE = 1_000


def query_of(document: Document, *, given: Json | None, restriction: Json | None = None) -> Query:
    """The query of a subscription's document; `given` is the @context that it was made with.

    Raises
    ------
    BadRequestData
        One of `q`, `geoQ`, `scopeQ` and the selectors is not of the language.
    LdContextNotAvailable
    """
    geo = document.get("geoQ")
    return Query(
        selectors=tuple(map(_selector, document.get("entities", ()))),
        q=parse_q(document["q"], context_of(document.get("qContext", given))) if "q" in document else None,
        geo=None
        if geo is None
        else parse_geo(
            geo["georel"], geo["geometry"], geo["coordinates"], geo.get("geoproperty", "location"), CORE
        ),
        scope=parse_scope(document["scopeQ"]) if "scopeQ" in document else None,
        dataset_ids=tuple(document.get("datasetId", ())),
        limit=PAGE,
        restriction=restriction_of(restriction),
    )


def check_queries(document: Document, given: Json | None) -> None:
    """Refuse now what could not be matched later."""
    query_of(document, given=given)
    if "csf" in document:
        parse_csf(document["csf"])
    if "jsonldContext" in document:
        context_of(document["jsonldContext"])


def restriction_of(stored: Json | None) -> Restriction | None:
    """What a token may see, from the form in which a subscription keeps it: `{"types": […], "areas": [GeoJSON]}`."""
    if stored is None:
        return None
    types, areas = stored.get("types"), stored.get("areas")
    return Restriction(
        types=None if types is None else frozenset(types),
        areas=None if areas is None else tuple(shape(one) for one in areas),
    )


def stored_restriction(restriction: Restriction | None) -> Json | None:
    """The other way round."""
    if restriction is None:
        return None
    return {
        "types": None if restriction.types is None else sorted(restriction.types),
        "areas": None
        if restriction.areas is None
        else [area.__geo_interface__ for area in restriction.areas],
    }


def _selector(raw: Document) -> Selector:
    """Its names are internal already: under the core context they stay what they are."""
    ids = raw.get("id", ())
    return Selector(
        ids=(ids,) if isinstance(ids, str) else tuple(ids),
        id_pattern=parse_pattern(raw["idPattern"]) if "idPattern" in raw else None,
        types=parse_types(raw["type"], CORE),
    )
