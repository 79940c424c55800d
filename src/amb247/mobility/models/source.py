from __future__ import annotations

from urllib.parse import urlsplit

from django.core.validators import MinValueValidator, URLValidator
from django.db import models

from amb247.kernel.personal_data import NO_PERSONAL_DATA
from amb247.mobility.models.feed import GtfsFeed


class RealtimeSource(models.Model):
    """An address that answers with GTFS-Realtime messages, and how the last requests went."""

    personal_data = NO_PERSONAL_DATA

    feed = models.ForeignKey(GtfsFeed, on_delete=models.CASCADE, related_name="sources")
    url = models.CharField(max_length=1000, validators=[URLValidator(schemes=["http", "https"])])
    interval_s = models.PositiveIntegerField(default=30, validators=[MinValueValidator(5)])
    is_enabled = models.BooleanField(default=True)
    etag = models.CharField(max_length=500, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)
    failures = models.PositiveIntegerField(default=0)
    next_poll_at = models.DateTimeField(null=True, blank=True)
    last_good_at = models.DateTimeField(null=True, blank=True)
    last_problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["feed", "url"], name="mobility_source_url")]

    @property
    def slug(self) -> str:
        """Name of its counters among the context's feeds."""
        return f"gtfs-rt-{self.feed.slug[:50]}-{self.pk}"

    @property
    def shown_url(self) -> str:
        """The address without anything that could be a credential: no user, password or query."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
