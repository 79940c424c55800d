"""An entity as the store keeps it: the form between the wire (any representation, any @context) and the tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Instance = dict[str, Any]


@dataclass(slots=True)
class Stored:
    """One entity with internal names (`jsonld.names`).

    Attributes
    ----------
    attributes : dict
        Internal attribute name -> instance, or list of instances that differ in `datasetId` (the default instance
        has none). An instance is normalized: `type` and its value key (`value`, `object`, `languageMap`, `vocab`,
        `valueList`, `objectList`, `json`), `observedAt`, `unitCode`, `datasetId`, `expiresAt`, sub-attributes
        (themselves instances or lists), and `createdAt`/`modifiedAt` only where they differ from the entity's
        `created_at` (an instance without `createdAt` was created with its entity, one without `modifiedAt` was never
        changed). Times are text in UTC, as `domain.validate.time_text` writes them.
    types, scope : list of str
        `scope` is empty when the entity has none.
    """

    id: str
    types: list[str]
    scope: list[str]
    attributes: dict[str, Instance | list[Instance]]
    created_at: datetime
    modified_at: datetime
    expires_at: datetime | None = None
    deleted_at: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)  # what a query adds: distance, source of the data
