"""Background entry points of the context; each calls one function and may run any number of times."""

from __future__ import annotations

import logging

from procrastinate.contrib.django import app

from amb247.context import api
from amb247.context.domain.feeds import forget_old_minutes
from amb247.context.domain.indexes import tend
from amb247.context.domain.tenants import all_tenants

log = logging.getLogger(__name__)


@app.periodic(cron="*/5 * * * *")
@app.task(queueing_lock="context.roll_up", pass_context=False)
def roll_up(timestamp: int) -> None:
    """Hourly figures of the hours that closed or changed."""
    for tenant in api.tenants():
        done = api.roll_up(tenant=tenant)
        if done:
            log.info("hours rolled up", extra={"hours": len(done), "timestamp": timestamp, "tenant": tenant})


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="context.remove_expired")
def remove_expired(timestamp: int) -> None:  # noqa: ARG001
    """Entities whose end has come."""
    for tenant in api.tenants():
        removed = api.remove_expired(tenant=tenant)
        if removed:
            log.info("entities expired", extra={"entities": removed, "tenant": tenant})


@app.periodic(cron="*/15 * * * *")
@app.task(queueing_lock="context.forget_entity_maps")
def forget_entity_maps(timestamp: int) -> None:  # noqa: ARG001
    """Maps of queries that nobody pages through any more."""
    for tenant in api.tenants():
        api.forget_entity_maps(tenant=tenant)


@app.periodic(cron="7 * * * *")
@app.task(queueing_lock="context.prepare_ahead")
def prepare_ahead(timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes it
    """Partitions of the coming days."""
    for tenant in api.tenants():
        api.prepare_ahead(tenant=tenant)


@app.periodic(cron="20 8 * * *")
@app.task(queueing_lock="context.retention")
def apply_retention(timestamp: int) -> None:  # noqa: ARG001
    """Forget what is past its term (03:20 in Bogotá)."""
    for tenant in api.tenants():
        log.info("retention", extra={"deleted": api.apply_retention(tenant=tenant), "tenant": tenant})
    forget_old_minutes()


@app.periodic(cron="*/10 * * * *")
@app.task(queueing_lock="context.tend_indexes")
def tend_indexes(timestamp: int) -> None:  # noqa: ARG001
    """Indexes on what clients keep asking for, in every tenant."""
    for tenant in all_tenants():
        built, dropped = tend(tenant)
        if built or dropped:
            log.info("indexes tended", extra={"tenant": tenant, "built": built, "dropped": dropped})
