"""Figures for Prometheus: requests, event streams, the live picture, feeds."""

from __future__ import annotations

import hmac
import os
import time

from django.db import close_old_connections
from prometheus_client import Counter, Gauge, Histogram

from amb247.centre.live import service
from amb247.context import api as context

REQUESTS = Counter("amb_http_requests_total", "Requests answered", ["method", "status"])
SECONDS = Histogram(
    "amb_http_request_seconds",
    "Time to the first byte of an answer",
    ["method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
STREAMS = Gauge("amb_event_streams", "Open event streams")
FRAMES = Gauge("amb_event_frames_encoded", "Frames encoded since start, all topics")
LAG = Gauge("amb_live_picture_age_seconds", "Since the change feed was last read")
FEED_TAKEN = Gauge("amb_feed_taken_total", "Rows taken", ["feed"])
FEED_REFUSED = Gauge("amb_feed_refused_total", "Rows refused", ["feed"])
FEED_LATENCY = Gauge("amb_feed_latency_seconds", "Taken minus observed, last five minutes", ["feed"])

LOOPBACK = frozenset({"127.0.0.1", "::1"})


def may_read(host: str, authorization: str | None) -> bool:
    """This machine may; others with the bearer token of `AMB_METRICS_TOKEN`."""
    token = os.environ.get("AMB_METRICS_TOKEN", "")
    if token:
        return hmac.compare_digest(authorization or "", f"Bearer {token}")
    return host in LOOPBACK


def refresh() -> None:
    live = service.current()
    if live is not None:
        STREAMS.set(live.watchers)
        FRAMES.set(live.encoded)
        LAG.set(time.monotonic() - live.tail.last_read)
    close_old_connections()
    for status in context.feed_statuses():
        FEED_TAKEN.labels(status.slug).set(status.taken)
        FEED_REFUSED.labels(status.slug).set(status.refused)
        if status.latency_s is not None:
            FEED_LATENCY.labels(status.slug).set(status.latency_s)
