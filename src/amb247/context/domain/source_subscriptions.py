"""Subscriptions to registrations: who wants to be told when a source that fits comes, changes or goes.

References
----------
ETSI GS CIM 009 v1.8.1, 5.11 (context source registration subscription), 5.3.2 (CsourceNotification).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from amb247.context.documents.registration import represent_registration
from amb247.context.documents.subscription import (
    apply_patch,
    parse_fragment,
    parse_subscription,
    represent_subscription,
)
from amb247.context.documents.times import moment, time_text
from amb247.context.domain import registrations
from amb247.context.domain.contexts import context_of
from amb247.context.domain.endpoints import STREAM, check_uri, parse_address
from amb247.context.domain.registered import (
    Interval,
    Sought,
    Wanted,
    compile_registration,
)
from amb247.context.domain.registrations import Change
from amb247.context.jsonld.context import CORE, Context
from amb247.context.ngsi_errors import AlreadyExists, BadRequestData, NgsiError, ResourceNotFound
from amb247.context.querying.matching import member_matcher
from amb247.context.querying.syntax import parse_csf, parse_geo, parse_scope, parse_selector

log = logging.getLogger(__name__)
Json = Any
Document = dict[str, Any]

TYPE = "ContextSourceNotification"
COLUMNS = (
    "id, document::text, context::text, is_active, expires_at, created_at, modified_at, times_sent, times_failed, "
    "last_notification, last_success, last_failure"
)


@dataclass(frozen=True, slots=True)
class SourceSubscription:
    """One subscription as it is stored, and how its delivery goes."""

    id: str
    document: Document
    context: Json | None
    is_active: bool
    expires_at: datetime | None
    created_at: datetime
    modified_at: datetime
    times_sent: int
    times_failed: int
    last_notification: datetime | None
    last_success: datetime | None
    last_failure: datetime | None

    def status(self, now: datetime) -> str:
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active" if self.is_active else "paused"


@dataclass(frozen=True, slots=True)
class Telling:
    """One notification on its way: to whom, and what."""

    subscription_id: str
    document: Document
    context: Context
    body: Document


def create(raw: Json, context: Context, *, given: Json | None, owner: str = "") -> tuple[str, list[Telling]]:
    """5.11.2: a new subscription, and its first notification of the registrations that fit already.

    Raises
    ------
    BadRequestData, AlreadyExists
    """
    document = parse_subscription(raw, context)
    _take_temporal(document, raw)
    subscription_id = document.setdefault("id", f"urn:ngsi-ld:Subscription:{uuid.uuid4()}")
    _check(document, given)
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO context_source_subscription (id, document, context, owner, is_active, expires_at, "
            "created_at, modified_at, next_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (id) DO NOTHING",
            [
                subscription_id,
                _json(document),
                None if given is None else _json(given),
                owner,
                document.get("isActive", True),
                document.get("expiresAt"),
                now,
                now,
                _next(document, now),
            ],
        )
        if cursor.rowcount == 0:
            raise AlreadyExists(f"id: there is a subscription {subscription_id} already.")
    return str(subscription_id), _first(get(str(subscription_id)))


def update(subscription_id: str, raw: Json, context: Context, *, given: Json | None) -> list[Telling]:
    """5.11.3: members of a fragment take the place of those stored; all that fits is told anew.

    Raises
    ------
    BadRequestData, ResourceNotFound
    """
    patch = parse_fragment(raw, context, subscription_id=subscription_id)
    stored = get(subscription_id)
    document = apply_patch(stored.document, patch)
    _take_temporal(document, raw)
    _check(document, stored.context if given is None else given)
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE context_source_subscription SET document = %s, context = coalesce(%s, context), is_active = %s, "
            "expires_at = %s, modified_at = %s, next_at = %s WHERE id = %s",
            [
                _json(document),
                None if given is None else _json(given),
                document.get("isActive", True),
                document.get("expiresAt"),
                now,
                _next(document, now),
                subscription_id,
            ],
        )
    return _first(get(subscription_id))


def delete(subscription_id: str) -> None:
    get(subscription_id)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM context_source_subscription WHERE id = %s", [subscription_id])


def get(subscription_id: str) -> SourceSubscription:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM context_source_subscription WHERE id = %s", [subscription_id])
        row = cursor.fetchone()
    if row is None:
        raise ResourceNotFound(f"There is no subscription {subscription_id}.")
    return _subscription(row)


def page(*, limit: int, offset: int = 0) -> list[SourceSubscription]:
    """In the order in which they were made."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM context_source_subscription ORDER BY created_at, id LIMIT %s OFFSET %s",
            [limit, offset],
        )
        return [_subscription(row) for row in cursor.fetchall()]


def count() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM context_source_subscription")
        return int(cursor.fetchone()[0])


def represent(
    one: SourceSubscription, context: Context, *, sys_attrs: bool = False, now: datetime | None = None
) -> Document:
    """The subscription as a client reads it, with status and counters."""
    temporal = one.document.get("temporalQ")
    shown = represent_subscription({k: v for k, v in one.document.items() if k != "temporalQ"}, context)
    if temporal is not None:
        shown["temporalQ"] = temporal
    shown["isActive"] = one.is_active
    shown["status"] = one.status(now or datetime.now(UTC))
    notification = shown["notification"]
    if one.times_sent:
        notification["timesSent"] = one.times_sent
        notification["timesFailed"] = one.times_failed
        has_failed = one.last_failure is not None and (
            one.last_success is None or one.last_failure > one.last_success
        )
        notification["status"] = "failed" if has_failed else "ok"
        for key, at in (
            ("lastNotification", one.last_notification),
            ("lastSuccess", one.last_success),
            ("lastFailure", one.last_failure),
        ):
            if at is not None:
                notification[key] = time_text(at)
    if sys_attrs:
        shown["createdAt"] = time_text(one.created_at)
        shown["modifiedAt"] = time_text(one.modified_at)
    return shown


# --- telling -------------------------------------------------------------------------------------------------------


def tellings(changes: Iterable[Change]) -> list[Telling]:
    """5.11.7: what to tell whom of changes of registrations. Reads; nothing is sent here."""
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM context_source_subscription WHERE is_active AND next_at IS NULL AND "
            "(expires_at IS NULL OR expires_at > %s)",
            [now],
        )
        subscriptions = [_subscription(row) for row in cursor.fetchall()]
    found = []
    for change in changes:
        before = None if change.before is None else compile_registration(change.before)
        after = None if change.after is None else compile_registration(change.after)
        for one in subscriptions:
            try:
                sought = _sought(one)
            except NgsiError as problem:  # the context of its filter is gone
                log.warning("a subscription to sources cannot be matched: %s: %s", one.id, problem.detail)
                continue
            fitted = before is not None and sought.fits(before)
            fits = after is not None and sought.fits(after)
            if not fitted and not fits:
                continue
            reason = "updated" if fitted and fits else "newlyMatching" if fits else "noLongerMatching"
            found.append(_telling(one, [change.after or change.before or {}], reason, now))
    return found


def due() -> list[Telling]:
    """What periodic subscriptions are to be told now, each by the process that asks first."""
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE context_source_subscription SET next_at = greatest(next_at, now() - interval '1 minute') "
            "+ make_interval(secs => (document ->> 'timeInterval')::float) "
            "WHERE next_at <= now() AND is_active AND (expires_at IS NULL OR expires_at > now()) "
            f"RETURNING {COLUMNS}"
        )
        subscriptions = [_subscription(row) for row in cursor.fetchall()]
    found = []
    for one in subscriptions:
        try:
            fitting = [each.document for each in registrations.find(_sought(one))]
        except NgsiError as problem:
            log.warning("a subscription to sources cannot be matched: %s: %s", one.id, problem.detail)
            continue
        if fitting:
            found.append(_telling(one, fitting, "updated", now))
    return found


def has_periodic() -> bool:
    """Whether somebody is to be told now and then."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM context_source_subscription WHERE next_at IS NOT NULL)")
        return bool(cursor.fetchone()[0])


def _next(document: Document, now: datetime) -> datetime | None:
    interval_s = document.get("timeInterval")
    return None if interval_s is None else now + timedelta(seconds=interval_s)


def note(subscription_id: str, *, success: bool) -> None:
    """Count a notification that was taken, or given up."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE context_source_subscription SET times_sent = times_sent + 1, last_notification = now(), "
            "times_failed = times_failed + %s, last_success = CASE WHEN %s THEN now() ELSE last_success END, "
            "last_failure = CASE WHEN %s THEN last_failure ELSE now() END WHERE id = %s",
            [0 if success else 1, success, success, subscription_id],
        )


def _first(one: SourceSubscription) -> list[Telling]:
    now = datetime.now(UTC)
    if one.status(now) != "active":
        return []
    fitting = [found.document for found in registrations.find(_sought(one))]
    return [_telling(one, fitting, "newlyMatching", now)] if fitting else []


def _telling(one: SourceSubscription, documents: Sequence[Document], reason: str, now: datetime) -> Telling:
    try:
        context = context_of(one.document.get("jsonldContext", one.context))
    except NgsiError:  # it was there when the subscription was made; full names are better than silence
        context = CORE
    body = {
        "id": f"urn:ngsi-ld:CsourceNotification:{uuid.uuid4()}",
        "type": TYPE,
        "subscriptionId": one.id,
        "notifiedAt": time_text(now),
        "data": [represent_registration(document, context, secrets=False) for document in documents],
        "triggerReason": reason,
    }
    return Telling(one.id, one.document, context, body)


# --- inside --------------------------------------------------------------------------------------------------------


def _sought(one: SourceSubscription) -> Sought:
    return sought_of(one.document, one.context)


def sought_of(document: Document, given: Json | None) -> Sought:
    """What a subscription asks for. Names in it are internal, but for those of `csf`.

    Raises
    ------
    BadRequestData
    """
    geo = document.get("geoQ")
    csf = document.get("csf")
    return Sought(
        wanted=Wanted(
            selectors=tuple(parse_selector(one, CORE) for one in document.get("entities", ())),
            attributes=frozenset(document.get("watchedAttributes", ())),
            csf=None
            if csf is None
            else member_matcher(parse_csf(csf, context_of(document.get("jsonldContext", given)))),
        ),
        geo=None
        if geo is None
        else parse_geo(
            geo["georel"], geo["geometry"], geo["coordinates"], geo.get("geoproperty", "location"), CORE
        ),
        scope=parse_scope(document["scopeQ"]) if "scopeQ" in document else None,
        interval=None if "temporalQ" not in document else interval_of(document["temporalQ"], "temporalQ."),
    )


def interval_of(given: Document, where: str = "") -> Interval | None:
    """The temporal query that a document or the parameters of an address hold; None without `timerel`.

    Raises
    ------
    BadRequestData
    """
    relation = given.get("timerel")
    if relation is None:
        return None
    if relation not in {"before", "after", "between"}:
        raise BadRequestData(f"{where}timerel: use before, after or between, not {str(relation)[:40]!r}.")
    at = _time(f"{where}timeAt", given.get("timeAt"))
    end = None
    if relation == "between":
        end = _time(f"{where}endTimeAt", given.get("endTimeAt"))
    name = given.get("timeproperty", "observedAt")
    if name not in {"observedAt", "createdAt", "modifiedAt", "deletedAt"}:
        raise BadRequestData(f"{where}timeproperty: {str(name)[:40]!r} is no temporal property.")
    return Interval(relation, at, end, name == "observedAt")


def _time(where: str, value: Json) -> datetime:
    found = moment(value) if isinstance(value, str) else None
    if found is None:
        raise BadRequestData(f"{where}: send a date and time such as 2030-01-01T00:00:00Z.")
    return found


def _take_temporal(document: Document, raw: Json) -> None:
    """`temporalQ` is a member of these subscriptions alone."""
    if raw.get("temporalQ") is not None:
        if not isinstance(raw["temporalQ"], dict) or interval_of(raw["temporalQ"], "temporalQ.") is None:
            raise BadRequestData("temporalQ: send an object with timerel and timeAt.")
        known = ("timerel", "timeAt", "endTimeAt", "timeproperty")
        document["temporalQ"] = {key: raw["temporalQ"][key] for key in known if key in raw["temporalQ"]}
    elif "temporalQ" in raw:
        document.pop("temporalQ", None)


def _check(document: Document, given: Json | None) -> None:
    """Refuse now what could not be matched or sent later."""
    uri = document["notification"]["endpoint"]["uri"]
    if parse_address(uri).scheme == STREAM:
        raise BadRequestData("notification.endpoint.uri: must be http, https, mqtt or mqtts.")
    check_uri(uri)
    sought_of(document, given)


def _subscription(row: Sequence[Any]) -> SourceSubscription:
    context = row[2]
    return SourceSubscription(
        row[0], orjson.loads(row[1]), None if context is None else orjson.loads(context), *row[3:]
    )


def _json(value: Json) -> str:
    return orjson.dumps(value).decode()
