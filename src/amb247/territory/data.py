"""What `api.py` takes and gives: plain frozen values, never models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NewType, TypeAlias

from amb247.territory.enums import Scope

AreaCode = NewType("AreaCode", str)
Ring: TypeAlias = tuple[tuple[float, float], ...]
Polygon: TypeAlias = tuple[Ring, ...]
LevelName: TypeAlias = Literal["metropolitan_area", "municipality", "commune", "neighbourhood"]
ChannelName: TypeAlias = Literal["web", "api", "cli", "job"]


@dataclass(frozen=True)
class Area:
    """One area of the territory.

    `area_km2` is on the GRS80 ellipsoid, planimetric; `bbox` is west, south, east, north and `centroid` a lon, lat
    that lies inside the shape, both in WGS84 degrees. All three are None for an area without a shape.
    """

    code: AreaCode
    level: LevelName
    name: str
    parent: AreaCode | None = None
    population: int | None = None
    population_year: int | None = None
    population_source: str = ""
    area_km2: float | None = None
    bbox: tuple[float, float, float, float] | None = None
    centroid: tuple[float, float] | None = None
    synthetic: bool = False
    source: str = ""


@dataclass(frozen=True)
class AreaNode:
    """An area and those directly below it, sorted by code."""

    area: Area
    children: tuple[AreaNode, ...] = ()


@dataclass(frozen=True)
class AreaShape:
    """An area with its GeoJSON geometry (WGS84), Polygon or MultiPolygon."""

    area: Area
    geometry: Mapping[str, Any]


@dataclass(frozen=True)
class RoleHeld:
    """A role of a person, held in one area (`area_code`) or one organisation (`organisation_id`)."""

    id: int
    name: str
    area_code: AreaCode | None = None
    organisation_id: int | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True)
class Person:
    id: int
    email: str
    full_name: str
    language: str
    is_active: bool
    roles: tuple[RoleHeld, ...] = ()


@dataclass(frozen=True)
class Organisation:
    id: int
    kind: str
    name: str
    nit: str = ""
    area_code: AreaCode | None = None


@dataclass(frozen=True)
class TokenInfo:
    """A valid token, without its secret.

    `tenants` are names of NGSI-LD tenants, empty for the city itself; `entity_types` short names or IRIs as they
    were given, empty for all.
    """

    id: int
    name: str
    prefix: str
    scopes: frozenset[str]
    owner_id: int
    area_code: AreaCode | None = None
    organisation_id: int | None = None
    expires_at: datetime | None = None
    tenants: frozenset[str] = frozenset()
    entity_types: frozenset[str] = frozenset()

    def allows(self, scope: Scope | str) -> bool:
        """Whether the scope was given; where it holds is `api.token_allows`."""
        return str(scope) in self.scopes

    def enters(self, tenant: str) -> bool:
        """Whether the token opens this tenant; `""` is the city itself, closed to a token that names tenants."""
        return tenant in self.tenants if self.tenants else tenant == ""


@dataclass(frozen=True)
class Reach:
    """What somebody may do with the entities of the context, and where. Nothing and nowhere unless said.

    Parameters
    ----------
    can_read, can_write, can_read_history : bool
        Each holds everywhere in the reach.
    is_whole_territory : bool
        No limit by place: also things without a location, and outside every area.
    polygons : tuple of Polygon
        The reach when it is narrower, lon, lat in WGS84 degrees: each an outer ring and its holes, closed.
    """

    can_read: bool = False
    can_write: bool = False
    can_read_history: bool = False
    is_whole_territory: bool = False
    polygons: tuple[Polygon, ...] = ()

    @property
    def areas(self) -> tuple[Polygon, ...] | None:
        """The limit by place: None is none at all, an empty tuple is nowhere. Never mistake one for the other."""
        return None if self.is_whole_territory else self.polygons


@dataclass(frozen=True)
class TokenLine:
    """A token as a list shows it, valid or not."""

    info: TokenInfo
    owner: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class NewToken:
    """A token just made. `secret` exists only here: the database keeps a digest."""

    info: TokenInfo
    secret: str = field(repr=False)


@dataclass(frozen=True)
class RequestInfo:
    """From where something was done."""

    channel: ChannelName = "web"
    ip: str | None = None
    user_agent: str = ""


@dataclass(frozen=True)
class AuditLine:
    """One line of the audit log; `actor` is a person's e-mail, empty for the platform itself."""

    id: int
    at: datetime
    actor: str
    verb: str
    object_urn: str
    area_code: str
    channel: str
    ip: str | None
    user_agent: str
    details: Mapping[str, Any]
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class AuditFilter:
    """Which lines to show: each given part must match; `start` and `end` are aware, the end is not included."""

    verb: str = ""
    actor: str = ""
    object_urn: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class DemoAccount:
    email: str
    password: str = field(repr=False)
    role: str
    area_code: str


@dataclass(frozen=True)
class Finding:
    """One thing the importer says about one feature.

    Parameters
    ----------
    index : int
        Position of the feature in the file, from 1; 0 is the file as a whole.
    name : str
        The feature's name or code as far as it could be read.
    field : str
        The property or part of the geometry concerned.
    reason : str
        What is wrong, or what was done.
    remedy : str
        What the person can do; empty where nothing is needed.
    """

    index: int
    name: str
    field: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.index} ({self.name})" if self.index else self.name
        return " ".join(part for part in (f"{where}, {self.field}: {self.reason}", self.remedy) if part)


@dataclass(frozen=True)
class ImportReport:
    """What became of a territory file: every feature is in exactly one of created, updated, unchanged, refused."""

    file: str
    layout: str
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: Sequence[Finding] = ()
    repaired: Sequence[Finding] = ()
    warnings: Sequence[Finding] = ()
    is_written: bool = True

    @property
    def taken(self) -> int:
        return self.created + self.updated


@dataclass(frozen=True)
class ColumnMapping:
    """Which property of a feature holds what. With neither `name` nor `level` it only adds to a recognised layout.

    Parameters
    ----------
    code, name, population : str, optional
        Property names.
    parent : str, optional
        A property name; where no feature has that property, the code of the parent of all.
    level : str, optional
        One of the four levels for the whole file, or a property name.
    """

    code: str | None = None
    name: str | None = None
    parent: str | None = None
    level: str | None = None
    population: str | None = None
