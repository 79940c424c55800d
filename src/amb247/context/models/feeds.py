"""Sources of data, and what came of their messages."""

from __future__ import annotations

from django.db import models

from amb247.kernel.personal_data import NO_PERSONAL_DATA


class Feed(models.Model):
    """One source of data. Counters are totals since it was first seen."""

    personal_data = NO_PERSONAL_DATA

    slug = models.SlugField(unique=True, max_length=80)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=40)
    url = models.URLField(max_length=500, blank=True)
    synthetic = models.BooleanField(default=False)
    expected_every_s = models.PositiveIntegerField(default=300)
    last_message_at = models.DateTimeField(null=True)
    newest_observation = models.DateTimeField(null=True)
    messages = models.BigIntegerField(default=0)
    taken = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    received_bytes = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("slug",)


class FeedMinute(models.Model):
    """What one feed brought within one minute."""

    personal_data = NO_PERSONAL_DATA

    feed = models.ForeignKey(Feed, models.CASCADE, related_name="minutes")
    minute = models.DateTimeField()
    messages = models.IntegerField()
    taken = models.IntegerField()
    refused = models.IntegerField()
    latency_sum_s = models.FloatField(default=0)
    latency_count = models.IntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("feed", "minute"), name="one_row_per_feed_and_minute"),
        )


class FeedRefusal(models.Model):
    """Why rows of a feed were not taken: one row for each reason, with the latest example."""

    personal_data = NO_PERSONAL_DATA

    feed = models.ForeignKey(Feed, models.CASCADE, related_name="refusals")
    reason = models.CharField(max_length=80)
    count = models.BigIntegerField(default=0)
    last_at = models.DateTimeField()
    example = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("feed", "reason"), name="one_row_per_feed_and_reason"),
        )
