"""Organisations of the six kinds that the strategy names."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from amb247.kernel.personal_data import Declaration, PersonalData
from amb247.territory.enums import OrganisationKind
from amb247.territory.models.area import Area


class Organisation(models.Model):
    personal_data: ClassVar[Declaration] = PersonalData(
        fields={
            "name": _("Nombre; en una comunidad o empresa unipersonal puede ser el de una persona."),
            "nit": _("NIT; el de una persona natural es su número de cédula."),
        },
        purpose=_("Saber a nombre de qué entidad actúa cada persona."),
        retention=_("Mientras la entidad participe en la plataforma; luego se retira a solicitud."),
    )

    kind = models.CharField(max_length=12, choices=OrganisationKind.choices)
    name = models.CharField(max_length=200)
    nit = models.CharField(max_length=17, blank=True, default="")
    area = models.ForeignKey(
        Area, null=True, blank=True, on_delete=models.PROTECT, related_name="organisations"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="organisation_kind_known", condition=Q(kind__in=OrganisationKind.values)
            ),
            models.CheckConstraint(
                name="organisation_nit_has_a_check_digit",
                condition=Q(nit="") | Q(nit__regex=r"^\d{5,15}-\d$"),
            ),
            models.UniqueConstraint(fields=["nit"], condition=~Q(nit=""), name="organisation_nit_unique"),
            models.UniqueConstraint(fields=["kind", "name"], name="organisation_kind_name_unique"),
        ]

    def __str__(self) -> str:
        return self.name
