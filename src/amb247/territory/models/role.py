"""Roles that people hold in a place."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from amb247.kernel.personal_data import Declaration, PersonalData
from amb247.territory.enums import RoleName
from amb247.territory.models.area import Area
from amb247.territory.models.organisation import Organisation


class Role(models.Model):
    """Held in exactly one area or organisation. Revoking sets `valid_to`; rows are never deleted."""

    personal_data: ClassVar[Declaration] = PersonalData(
        fields={
            "user": _("Quién tiene el rol."),
            "granted_by": _("Quién lo otorgó."),
            "valid_from": _("Desde cuándo."),
            "valid_to": _("Hasta cuándo."),
        },
        purpose=_("Permitir a cada persona solo lo que su cargo necesita, y saber quién lo autorizó."),
        retention=_("Diez años después de terminado el rol, con la bitácora que lo explica."),
    )

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="roles")
    name = models.CharField(max_length=20, choices=RoleName.choices)
    area = models.ForeignKey(Area, null=True, blank=True, on_delete=models.PROTECT, related_name="roles")
    organisation = models.ForeignKey(
        Organisation, null=True, blank=True, on_delete=models.PROTECT, related_name="roles"
    )
    valid_from = models.DateTimeField(default=timezone.now)
    valid_to = models.DateTimeField(null=True, blank=True)
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["user_id", "name", "id"]
        constraints = [
            models.CheckConstraint(name="role_name_known", condition=Q(name__in=RoleName.values)),
            models.CheckConstraint(
                name="role_in_one_place", condition=Q(area__isnull=False) ^ Q(organisation__isnull=False)
            ),
            models.CheckConstraint(
                name="role_ends_after_it_begins",
                condition=Q(valid_to__isnull=True) | Q(valid_to__gte=F("valid_from")),
            ),
            models.UniqueConstraint(
                fields=["user", "name", "area"], condition=Q(valid_to__isnull=True), name="role_once_in_area"
            ),
            models.UniqueConstraint(
                fields=["user", "name", "organisation"],
                condition=Q(valid_to__isnull=True),
                name="role_once_in_organisation",
            ),
        ]
