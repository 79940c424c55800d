"""Areas, from the metropolitan area down to the neighbourhood."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from amb247.kernel.personal_data import NO_PERSONAL_DATA, Declaration
from amb247.territory.enums import Level


class Area(models.Model):
    """One area; its code is DIVIPOLA's (`68001`), then ours below the municipality (`68001-01`, `68001-01-003`)."""

    personal_data: ClassVar[Declaration] = NO_PERSONAL_DATA

    level = models.CharField(max_length=20, choices=Level.choices)
    code = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=160)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    population = models.PositiveIntegerField(null=True, blank=True)
    population_year = models.PositiveSmallIntegerField(null=True, blank=True)
    population_source = models.CharField(max_length=200, blank=True, default="")
    geometry = models.JSONField(null=True, blank=True)
    west = models.FloatField(null=True)
    south = models.FloatField(null=True)
    east = models.FloatField(null=True)
    north = models.FloatField(null=True)
    longitude = models.FloatField(null=True)
    latitude = models.FloatField(null=True)
    area_km2 = models.FloatField(null=True)
    synthetic = models.BooleanField(default=False)
    source = models.CharField(max_length=200, blank=True, default="")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["code"]
        indexes = [models.Index(fields=["level", "name"], name="area_level_name")]
        constraints = [
            models.CheckConstraint(name="area_level_known", condition=Q(level__in=Level.values)),
            models.CheckConstraint(
                name="area_only_the_metropolitan_area_has_no_parent",
                condition=Q(level=Level.METROPOLITAN_AREA, parent__isnull=True)
                | (~Q(level=Level.METROPOLITAN_AREA) & Q(parent__isnull=False)),
            ),
            models.CheckConstraint(
                name="area_code_is_plain", condition=Q(code__regex=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")
            ),
            models.CheckConstraint(name="area_has_a_name", condition=~Q(name="")),
            models.CheckConstraint(
                name="area_shape_is_measured",
                condition=Q(geometry__isnull=True)
                | Q(
                    west__isnull=False,
                    south__isnull=False,
                    east__isnull=False,
                    north__isnull=False,
                    longitude__isnull=False,
                    latitude__isnull=False,
                    area_km2__gt=0,
                ),
            ),
            models.CheckConstraint(
                name="area_population_year_is_a_year",
                condition=Q(population_year__isnull=True) | Q(population_year__range=(1800, 2200)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class TerritoryVersion(models.Model):
    """One row with a stamp that a trigger renews at every change of `Area`: caches compare it.

    A random stamp, not a counter: after a rollback a counter could come to the same number with other content.
    """

    personal_data: ClassVar[Declaration] = NO_PERSONAL_DATA

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    stamp = models.UUIDField()
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(name="territory_version_is_one_row", condition=Q(id=1))]
