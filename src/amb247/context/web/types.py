"""The front page of the explorer: what kinds of entities there are, and a search for one of them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from amb247.context.domain.queries.find import get
from amb247.context.querying.query import Restriction
from amb247.context.vocabulary import REGISTRY
from amb247.context.web.asked import encoded
from amb247.context.web.describe import attribute_name, type_name
from amb247.context.web.guards import Reader, explorer_view
from amb247.context.web.known import number_of, traits
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


def type_rows(restriction: Restriction | None) -> list[dict[str, Any]]:
    return [
        {
            "name": type_name(name),
            "count": number_of(name, restriction),
            "attributes": [
                {"name": attribute_name(one), "kinds": kinds} for one, kinds in attributes.items()
            ],
            "is_declared": name in REGISTRY,
        }
        for name, attributes in traits(restriction).items()
    ]


def _speaks_of(row: dict[str, Any], words: str) -> bool:
    folded = words.casefold()
    texts = [row["name"].name, row["name"].label]
    texts += [text for one in row["attributes"] for text in (one["name"].name, one["name"].label)]
    return any(folded in text.casefold() for text in texts)
