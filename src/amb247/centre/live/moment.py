"""The city at an earlier moment: today's picture with everything since rolled back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from amb247.centre.live.layers import BY_KEY, OK, SEVERITIES, STALE, STATES
from amb247.centre.live.picture import Picture, is_inside, key_of, short
from amb247.context import api as context
from amb247.context.vocabulary import usable

WINDOW = timedelta(minutes=5)
STATE_ATTRIBUTES = ("status", "communicationState", "apState", "on")


def city_at(picture: Picture, moment: datetime, visible: frozenset[str] | None) -> dict[str, Any]:
    """What a `reset` event would have said at `moment`, with `abnormal` street lamps and things as rows.

    Positions come from the history, states by undoing what changed since: one query each, however many things.
    """
    vehicles = _vehicles_at(picture, moment, visible)
    abnormal, counts = _states_at(picture, moment, visible)
    counts["vehicle"] = _count_states([row[4] for row in vehicles])
    alerts = _alerts_at(picture, moment, visible)
    counts["alert"] = {name: sum(alert["severity"] == name for alert in alerts) for name in SEVERITIES}
    return {
        "t": int(moment.timestamp() * 1000),
        "cursor": "",
        "vehicles": vehicles,
        "abnormal": abnormal,
        "alerts": alerts,
        "counts": counts,
    }


def _vehicles_at(picture: Picture, moment: datetime, visible: frozenset[str] | None) -> list[list[Any]]:
    positions = context.last_before("Vehicle", "location", moment, window=WINDOW)
    bearings = context.last_before("Vehicle", "bearing", moment, window=WINDOW)
    stale_after = BY_KEY["vehicle"].stale_after_s or 0.0
    rows = []
    shown = {key: seen for key, seen in positions.items() if seen.value["type"] == "Point"}
    places = [seen.value["coordinates"][:2] for seen in shown.values()]
    codes = picture.codes_of(places) if visible is not None else [""] * len(places)
    with picture.lock:
        layer = picture.layers["vehicle"]
        for (entity_id, seen), code in zip(shown.items(), codes, strict=True):
            row = layer.row_of.get(entity_id)
            if row is None or (visible is not None and not is_inside(code, visible)):
                continue
            lon, lat = seen.value["coordinates"][:2]
            old = (moment - seen.at).total_seconds() > stale_after
            bearing = bearings.get(entity_id)
            rows.append(
                [
                    key_of(entity_id),
                    short(entity_id),
                    round(lon, 6),
                    round(lat, 6),
                    STATES[STALE if old else OK],
                    round(bearing.value) if bearing else 0,
                    layer.labels[row],
                ]
            )
    return rows


def _states_at(
    picture: Picture, moment: datetime, visible: frozenset[str] | None
) -> tuple[list[list[Any]], dict[str, dict[str, int]]]:
    changed = context.changed_after(STATE_ATTRIBUTES, moment)
    before = context.values_at(changed, moment)
    undone: dict[str, dict[str, Any]] = {}
    for pair in changed:
        seen = before.get(pair)
        undone.setdefault(pair[0], {})[pair[1]] = seen.value if seen else None
    abnormal: list[list[Any]] = []
    counts: dict[str, dict[str, int]] = {}
    with picture.lock:
        for key, layer in picture.layers.items():
            if key == "vehicle":
                continue
            states = layer.state[: layer.size].copy()
            for entity_id, parts in undone.items():
                row = layer.row_of.get(entity_id)
                if row is not None:
                    known = {name: value for name, value in parts.items() if value is not None}
                    states[row] = layer.spec.state(
                        {**layer.parts[row], **dict.fromkeys(parts), **known} if known else {}
                    )
            allowed = picture.mask(layer, visible)
            counts[key] = _count_states([STATES[state] for state in states[allowed].tolist()])
            for row in ((states != OK) & allowed).nonzero()[0].tolist():
                shown = layer.row(row)
                shown[4], shown[6] = STATES[states[row]], key
                abnormal.append(shown)
    return abnormal, counts


def _alerts_at(picture: Picture, moment: datetime, visible: frozenset[str] | None) -> list[dict[str, Any]]:
    """Alerts issued by then and not cleared by then, where the reader may look."""
    shown = []
    for entity in context.stream(["Alert"]):
        issued = _time(entity.get("dateIssued"))
        if issued is None or issued > moment:
            continue
        ended = _time(entity.get("validTo"))
        status = usable("Alert", entity).get("status") or {}
        if ended is not None and ended <= moment and status.get("value") == "cleared":
            continue
        alert = picture.describe_alert(entity) | {"status": "active"}
        if visible is None or is_inside(alert["area"], visible):
            shown.append(alert)
    return shown


def _time(instance: Any) -> datetime | None:
    if not isinstance(instance, dict):
        return None
    value = instance.get("value")
    text = value.get("@value") if isinstance(value, dict) else value
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _count_states(states: list[str]) -> dict[str, int]:
    return {name: states.count(name) for name in STATES}
