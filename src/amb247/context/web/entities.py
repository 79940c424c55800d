"""The query builder: what it asked for, what was found, where it lies, and why nothing was found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import orjson
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from django_htmx.http import replace_url, reswap

from amb247.context.documents.represent import feature_collection, represent, represent_geojson
from amb247.context.documents.table import as_csv
from amb247.context.domain.queries.find import count, find
from amb247.context.ngsi_errors import NgsiError
from amb247.context.querying.syntax import GEOMETRIES
from amb247.context.web.asked import FIELDS, LIMITS, Asked, fault_of, read_asked
from amb247.context.web.commands import base_url, curl
from amb247.context.web.describe import result_row
from amb247.context.web.diagnosis import hints, why_nothing
from amb247.context.web.guards import Permission, Reader, explorer_view
from amb247.context.web.known import attribute_names, type_names
from amb247.context.web.maps import entity_url, feature_of, territory_bounds
from amb247.territory import api as territory

MORE: Final = ("id", "idPattern", "scopeQ", "geoproperty", "context")
SHAPE: Final = ("attrs", "pick", "omit", "orderBy", "accept", "sysAttrs")
# Every place of the form that says what is wrong with it.
NO_HOLDER: Final = frozenset({"limit", "offset", "sysAttrs", "georel", "geometry", "coordinates"})
HOLDERS: Final = (*(name for name in FIELDS if name not in NO_HOLDER), "otra", "general")
ON_MAP: Final = 1_000
DOWNLOAD: Final = 10_000
KINDS: Final = {
    "json": "application/json; charset=utf-8",
    "geojson": "application/geo+json; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
}


@require_GET
@explorer_view
def index(request: HttpRequest, reader: Reader) -> HttpResponse:
    """The page; for a change in the form only what follows from it, so that the reader's place in the form stays."""
    asked = read_asked(request.GET, reader.restriction)
    found = _found(asked) if asked.query is not None else None
    is_fragment = bool(request.htmx) and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    kinds = [] if is_fragment and not (found and found["total"] == 0) else type_names(reader.restriction)
    address = base_url(request) + asked.path
    shown = {
        "reader": reader,
        "asked": asked,
        "values": asked.values,
        "faults": asked.faults,
        "field_faults": [(name, asked.faults.get(name)) for name in HOLDERS],
        "found": found,
        "empty": _empty(asked, kinds) if found and found["total"] == 0 and not asked.faults else None,
        "types": kinds,
        "attributes": _attributes(asked, reader),
        "limits": [str(one) for one in LIMITS],
        "curl": curl(
            address, accept=asked.accept, link=asked.context.link if asked.values["context"] else ""
        ),
        "api_url": address,
        "map_query": asked.page_query(offset=0),
        "download": DOWNLOAD,
        "may_make_tokens": territory.can(reader.user, Permission.TOKENS_MANAGE),
        "downloads": [("json", "JSON"), ("geojson", "GeoJSON"), ("csv", "CSV")],
        "geometries": sorted(GEOMETRIES),
        "is_more_open": any(asked.values[name] for name in MORE),
        "is_shape_open": any(asked.values[name] for name in SHAPE) or asked.values["format"] != "normalized",
        "map_bounds": territory_bounds(),
    }
    if not is_fragment:
        return render(request, "context/entities.html", shown)
    response = render(request, "context/_found.html", shown)
    if asked.faults:
        reswap(response, "none")  # the faults go to their fields; the last good result stays
    query = asked.page_query()
    return replace_url(response, f"{request.path}?{query}" if query else request.path)


@require_GET
@explorer_view
def places(request: HttpRequest, reader: Reader) -> HttpResponse:
    """Where the found entities lie: GeoJSON with what a map needs to say of each."""
    asked = read_asked(request.GET, reader.restriction)
    if asked.query is None:
        return JsonResponse(feature_collection([]))
    try:
        found = find(replace(asked.query, limit=ON_MAP, offset=0))
    except NgsiError as problem:
        return JsonResponse(problem.document(), status=problem.status)
    features = [feature for one in found if (feature := feature_of(one)) is not None]
    return HttpResponse(
        orjson.dumps(feature_collection(features)), content_type="application/geo+json; charset=utf-8"
    )


@require_GET
@explorer_view
def download(request: HttpRequest, reader: Reader) -> HttpResponse:
    """The found entities as a file, in the form that was chosen; at most `DOWNLOAD`, which the page says."""
    kind = request.GET.get("archivo", "")
    kind = kind if kind in KINDS else "json"
    asked = read_asked(request.GET, reader.restriction)
    if asked.query is None:
        return _refused(asked)
    try:
        found = find(replace(asked.query, limit=DOWNLOAD, offset=0))
    except NgsiError as problem:
        return HttpResponse(problem.detail, status=problem.status, content_type="text/plain; charset=utf-8")
    context, form = asked.context, asked.form
    if kind == "csv":
        body = as_csv(found, context, form)
    elif kind == "geojson":
        body = orjson.dumps(feature_collection(represent_geojson(one, context, form) for one in found))
    else:
        body = orjson.dumps([represent(one, context, form) for one in found])
    name = _("entidades")
    return HttpResponse(
        body,
        content_type=KINDS[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}.{kind}"'},
    )


def _refused(asked: Asked) -> HttpResponse:
    words = "\n".join(f"{name}: {fault.text}" for name, fault in asked.faults.items())
    return HttpResponse(words, status=400, content_type="text/plain; charset=utf-8")


def _found(asked: Asked) -> dict[str, Any] | None:
    """The page of results with the number of all; what only asking shows to be wrong becomes a fault."""
    query = asked.query
    if query is None:
        return None
    try:
        entities, total = find(query), count(query)
    except NgsiError as problem:
        name, fault = fault_of(problem)
        asked.faults[name] = fault
        return None
    first = query.offset + 1 if entities else 0
    last = query.offset + len(entities)
    return {
        "rows": [
            {**result_row(one, asked.context, asked.form), "url": entity_url(one.id)} for one in entities
        ],
        "total": total,
        "first": first,
        "last": last,
        "previous": asked.page_query(offset=max(query.offset - query.limit, 0)) if query.offset else None,
        "next": asked.page_query(offset=last) if entities and last < total else None,
        "on_map": min(total, ON_MAP),
    }


def _empty(asked: Asked, kinds: list[str]) -> dict[str, Any]:
    return {"left": why_nothing(asked), "hints": hints(asked, kinds)}


def _attributes(asked: Asked, reader: Reader) -> list[str]:
    """What the entities of the asked types carry, as the reader has to write it in a condition."""
    types = asked.query.types if asked.query is not None else None
    if types is None:
        return []
    return [asked.context.compact(name) for name in attribute_names(types.names(), reader.restriction)]
