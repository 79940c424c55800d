"""One entity: everything that is stored of it, where it is, what it points to, its history, its representations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from amb247.context.documents.kinds import VALUE_KEY
from amb247.context.documents.represent import Form, represent
from amb247.context.domain.queries.find import get, get_many
from amb247.context.domain.queries.history import history, hourly
from amb247.context.jsonld.context import CORE
from amb247.context.phrases import UNITS
from amb247.context.stored import Stored
from amb247.context.web.asked import encoded
from amb247.context.web.commands import base_url, curl
from amb247.context.web.describe import (
    attribute_name,
    default_of,
    history_kind,
    newest,
    pretty,
    rows_of,
    short_id,
    title_of,
    type_name,
    value_words,
)
from amb247.context.web.guards import Permission, Reader, explorer_view
from amb247.context.web.maps import entity_url, feature_of, territory_bounds
from amb247.territory import api as territory

HOURS: Final = (24, 168, 744)
RAW_HOURS: Final = 26  # longer histories are drawn from hourly means
POINTS: Final = 5_000
TABLE: Final = 50
FORMS: Final = {
    "normalized": Form(),
    "concise": Form(kind="concise"),
    "simplified": Form(kind="simplified"),
    "geojson": Form(geojson=True),
}


@require_GET
@explorer_view
def detail(request: HttpRequest, reader: Reader, entity_id: str) -> HttpResponse:
    entity = get(entity_id, reader.restriction)
    if entity is None:
        # The same words whether it does not exist or lies out of reach.
        return render(request, "context/no_entity.html", {"reader": reader, "id": entity_id}, status=404)
    form = request.GET.get("forma", "")
    form = form if form in FORMS else "normalized"
    rows = rows_of(entity)
    address = base_url(request) + _api_path(entity_id, form)
    return render(
        request,
        "context/entity.html",
        {
            "reader": reader,
            "entity": entity,
            "title": title_of(entity),
            "types": [type_name(name) for name in entity.types],
            "rows": [{"row": row, "links": _links(row.links)} for row in rows],
            "newest": newest(entity),
            "place": _place(entity),
            "address": _address(entity),
            "map_bounds": territory_bounds(),
            "history": _history(request, reader, entity),
            "forms": list(FORMS),
            "form": form,
            "document": pretty(represent(entity, CORE, FORMS[form])),
            "api_url": address,
            "curl": curl(address, accept="application/geo+json" if form == "geojson" else "application/json"),
            "centre_url": _centre_url(reader, entity_id),
            "seen_links": _known(reader, [target for row in rows for target in row.links]),
        },
    )


@require_GET
@explorer_view
def series(request: HttpRequest, reader: Reader) -> HttpResponse:
    """``{"label", "unit", "t": [epoch s], "v": [...]}`` of a numeric attribute over the last hours."""
    entity = get(request.GET.get("id", "")[:1_000].replace("\x00", ""), reader.restriction)
    attribute = request.GET.get("atributo", "")
    if not reader.may_read_history or entity is None or history_kind(entity, attribute) != "number":
        raise Http404
    hours = _hours(request)
    end = timezone.now() + timedelta(minutes=5)
    start = timezone.now() - timedelta(hours=hours)
    if hours <= RAW_HOURS:
        points = [
            (seen.at, _number(seen.value)) for seen in history(entity.id, attribute, start, end, limit=POINTS)
        ]
    else:
        points = [(hour.start, hour.mean) for hour in hourly(entity.id, attribute, start, end)]
    code = str(default_of(entity.attributes[attribute]).get("unitCode", ""))
    return JsonResponse(
        {
            "label": attribute,
            "unit": str(UNITS.get(code, code)),
            "t": [int(at.timestamp()) for at, value in points if value is not None],
            "v": [value for _at, value in points if value is not None],
        }
    )


def _history(request: HttpRequest, reader: Reader, entity: Stored) -> dict[str, Any] | None:
    """What of the past is shown; None for who may not read it."""
    if not reader.may_read_history:
        return None
    names = sorted(
        entity.attributes, key=lambda name: (history_kind(entity, name) != "number", name.casefold())
    )
    asked = request.GET.get("atributo", "")
    chosen = asked if asked in entity.attributes else _first_observed(entity, names)
    hours = _hours(request)
    if not chosen:
        return {"attributes": [], "attribute": None, "hours": hours, "choices": HOURS, "rows": [], "src": ""}
    now = timezone.now()
    observations = history(
        entity.id, chosen, now - timedelta(hours=hours), now + timedelta(minutes=5), limit=TABLE
    )
    is_number = history_kind(entity, chosen) == "number"
    instance = default_of(entity.attributes[chosen])
    return {
        "attributes": [attribute_name(name) for name in names],
        "attribute": attribute_name(chosen),
        "hours": hours,
        "choices": HOURS,
        "limit": TABLE,
        "rows": [
            {"at": seen.at, "value": _words(chosen, instance, seen.value), "is_deleted": seen.deleted}
            for seen in reversed(observations)
        ],
        "src": "/contexto/serie.json?"
        + encoded([("id", entity.id), ("atributo", chosen), ("horas", str(hours))])
        if is_number and len(observations) > 1  # one point makes no line
        else "",
    }


def _first_observed(entity: Stored, names: list[str]) -> str:
    """A number that is observed, else anything that is, else the first."""
    observed = [name for name in names if "observedAt" in default_of(entity.attributes[name])]
    return next(iter(observed or names), "")


def _words(name: str, instance: dict[str, Any], value: Any) -> str:
    key = VALUE_KEY.get(str(instance.get("type")), "value")
    return "" if value is None else value_words(name, {**instance, key: value})


def _hours(request: HttpRequest) -> int:
    given = request.GET.get("horas", "")
    return int(given) if given in {str(one) for one in HOURS} else HOURS[0]


def _links(targets: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"id": one, "short": short_id(one), "url": entity_url(one)} for one in targets[:50]]


def _known(reader: Reader, targets: list[str]) -> dict[str, str]:
    """Names of the linked entities that exist within reach."""
    found = get_many(list(dict.fromkeys(targets))[:200], reader.restriction)
    return {one.id: title_of(one) for one in found.values()}


def _place(entity: Stored) -> dict[str, Any] | None:
    feature = feature_of(entity)
    if feature is None:
        return None
    return {"feature": {"type": "FeatureCollection", "features": [feature]}}


def _address(entity: Stored) -> str:
    stored = entity.attributes.get("location")
    value = default_of(stored).get("value") if stored else None
    if not isinstance(value, dict) or value.get("type") != "Point":
        return ""
    area = territory.area_of(*value["coordinates"][:2])
    return (
        ""
        if area is None
        else " · ".join(one.name for one in territory.area_line(area.code)[:-1]) or area.name
    )


def _centre_url(reader: Reader, entity_id: str) -> str:
    if not entity_id.startswith("urn:ngsi-ld:") or not territory.can(reader.user, Permission.CENTRE_VIEW):
        return ""
    return f"/centro/?cosa={short_id(entity_id)}"


def _api_path(entity_id: str, form: str) -> str:
    path = entity_url(entity_id).replace("/contexto/entidades/", "", 1).replace("/", "%2F")
    kept = {"concise": "?format=concise", "simplified": "?format=simplified"}
    return f"/ngsi-ld/v1/entities/{path}{kept.get(form, '')}"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
