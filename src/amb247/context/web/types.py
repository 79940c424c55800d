"""The front page of the explorer: what kinds of entities there are, and a search for one of them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from amb247.context.domain.queries.entities import count_by_type
from amb247.context.domain.queries.find import count, find, get
from amb247.context.ngsi_errors import NgsiError
from amb247.context.querying.query import Query, Restriction, TypeExpr
from amb247.context.vocabulary import REGISTRY
from amb247.context.web.asked import encoded
from amb247.context.web.describe import attribute_name, default_of, newest, type_name
from amb247.context.web.guards import Reader, explorer_view
from amb247.context.web.maps import entity_url


@require_GET
@explorer_view
def index(request: HttpRequest, reader: Reader) -> HttpResponse:
    words = request.GET.get("q", "").strip()[:80]
    rows = [row for row in type_rows(reader.restriction) if not words or _speaks_of(row, words)]
    return render(
        request,
        "context/types.html",
        {
            "reader": reader,
            "rows": rows,
            "words": words,
            "total": sum(row["count"] for row in rows),
        },
    )


@require_GET
@explorer_view
def search(request: HttpRequest, reader: Reader) -> HttpResponse:
    """To the entity whose id was typed, else to those whose id or name holds the words."""
    words = request.GET.get("q", "").strip()[:200].replace("\x00", "")
    if not words:
        return redirect("context:entities")
    for entity_id in (words, f"urn:ngsi-ld:{words}"):
        if ":" in words and get(entity_id, reader.restriction) is not None:
            return redirect(entity_url(entity_id))
    return redirect(f"{reverse('context:entities')}?{encoded([('buscar', words)])}")


def known_types(restriction: Restriction | None) -> dict[str, int]:
    """Type -> how many entities of it the reader may see; types of which there are none are absent."""
    everywhere = count_by_type()
    if restriction is None:
        return everywhere
    seen = {}
    for name in everywhere:
        try:
            number = count(Query(types=TypeExpr(((name,),)), restriction=restriction))
        except NgsiError:
            number = 0
        if number:
            seen[name] = number
    return seen


def type_rows(restriction: Restriction | None) -> list[dict[str, Any]]:
    return [
        _row(name, number, restriction)
        for name, number in sorted(known_types(restriction).items(), key=lambda pair: pair[0].casefold())
    ]


def _row(name: str, number: int, restriction: Restriction | None) -> dict[str, Any]:
    sample = _sample(name, restriction)
    attributes = [] if sample is None else [
        {"name": attribute_name(one), "kind": default_of(value).get("type", "")}
        for one, value in sorted(sample.attributes.items())
    ]  # fmt: skip
    return {
        "name": type_name(name),
        "count": number,
        "attributes": attributes,
        "is_declared": name in REGISTRY,
        "newest": None if sample is None else newest(sample),
    }


def _sample(name: str, restriction: Restriction | None) -> Any:
    try:
        return next(iter(find(Query(types=TypeExpr(((name,),)), restriction=restriction, limit=1))), None)
    except NgsiError:
        return None


def _speaks_of(row: dict[str, Any], words: str) -> bool:
    folded = words.casefold()
    texts = [row["name"].name, row["name"].label]
    texts += [text for one in row["attributes"] for text in (one["name"].name, one["name"].label)]
    return any(folded in text.casefold() for text in texts)
