from __future__ import annotations

from django.db import models

from amb247.kernel.personal_data import NO_PERSONAL_DATA


class GtfsFeed(models.Model):
    """A publisher's timetable over time; its versions stand side by side."""

    personal_data = NO_PERSONAL_DATA

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    source_url = models.URLField(max_length=1000, blank=True)
    area_code = models.CharField(max_length=32, blank=True)
    is_synthetic = models.BooleanField(default=False)
    # the last import that was refused: {"at", "file_name", "findings"}; emptied by the next good one
    last_refusal = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "slug"]
