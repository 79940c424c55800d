"""Subscriptions and how their delivery goes. What opens an endpoint (passwords, headers, keys) is never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from amb247.context.documents.times import moment
from amb247.context.domain import subscriptions
from amb247.context.domain.subscriptions import DeadLetter, Subscription
from amb247.context.jsonld.context import CORE
from amb247.context.ngsi_errors import ResourceNotFound
from amb247.context.web.deeds import Deed, ask_or_do
from amb247.context.web.describe import pretty, short_id
from amb247.context.web.endpoints import safe_text, safe_uri, without_secrets
from amb247.context.web.guards import Reader, delivery_view
from amb247.context.web.maps import entity_url

SHOWN: Final = 1_000
PAGE: Final = 50
LETTERS: Final = 50


@require_GET
@delivery_view
def index(request: HttpRequest, reader: Reader) -> HttpResponse:
    """Those in trouble first."""
    found = subscriptions.page(limit=SHOWN)
    waiting = subscriptions.count_waiting([one.id for one in found])
    rows = [_row(one, *waiting.get(one.id, (0, 0))) for one in found]
    rows.sort(key=lambda row: (not row["dead"], not row["is_failing"], not row["waiting"]))
    pages = Paginator(rows, PAGE)
    return render(
        request,
        "context/subscriptions.html",
        {
            "reader": reader,
            "page": pages.get_page(request.GET.get("pagina")),
            "total": subscriptions.count(),
            "shown": len(rows),
            "figures": {
                "active": sum(row["status"] == "active" for row in rows),
                "failing": sum(row["is_failing"] for row in rows),
                "waiting": sum(row["waiting"] for row in rows),
                "dead": sum(row["dead"] for row in rows),
            },
        },
    )


@require_GET
@delivery_view
def detail(request: HttpRequest, reader: Reader, subscription_id: str) -> HttpResponse:
    one = _get(subscription_id)
    counts = subscriptions.count_waiting([one.id]).get(one.id, (0, 0))
    letters = Paginator(range(counts[1]), LETTERS).get_page(request.GET.get("pagina"))
    offset = max(letters.start_index() - 1, 0)
    return render(
        request,
        "context/subscription.html",
        {
            "reader": reader,
            "row": _row(one, *counts),
            "document": pretty(without_secrets(subscriptions.represent(one, CORE, sys_attrs=True))),
            "letters": [
                _letter(letter) for letter in subscriptions.dead_letters(one.id, limit=LETTERS, offset=offset)
            ],
            "page": letters,
            "now": timezone.now(),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@delivery_view
def act(request: HttpRequest, reader: Reader, deed: str) -> HttpResponse:
    """Pause, resume or send again what was not delivered: asked on GET, done on POST."""
    one = _get((request.POST or request.GET).get("id", ""))
    address = subscription_url(one.id)
    chosen = DEEDS.get(deed)
    if chosen is not None and "carta" in request.GET:
        chosen = REPLAY_ONE if deed == "reenviar" else None
    return ask_or_do(request, reader, chosen, thing=one.id, shown=_name(one), back=address, after=address)


def subscription_url(subscription_id: str) -> str:
    return reverse("context:subscriptions") + quote(subscription_id, safe=":/@,;()!*~")


def _pause(subscription_id: str, _form: Mapping[str, Any]) -> str:
    subscriptions.update(subscription_id, {"isActive": False}, CORE, given=None)
    return _("Suscripción pausada: lo que cambie mientras tanto no se notifica.")


def _resume(subscription_id: str, _form: Mapping[str, Any]) -> str:
    subscriptions.update(subscription_id, {"isActive": True}, CORE, given=None)
    return _("Suscripción reanudada.")


def _replay(subscription_id: str, form: Mapping[str, Any]) -> str:
    letter = form.get("carta")
    number = subscriptions.replay(subscription_id, ids=[letter] if letter else None)
    return ngettext(
        "Se envía otra vez %(n)s notificación.", "Se envían otra vez %(n)s notificaciones.", number
    ) % {"n": number}


DEEDS: Final = {
    "pausar": Deed(
        "subscription.pause",
        gettext_lazy("Pausar la suscripción"),
        gettext_lazy(
            "¿Pausar las notificaciones? Lo que cambie mientras tanto no se notifica, tampoco después."
        ),
        gettext_lazy("Pausar"),
        _pause,
    ),
    "reanudar": Deed(
        "subscription.resume",
        gettext_lazy("Reanudar la suscripción"),
        gettext_lazy("¿Reanudar las notificaciones desde este momento?"),
        gettext_lazy("Reanudar"),
        _resume,
    ),
    "reenviar": Deed(
        "subscription.replay",
        gettext_lazy("Enviar otra vez lo no entregado"),
        gettext_lazy("¿Enviar otra vez todo lo no entregado, al destino que la suscripción tiene ahora?"),
        gettext_lazy("Enviar otra vez"),
        _replay,
    ),
}
REPLAY_ONE: Final = Deed(
    "subscription.replay",
    gettext_lazy("Enviar otra vez una notificación"),
    gettext_lazy("¿Enviar otra vez esta notificación, al destino que la suscripción tiene ahora?"),
    gettext_lazy("Enviar otra vez"),
    _replay,
)


def _get(subscription_id: str) -> Subscription:
    try:
        return subscriptions.get(subscription_id[:1_000].replace("\x00", ""))
    except ResourceNotFound as problem:
        raise Http404 from problem


def _name(one: Subscription) -> str:
    return str(one.document.get("subscriptionName") or one.document.get("description") or short_id(one.id))[
        :120
    ]


def _row(one: Subscription, waiting: int, dead: int) -> dict[str, Any]:
    document = one.document
    endpoint = document["notification"]["endpoint"]
    is_failing = one.last_failure is not None and (
        one.last_success is None or one.last_failure > one.last_success
    )
    return {
        "subscription": one,
        "name": _name(one),
        "url": subscription_url(one.id),
        "status": one.status(timezone.now()),
        "is_failing": is_failing,
        "types": [selector["type"] for selector in document.get("entities", ())],
        "watched": document.get("watchedAttributes", []),
        "interval": document.get("timeInterval"),
        "endpoint": safe_uri(str(endpoint["uri"])),
        "error": safe_text(one.last_error or "", str(endpoint["uri"])),
        "waiting": waiting,
        "dead": dead,
    }


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "letter": letter,
        "at": moment(letter.notified_at),
        "entity_url": entity_url(letter.entity_id) if letter.entity_id else "",
        "reason": safe_text(letter.reason, letter.endpoint),
        "endpoint": safe_uri(letter.endpoint),
        "json": pretty(letter.entities),
    }
