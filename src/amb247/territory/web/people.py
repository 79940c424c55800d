"""People and their roles: list, invite, grant, revoke, suspend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from amb247.territory import api, models
from amb247.territory.data import AreaCode, Person, RoleHeld
from amb247.territory.domain import people
from amb247.territory.enums import Permission, RoleName
from amb247.territory.errors import NotAllowed, PersonExists, TerritoryError
from amb247.territory.web.forms import InviteForm, RoleForm
from amb247.territory.web.guards import needs, reach, signed_in
from amb247.territory.web.places import names_of, place_of

PAGE = 50


class PeoplePage(Sequence[Person]):
    """What Django's paginator needs, without loading everybody."""

    def __init__(self, user: models.User, words: str) -> None:
        self.reach, self.words = people.reach_of(user), words
        self.total = people.managed_people(self.reach, words=words, offset=0, limit=0)[1]

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, part: Any) -> Any:
        start = part.start or 0
        return people.managed_people(self.reach, words=self.words, offset=start, limit=part.stop - start)[0]


@require_safe
@needs(Permission.PEOPLE_MANAGE)
def index(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "").replace("\0", "").strip()[:80]
    page: Any = Paginator(PeoplePage(signed_in(request), words), PAGE).get_page(request.GET.get("pagina"))
    described = {role["id"]: role for role in _words([role for person in page for role in person.roles])}
    rows = [(person, [described[role.id] for role in person.roles]) for person in page]
    context = {"page": page, "words": words, "rows": rows, "reach": reach(request)}
    return render(request, "territory/people.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Permission.PEOPLE_MANAGE)
def invite(request: HttpRequest) -> HttpResponse:
    """On success the page itself shows the link, once: it is kept nowhere."""
    user = signed_in(request)
    form = InviteForm(request.POST or None, user=user, initial={"language": "es", "role": RoleName.VIEWER})
    if request.method == "POST" and form.is_valid():
        try:
            person, is_new = _invited(request, form.cleaned_data)
        except NotAllowed as refusal:
            raise PermissionDenied from refusal
        except TerritoryError as refusal:
            form.add_error(None, str(refusal))
        else:
            if not is_new:
                messages.success(
                    request, _("%(email)s ya tenía cuenta: se le otorgó el rol.") % {"email": person.email}
                )
                return redirect("territory:person", person.id)
            return render(
                request, "territory/invited.html", {"person": person, "link": _link(request, person)}
            )
    return render(request, "territory/invite.html", {"form": form})


@transaction.atomic
def _invited(request: HttpRequest, given: dict[str, Any]) -> tuple[Person, bool]:
    """Account and role together or not at all; somebody known already just gets the role."""
    where = api.request_info(request)
    is_new = True
    place = place_of(given["place"])
    # Asked before the account is made, and before saying whether the address is known.
    people.refuse_unless_manager(signed_in(request), place.area_code, place.organisation_id)
    try:
        with transaction.atomic():
            person = api.invite_person(
                given["email"],
                full_name=given["full_name"],
                language=given["language"],
                by=signed_in(request),
                request_info=where,
            )
    except PersonExists:
        known = people.person_by_email(given["email"])
        if known is None:
            raise
        person, is_new = known, False
    _grant(request, person.id, given)
    return person, is_new


def _grant(request: HttpRequest, person_id: int, given: dict[str, Any]) -> RoleHeld:
    place = place_of(given["place"])
    return api.grant_role(
        person_id,
        given["role"],
        area_code=place.area_code,
        organisation_id=place.organisation_id,
        valid_to=given["until"],
        by=signed_in(request),
        request_info=api.request_info(request),
    )


def _link(request: HttpRequest, person: Person) -> str:
    """Where the first password is set; it ends with its use, and after PASSWORD_RESET_TIMEOUT."""
    user = models.User.objects.get(pk=person.id)
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    uid, _dash, token = key.partition("-")
    return request.build_absolute_uri(
        reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": token})
    )


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Permission.PEOPLE_MANAGE)
def detail(request: HttpRequest, person_id: int) -> HttpResponse:
    """One person's roles in the places that the reader manages; the form grants another."""
    user = signed_in(request)
    person = _managed(user, person_id)
    form = RoleForm(request.POST or None, user=user, initial={"role": RoleName.VIEWER})
    if request.method == "POST" and form.is_valid():
        try:
            _grant(request, person.id, form.cleaned_data)
        except NotAllowed as refusal:
            raise PermissionDenied from refusal
        except TerritoryError as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("Rol otorgado."))
            return redirect("territory:person", person.id)
    context = {
        "person": person,
        "roles": _words(person.roles),
        "form": form,
        "reach": reach(request),
        "can_suspend": people.reach_of(user).is_all and person.id != user.pk,
    }
    return render(request, "territory/person.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Permission.PEOPLE_MANAGE)
def revoke(request: HttpRequest, person_id: int, role_id: int) -> HttpResponse:
    person = _managed(signed_in(request), person_id)
    role = next((role for role in person.roles if role.id == role_id), None)
    if role is None:
        raise Http404
    error = ""
    if request.method == "POST":
        try:
            api.revoke_role(role_id, by=signed_in(request), request_info=api.request_info(request))
        except TerritoryError as refusal:
            error = str(refusal)
        else:
            messages.success(request, _("Rol revocado."))
            # Whoever gave up her own place may no longer see the page she came from.
            still = api.can(request.user, Permission.PEOPLE_MANAGE)
            return redirect("territory:people" if still else "territory:areas")
    context = {"person": person, "role": _words([role])[0], "error": error}
    return render(request, "territory/revoke_role.html", context, status=409 if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Permission.PEOPLE_MANAGE)
def suspend(request: HttpRequest, person_id: int) -> HttpResponse:
    """Ask, then switch access off, or on again."""
    user = signed_in(request)
    person = _managed(user, person_id)
    if not people.reach_of(user).is_all or person.id == user.pk:
        raise PermissionDenied
    error = ""
    if request.method == "POST":
        try:
            people.set_active(
                person.id, is_active=not person.is_active, by=user, request_info=api.request_info(request)
            )
        except TerritoryError as refusal:
            error = str(refusal)
        else:
            messages.success(
                request, _("Acceso suspendido.") if person.is_active else _("Acceso restablecido.")
            )
            return redirect("territory:person", person.id)
    context = {"person": person, "error": error}
    return render(request, "territory/suspend.html", context, status=409 if error else 200)


def _managed(user: models.User, person_id: int) -> Person:
    person = people.managed_person(user, person_id)
    if person is None:
        raise Http404
    return person


def _words(roles: Sequence[RoleHeld]) -> list[dict[str, Any]]:
    """Roles with the names of what they are and where."""
    organisations = names_of({role.organisation_id for role in roles if role.organisation_id})
    areas = {area.code: area.name for area in api.areas()}
    return [
        {
            "id": role.id,
            "name": RoleName(role.name).label,
            "place": _place_name(role, areas, organisations),
            "since": role.valid_from,
            "until": role.valid_to,
        }
        for role in roles
    ]


def _place_name(role: RoleHeld, areas: Mapping[AreaCode, str], organisations: Mapping[int, str]) -> str:
    if role.organisation_id is not None:
        return organisations.get(role.organisation_id, "")
    return f"{areas.get(role.area_code, '')} ({role.area_code})" if role.area_code else ""
