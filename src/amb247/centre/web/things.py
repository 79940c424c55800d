"""One thing in words: attributes with unit, time and source, its history, what it belongs to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from amb247.centre.access import Visible
from amb247.centre.live.layers import BY_TYPE, OK, STATES
from amb247.centre.live.picture import PREFIX, Picture, is_inside, short
from amb247.context import api as context
from amb247.context.phrases import ATTRIBUTES, CATEGORIES, TYPES, UNITS, VALUES_OF, in_words
from amb247.territory import api as territory

HIDDEN = frozenset({"location", "path", "synthetic", "name", "source"})
RAW_HOURS = 26  # longer histories are drawn from hourly means


def describe_thing(thing_id: str, picture: Picture, visible: Visible) -> dict[str, Any] | None:
    """What the drawer shows; None when the thing does not exist or lies where the reader may not look.

    Both look alike on purpose: nobody learns from here what exists elsewhere.
    """
    entity = context.get(PREFIX + thing_id)
    if entity is None:
        return None
    type_name = entity["type"] if isinstance(entity["type"], str) else entity["type"][0]
    lon, lat = _position(entity)
    area = territory.area_of(lon, lat) if lon is not None and lat is not None else None
    if visible is not None and not (area and is_inside(area.code, visible)):
        return None
    attributes = [
        _attribute(name, instance)
        for name, instance in entity.items()
        if name not in HIDDEN and isinstance(instance, dict) and instance.get("type") == "Property"
    ]
    times = [row["at"] for row in attributes if row["at"]]
    location = entity.get("location")
    if isinstance(location, dict) and location.get("observedAt"):
        times.append(datetime.fromisoformat(location["observedAt"]))
    spec = BY_TYPE.get(type_name)
    return {
        "id": thing_id,
        "name": _name(entity, thing_id),
        "type_label": str(TYPES.get(type_name, type_name)),
        "layer": spec.key if spec else "alert" if type_name == "Alert" else "",
        "state": _state(entity, type_name, picture),
        "address": _address(area),
        "lon": lon,
        "lat": lat,
        "synthetic": bool(_plain(entity.get("synthetic"))),
        "observed": max(times, default=None),
        "attributes": attributes,
        "series": _drawable(entity, thing_id),
        "relations": _relations(entity),
        "alerts": [_alert(alert) for alert in picture.visible_alerts(visible) if alert["source"] == thing_id],
        "raw_url": f"/centro/cosa/{thing_id}/entidad.json",
        "entity": entity,
    }


def series_of(
    thing_id: str, attribute: str, *, hours: int, picture: Picture, visible: Visible
) -> dict[str, Any] | None:
    """The history of one numeric attribute: every observation up to 26 hours, hourly means beyond."""
    thing = describe_thing(thing_id, picture, visible)
    if thing is None or not isinstance(thing["entity"].get(attribute), dict):
        return None
    now = datetime.now(UTC)
    start = now - timedelta(hours=hours)
    entity_id = PREFIX + thing_id
    if hours <= RAW_HOURS:
        points = [
            (seen.at.timestamp(), _numeric(seen.value))
            for seen in context.history(entity_id, attribute, start, now + timedelta(minutes=5), limit=5_000)
        ]
    else:
        points = [
            (hour.start.timestamp(), hour.mean) for hour in context.hourly(entity_id, attribute, start, now)
        ]
    instance = thing["entity"][attribute]
    return {
        "label": str(ATTRIBUTES.get(attribute, attribute)),
        "unit": str(UNITS.get(instance.get("unitCode", ""), "")),
        "t": [int(at) for at, value in points if value is not None],
        "v": [value for _at, value in points if value is not None],
    }


def alert_rows(
    picture: Picture, visible: Visible, alerts: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Alerts as the list shows them."""
    return [_alert(alert) for alert in (picture.visible_alerts(visible) if alerts is None else alerts)]


def _alert(alert: dict[str, Any]) -> dict[str, Any]:
    try:
        issued: datetime | None = datetime.fromisoformat(alert["issued"])
    except ValueError:
        issued = None
    return alert | {
        "issued": issued,
        "category_label": str(CATEGORIES.get(alert["category"], alert["category"])),
        "source": alert["source"] or "",
    }


def _attribute(name: str, instance: dict[str, Any]) -> dict[str, Any]:
    observed = instance.get("observedAt") or instance.get("modifiedAt")
    value = instance.get("value")
    known = VALUES_OF.get(name, {}).get(value) if isinstance(value, str) else None
    return {
        "label": str(ATTRIBUTES.get(name, name)),
        "value": in_words(value) if known is None else str(known),
        "unit": str(UNITS.get(instance.get("unitCode", ""), "")),
        "at": datetime.fromisoformat(observed) if observed else None,
        "source": str(instance.get("providedBy", {}).get("object", ""))
        if isinstance(instance.get("providedBy"), dict)
        else "",
    }


def _drawable(entity: dict[str, Any], thing_id: str) -> list[dict[str, str]]:
    return [
        {
            "url": f"/centro/cosa/{thing_id}/serie.json?atributo={name}&horas=24",
            "label": str(ATTRIBUTES.get(name, name)),
        }
        for name, instance in entity.items()
        if isinstance(instance, dict)
        and "observedAt" in instance
        and name not in {"bearing", "currentStopSequence"}
        and isinstance(instance.get("value"), (int, float))
    ][:4]


def _relations(entity: dict[str, Any]) -> list[dict[str, str]]:
    found = []
    for name, instance in entity.items():
        if not isinstance(instance, dict) or instance.get("type") != "Relationship":
            continue
        targets = instance["object"] if isinstance(instance["object"], list) else [instance["object"]]
        for target in targets[:5]:
            other = context.get(target)
            if other is not None:
                found.append(
                    {
                        "label": str(ATTRIBUTES.get(name, name)),
                        "id": short(target),
                        "name": _name(other, short(target)),
                    }
                )
    return found


def _state(entity: dict[str, Any], type_name: str, picture: Picture) -> str:
    spec = BY_TYPE.get(type_name)
    if spec is None:
        return STATES[OK]
    with picture.lock:
        layer = picture.layers[spec.key]
        row = layer.row_of.get(entity["id"])
        return STATES[layer.state[row]] if row is not None else STATES[OK]


def _name(entity: dict[str, Any], otherwise: str) -> str:
    for attribute in ("name", "cameraName", "description", "shortName"):
        value = _plain(entity.get(attribute))
        if value:
            return str(value)
    return otherwise.split(":", 1)[-1]


def _plain(instance: Any) -> Any:
    return instance.get("value") if isinstance(instance, dict) else None


def _position(entity: dict[str, Any]) -> tuple[float | None, float | None]:
    geometry = _plain(entity.get("location"))
    if not isinstance(geometry, dict):
        return None, None
    point = geometry["coordinates"]
    while isinstance(point[0], list):
        point = point[0]
    return float(point[0]), float(point[1])


def _address(area: Any) -> str:
    if area is None:
        return ""
    return " · ".join(one.name for one in territory.area_line(area.code)[:-1]) or area.name


def _numeric(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
