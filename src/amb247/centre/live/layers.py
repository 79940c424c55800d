"""Which things the control centre shows, and what makes one abnormal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

STATES = ("ok", "stale", "fault", "offline", "maintenance")
OK, STALE, FAULT, OFFLINE, MAINTENANCE = range(len(STATES))


Parts = Mapping[str, Any]


@dataclass(frozen=True)
class LayerSpec:
    """One kind of thing on map and list.

    Parameters
    ----------
    key : str
        Name in URLs and frames.
    entity_type : str
        NGSI-LD type.
    parts : tuple of str
        Attributes whose values decide state, label and extra.
    state : Callable
        Parts -> index into `STATES`.
    label, extra : Callable
        Parts -> short text; what the map needs besides (bearing, power).
    stale_after_s : float or None
        Age of the last position after which a thing counts as stale.
    forget_after_s : float or None
        Age after which it is no longer shown: a bus that went home is not a bus without signal.
    """

    key: str
    entity_type: str
    name: Any
    parts: tuple[str, ...]
    state: Callable[[Parts], int]
    label: Callable[[Parts], str]
    extra: Callable[[Parts], Any]
    stale_after_s: float | None = None
    forget_after_s: float | None = None


def _streetlight(parts: Parts) -> int:
    if parts.get("status", "ok") != "ok":
        return FAULT
    return OFFLINE if parts.get("communicationState") == "down" else OK


def _vehicle(parts: Parts) -> int:
    return FAULT if parts.get("serviceStatus") == "broken" else OK


def _none(_parts: Parts) -> int:
    return OK


def _named(parts: Parts) -> str:
    return str(parts.get("name") or "")


LAYERS = (
    LayerSpec(
        "vehicle",
        "Vehicle",
        _("Buses"),
        ("serviceStatus", "bearing", "routeShortName", "name", "speed"),
        _vehicle,
        lambda p: str(p.get("routeShortName") or p.get("name") or ""),
        lambda p: round(p.get("bearing") or 0),
        stale_after_s=120.0,
        forget_after_s=1_200.0,
    ),
    LayerSpec(
        "streetlight",
        "Streetlight",
        _("Luminarias"),
        ("status", "communicationState", "powerState", "circuit"),
        _streetlight,
        lambda p: str(p.get("circuit") or ""),
        lambda p: 0 if p.get("powerState") == "off" else 1,
    ),
    LayerSpec(
        "accesspoint",
        "AccessPoint",
        _("Zonas WiFi"),
        ("apState", "name", "clientsConnected"),
        lambda p: FAULT if p.get("apState") == "down" else OK,
        _named,
        lambda p: p.get("clientsConnected"),
    ),
    LayerSpec(
        "camera",
        "Camera",
        _("Cámaras"),
        ("on", "cameraName", "name"),
        lambda p: FAULT if p.get("on") is False else OK,
        lambda p: str(p.get("cameraName") or p.get("name") or ""),
        lambda _p: None,
    ),
    LayerSpec(
        "station",
        "AirQualityObserved",
        _("Estaciones ambientales"),
        ("name", "pm25"),
        _none,
        _named,
        lambda p: p.get("pm25"),
    ),
    LayerSpec("stop", "PublicTransportStop", _("Paraderos"), ("name",), _none, _named, lambda _p: None),
)
BY_KEY = {layer.key: layer for layer in LAYERS}
BY_TYPE = {layer.entity_type: layer for layer in LAYERS}
ALERT = "Alert"
SEVERITIES = ("critical", "high", "medium", "low", "informational")
