"""Pages and data of the control centre. Everything shown comes from this process's live picture or the context."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from amb247.centre.access import Visible, visible_areas
from amb247.centre.live import service
from amb247.centre.live.basemap import basemap
from amb247.centre.live.layers import BY_KEY, STATES
from amb247.centre.live.lists import PAGE, Filters, ThingPage, list_things
from amb247.centre.live.moment import city_at
from amb247.centre.live.picture import PREFIX, Picture, key_of
from amb247.centre.live.tiles import MAX_ZOOM, MIN_ZOOM, streetlight_tile
from amb247.centre.web.things import alert_rows, describe_thing, series_of
from amb247.territory import api as territory

View = Callable[..., HttpResponse]
REPLAY_HOURS = 6
DEFAULT_LAYERS = ("streetlight", "vehicle", "alert", "accesspoint", "camera", "station")


def centre_view(view: Callable[..., HttpResponse]) -> View:
    """Only for people who may see the centre somewhere; the view is told where, and given the picture."""

    @require_GET
    @wraps(view)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
        is_allowed, visible = visible_areas(request.user)
        if not is_allowed:
            raise PermissionDenied
        live = service.current()
        if live is None or not live.is_ready:
            response = render(request, "centre/starting.html", status=503)
            response["Retry-After"] = "2"
            return response
        return view(request, live.picture, visible, **arguments)

    return guarded


@centre_view
def home(request: HttpRequest, picture: Picture, visible: Visible) -> HttpResponse:
    chosen = request.GET.get("cosa", "")
    shown = _shown_layers(request)
    return render(
        request,
        "centre/home.html",
        {
            **_list_context(request, picture, visible),
            "alerts": alert_rows(picture, visible),
            "counts": picture.counts(visible),
            "shown_layers": shown,
            "communes": _communes(),
            "thing": describe_thing(chosen, picture, visible) if chosen else None,
            "data_time": _data_time(picture),
            "map_bounds": _bounds(picture, visible),
            "map_style_url": settings.BASEMAP_STYLE_URL,
            "attribution": _("Cartografía sintética de demostración") if territory.is_synthetic() else "",
            "may_replay": True,
            "live_url": "/events/city",
        },
    )


@centre_view
def things(request: HttpRequest, picture: Picture, visible: Visible) -> HttpResponse:
    return render(request, "centre/_list.html", _list_context(request, picture, visible))


@centre_view
def alerts(request: HttpRequest, picture: Picture, visible: Visible) -> HttpResponse:
    moment = _moment(request)
    if moment is not None:
        shown = city_at(picture, moment, visible)["alerts"]
        return render(request, "centre/_alerts.html", {"alerts": alert_rows(picture, visible, shown)})
    return render(request, "centre/_alerts.html", {"alerts": alert_rows(picture, visible)})


@centre_view
def thing(request: HttpRequest, picture: Picture, visible: Visible, thing_id: str) -> HttpResponse:
    return _show_thing(request, picture, visible, thing_id)


def _show_thing(request: HttpRequest, picture: Picture, visible: Visible, thing_id: str) -> HttpResponse:
    found = describe_thing(thing_id, picture, visible)
    is_fragment = bool(getattr(request, "htmx", False)) or request.headers.get("X-Requested-With") == "fetch"
    if found is None:
        if is_fragment:
            return render(request, "centre/_missing.html", {"no_access": False}, status=404)
        raise Http404
    return render(request, "centre/_thing.html" if is_fragment else "centre/thing.html", {"thing": found})


@centre_view
def thing_by_key(
    request: HttpRequest, picture: Picture, visible: Visible, layer: str, key: int
) -> HttpResponse:
    """The thing that a map tile names only by its key."""
    found = picture.id_of(layer, key)
    if found is None:
        return render(request, "centre/_missing.html", {"no_access": False}, status=404)
    return _show_thing(request, picture, visible, found)


@centre_view
def series(request: HttpRequest, picture: Picture, visible: Visible, thing_id: str) -> HttpResponse:
    """``{"label", "unit", "t": [epoch s], "v": [...]}`` of one attribute over the last hours."""
    hours = _number(request.GET.get("horas"), 24, 1, 24 * 31)
    found = series_of(
        thing_id, request.GET.get("atributo", ""), hours=hours, picture=picture, visible=visible
    )
    if found is None:
        raise Http404
    return JsonResponse(found)


@centre_view
def raw(_request: HttpRequest, picture: Picture, visible: Visible, thing_id: str) -> HttpResponse:
    """The stored entity, as NGSI-LD normalized JSON."""
    found = describe_thing(thing_id, picture, visible)
    if found is None:
        raise Http404
    return JsonResponse(
        found["entity"],
        json_dumps_params={"ensure_ascii": False, "indent": 2},
        content_type="application/json; charset=utf-8",
    )


@centre_view
def layers(_request: HttpRequest, picture: Picture, visible: Visible) -> HttpResponse:
    with picture.lock:
        shown: dict[str, list[Any]] = {}
        for key in ("accesspoint", "camera", "station", "stop"):
            layer = picture.layers[key]
            shown[key] = [layer.row(row) for row in picture.mask(layer, visible).nonzero()[0].tolist()]
        lamps = picture.layers["streetlight"]
        bad = picture.mask(lamps, visible) & (lamps.state[: lamps.size] != 0)
        abnormal = [[*lamps.row(row)[:6], "streetlight"] for row in bad.nonzero()[0].tolist()]
        answer = {
            "cursor": str(picture.cursor),
            "t": int(timezone.now().timestamp() * 1000),
            "counts": picture.counts(visible),
            "layers": shown,
            "abnormal": abnormal,
        }
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


@centre_view
def moment(request: HttpRequest, picture: Picture, visible: Visible) -> HttpResponse:
    asked = _moment(request)
    if asked is None:
        return JsonResponse(
            {"title": _("Indique el momento, por ejemplo t=2026-11-22T14:03:00-05:00.")}, status=400
        )
    return JsonResponse(city_at(picture, asked, visible), headers={"Cache-Control": "private, max-age=60"})


@centre_view
def tile(request: HttpRequest, picture: Picture, visible: Visible, z: int, x: int, y: int) -> HttpResponse:
    if not (MIN_ZOOM <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise Http404
    etag = f'"{picture.tiles_version}-{hash(visible) & 0xFFFF:x}"'
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304)
    body, _version = streetlight_tile(picture, z, x, y, visible)
    return _compressed(
        request,
        body,
        "application/vnd.mapbox-vector-tile",
        {"ETag": etag, "Cache-Control": "private, max-age=5"},
        status=200 if body else 204,
    )


@centre_view
def base(request: HttpRequest, picture: Picture, visible: Visible) -> HttpResponse:  # noqa: ARG001 - same for all
    body, etag = basemap()
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304)
    return HttpResponse(
        body,
        content_type="application/geo+json",
        headers={"ETag": etag, "Cache-Control": "private, max-age=60", "Content-Encoding": "gzip"},
    )


def _compressed(
    request: HttpRequest, body: bytes, content_type: str, headers: dict[str, str], *, status: int
) -> HttpResponse:
    from gzip import compress

    if len(body) > 500 and "gzip" in request.headers.get("Accept-Encoding", ""):
        body, headers = compress(body, 5), headers | {"Content-Encoding": "gzip"}
    return HttpResponse(body, content_type=content_type, headers=headers, status=status)


def _list_context(request: HttpRequest, picture: Picture, visible: Visible) -> dict[str, Any]:
    shown = tuple(key for key in _shown_layers(request) if key in BY_KEY)
    state = request.GET.get("estado", "")
    filters = Filters(
        layers=shown,
        state=state if state in {*STATES, "abnormal"} else "",
        area=request.GET.get("comuna", "")[:20],
        text=request.GET.get("q", "")[:80],
        page=_number(request.GET.get("pagina"), 1, 1, 100_000),
    )
    asked = _moment(request)
    overrides = city_at(picture, asked, visible) if asked is not None else None
    found = list_things(picture, filters, visible, at=overrides) if shown else ThingPage((), 0, 1, 1)
    names: dict[str, str] = {area.code: area.name for area in territory.areas()}
    query = request.GET.copy()
    query.pop("pagina", None)
    return {
        "rows": [
            {
                "id": row.id,
                "key": key_of(PREFIX + row.id),
                "layer": row.layer,
                "layer_label": row.layer_name,
                "name": row.name,
                "detail": names.get(row.area, ""),
                "state": row.state,
                "at": row.seen,
                "lon": row.lon,
                "lat": row.lat,
            }
            for row in found.rows
        ],
        "page": _Counted(found.total).get_page(found.page),
        "query": f"{query.urlencode()}&" if query else "",
        "filter": {"estado": filters.state, "comuna": filters.area, "q": filters.text},
        "no_access": False,
    }


class _Counted(Paginator):  # type: ignore[type-arg]
    """Django's page arithmetic over a list of which only one page was made."""

    def __init__(self, total: int) -> None:
        super().__init__(range(total), PAGE)


def _shown_layers(request: HttpRequest) -> list[str]:
    """Layers of the address: `capas` on the page, `capa` for the list alone; `-` is none of them."""
    given = [*request.GET.getlist("capas"), *request.GET.getlist("capa")]
    return [key for part in given for key in part.split(",") if key] if given else list(DEFAULT_LAYERS)


def _communes() -> list[dict[str, str]]:
    names: dict[str, str] = {area.code: area.name for area in territory.areas(territory.Level.MUNICIPALITY)}
    return [
        {"code": area.code, "name": area.name, "municipality": names.get(area.parent or "", "")}
        for area in territory.areas(territory.Level.COMMUNE)
    ]


def _bounds(picture: Picture, visible: Visible) -> str:
    """The box of what the person sees: communes only, since a municipality's rural land would dwarf the city.

    Where no territory was imported yet, that of the things on the map: a recording of another city is seen where it is.
    """
    shown = [
        area
        for area in territory.areas(territory.Level.COMMUNE)
        if area.bbox and (visible is None or any(area.code.startswith(code) for code in visible))
    ]
    boxes = [area.bbox for area in shown if area.bbox]
    if not boxes and visible is None and (box := picture.box()) is not None:
        boxes = [box]
    if not boxes:
        return ""
    return ",".join(
        f"{value:.5f}"
        for value in (
            min(box[0] for box in boxes),
            min(box[1] for box in boxes),
            max(box[2] for box in boxes),
            max(box[3] for box in boxes),
        )
    )


def _moment(request: HttpRequest) -> datetime | None:
    """The asked moment, within the hours that the replay offers; None for now or for what is no time."""
    text = request.GET.get("t", "")
    if not text:
        return None
    try:
        asked = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return None
    if asked.tzinfo is None:
        asked = asked.replace(tzinfo=UTC)
    now = timezone.now()
    return max(min(asked, now), now - timedelta(hours=REPLAY_HOURS, minutes=10))


def _number(text: str | None, default: int, lowest: int, highest: int) -> int:
    try:
        return min(max(int(text or default), lowest), highest)
    except ValueError:
        return default


def _data_time(picture: Picture) -> datetime | None:
    return datetime.fromtimestamp(picture.newest, UTC) if picture.newest else None
