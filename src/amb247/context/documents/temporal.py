"""The temporal evolution of entities, as the store gives it and as clients see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from amb247.context.stored import Instance


class Taken(NamedTuple):
    """One instance of an attribute in the course of time.

    `time` is what the query's time property says (without a query: `observedAt`, else when it was taken). `instance` is
    normalized, with internal names and without stamps. `seq` is None for what lives in the state alone. A deletion has
    the NGSI-LD Null as its value.
    """

    time: datetime
    instance: Instance
    created: datetime
    modified: datetime
    seq: int | None
    deleted: bool = False


@dataclass(slots=True)
class Evolution:
    """An entity in the course of time; instances in the order of the answer. A stamp may be unknown."""

    id: str
    types: list[str]
    scope: list[str]
    created_at: datetime
    modified_at: datetime
    deleted_at: datetime | None = None
    attributes: dict[str, list[Taken]] = field(default_factory=dict)


class Bucket(NamedTuple):
    """The figures of one period `[start, end)`; those that do not exist for the values in it are None."""

    start: datetime
    end: datetime
    figures: dict[str, Any]


@dataclass(slots=True)
class Series:
    """One attribute (one datasetId of it; '' is the default instance) aggregated; only periods that hold something."""

    kind: str
    dataset_id: str
    unit: str | None = None
    buckets: list[Bucket] = field(default_factory=list)


@dataclass(slots=True)
class Aggregated:
    """An entity with aggregates in the place of instances."""

    id: str
    types: list[str]
    scope: list[str]
    created_at: datetime
    modified_at: datetime
    deleted_at: datetime | None = None
    attributes: dict[str, list[Series]] = field(default_factory=dict)
