"""The built-in basemap: territory, streets, water, woods and bus lines as one GeoJSON, made when they change."""

from __future__ import annotations

import gzip
import threading
import time
from hashlib import blake2b
from typing import Any

import orjson

from amb247.context import api as context
from amb247.context.vocabulary import usable
from amb247.territory import api as territory

KEEP_S = 60.0
DECIMALS = 5  # about a metre

_lock = threading.Lock()
_made: tuple[float, bytes, str] | None = None


def basemap() -> tuple[bytes, str]:
    """The gzipped FeatureCollection and its entity tag; at most a minute old."""
    global _made  # noqa: PLW0603 - a cache of one
    with _lock:
        if _made is None or time.monotonic() - _made[0] > KEEP_S:
            body = orjson.dumps({"type": "FeatureCollection", "features": _areas() + _streets() + _routes()})
            tag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
            _made = (time.monotonic(), gzip.compress(body, 6), tag)
        return _made[1], _made[2]


def forget() -> None:
    """Make the basemap anew at the next request."""
    global _made  # noqa: PLW0603
    with _lock:
        _made = None


def _areas() -> list[dict[str, Any]]:
    features = []
    for level in ("municipality", "commune", "neighbourhood"):
        for shape in territory.area_shapes(level, simplify_m=8.0):
            properties = {"kind": level, "name": shape.area.name, "code": shape.area.code}
            features.append(_feature(dict(shape.geometry), properties))
            if level != "neighbourhood" and shape.area.centroid:
                features.append(
                    _feature(
                        {"type": "Point", "coordinates": list(shape.area.centroid)},
                        {
                            "kind": "place",
                            "name": shape.area.name,
                            "rank": 1 if level == "municipality" else 2,
                        },
                    )
                )
    return features


def _streets() -> list[dict[str, Any]]:
    features = []
    for entity in context.stream(["RoadSegment", "MapFeature"]):
        types = entity["type"] if isinstance(entity["type"], list) else [entity["type"]]
        kind = "RoadSegment" if "RoadSegment" in types else "MapFeature"
        entity = usable(kind, entity)  # noqa: PLW2901 - what does not fit is not there for us
        if "location" not in entity:
            continue
        geometry = entity["location"]["value"]
        name = _value(entity, "name") or _value(entity, "roadName") or ""
        if kind == "RoadSegment":
            properties = {"kind": "road", "class": _value(entity, "roadClass") or "street", "name": name}
        else:
            properties = {"kind": _value(entity, "kind") or "park", "name": name}
        features.append(_feature(geometry, properties))
    return features


def _routes() -> list[dict[str, Any]]:
    return [
        _feature(
            entity["path"]["value"],
            {
                "kind": "route",
                "shortName": _value(entity, "shortName") or "",
                "color": _value(entity, "routeColor") or "",
            },
        )
        for entity in (usable("GtfsRoute", one) for one in context.stream(["GtfsRoute"]))
        if "path" in entity
    ]


def _value(entity: dict[str, Any], name: str) -> Any:
    instance = entity.get(name)
    return instance.get("value") if isinstance(instance, dict) else None


def _feature(geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": geometry["type"], "coordinates": _rounded(geometry["coordinates"])},
    }


def _rounded(coordinates: Any) -> Any:
    if isinstance(coordinates[0], (int, float)):
        return [round(coordinates[0], DECIMALS), round(coordinates[1], DECIMALS)]
    return [_rounded(part) for part in coordinates]
