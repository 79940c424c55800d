"""/csourceRegistrations, /csourceSubscriptions and /info/sourceIdentity.

Only who reaches the whole tenant may use them: a registration says where entities are read and written, whatever their type
and place.

References
----------
ETSI GS CIM 009 v1.8.1, 5.9 to 5.11, 6.8, 6.9, 6.12, 6.13; 5.2.40 and 6.33 (identity of a source).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import orjson
from django.db import transaction
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amb247.context.delivery.mqtt import Broker
from amb247.context.documents.times import time_text
from amb247.context.domain import registrations, source_subscriptions, tenants
from amb247.context.domain.endpoints import parse_address
from amb247.context.domain.registered import Sought, Wanted, selectors_of
from amb247.context.domain.registrations import Change
from amb247.context.domain.source_subscriptions import Telling, interval_of
from amb247.context.ngsi_errors import Forbidden, NonexistentTenant
from amb247.context.querying.matching import member_matcher
from amb247.context.querying.query import attributes_of
from amb247.context.querying.syntax import (
    parse_csf,
    parse_geo,
    parse_ids,
    parse_pattern,
    parse_q,
    parse_scope,
    parse_types,
)
from amb247.context.rest.exchange import BASE, JSON, LD, Exchange, link_header, open_exchange, resolve
from amb247.context.rest.sources import Sources, alias_of

Result = TypeVar("Result")
NOTIFY_S = 5.0
LOOK_S = 30.0
ATTEMPTS = (0.0, 0.5, 2.0)  # seconds before each


# --- registrations -------------------------------------------------------------------------------------------------


async def create(request: Request) -> Response:
    exchange = await _open(request, write=True)

    def work() -> tuple[Change, list[Telling]]:
        change = registrations.create(exchange.body, exchange.context, owner=exchange.access.name)
        return change, source_subscriptions.tellings([change])

    change, tellings = await _change(exchange, work, creates=True)
    _changed(exchange, tellings)
    location = f"{BASE}/csourceRegistrations/{quote(change.id, safe=':')}"
    return exchange.answer(status=201, headers={"Location": location})


async def query(request: Request) -> Response:
    exchange = await _open(request)
    limit, offset, wants_count = exchange.page()
    sought = sought_of(exchange)
    await _sources(exchange).flush(exchange.tenant)
    found = await exchange.read(registrations.find, sought)
    page = found[offset : offset + limit]
    exchange.page_headers(
        len(page), limit, offset, len(found) if wants_count else None, has_more=len(found) > offset + limit
    )
    return exchange.answer([_shown(exchange, one) for one in page])


async def retrieve(request: Request) -> Response:
    exchange = await _open(request)
    registration_id = exchange.uri("registration_id")
    await _sources(exchange).flush(exchange.tenant)
    return exchange.answer(_shown(exchange, await exchange.read(registrations.get, registration_id)))


async def update(request: Request) -> Response:
    exchange = await _open(request, write=True, needs_context_in_body=False)
    registration_id = exchange.uri("registration_id")

    def work() -> list[Telling]:
        change = registrations.update(registration_id, exchange.body, exchange.context)
        return source_subscriptions.tellings([change])

    _changed(exchange, await _change(exchange, work))
    return exchange.answer(status=204)


async def delete(request: Request) -> Response:
    exchange = await _open(request, write=True)
    registration_id = exchange.uri("registration_id")

    def work() -> list[Telling]:
        return source_subscriptions.tellings([registrations.delete(registration_id)])

    _changed(exchange, await _change(exchange, work))
    return exchange.answer(status=204)


def sought_of(exchange: Exchange) -> Sought:
    """What the parameters of the address ask for (5.10.2). Nothing at all asks for every registration.

    Raises
    ------
    BadRequestData
    """
    context = exchange.context
    ids, pattern, types = exchange.text("id"), exchange.text("idPattern"), exchange.text("type")
    q, csf, scope = exchange.text("q"), exchange.text("csf"), exchange.text("scopeQ")
    geo = parse_geo(
        exchange.text("georel"),
        exchange.text("geometry"),
        exchange.text("coordinates"),
        exchange.text("geoproperty"),
        context,
    )
    names = set(exchange.names("attrs"))
    if q is not None:
        names |= attributes_of(parse_q(q, context))
    interval = interval_of(
        {
            name: given
            for name in ("timerel", "timeAt", "endTimeAt", "timeproperty")
            if (given := exchange.text(name)) is not None
        }
    )
    selectors = selectors_of(
        parse_ids(ids) if ids else (),
        parse_pattern(pattern) if pattern else None,
        parse_types(types, context) if types else None,
        (),
    )
    return Sought(
        wanted=Wanted(
            selectors=selectors,
            attributes=frozenset(names),
            csf=None if csf is None else member_matcher(parse_csf(csf, context)),
        ),
        geo=geo,
        scope=None if scope is None else parse_scope(scope),
        interval=interval,
        latest_only=bool(selectors or names),
    )


# --- subscriptions to them -----------------------------------------------------------------------------------------


async def subscribe(request: Request) -> Response:
    exchange = await _open(request, write=True)
    await _fetch_context(exchange)

    def work() -> tuple[str, list[Telling]]:
        return source_subscriptions.create(
            exchange.body, exchange.context, given=exchange.context.source, owner=exchange.access.name
        )

    made, tellings = await _change(exchange, work, creates=True)
    request.app.state.beat.forget()
    tell(exchange, tellings)
    location = f"{BASE}/csourceSubscriptions/{quote(made, safe=':')}"
    return exchange.answer(status=201, headers={"Location": location})


async def query_subscriptions(request: Request) -> Response:
    exchange = await _open(request)
    limit, offset, wants_count = exchange.page()
    found = await exchange.read(source_subscriptions.page, limit=limit + 1, offset=offset)
    total = await exchange.read(source_subscriptions.count) if wants_count else None
    page = found[:limit]
    exchange.page_headers(len(page), limit, offset, total, has_more=len(found) > limit)
    return exchange.answer([_shown_subscription(exchange, one) for one in page])


async def retrieve_subscription(request: Request) -> Response:
    exchange = await _open(request)
    found = await exchange.read(source_subscriptions.get, exchange.uri("subscription_id"))
    return exchange.answer(_shown_subscription(exchange, found))


async def update_subscription(request: Request) -> Response:
    exchange = await _open(request, write=True, needs_context_in_body=False)
    subscription_id = exchange.uri("subscription_id")
    await _fetch_context(exchange)

    def work() -> list[Telling]:
        return source_subscriptions.update(
            subscription_id, exchange.body, exchange.context, given=exchange.context.source
        )

    tellings = await _change(exchange, work)
    request.app.state.beat.forget()
    tell(exchange, tellings)
    return exchange.answer(status=204)


async def delete_subscription(request: Request) -> Response:
    exchange = await _open(request, write=True)
    subscription_id = exchange.uri("subscription_id")
    await _change(exchange, lambda: source_subscriptions.delete(subscription_id))
    return exchange.answer(status=204)


async def _fetch_context(exchange: Exchange) -> None:
    """Read a remote context before the transaction rather than inside it."""
    given = exchange.body.get("jsonldContext") if isinstance(exchange.body, dict) else None
    if isinstance(given, str):
        await resolve(exchange, given)


def tell(exchange: Exchange, tellings: Sequence[Telling]) -> None:
    """Send notifications after the answer; those of one subscription in their order.

    They are not kept over a restart of the process: a subscriber that must know for certain asks for the list.
    """
    tell_all(_sources(exchange), exchange.tenant, tellings)


def tell_all(sources: Sources, tenant: str, tellings: Sequence[Telling]) -> None:
    by_subscription: dict[str, list[Telling]] = {}
    for one in tellings:
        by_subscription.setdefault(one.subscription_id, []).append(one)
    for lane in by_subscription.values():
        sources.in_order(
            (tenant, lane[0].subscription_id),
            partial(_tell, sources, tenant, lane),
        )


class Beat:
    """Tells periodic subscribers. Which tenants have any is looked up twice a minute, and after each change here."""

    def __init__(self) -> None:
        self.tenants: tuple[str, ...] = ()
        self.looked_at = -LOOK_S

    def forget(self) -> None:
        self.looked_at = -LOOK_S

    async def __call__(self, sources: Sources) -> None:
        if time.monotonic() - self.looked_at > LOOK_S:
            self.looked_at = time.monotonic()
            every = await sources.others.run("", tenants.all_tenants)
            self.tenants = tuple(
                [one for one in every if await sources.others.run(one, source_subscriptions.has_periodic)]
            )
        for tenant in self.tenants:
            tell_all(sources, tenant, await sources.others.run(tenant, source_subscriptions.due))


async def _tell(sources: Sources, tenant: str, lane: Sequence[Telling]) -> None:
    for one in lane:
        succeeded = False
        for wait_s in ATTEMPTS:
            await asyncio.sleep(wait_s)
            try:
                succeeded = await send(sources, tenant, one)
            except (OSError, TimeoutError, httpx.HTTPError, httpx.InvalidURL):
                succeeded = False
            if succeeded:
                break
        await sources.others.run(tenant, source_subscriptions.note, one.subscription_id, success=succeeded)


async def send(sources: Sources, tenant: str, one: Telling) -> bool:
    """One attempt, over HTTP or MQTT; whether the receiver took it."""
    endpoint = one.document["notification"]["endpoint"]
    address = parse_address(endpoint["uri"])
    accept = endpoint.get("accept", JSON)
    headers = {pair["key"]: pair["value"] for pair in endpoint.get("receiverInfo", ())}
    headers["Content-Type"] = LD if accept == LD else JSON
    body = dict(one.body)
    if accept == LD:
        body["@context"] = one.context.as_jsonld()
    else:
        headers["Link"] = link_header(one.context)
    if tenant:
        headers["NGSILD-Tenant"] = tenant
    limit_s = min(endpoint.get("timeout", NOTIFY_S * 1000) / 1000, 60.0)
    if not address.is_mqtt:
        status = await sources.post(endpoint["uri"], orjson.dumps(body), headers, limit_s)
        return 200 <= status < 300
    notifier = {pair["key"]: pair["value"] for pair in endpoint.get("notifierInfo", ())}
    broker = Broker(address, notifier.get("MQTT-Version", "mqtt5.0"))
    try:
        outcome = await broker.publish(
            address.path,
            orjson.dumps({"metadata": headers, "body": body}),
            int(notifier.get("MQTT-QoS", "0")),
            limit_s,
        )
    finally:
        await broker.close()
    return outcome.verdict == "accepted"


# --- who we are ----------------------------------------------------------------------------------------------------


async def identity(request: Request) -> Response:
    """What this broker is called, by which loops are found."""
    exchange = await open_exchange(request)
    if not await exchange.request.app.state.readers.run("", tenants.exists, exchange.tenant):
        raise NonexistentTenant(f"There is no tenant {exchange.tenant!r}.")
    now = datetime.now(UTC)
    alias = alias_of(exchange.tenant)
    up_s = int((now - _sources(exchange).started_at).total_seconds())
    return exchange.answer(
        {
            "id": f"urn:ngsi-ld:ContextSourceIdentity:{uuid.uuid5(uuid.NAMESPACE_DNS, alias)}",
            "type": "ContextSourceIdentity",
            "contextSourceAlias": alias,
            "contextSourceUptime": f"PT{up_s}S",
            "contextSourceTimeAt": time_text(now),
        }
    )


# --- common --------------------------------------------------------------------------------------------------------


async def _open(request: Request, *, write: bool = False, needs_context_in_body: bool = True) -> Exchange:
    exchange = await open_exchange(request, write=write, needs_context_in_body=needs_context_in_body)
    if exchange.access.restriction is not None:
        raise Forbidden(
            "This access reaches only some types or places; registrations are for those who reach all of the tenant."
        )
    return exchange


def _sources(exchange: Exchange) -> Sources:
    sources: Sources = exchange.request.app.state.sources
    return sources


async def _change(exchange: Exchange, work: Callable[[], Result], *, creates: bool = False) -> Result:
    """`work` in a transaction, away from the writers of entities: it may have to read a context.

    What creates makes its tenant too, where that is not there yet.
    """

    def in_transaction() -> Result:
        with transaction.atomic():
            return tenants.made_with(exchange.tenant, work) if creates else work()

    where = "" if creates else exchange.tenant
    result: Result = await exchange.request.app.state.fetchers.run(where, in_transaction)
    return result


def _changed(exchange: Exchange, tellings: Sequence[Telling]) -> None:
    _sources(exchange).changed(exchange.tenant)
    tell(exchange, tellings)


def _shown(exchange: Exchange, one: registrations.Registration) -> Any:
    return registrations.represent(
        one,
        exchange.context,
        sys_attrs="sysAttrs" in exchange.options or exchange.flag("sysAttrs"),
        secrets=exchange.access.may_write,
    )


def _shown_subscription(exchange: Exchange, one: source_subscriptions.SourceSubscription) -> Any:
    shown = source_subscriptions.represent(
        one, exchange.context, sys_attrs="sysAttrs" in exchange.options or exchange.flag("sysAttrs")
    )
    if not exchange.access.may_write:
        for secret in ("receiverInfo", "notifierInfo"):
            shown["notification"]["endpoint"] = {
                key: part for key, part in shown["notification"]["endpoint"].items() if key != secret
            }
    return shown


ROUTES = [
    Route("/csourceRegistrations", create, methods=["POST"]),
    Route("/csourceRegistrations", query, methods=["GET"]),
    Route("/csourceRegistrations/{registration_id}", retrieve, methods=["GET"]),
    Route("/csourceRegistrations/{registration_id}", update, methods=["PATCH"]),
    Route("/csourceRegistrations/{registration_id}", delete, methods=["DELETE"]),
    Route("/csourceSubscriptions", subscribe, methods=["POST"]),
    Route("/csourceSubscriptions", query_subscriptions, methods=["GET"]),
    Route("/csourceSubscriptions/{subscription_id}", retrieve_subscription, methods=["GET"]),
    Route("/csourceSubscriptions/{subscription_id}", update_subscription, methods=["PATCH"]),
    Route("/csourceSubscriptions/{subscription_id}", delete_subscription, methods=["DELETE"]),
    Route("/info/sourceIdentity", identity, methods=["GET"]),
]
