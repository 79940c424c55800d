"""A subscription made ready: what may concern it, whether a change does, and what it is told.

References
----------
ETSI GS CIM 009 v1.8.1, 5.8.6 (notification behaviour), 5.3.1 (Notification), 6.3.9 and 7.2 (bindings).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from amb247.context.delivery.feed import Notable
from amb247.context.delivery.http import request_head
from amb247.context.delivery.lanes import Item
from amb247.context.documents.join import check_projection, join_flat, join_inline
from amb247.context.documents.kinds import VALUE_KEY
from amb247.context.documents.projection import Pick, parse_projection
from amb247.context.documents.represent import Form, represent
from amb247.context.domain.contexts import context_of
from amb247.context.domain.endpoints import STREAM, Address, parse_address
from amb247.context.domain.selection import query_of
from amb247.context.domain.subscriptions import Subscription
from amb247.context.jsonld.context import CORE, Context
from amb247.context.ngsi_errors import NgsiError
from amb247.context.querying.matching import matcher, selector_matcher
from amb247.context.querying.query import Query
from amb247.context.stored import Instance, Stored

log = logging.getLogger(__name__)
Json = Any
Lookup = Callable[[Sequence[str]], Mapping[str, Stored]]

LINK = '<{}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
NULL = "urn:ngsi-ld:null"
PREVIOUS = {
    "value": "previousValue",
    "object": "previousObject",
    "languageMap": "previousLanguageMap",
    "vocab": "previousVocab",
    "valueList": "previousValueList",
    "objectList": "previousObjectList",
    "json": "previousJson",
}
# 5.2.12: where nothing is said, attributes that are made or changed, which includes those of a new entity.
DEFAULT_TRIGGERS = frozenset({"attributeCreated", "attributeUpdated"})
UPDATED = frozenset({"attributeCreated", "attributeUpdated", "attributeDeleted"})


@dataclass(slots=True, eq=False)
class Compiled:
    """One subscription, ready to be asked about each change."""

    row: Subscription
    tenant: str
    triggers: frozenset[str]
    tells_new: bool  # an entity's creation counts
    tells_gone: bool  # its deletion does
    watched: frozenset[str] | None
    query: Query
    fits: Callable[[Stored], bool]  # its selectors
    matches: Callable[[Stored], bool]  # all of the query but its selectors, which the index has looked at
    context: Context
    form: Form
    show_changes: bool
    accept: str
    endpoint: str
    address: Address
    timeout_s: float | None
    cooldown_s: float
    throttling_s: float
    interval_s: float
    content_type: str
    has_context: bool  # in the body
    http_head: bytes = b""
    mqtt_metadata: bytes = b""
    mqtt_version: str = "mqtt5.0"
    mqtt_qos: int = 0
    join: str | None = None
    join_level: int = 1

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def render_key(self) -> Any:
        """Subscriptions with the same one are told the same text of a change."""
        return (self.context, self.form, self.show_changes)

    def is_told_at(self, moment: datetime) -> bool:
        return self.row.is_active and (self.row.expires_at is None or moment < self.row.expires_at)

    def concerns(self, change: Notable) -> bool:
        """Whether to tell of this change: its kind, its attributes, and the entity itself."""
        if change.position.tx <= self.row.made_tx or not self.is_told_at(change.at):
            return False
        return self._is_triggered_by(change) and self.matches(change.as_it_was)

    def _is_triggered_by(self, change: Notable) -> bool:
        if change.op == "deleted":
            return self.tells_gone and (self.watched is None or not self.watched.isdisjoint(change.before))
        if change.op == "created":
            return self.tells_new and (self.watched is None or not self.watched.isdisjoint(change.attributes))
        before, watched, triggers = change.before, self.watched, self.triggers
        for name, value in change.attributes.items():
            if watched is None or name in watched:
                if value is None:
                    kind = "attributeDeleted"
                elif name in before and before[name] is None:
                    kind = "attributeCreated"
                else:
                    kind = "attributeUpdated"
                if kind in triggers:
                    return True
        return False

    def entity_text(self, change: Notable) -> bytes:
        """The entity as it is told, as JSON; made once for all subscriptions that want the same."""
        text = change.rendered.get(self.render_key)
        if text is None:
            text = change.rendered[self.render_key] = self.represent(self.told(change))
        return text

    def represent(self, stored: Stored) -> bytes:
        return orjson.dumps(represent(stored, self.context, self.form))

    def represent_joined(self, stored: Sequence[Stored], lookup: Lookup) -> list[bytes]:
        """Entities with those that they point to, as they are now; not on the engine's loop."""
        make = join_inline if self.join == "inline" else join_flat
        shown = make(stored, self.context, self.form, lookup=lookup, level=self.join_level)
        return [orjson.dumps(one) for one in shown]

    def told(self, change: Notable) -> Stored:
        """The entity with what was removed (as NGSI-LD Null) and, where asked, what was there before."""
        stored = change.stored
        if change.op == "deleted":
            attributes = (
                {
                    name: _each(value, lambda one: _gone(one, change.at, shows=True))
                    for name, value in stored.attributes.items()
                }
                if self.show_changes
                else {}
            )
            return replace(stored, attributes=attributes)
        attributes = dict(stored.attributes)
        for name, value in change.attributes.items():
            previous = change.before.get(name)
            if value is None and previous is not None:
                attributes[name] = _each(previous, lambda one: _gone(one, change.at, shows=self.show_changes))
            elif self.show_changes and previous is not None and value is not None:
                attributes[name] = _with_previous(value, previous)
        return replace(stored, attributes=attributes)


def stream_form_of(one: Compiled) -> Compiled:
    """The same for a stream of events, which has neither headers nor MQTT's wrapping: the body says its @context."""
    return replace(one, has_context=True, address=parse_address("sse:events"))


def compile_subscription(row: Subscription, tenant: str) -> Compiled:
    """Make a subscription ready. Reads contexts: not on the engine's loop."""
    document = row.document
    notification = document["notification"]
    endpoint = notification["endpoint"]
    triggers = frozenset(document.get("notificationTrigger", ())) or DEFAULT_TRIGGERS
    tells_new = bool(triggers & {"entityCreated", "attributeCreated"})
    tells_gone = "entityDeleted" in triggers
    if "entityUpdated" in triggers:
        triggers |= UPDATED
    watched = document.get("watchedAttributes")
    query = query_of(document, given=row.context, restriction=row.restriction)
    context = notification_context(row)
    accept = endpoint.get("accept", "application/json")
    address = parse_address(endpoint["uri"])
    form = form_of(document)
    receiver = [(pair["key"], pair["value"]) for pair in endpoint.get("receiverInfo", ())]
    wants_plain = any(key.lower() == "prefer" and value.strip() == "body=json" for key, value in receiver)
    has_context = accept == "application/ld+json" or (
        accept == "application/geo+json" and not wants_plain and not address.is_mqtt
    )
    compiled = Compiled(
        row=row,
        tenant=tenant,
        triggers=triggers,
        tells_new=tells_new,
        tells_gone=tells_gone,
        watched=None if watched is None else frozenset(watched),
        query=query,
        fits=selector_matcher(query.selectors),
        matches=matcher(replace(query, selectors=())),
        context=context,
        form=form,
        show_changes=notification.get("showChanges", False),
        accept=accept,
        endpoint=endpoint["uri"],
        address=address,
        timeout_s=endpoint["timeout"] / 1000 if "timeout" in endpoint else None,
        cooldown_s=endpoint.get("cooldown", 0) / 1000,
        throttling_s=document.get("throttling", 0),
        interval_s=document.get("timeInterval", 0),
        content_type=accept,
        has_context=has_context,
        join=None if notification.get("join", "@none") == "@none" else notification["join"],
        join_level=notification.get("joinLevel", 1),
    )
    check_projection(form, join=compiled.join, level=compiled.join_level)
    headers = list(receiver)
    if not has_context:
        headers.append(("Link", LINK.format(context.link)))
    if tenant:
        headers.append(("NGSILD-Tenant", tenant))
    if address.is_mqtt:
        notifier = {pair["key"]: pair["value"] for pair in endpoint.get("notifierInfo", ())}
        compiled.mqtt_version = notifier.get("MQTT-Version", "mqtt5.0")
        compiled.mqtt_qos = int(notifier.get("MQTT-QoS", "0"))
        compiled.mqtt_metadata = orjson.dumps({"Content-Type": accept, **dict(headers)})
    elif address.scheme != STREAM:
        compiled.http_head = request_head(address, accept, headers)
    return compiled


def notification_context(row: Subscription) -> Context:
    """The @context of notifications: `jsonldContext`, else the one that the subscription was made with (5.2.12)."""
    try:
        return context_of(row.document.get("jsonldContext", row.context))
    except NgsiError as problem:
        # It was there when the subscription was made. Full names are better than silence.
        log.warning("context of a subscription is gone", extra={"id": row.id, "problem": problem.detail})
        return CORE


def form_of(document: dict[str, Json]) -> Form:
    """How its entities look."""
    notification = document["notification"]
    accept = notification["endpoint"].get("accept")
    kind = notification.get("format", "normalized")
    names = notification.get("attributes")
    geometry = document.get("geoQ", {}).get("geoproperty", "location")
    datasets = document.get("datasetId")
    return Form(
        kind="simplified" if kind == "keyValues" else kind,
        geojson=accept == "application/geo+json",
        geometry_property=geometry,
        sys_attrs=notification.get("sysAttrs", False),
        lang=document.get("lang"),
        attrs=None if names is None else tuple(names),
        pick=_picks(notification.get("pick"), "notification.pick"),
        omit=_picks(notification.get("omit"), "notification.omit"),
        dataset_ids=None if datasets is None else tuple(datasets),
    )


def _picks(names: Sequence[str] | None, member: str) -> tuple[Pick, ...] | None:
    """Names are internal already: under the core context they stay what they are."""
    return None if names is None else parse_projection(",".join(names), CORE, parameter=member)


def body_of(subscription: Compiled, item: Item) -> bytes:
    """The notification's document."""
    entities = item.entities
    context = b""
    if subscription.has_context:
        context = b',"@context":' + orjson.dumps(subscription.context.as_jsonld())
    data = b"[" + entities + b"]"
    if item.accept == "application/geo+json":
        data = b'{"type":"FeatureCollection","features":' + data + context + b"}"
        context = b""
    body = b'{"id":%b,"type":"Notification","subscriptionId":%b,"notifiedAt":"%b","data":%b%b}' % (
        orjson.dumps(item.id),
        orjson.dumps(item.subscription_id),
        item.notified_at.encode(),
        data,
        context,
    )
    if subscription.address.is_mqtt:
        return b'{"metadata":%b,"body":%b}' % (subscription.mqtt_metadata, body)
    return body


def _each(value: Instance | list[Instance], make: Callable[[Instance], Instance]) -> Json:
    return [make(one) for one in value] if isinstance(value, list) else make(value)


def _gone(instance: Instance, at: datetime, *, shows: bool) -> Instance:
    """An instance that is there no more, as notifications say it (4.5.0, 5.2.1)."""
    kind = instance["type"]
    key = VALUE_KEY[kind]
    made: Instance = {"type": kind, key: _null_of(key)}
    if "datasetId" in instance:
        made["datasetId"] = instance["datasetId"]
    if shows and key in instance:
        made[PREVIOUS[key]] = instance[key]
    made["deletedAt"] = at.isoformat(timespec="milliseconds")[:-6] + "Z"
    return made


def _null_of(key: str) -> Json:
    if key == "languageMap":
        return {"@none": NULL}
    return [NULL] if key in {"valueList", "objectList"} else NULL


def _with_previous(value: Instance | list[Instance], previous: Instance | list[Instance]) -> Json:
    """Each instance with the value that the one of the same datasetId had."""
    were = {one.get("datasetId"): one for one in (previous if isinstance(previous, list) else [previous])}

    def add(one: Instance) -> Instance:
        was = were.get(one.get("datasetId"))
        if was is None or was == one:
            return one
        key = VALUE_KEY[was["type"]]
        return {**one, PREVIOUS[key]: was[key]} if key in was else one

    return _each(value, add)
