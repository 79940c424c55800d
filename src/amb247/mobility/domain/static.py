"""What the active static feed knows that real-time messages only name: where stops are, what lines are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from amb247.mobility.domain.tables import table_of
from amb247.mobility.enums import VersionState
from amb247.mobility.errors import FeedNameRefused
from amb247.mobility.models import GtfsVersion

SLUG = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def checked_slug(feed: str) -> str:
    """The slug itself. Raises FeedNameRefused for what cannot be part of an id and an address."""
    if not SLUG.match(feed):
        raise FeedNameRefused(feed[:80])
    return feed


@dataclass(frozen=True)
class StaticNames:
    """Stop id -> (lon, lat); route id -> short name, and -> GTFS route_type. All empty without an active version."""

    stops: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    route_types: Mapping[str, int] = field(default_factory=dict)


def static_names(feed: str) -> StaticNames:
    """Those of the feed's active version; read once for each version. One query when nothing changed."""
    version = (
        GtfsVersion.objects.filter(feed__slug=feed, state=VersionState.ACTIVE)
        .values_list("pk", "sha256")
        .first()
    )
    return _names(*version) if version is not None else StaticNames()


@lru_cache(maxsize=8)
def _names(version_id: int, sha256: str) -> StaticNames:  # noqa: ARG001 - the hash keeps a reused id from finding another's names
    stops = table_of(version_id, "stops", columns=["stop_id", "stop_lon", "stop_lat"])
    routes = table_of(version_id, "routes", columns=["route_id", "route_short_name", "route_type"])
    places = {}
    if stops is not None and stops.width == 3:
        placed = stops.select("stop_id", "stop_lon", "stop_lat").drop_nulls()
        places = {stop_id: (round(lon, 6), round(lat, 6)) for stop_id, lon, lat in placed.iter_rows()}
    if routes is None:
        return StaticNames(places)
    names = {}
    if "route_short_name" in routes.columns:
        names = dict(routes.select("route_id", "route_short_name").drop_nulls().iter_rows())
    return StaticNames(places, names, dict(routes.select("route_id", "route_type").iter_rows()))
