"""Tokens of integrations: list, create, revoke."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from amb247.territory import api
from amb247.territory.data import TokenLine
from amb247.territory.domain import tokens
from amb247.territory.enums import Permission, Scope
from amb247.territory.errors import NotAllowed, TerritoryError
from amb247.territory.web.forms import TokenForm
from amb247.territory.web.guards import needs, reach, signed_in
from amb247.territory.web.places import place_of


def _state(line: TokenLine) -> tuple[str, str]:
    """A word for the state, and the look that goes with it."""
    if line.revoked_at is not None:
        return _("Revocada"), "offline"
    if line.info.expires_at is not None and line.info.expires_at <= timezone.now():
        return _("Vencida"), "offline"
    return _("Vigente"), "ok"


@require_safe
@needs(Permission.TOKENS_MANAGE)
def index(request: HttpRequest) -> HttpResponse:
    rows = [
        {
            "line": line,
            "state": _state(line),
            "scopes": [Scope(scope).label for scope in sorted(line.info.scopes) if scope in Scope],
            "entity_types": sorted(line.info.entity_types),
            "tenants": sorted(line.info.tenants),
        }
        for line in tokens.tokens_for(signed_in(request))
    ]
    return render(request, "territory/tokens.html", {"rows": rows, "reach": reach(request)})


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Permission.TOKENS_MANAGE)
def create(request: HttpRequest) -> HttpResponse:
    """On success the page itself shows the secret, once: only its digest is kept."""
    user = signed_in(request)
    form = TokenForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        place = place_of(form.cleaned_data["place"])
        try:
            made = api.create_token(
                form.cleaned_data["name"],
                form.cleaned_data["scopes"],
                owner=user,
                area_code=place.area_code,
                organisation_id=place.organisation_id,
                expires_at=form.expires_at(),
                tenants=form.cleaned_data["tenants"],
                entity_types=form.cleaned_data["entity_types"],
                request_info=api.request_info(request),
            )
        except NotAllowed as refusal:
            raise PermissionDenied from refusal
        except TerritoryError as refusal:
            form.add_error(None, str(refusal))
        else:
            return render(request, "territory/token_made.html", {"made": made})
    return render(request, "territory/token_new.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Permission.TOKENS_MANAGE)
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    user = signed_in(request)
    line = tokens.token_for(user, token_id)
    if line is None:
        raise Http404
    if request.method == "POST":
        try:
            api.revoke_token(token_id, by=user, request_info=api.request_info(request))
        except NotAllowed as refusal:
            raise PermissionDenied from refusal
        messages.success(request, _("Ficha revocada."))
        return redirect("territory:tokens")
    return render(request, "territory/revoke_token.html", {"line": line})
