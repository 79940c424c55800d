"""Other holders of context that are registered here, and how asking them goes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from amb247.context.documents.times import moment
from amb247.context.domain import registrations
from amb247.context.domain.registered import Sought
from amb247.context.domain.registrations import Registration
from amb247.context.jsonld.context import CORE
from amb247.context.ngsi_errors import ResourceNotFound
from amb247.context.web.describe import pretty, short_id
from amb247.context.web.endpoints import safe_uri
from amb247.context.web.guards import Reader, delivery_view

PAGE: Final = 50
MODES: Final = {
    "inclusive": gettext_lazy("se suma a lo guardado aquí"),
    "exclusive": gettext_lazy("solo ella lo tiene"),
    "redirect": gettext_lazy("se le pasa todo"),
    "auxiliary": gettext_lazy("completa lo que falte"),
}


@require_GET
@delivery_view
def index(request: HttpRequest, reader: Reader) -> HttpResponse:
    rows = [_row(one) for one in registrations.find(Sought(latest_only=False))]
    rows.sort(key=lambda row: not row["is_failing"])
    page = Paginator(rows, PAGE).get_page(request.GET.get("pagina"))
    return render(request, "context/registrations.html", {"reader": reader, "page": page})


@require_GET
@delivery_view
def detail(request: HttpRequest, reader: Reader, registration_id: str) -> HttpResponse:
    try:
        one = registrations.get(registration_id[:1_000].replace("\x00", ""))
    except ResourceNotFound as problem:
        raise Http404 from problem
    document = registrations.represent(one, CORE, sys_attrs=True, secrets=False)
    document["endpoint"] = safe_uri(str(document["endpoint"]))
    shown = {"reader": reader, "row": _row(one), "document": pretty(document)}
    return render(request, "context/registration.html", shown)


def _row(one: Registration) -> dict[str, Any]:
    document = one.document
    mode = document.get("mode", "inclusive")
    return {
        "registration": one,
        "name": str(document.get("registrationName") or document.get("description") or short_id(one.id))[
            :120
        ],
        "url": reverse("context:registrations") + quote(one.id, safe=":/@,;()!*~"),
        "endpoint": safe_uri(str(document["endpoint"])),
        "mode": mode,
        "mode_label": MODES.get(mode, ""),
        "operations": document.get("operations", []),
        "types": _types(document),
        "attributes": _attributes(document),
        "is_failing": one.last_failure is not None
        and (one.last_success is None or one.last_failure > one.last_success),
        "expires": _end(document),
    }


def _types(document: dict[str, Any]) -> list[str]:
    found: dict[str, None] = {}
    for information in document.get("information", ()):
        for entity in information.get("entities", ()):
            types = entity.get("type", ())
            found.update(dict.fromkeys([types] if isinstance(types, str) else types))
    return list(found)


def _attributes(document: dict[str, Any]) -> list[str]:
    return sorted(
        {
            name
            for information in document.get("information", ())
            for member in ("propertyNames", "relationshipNames")
            for name in information.get(member, ())
        }
    )


def _end(document: dict[str, Any]) -> datetime | None:
    value = document.get("expiresAt")
    return moment(value) if isinstance(value, str) else None
