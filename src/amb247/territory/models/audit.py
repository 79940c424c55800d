"""The audit log: appended to, never changed."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from amb247.kernel.personal_data import Declaration, PersonalData
from amb247.territory.enums import Channel


class AuditEntry(models.Model):
    """Who did what to what, when and from where. A trigger refuses UPDATE, DELETE and TRUNCATE (migration 0002)."""

    personal_data: ClassVar[Declaration] = PersonalData(
        fields={
            "actor": _("Quién lo hizo."),
            "ip": _("Dirección de red desde la que lo hizo."),
            "user_agent": _("Programa con el que lo hizo."),
            "details": _("Datos del hecho; nunca contraseñas ni secretos."),
            "before": _("Valores anteriores."),
            "after": _("Valores nuevos."),
        },
        purpose=_("Responder por cada cambio y detectar accesos indebidos."),
        retention=_("Diez años, según la tabla de retención documental; no se modifica ni se borra antes."),
    )

    at = models.DateTimeField(db_default=Now())
    # No constraint in the database: the log outlives what it speaks of.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
    )
    token_id = models.BigIntegerField(null=True)
    verb = models.CharField(max_length=80)
    object_urn = models.CharField(max_length=300, blank=True, default="")
    area_code = models.CharField(max_length=40, blank=True, default="")
    channel = models.CharField(max_length=8, choices=Channel.choices, default=Channel.WEB)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=300, blank=True, default="")
    details = models.JSONField(default=dict)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["at"], name="audit_at"),
            models.Index(fields=["object_urn"], name="audit_object"),
            models.Index(fields=["actor", "at"], name="audit_actor_at"),
            models.Index(fields=["area_code", "at"], name="audit_area_at"),
        ]
