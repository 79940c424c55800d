"""Registrations made ready to be asked: which of them concern an operation, and for which attributes.

A process keeps the registrations of each tenant as an `Index`. Where there are none, the question costs nothing.

References
----------
ETSI GS CIM 009 v1.8.1, 4.3.6 (modes of distributed operations), 4.20 (operations), 5.12 (matching of registrations).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from amb247.context.documents.parse import check_scopes
from amb247.context.documents.registration import (
    DEFAULT_OPERATIONS,
    GROUPS,
    PASSED_ON,
    duration_s,
)
from amb247.context.documents.times import moment
from amb247.context.querying.geometry import shape_of
from amb247.context.querying.matching import matcher
from amb247.context.querying.patterns import compiled
from amb247.context.querying.query import GeoQuery, Query, ScopeExpr, Selector, TypeExpr
from amb247.context.stored import Stored

Document = Mapping[str, Any]

PROXIED: Final = frozenset({"exclusive", "redirect"})  # the broker keeps nothing of what these hold


@dataclass(frozen=True, slots=True)
class EntityInfo:
    """Entities that a source may have: of all these types, with this id, or ids of this pattern, or any id."""

    types: frozenset[str]
    id: str | None = None
    pattern: Any = None

    def has(self, entity_id: str, types: Collection[str] | None) -> bool:
        """Whether an entity is one of them; `types` None where they are not known."""
        if self.id is not None:
            if self.id != entity_id:
                return False
        elif self.pattern is not None and not self.pattern.search(entity_id):
            return False
        return types is None or self.types.issubset(types)

    def may_have(self, wanted: Selector) -> bool:
        """Whether the source may have an entity of those wanted."""
        if wanted.types is not None and not any(
            not names or not self.types.isdisjoint(names) for names in wanted.types.alternatives
        ):
            return False
        if wanted.ids:
            if self.id is not None:
                return self.id in wanted.ids
            return self.pattern is None or any(self.pattern.search(one) for one in wanted.ids)
        if wanted.id_pattern is not None and self.id is not None:
            return bool(compiled(wanted.id_pattern).search(self.id))
        # Whether two patterns have a text in common is not worth an answer: the source knows.
        return True


@dataclass(frozen=True, slots=True)
class Information:
    """One RegistrationInfo: entities (empty: any) and attributes (empty: all)."""

    entities: tuple[EntityInfo, ...]
    attributes: frozenset[str]

    def has(self, entity_id: str, types: Collection[str] | None) -> bool:
        return not self.entities or any(one.has(entity_id, types) for one in self.entities)

    def may_have(self, wanted: Sequence[Selector]) -> bool:
        return (
            not self.entities
            or not wanted
            or any(one.may_have(selector) for one in self.entities for selector in wanted)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Registered:
    """One registration. `document` is as it is stored."""

    id: str
    document: Document
    endpoint: str
    mode: str
    operations: frozenset[str]
    information: tuple[Information, ...]
    headers: tuple[tuple[str, str], ...]
    passed_on: tuple[str, ...]  # headers whose value comes from the request
    jsonld_context: str | None
    tenant: str
    alias: str | None
    local_only: bool
    timeout_s: float | None
    cooldown_s: float | None
    cache_s: float
    expires_at: datetime | None
    is_temporal: bool
    scopes: tuple[str, ...]
    datasets: frozenset[str]
    area: Any
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_proxy(self) -> bool:
        """Whether what it holds is held nowhere else."""
        return self.mode in PROXIED

    def supports(self, operation: str) -> bool:
        return operation in self.operations

    def is_valid(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at

    def names(self, entity_id: str) -> bool:
        """Whether it speaks of this very entity, and not only of all of some types."""
        return any(info.id == entity_id for one in self.information for info in one.entities)

    def attributes_of(self, entity_id: str, types: Collection[str] | None) -> Attributes | None:
        """What it may have of one entity; None when nothing."""
        found: set[str] = set()
        hit = False
        for one in self.information:
            if one.has(entity_id, types):
                if not one.attributes:
                    return ALL
                hit = True
                found |= one.attributes
        return Attributes(frozenset(found)) if hit else None

    def attributes_for(self, wanted: Sequence[Selector]) -> Attributes | None:
        """What it may have of the entities that a query asks for; None when nothing."""
        found: set[str] = set()
        hit = False
        for one in self.information:
            if one.may_have(wanted):
                if not one.attributes:
                    return ALL
                hit = True
                found |= one.attributes
        return Attributes(frozenset(found)) if hit else None


@dataclass(frozen=True, slots=True)
class Attributes:
    """Some attributes, or all (None)."""

    names: frozenset[str] | None = None

    def __contains__(self, name: str) -> bool:
        return self.names is None or name in self.names

    def meets(self, names: Iterable[str]) -> bool:
        """Whether any of the names is among them."""
        return self.names is None or not self.names.isdisjoint(names)

    def holds(self, names: Collection[str]) -> bool:
        """Whether all of them are."""
        return self.names is None or self.names.issuperset(names)


ALL: Final = Attributes()


@dataclass(frozen=True, slots=True)
class Match:
    """A registration that concerns an operation, with the attributes that it may have."""

    registered: Registered
    attributes: Attributes


def compile_registration(document: Document) -> Registered:
    """Make a stored document ready."""
    management = document.get("management", {})
    pairs = [(one["key"], one["value"]) for one in document.get("contextSourceInfo", ())]
    scopes = document.get("scope")
    datasets = document.get("datasetId", ())
    operations: set[str] = set()
    for name in document.get("operations", DEFAULT_OPERATIONS):
        operations |= GROUPS.get(name, frozenset({name}))
    return Registered(
        id=document["id"],
        document=document,
        endpoint=document["endpoint"].rstrip("/"),
        mode=document.get("mode", "inclusive"),
        operations=frozenset(operations),
        information=tuple(map(_information, document["information"])),
        headers=tuple((key, text) for key, text in pairs if key != "jsonldContext" and text != PASSED_ON),
        passed_on=tuple(key for key, text in pairs if text == PASSED_ON),
        jsonld_context=next((text for key, text in pairs if key == "jsonldContext"), None),
        tenant=document.get("tenant", ""),
        alias=document.get("contextSourceAlias"),
        local_only=bool(management.get("localOnly", False)),
        timeout_s=management["timeout"] / 1000 if "timeout" in management else None,
        cooldown_s=management["cooldown"] / 1000 if "cooldown" in management else None,
        cache_s=duration_s(management["cacheDuration"]) if "cacheDuration" in management else 0.0,
        expires_at=moment(document["expiresAt"]) if "expiresAt" in document else None,
        is_temporal="observationInterval" in document or "managementInterval" in document,
        scopes=tuple(check_scopes(scopes)) if scopes is not None else (),
        datasets=frozenset([datasets] if isinstance(datasets, str) else datasets),
        area=shape_of(document["location"]) if "location" in document else None,
    )


def _information(given: Document) -> Information:
    return Information(
        entities=tuple(map(_entity_info, given.get("entities", ()))),
        attributes=frozenset((*given.get("propertyNames", ()), *given.get("relationshipNames", ()))),
    )


def _entity_info(given: Document) -> EntityInfo:
    types = given["type"]
    pattern = given.get("idPattern")
    return EntityInfo(
        types=frozenset(types if isinstance(types, list) else [types]),
        id=given.get("id"),
        pattern=None if pattern is None or "id" in given else compiled(pattern),
    )


class Index:
    """The registrations of one tenant, by what an operation asks for."""

    def __init__(self, registered: Iterable[Registered]) -> None:
        self.all = tuple(registered)
        self._by_id: dict[str, list[Registered]] = {}
        self._by_type: dict[str, list[Registered]] = {}  # where no id is said
        self._of_any: list[Registered] = []
        for one in self.all:
            if one.is_temporal:
                continue
            if not all(part.entities for part in one.information):
                self._of_any.append(one)
                continue
            for info in (info for part in one.information for info in part.entities):
                if info.id is not None:
                    self._by_id.setdefault(info.id, []).append(one)
                else:
                    for name in info.types:
                        self._by_type.setdefault(name, []).append(one)

    def __bool__(self) -> bool:
        return bool(self.all)

    def for_entity(
        self, entity_id: str, types: Collection[str] | None, *, via: Collection[str] = ()
    ) -> list[Match]:
        """The registrations that may have something of one entity, whatever the operation."""
        now = datetime.now(UTC)
        found = []
        named = self._by_id.get(entity_id, [])
        lists = self._by_type.values() if types is None else [self._by_type.get(name, []) for name in types]
        for one in dict.fromkeys((*named, *self._of_any, *(one for found in lists for one in found))):
            if one.alias in via or not one.is_valid(now):
                continue
            attributes = one.attributes_of(entity_id, types)
            if attributes is not None:
                found.append(Match(one, attributes))
        return found

    def for_query(self, wanted: Wanted, *, via: Collection[str] = ()) -> list[Match]:
        """The registrations that may have some of the entities that a query asks for."""
        now = datetime.now(UTC)
        found = []
        for one in self.all:
            if one.is_temporal or one.alias in via or not one.is_valid(now):
                continue
            attributes = wanted.of(one)
            if attributes is not None:
                found.append(Match(one, attributes))
        return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a query decides which registrations concern it."""

    selectors: tuple[Selector, ...] = ()
    attributes: frozenset[str] = frozenset()  # at least one of these, when there are any
    geo: GeoQuery | None = None
    scope: ScopeExpr | None = None
    datasets: frozenset[str] = frozenset()
    csf: Callable[[Document], bool] | None = None

    def of(self, one: Registered) -> Attributes | None:
        """The attributes that a registration may contribute; None when nothing."""
        attributes = one.attributes_for(self.selectors)
        if attributes is None or (self.attributes and not attributes.meets(self.attributes)):
            return None
        if self.datasets and one.datasets and self.datasets.isdisjoint(one.datasets):
            return None
        if self.scope is not None and one.scopes and not self.scope.fits(one.scopes):
            return None
        if self.geo is not None and one.area is not None and is_out_of(one.area, self.geo):
            return None
        if self.csf is not None and not self.csf(one.document):
            return None
        return attributes


def selectors_of(
    ids: Sequence[str], id_pattern: str | None, types: TypeExpr | None, selectors: Sequence[Selector]
) -> tuple[Selector, ...]:
    """The parameters of an address, or the `entities` of a document, as alternatives."""
    if ids or id_pattern or types is not None:
        return (Selector(ids=tuple(ids), id_pattern=id_pattern, types=types),)
    return tuple(selectors)


def is_out_of(area: Any, geo: GeoQuery) -> bool:
    """Whether nothing inside the area can fit the query: only what is certain counts."""
    if geo.relation in {"within", "intersects", "equals", "overlaps", "contains"}:
        return bool(area.disjoint(geo.shape))
    if geo.relation == "near" and geo.max_distance is not None:
        # A degree of longitude has at least 19 km below 80 degrees of latitude.
        return bool(area.distance(geo.shape) > geo.max_distance / 19_000)
    return False


@dataclass(frozen=True, slots=True)
class Interval:
    """A temporal query over what sources say of their time (4.11)."""

    relation: str  # before, after, between
    at: datetime
    end: datetime | None
    of_observations: bool

    def fits(self, document: Document) -> bool:
        """Whether the source's interval and the one asked for have a moment in common."""
        given = document.get("observationInterval" if self.of_observations else "managementInterval")
        if given is None:
            return False
        start, end = moment(given["startAt"]), moment(given["endAt"]) if "endAt" in given else None
        assert start is not None
        if self.relation == "before":
            return start < self.at
        if self.relation == "after":
            return end is None or end > self.at
        assert self.end is not None
        return start < self.end and (end is None or end > self.at)


@dataclass(frozen=True, slots=True)
class Sought:
    """Which registrations somebody wants to know of (5.10.2, 5.11.2).

    Attributes
    ----------
    latest_only : bool
        Without a temporal query: leave out sources of temporal evolution.
    """

    wanted: Wanted = Wanted()
    geo: GeoQuery | None = None  # unlike that of `wanted` it leaves out who says no place
    scope: ScopeExpr | None = None
    interval: Interval | None = None
    latest_only: bool = True

    def fits(self, one: Registered) -> bool:
        if self.interval is not None:
            if not self.interval.fits(one.document):
                return False
        elif self.latest_only and one.is_temporal:
            return False
        if self.scope is not None and not self.scope.fits(one.scopes):
            return False
        if self.geo is not None and not _lies(one.document.get(self.geo.geoproperty), self.geo):
            return False
        return self.wanted.of(one) is not None


def _lies(geometry: Any, geo: GeoQuery) -> bool:
    if geometry is None:
        return False
    attributes: dict[str, Any] = {geo.geoproperty: {"type": "GeoProperty", "value": geometry}}
    return matcher(Query(geo=geo))(Stored("", [], [], attributes, LONG_AGO, LONG_AGO))


LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def overlaps(one: Registered, other: Registered) -> bool:
    """Whether two registrations name the same attribute of the same entity (4.3.6.3)."""
    for mine in one.information:
        for theirs in other.information:
            shares_attribute = (
                not mine.attributes
                or not theirs.attributes
                or not mine.attributes.isdisjoint(theirs.attributes)
            )
            if shares_attribute and _share_entity(mine.entities, theirs.entities):
                return True
    return False


def _share_entity(mine: Sequence[EntityInfo], theirs: Sequence[EntityInfo]) -> bool:
    if not mine or not theirs:
        return True
    for one in mine:
        for other in theirs:
            if one.id is not None and other.id is not None:
                # One id is one entity, whatever the types say.
                if one.id == other.id:
                    return True
            elif one.id is not None:
                if other.has(one.id, one.types):
                    return True
            elif other.id is not None:
                if one.has(other.id, other.types):
                    return True
            elif not one.types.isdisjoint(other.types):
                return True
    return False
