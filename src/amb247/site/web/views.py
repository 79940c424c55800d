"""The public portal and the pages of the feeds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from amb247.centre.live import service
from amb247.context import api as context
from amb247.site.web.context_processors import DOORS, city_name
from amb247.territory import api as territory


@login_not_required
@require_GET
def portal(request: HttpRequest) -> HttpResponse:
    """What the platform is and how the city does; figures only, nothing that needs a role."""
    live = service.current()
    counts = live.picture.counts(None) if live is not None and live.is_ready else {}
    municipalities = territory.areas(territory.Level.MUNICIPALITY)
    known = [area.population for area in municipalities if area.population]
    return render(
        request,
        "site/portal.html",
        {
            "doors": [
                {"url": door.url, "label": door.label, "icon": door.icon, "description": door.description}
                for door in DOORS
            ],
            "figures": portal_figures(counts),
            "city_name": city_name() or "AMB",
            "population": sum(known) if len(known) == len(municipalities) else None,
            "municipalities": [area.name for area in municipalities],
        },
    )


def portal_figures(counts: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    """Totals of what there is, and how much of it needs a look. Empty while nothing is known."""
    shown = (
        ("vehicle", _("Buses en servicio"), "stale", _("sin posición reciente")),
        ("streetlight", _("Luminarias"), "fault", _("en falla")),
        ("accesspoint", _("Zonas WiFi"), "fault", _("caídas")),
        ("camera", _("Cámaras"), "fault", _("fuera de línea")),
    )
    return [
        {
            "count": "",
            "value": sum(counts[layer].values()),
            "label": label,
            "look": {"count": "", "value": counts[layer][state], "label": words},
        }
        for layer, label, state, words in shown
        if sum(counts.get(layer, {}).values())
    ]


@require_GET
def feeds(request: HttpRequest) -> HttpResponse:
    _require(request, territory.Permission.FEEDS_VIEW)
    return render(request, "site/feeds.html", {"feeds": context.feed_statuses(), "now": timezone.now()})


@require_GET
def feed(request: HttpRequest, slug: str) -> HttpResponse:
    _require(request, territory.Permission.FEEDS_VIEW)
    found = next((status for status in context.feed_statuses() if status.slug == slug), None)
    if found is None:
        raise Http404
    return render(
        request,
        "site/feed.html",
        {
            "feed": found,
            "refusals": context.feed_refusals(slug),
            "bars": minute_bars(context.feed_minutes(slug, since=timezone.now() - timedelta(hours=2))),
        },
    )


def minute_bars(minutes: list[Any]) -> dict[str, Any]:
    """Bars of the last two hours for the page's SVG: x 0-120, heights 0-60."""
    now = timezone.now().replace(second=0, microsecond=0)
    highest = max((row.taken + row.refused for row in minutes), default=0) or 1
    bars = []
    for row in minutes:
        x = 120 - int((now - row.minute).total_seconds() // 60) - 1
        if 0 <= x < 120:
            taken, refused = 60 * row.taken / highest, 60 * row.refused / highest
            bars.append(
                {
                    "x": x,
                    "y": round(60 - taken - refused, 1),
                    "taken": round(taken, 1),
                    "y_taken": round(60 - taken, 1),
                    "refused": round(refused, 1),
                }
            )
    return {"bars": bars, "highest": highest}


def _require(request: HttpRequest, permission: str) -> None:
    if not territory.can(request.user, permission):
        raise PermissionDenied
