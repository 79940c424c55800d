"""The @contexts that the broker hosts, keeps copies of, or made from what clients sent inline."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from amb247.context.domain import contexts
from amb247.context.ngsi_errors import ResourceNotFound
from amb247.context.web.deeds import Deed, ask_or_do
from amb247.context.web.guards import Reader, explorer_view

KINDS: Final = {
    "Hosted": gettext_lazy("alojado"),
    "Cached": gettext_lazy("copia"),
    "ImplicitlyCreated": gettext_lazy("implícito"),
}
PAGE: Final = 50


@require_GET
@explorer_view
def index(request: HttpRequest, reader: Reader) -> HttpResponse:
    kind = request.GET.get("kind", "")
    kind = kind if kind in KINDS else ""
    found = contexts.listed(kind=kind or None, details=True)
    rows = [_row(one) for one in found]
    rows.sort(key=lambda row: -row["hits"])
    return render(
        request,
        "context/contexts.html",
        {
            "reader": reader,
            "page": Paginator(rows, PAGE).get_page(request.GET.get("pagina")),
            "kinds": [(name, label) for name, label in KINDS.items()],
            "kind": kind,
            "keep": f"kind={kind}&" if kind else "",
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@explorer_view
def act(request: HttpRequest, reader: Reader, deed: str) -> HttpResponse:
    """Read a copy again or forget a context: asked on GET, done on POST."""
    try:
        one = contexts.metadata((request.POST or request.GET).get("id", "")[:1_000])
    except ResourceNotFound as problem:
        raise Http404 from problem
    back = reverse("context:contexts")
    return ask_or_do(
        request, reader, DEEDS.get(deed), thing=one["localId"], shown=one["URL"], back=back, after=back
    )


def _reload(context_id: str, _form: Mapping[str, Any]) -> str:
    contexts.delete(context_id, reload=True)
    return _("La copia se leyó otra vez de su servidor.")


def _delete(context_id: str, _form: Mapping[str, Any]) -> str:
    contexts.delete(context_id)
    return _("Contexto eliminado.")


DEEDS: Final = {
    "recargar": Deed(
        "context.reload",
        gettext_lazy("Recargar el contexto"),
        gettext_lazy("¿Leer otra vez este contexto de su servidor? Si no responde, queda la copia de ahora."),
        gettext_lazy("Recargar"),
        _reload,
    ),
    "eliminar": Deed(
        "context.delete",
        gettext_lazy("Eliminar el contexto"),
        gettext_lazy(
            "¿Eliminar este contexto? Las peticiones que nombren uno alojado o implícito fallarán; una copia se lee otra vez cuando haga falta."
        ),
        gettext_lazy("Eliminar"),
        _delete,
    ),
}


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": one["localId"],
        "url": one["URL"],
        "kind": one["kind"],
        "label": KINDS[one["kind"]],
        "created": _at(one, "createdAt"),
        "expires": _at(one, "expiresAt"),
        "used": _at(one, "lastUsage"),
        "hits": one["numberOfHits"],
    }


def _at(one: dict[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(one[name]) if name in one else None
