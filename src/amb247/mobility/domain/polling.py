"""Live GTFS-Realtime sources: asked by URL, politely, and less often the longer they fail."""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
from django.db import close_old_connections
from django.db.models import Q

from amb247.context import api as context
from amb247.mobility.data import MessageResult
from amb247.mobility.domain.ingest import Origin, take_message
from amb247.mobility.errors import SourceRefused
from amb247.mobility.models import GtfsFeed, RealtimeSource

logger = logging.getLogger(__name__)
MOST_BYTES = 20_000_000
MOST_REDIRECTS = 3
TIMEOUT = httpx.Timeout(20.0, connect=10.0)
LONGEST_BACK_OFF_S = 600.0
USER_AGENT = "amb247/0.1 (GTFS-Realtime)"


def add_source(feed: str, url: str, *, interval_s: int) -> RealtimeSource:
    """Register an address of a feed (made when new); asking again changes its interval.

    Raises
    ------
    SourceRefused    not http or https, or without a host
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SourceRefused("only http and https addresses with a host")
    owner, _ = GtfsFeed.objects.get_or_create(slug=feed, defaults={"name": feed})
    source, _ = RealtimeSource.objects.update_or_create(
        feed=owner, url=url, defaults={"interval_s": max(interval_s, 5), "is_enabled": True}
    )
    return source


def poll_once(
    source_id: int, *, client: httpx.Client | None = None, now: datetime | None = None
) -> MessageResult:
    """Ask one source once, take what it says, and note when to ask again.

    Never raises for what the source does: an unreachable or unreadable one is a failure, counted, and asked again
    after twice the time, at most ten minutes.
    """
    source = RealtimeSource.objects.select_related("feed").get(pk=source_id)
    if not source.is_enabled:
        return MessageResult("disabled")
    moment = now or datetime.now(UTC)
    handle = context.feed(
        source.slug, name=source.feed.name, kind="GTFS-Realtime", url=source.shown_url,
        synthetic=source.feed.is_synthetic, expected_every_s=source.interval_s,
    )  # fmt: skip
    origin = Origin(source.feed.slug, f"GTFS-Realtime {source.feed.name}", handle, source.feed.is_synthetic)
    try:
        answer = _fetch(source, client)
    except (httpx.HTTPError, httpx.InvalidURL, SourceRefused) as error:
        return _failed(source, moment, MessageResult("unreachable", problem=_words(error)))
    if answer is None:
        return _done(source, moment, MessageResult("not_modified"))
    result = take_message(answer.content, origin, now=moment)
    if result.status == "unreadable":
        return _failed(source, moment, result)
    source.etag, source.last_modified = answer.etag, answer.last_modified
    return _done(source, moment, result)


def poll_due(*, client: httpx.Client | None = None, now: datetime | None = None) -> list[MessageResult]:
    """Ask every enabled source whose time has come, one after the other."""
    moment = now or datetime.now(UTC)
    due = RealtimeSource.objects.filter(is_enabled=True).filter(
        Q(next_poll_at=None) | Q(next_poll_at__lte=moment)
    )
    return [poll_once(source_id, client=client, now=now) for source_id in due.values_list("pk", flat=True)]


def poll_until(stop: threading.Event, *, pause_s: float = 1.0) -> None:
    """Ask due sources until told to stop: the loop of a worker."""
    with httpx.Client(timeout=TIMEOUT) as client:
        while not stop.wait(pause_s):
            try:
                close_old_connections()
                poll_due(client=client)
            except Exception:
                logger.exception("polling failed; going on")


def back_off_s(interval_s: float, failures: int) -> float:
    """Twice the interval after each failure, at most ten minutes, give or take a tenth so that clients spread."""
    waited = min(interval_s * 2.0 ** min(failures, 20), LONGEST_BACK_OFF_S)
    return min(waited * random.uniform(0.9, 1.1), LONGEST_BACK_OFF_S)  # noqa: S311 - spreading, not secrecy


class _Answer:
    """A fetched body with what to send next time."""

    def __init__(self, content: bytes, headers: httpx.Headers) -> None:
        self.content = content
        self.etag = headers.get("etag", "")[:500]
        self.last_modified = headers.get("last-modified", "")[:100]


def _fetch(source: RealtimeSource, client: httpx.Client | None) -> _Answer | None:
    """The body, or None when it has not changed. Redirects are followed by hand: to http and https only."""
    headers = {"User-Agent": USER_AGENT, "Accept": "application/x-protobuf, application/octet-stream, */*"}
    if source.etag:
        headers["If-None-Match"] = source.etag
    if source.last_modified:
        headers["If-Modified-Since"] = source.last_modified
    own = client or httpx.Client(timeout=TIMEOUT)
    try:
        url = httpx.URL(source.url)
        for _ in range(MOST_REDIRECTS + 1):
            if url.scheme not in {"http", "https"}:
                raise SourceRefused(f"redirected to {url.scheme}")
            with own.stream("GET", url, headers=headers, follow_redirects=False) as response:
                if response.next_request is not None:
                    url = response.next_request.url
                    continue
                if response.status_code == httpx.codes.NOT_MODIFIED:
                    return None
                response.raise_for_status()
                return _Answer(_limited(response), response.headers)
        raise SourceRefused("too many redirects")
    finally:
        if client is None:
            own.close()


def _limited(response: httpx.Response) -> bytes:
    parts, size = [], 0
    for part in response.iter_bytes():
        size += len(part)
        if size > MOST_BYTES:
            raise SourceRefused(f"more than {MOST_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


def _words(error: Exception) -> str:
    """What went wrong without the address, which may hold a credential."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, SourceRefused):
        return str(error)
    return type(error).__name__


def _done(source: RealtimeSource, moment: datetime, result: MessageResult) -> MessageResult:
    source.failures = 0
    source.last_good_at = moment
    source.last_problem = ""
    return _noted(source, moment, source.interval_s, result)


def _failed(source: RealtimeSource, moment: datetime, result: MessageResult) -> MessageResult:
    source.failures += 1
    source.last_problem = result.problem[:300]
    logger.warning("source %s %s: %s", source.slug, result.status, result.problem[:300])
    return _noted(source, moment, back_off_s(source.interval_s, source.failures), result)


def _noted(source: RealtimeSource, moment: datetime, wait_s: float, result: MessageResult) -> MessageResult:
    source.next_poll_at = moment + timedelta(seconds=wait_s)
    source.save(
        update_fields=["etag", "last_modified", "failures", "next_poll_at", "last_good_at", "last_problem"]
    )
    return replace(result, next_poll_at=source.next_poll_at)
