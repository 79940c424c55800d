from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from amb247.kernel.personal_data import NO_PERSONAL_DATA, PersonalData
from amb247.mobility.enums import VersionState
from amb247.mobility.models.feed import GtfsFeed


class GtfsVersion(models.Model):
    """One imported content of a feed. Its tables are in `GtfsTable`."""

    personal_data = PersonalData(
        fields={
            "imported_by": _("Quién importó la versión (número de la cuenta, no su nombre)"),
            "activated_by": _("Quién la activó (número de la cuenta, no su nombre)"),
        },
        purpose=_("Saber quién puso en servicio cada versión de los horarios."),
        retention=_("Mientras exista la versión; al borrar la cuenta, el número ya no señala a nadie."),
    )

    feed = models.ForeignKey(GtfsFeed, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    file_name = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField()
    imported_at = models.DateTimeField(auto_now_add=True)
    imported_by = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=16, choices=VersionState, default=VersionState.IMPORTED)
    activated_at = models.DateTimeField(null=True, blank=True)
    activated_by = models.CharField(max_length=200, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict)
    refused_rows = models.JSONField(default=dict)
    service_from = models.DateField(null=True, blank=True)
    service_to = models.DateField(null=True, blank=True)
    bbox = models.JSONField(null=True, blank=True)
    # {"findings": [...], "notices": [...]}, as data.Finding and data.Notice
    report = models.JSONField(default=dict)

    class Meta:
        ordering = ["feed", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["feed", "number"], name="mobility_version_number"),
            models.UniqueConstraint(fields=["feed", "sha256"], name="mobility_version_content"),
            models.UniqueConstraint(
                fields=["feed"], condition=models.Q(state="active"), name="mobility_one_active_version"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["imported", "active", "retired"]), name="mobility_version_state"
            ),
        ]

    @property
    def is_active(self) -> bool:
        return self.state == VersionState.ACTIVE


class GtfsTable(models.Model):
    """One table of a version as Parquet. In the database, so that a version is there whole or not at all
    (docs of the room, README), every process sees it, and the backup has it."""

    personal_data = NO_PERSONAL_DATA

    version = models.ForeignKey(GtfsVersion, on_delete=models.CASCADE, related_name="tables")
    name = models.CharField(max_length=64)
    row_count = models.BigIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "name"], name="mobility_table_name")]
