"""Tokens of integrations."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from amb247.kernel.personal_data import Declaration, PersonalData
from amb247.territory.models.area import Area
from amb247.territory.models.organisation import Organisation

MOST_NAMES = 50
LONGEST_TENANT = 100
LONGEST_TYPE = 512


class ApiToken(models.Model):
    """Found by its prefix, recognised by a SHA-256 of its secret (32 random bytes: nothing to guess, so no salt)."""

    personal_data: ClassVar[Declaration] = PersonalData(
        fields={
            "owner": _("Quién creó la ficha y responde por ella."),
            "revoked_by": _("Quién la revocó."),
            "last_used_at": _("Último uso."),
        },
        purpose=_("Saber quién responde por cada integración que lee o escribe datos."),
        retention=_("Diez años después de revocada o vencida."),
    )

    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    # The defaults are the database's too: code of the release before writes rows without these columns.
    tenants = ArrayField(models.CharField(max_length=LONGEST_TENANT), default=list, db_default=[], blank=True)
    entity_types = ArrayField(
        models.CharField(max_length=LONGEST_TYPE), default=list, db_default=[], blank=True
    )
    area = models.ForeignKey(Area, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens")
    organisation = models.ForeignKey(
        Organisation, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens"
    )
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="tokens")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                name="token_in_one_place", condition=Q(area__isnull=False) ^ Q(organisation__isnull=False)
            ),
            models.CheckConstraint(
                name="token_names_few_tenants_and_types",
                condition=Q(tenants__len__lte=MOST_NAMES, entity_types__len__lte=MOST_NAMES),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
