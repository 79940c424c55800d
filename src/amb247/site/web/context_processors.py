"""What every page needs: the menu that this person may use, and whether the city is synthetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from amb247.territory import api as territory


@dataclass(frozen=True)
class Door:
    """One system of the platform, as menu and portal show it."""

    url: str
    label: Any
    icon: str
    key: str
    permission: str
    description: Any


DOORS = (
    Door(
        "/centro/",
        _("Centro de control"),
        "map",
        "g m",
        territory.Permission.CENTRE_VIEW,
        _("Mapa, alertas, lista y cifras de la ciudad, que se mueven solos."),
    ),
    Door(
        "/fuentes/",
        _("Fuentes de datos"),
        "feeds",
        "g f",
        territory.Permission.FEEDS_VIEW,
        _("Qué llega, con qué demora, y qué se rechazó y por qué."),
    ),
    Door(
        "/contexto/",
        _("Explorador de datos"),
        "context",
        "g c",
        territory.Permission.CONTEXT_READ,
        _("Lo que está guardado: tipos, consultas con su URL, historia, suscripciones y contextos NGSI-LD."),
    ),
    Door(
        "/movilidad/gtfs/",
        _("Rutas y horarios GTFS"),
        "bus",
        "g b",
        territory.Permission.GTFS_VIEW,
        _("Versiones del GTFS: importarlas, compararlas, activarlas y volver a la anterior."),
    ),
    Door(
        "/territorio/",
        _("Territorio y personas"),
        "territory",
        "g t",
        territory.Permission.TERRITORY_VIEW,
        _("Municipios, comunas y barrios; personas, roles, fichas de acceso y bitácora."),
    ),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    return {
        "menu": SimpleLazyObject(lambda: menu(request)),
        "synthetic_city": SimpleLazyObject(territory.is_synthetic),
        "city_name": SimpleLazyObject(city_name),
        "live_url": "",
    }


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    held = territory.permissions_of(getattr(request, "user", None))
    return [
        {
            "url": door.url,
            "label": door.label,
            "icon": door.icon,
            "key": door.key,
            "current": request.path.startswith(door.url),
        }
        for door in DOORS
        if door.permission in held
    ]


def city_name() -> str:
    roots = territory.areas(territory.Level.METROPOLITAN_AREA)
    return roots[0].name if roots else ""
