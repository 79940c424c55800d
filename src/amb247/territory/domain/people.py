"""Inviting people, granting and revoking roles. Each verb checks, writes and audits in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Prefetch, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from amb247.territory import models, rules
from amb247.territory.data import AreaCode, Organisation, Person, RequestInfo, RoleHeld
from amb247.territory.domain import audit, permissions
from amb247.territory.domain.areas import territory
from amb247.territory.domain.nit import normalised_nit
from amb247.territory.enums import Level, Permission, RoleName
from amb247.territory.errors import (
    AreaUnknown,
    LastAdministrator,
    NotAllowed,
    PersonExists,
    RoleMisplaced,
    TerritoryError,
)


def person_urn(person_id: int) -> str:
    return f"urn:ngsi-ld:Person:{person_id}"


def area_urn(code: str) -> str:
    return f"urn:ngsi-ld:AdministrativeArea:{code}"


def organisation_urn(organisation_id: int) -> str:
    return f"urn:ngsi-ld:Organization:{organisation_id}"


@transaction.atomic
def invite_person(
    email: str, *, full_name: str, language: str, by: models.User | None, request_info: RequestInfo | None
) -> Person:
    """A person without password or role; the caller hands over the link that sets the first password."""
    address = email.strip().lower()
    try:
        validate_email(address)
    except ValidationError as wrong:
        raise TerritoryError(_("Escriba una dirección de correo válida.")) from wrong
    if models.User.objects.filter(email=address).exists():
        raise PersonExists(_("Ya existe una persona con el correo %(email)s.") % {"email": address})
    user = models.User.objects.create_user(address, full_name=full_name.strip(), language=language)
    audit.record(
        by, "person.invite", person_urn(user.pk), details={"email": address}, request_info=request_info
    )
    return as_person(user, ())


@transaction.atomic
def grant_role(
    user_id: int,
    name: str,
    *,
    area_code: str | None,
    organisation_id: int | None,
    by: models.User | None,
    valid_to: datetime | None,
    request_info: RequestInfo | None,
) -> RoleHeld:
    """The role, or the one already held there: granting twice changes nothing and writes no second line."""
    if (area_code is None) == (organisation_id is None):
        raise RoleMisplaced(_("Un rol se tiene en un área o en una organización, no en ambas ni en ninguna."))
    if name not in RoleName.values:
        raise TerritoryError(_("No existe el rol «%(name)s».") % {"name": name})
    if valid_to is not None and valid_to <= timezone.now():
        raise TerritoryError(_("El rol terminaría antes de empezar: elija una fecha futura."))
    refuse_unless_manager(by, area_code, organisation_id)
    # The lock on the person makes two grants of the same role one after the other.
    user = models.User.objects.select_for_update().get(pk=user_id)
    area = area_of_code(area_code) if area_code else None
    for existing in permissions.roles_of(user):
        same_place = existing.area_code == area_code and existing.organisation_id == organisation_id
        if existing.name == name and same_place and existing.valid_to == valid_to:
            return existing
    place = Q(area=area) if area else Q(organisation=organisation_id)
    replaced = models.Role.objects.filter(place, user=user, name=name).filter(
        Q(valid_to__isnull=True) | Q(valid_to__gt=timezone.now())
    )
    if valid_to is not None:
        for role in replaced.select_related("area"):
            _keep_one_administrator(role)
    replaced.update(valid_to=timezone.now())
    role = models.Role.objects.create(
        user=user, name=name, area=area, organisation_id=organisation_id, valid_to=valid_to, granted_by=by
    )
    audit.record(
        by,
        "role.grant",
        person_urn(user.pk),
        area_code=area_code or "",
        after=_described(role),
        request_info=request_info,
    )
    return permissions.held(role)


@transaction.atomic
def revoke_role(role_id: int, *, by: models.User | None, request_info: RequestInfo | None) -> bool:
    """End the role now. False when it had ended already."""
    role = models.Role.objects.select_for_update(of=("self",)).select_related("area").get(pk=role_id)
    refuse_unless_manager(by, role.area.code if role.area else None, role.organisation_id)
    now = timezone.now()
    if role.valid_to is not None and role.valid_to <= now:
        return False
    _keep_one_administrator(role)
    before = _described(role)
    role.valid_to = max(now, role.valid_from)
    role.save(update_fields=["valid_to"])
    audit.record(
        by,
        "role.revoke",
        person_urn(role.user_id),
        area_code=role.area.code if role.area else "",
        before=before,
        after=_described(role),
        request_info=request_info,
    )
    return True


@transaction.atomic
def ensure_administrator(email: str, *, password: str) -> Person:
    """The metropolitan area gets an administrator with this password; one switched off is switched on again."""
    address = email.strip().lower()
    user = models.User.objects.filter(email=address).first()
    try:
        validate_password(password, user or models.User(email=address))
    except ValidationError as weak:
        raise TerritoryError(" ".join(weak.messages)) from weak
    where = RequestInfo(channel="cli")
    if user is None:
        made = invite_person(
            address, full_name="", language=settings.LANGUAGE_CODE, by=None, request_info=where
        )
        user = models.User.objects.get(pk=made.id)
    user.set_password(password)
    user.is_active = True
    user.save(update_fields=["password", "is_active"])
    audit.record(None, "account.set_password", person_urn(user.pk), request_info=where)
    role = grant_role(
        user.pk,
        RoleName.ADMINISTRATOR,
        area_code=ensure_metropolitan_area().code,
        organisation_id=None,
        by=None,
        valid_to=None,
        request_info=where,
    )
    return as_person(user, [role])


@transaction.atomic
def ensure_metropolitan_area() -> models.Area:
    """The root of the territory; made without a shape when there is none yet (settings.METROPOLITAN_AREA)."""
    found = models.Area.objects.filter(level=Level.METROPOLITAN_AREA).order_by("code").first()
    if found is not None:
        return found
    code, name = getattr(settings, "METROPOLITAN_AREA", ("AMB", "Área Metropolitana de Bucaramanga"))
    made = models.Area.objects.create(level=Level.METROPOLITAN_AREA, code=code, name=name)
    audit.record(None, "area.create", area_urn(code), area_code=code, after={"name": name})
    return made


def refuse_unless_manager(by: models.User | None, area_code: str | None, organisation_id: int | None) -> None:
    """`None` is the platform itself (first start, command line): it may."""
    if by is not None and not permissions.can(by, Permission.PEOPLE_MANAGE, area_code, organisation_id):
        raise NotAllowed(_("Solo quien administra este lugar puede otorgar o revocar roles en él."))


def _keep_one_administrator(role: models.Role) -> None:
    """The metropolitan area always keeps somebody who can let others in."""
    if role.name != RoleName.ADMINISTRATOR or role.area is None or role.area.level != Level.METROPOLITAN_AREA:
        return
    # Lock the others too: two administrators who revoke each other at once must not both succeed.
    others = (
        models.Role.objects.select_for_update(of=("self",))
        .filter(name=role.name, area=role.area, valid_to__isnull=True, user__is_active=True)
        .exclude(pk=role.pk)
        .order_by("pk")
    )
    if not others:
        raise LastAdministrator(
            _("Es el último administrador del área metropolitana: otorgue primero el rol a otra persona.")
        )


def _described(role: models.Role) -> dict[str, object]:
    return {
        "role": role.name,
        "area": role.area.code if role.area else None,
        "organisation": role.organisation_id,
        "valid_from": role.valid_from.isoformat(),
        "valid_to": role.valid_to.isoformat() if role.valid_to else None,
    }


def area_of_code(code: str) -> models.Area:
    found = models.Area.objects.filter(code=code).first()
    if found is None:
        raise AreaUnknown(_("No existe el área «%(code)s».") % {"code": code})
    return found


def as_person(user: models.User, roles: Iterable[RoleHeld]) -> Person:
    return Person(
        id=user.pk,
        email=user.email,
        full_name=user.full_name,
        language=user.language,
        is_active=user.is_active,
        roles=tuple(roles),
    )


@dataclass(frozen=True)
class Reach:
    """Where somebody manages people: codes of areas, ids of organisations, or all."""

    areas: frozenset[str]
    organisations: frozenset[int]
    is_all: bool

    def covers(self, role: RoleHeld) -> bool:
        return self.is_all or role.area_code in self.areas or role.organisation_id in self.organisations


def reach_of(user: models.User) -> Reach:
    areas = frozenset(str(area.code) for area in permissions.areas_where(user, Permission.PEOPLE_MANAGE))
    held_in = {
        role.organisation_id
        for role in permissions.roles_of(user)
        if role.organisation_id and rules.is_granted(role.name, Permission.PEOPLE_MANAGE)
    }
    # An organisation is managed with the area it belongs to; one of no area, with the metropolitan area.
    belonging = models.Organisation.objects.filter(area__code__in=areas).values_list("pk", flat=True)
    is_all = any(root.area.code in areas for root in territory().roots)
    return Reach(areas, frozenset({*held_in, *belonging}) - {None}, is_all)


def managed_people(reach: Reach, *, words: str, offset: int, limit: int) -> tuple[list[Person], int]:
    """People with a role in a place within reach, with those roles only; and how many there are in all.

    Who manages the metropolitan area sees everybody: a person without any role belongs to no place yet.
    """
    valid = Q(valid_to__isnull=True) | Q(valid_to__gt=timezone.now())
    found = models.User.objects.order_by("email")
    if not reach.is_all:
        held_there = models.Role.objects.filter(
            valid, Q(area__code__in=reach.areas) | Q(organisation__in=reach.organisations)
        )
        found = found.filter(pk__in=held_there.values("user"))
    if words:
        found = found.filter(Q(email__icontains=words) | Q(full_name__icontains=words))
    roles = models.Role.objects.filter(valid).select_related("area", "organisation")
    people = [
        as_person(person, [role for role in map(permissions.held, person.valid_roles) if reach.covers(role)])
        for person in found.prefetch_related(Prefetch("roles", roles, to_attr="valid_roles"))[
            offset : offset + limit
        ]
    ]
    return people, found.count()


def managed_person(user: models.User, person_id: int) -> Person | None:
    """One of `managed_people`, or None when there is no such person or she is none of the user's business."""
    reach = reach_of(user)
    person = models.User.objects.filter(pk=person_id).first()
    if person is None:
        return None
    roles = [role for role in permissions.roles_of(person) if reach.covers(role)]
    # Somebody switched off holds no role any more, but stays visible to who may switch her on again.
    return as_person(person, roles) if roles or reach.is_all else None


def managed_organisations(user: models.User) -> list[Organisation]:
    reach = reach_of(user)
    found = models.Organisation.objects.select_related("area").order_by("name")
    return [as_organisation(one) for one in found if reach.is_all or one.pk in reach.organisations]


def organisation_names(ids: Iterable[int]) -> dict[int, str]:
    return dict(models.Organisation.objects.filter(pk__in=ids).values_list("pk", "name"))


def person_by_email(email: str) -> Person | None:
    user = models.User.objects.filter(email=email.strip().lower()).first()
    return as_person(user, ()) if user else None


@transaction.atomic
def set_active(person_id: int, *, is_active: bool, by: models.User, request_info: RequestInfo | None) -> bool:
    """Switch a person's access off or on; roles stay. Only for who manages the metropolitan area."""
    if not reach_of(by).is_all:
        raise NotAllowed(_("Solo quien administra el área metropolitana puede suspender el acceso."))
    user = models.User.objects.select_for_update().get(pk=person_id)
    if user.is_active == is_active:
        return False
    if not is_active:
        for role in models.Role.objects.filter(user=user, valid_to__isnull=True).select_related("area"):
            _keep_one_administrator(role)
    user.is_active = is_active
    user.save(update_fields=["is_active"])
    verb = "person.activate" if is_active else "person.suspend"
    audit.record(
        by,
        verb,
        person_urn(user.pk),
        before={"is_active": not is_active},
        after={"is_active": is_active},
        request_info=request_info,
    )
    return True


@transaction.atomic
def register_organisation(
    kind: str,
    name: str,
    *,
    nit: str,
    area_code: str | None,
    by: models.User | None,
    request_info: RequestInfo | None,
) -> Organisation:
    """The organisation of this kind and name; made when absent, and audited then."""
    area = area_of_code(area_code) if area_code else None
    number = normalised_nit(nit) if nit else ""
    found, is_new = models.Organisation.objects.get_or_create(
        kind=kind, name=name.strip(), defaults={"nit": number, "area": area}
    )
    if is_new:
        audit.record(
            by,
            "organisation.register",
            organisation_urn(found.pk),
            area_code=area_code or "",
            after={"kind": kind, "name": found.name, "nit": number},
            request_info=request_info,
        )
    return as_organisation(found)


def as_organisation(one: models.Organisation) -> Organisation:
    return Organisation(one.pk, one.kind, one.name, one.nit, AreaCode(one.area.code) if one.area else None)
