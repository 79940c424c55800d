"""Areas, people and roles for tests. Numbers make names unique; nothing here checks permissions."""

from __future__ import annotations

import itertools
from typing import Any

from django.contrib.auth.models import AnonymousUser
from shapely.geometry import box, mapping, shape

from amb247.territory import models
from amb247.territory.domain.measures import measured

_number = itertools.count(1)
ANYONE = AnonymousUser()


def metropolitan_area(code: str = "AMB", **fields: Any) -> models.Area:
    found = models.Area.objects.filter(code=code).first()
    return found or models.Area.objects.create(
        level="metropolitan_area",
        code=code,
        name=fields.pop("name", "Área Metropolitana de Bucaramanga"),
        **fields,
    )


def area(
    code: str,
    *,
    level: str = "municipality",
    parent: models.Area | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    geometry: dict[str, Any] | None = None,
    **fields: Any,
) -> models.Area:
    """An area below `parent` (the metropolitan area by default), shaped as a box or a geometry if one is given."""
    if bounds is not None:
        geometry = mapping(box(*bounds))
    shaped = measured(shape(geometry)) if geometry is not None else {}
    return models.Area.objects.create(
        code=code,
        level=level,
        name=fields.pop("name", f"Área {code}"),
        parent=parent or metropolitan_area(),
        **{**shaped, **fields},
    )


def small_territory() -> dict[str, models.Area]:
    """Two municipalities side by side near Bucaramanga; the western with two communes, one of them with a barrio."""
    root = metropolitan_area()
    west = area(
        "68001", parent=root, bounds=(-73.20, 7.00, -73.10, 7.20), name="Bucaramanga", population=600_000
    )
    east = area("68276", parent=root, bounds=(-73.10, 7.00, -73.00, 7.20), name="Floridablanca")
    north = area("68001-01", level="commune", parent=west, bounds=(-73.20, 7.10, -73.10, 7.20), name="Norte")
    south = area("68001-02", level="commune", parent=west, bounds=(-73.20, 7.00, -73.10, 7.10), name="Sur")
    barrio = area(
        "68001-01-001",
        level="neighbourhood",
        parent=north,
        bounds=(-73.16, 7.14, -73.14, 7.16),
        name="El Rosal",
    )
    return {one.code: one for one in (root, west, east, north, south, barrio)}


def user(email: str | None = None, **fields: Any) -> models.User:
    """Without a password: `client.force_login` needs none, and hashing one is slow on purpose."""
    number = next(_number)
    return models.User.objects.create(
        email=email or f"persona{number}@prueba.example",
        full_name=fields.pop("full_name", f"Persona {number}"),
        password=fields.pop("password", "!"),
        **fields,
    )


def organisation(name: str | None = None, **fields: Any) -> models.Organisation:
    return models.Organisation.objects.create(
        kind=fields.pop("kind", "government"), name=name or f"Entidad {next(_number)}", **fields
    )


def role(
    person: models.User, name: str, place: models.Area | models.Organisation | str = "AMB", **fields: Any
) -> models.Role:
    if isinstance(place, str):
        place = models.Area.objects.get(code=place)
    where = {"area": place} if isinstance(place, models.Area) else {"organisation": place}
    return models.Role.objects.create(user=person, name=name, **where, **fields)


def person_with(
    name: str, place: models.Area | models.Organisation | str = "AMB", **fields: Any
) -> models.User:
    """Somebody who holds one role; the metropolitan area is made when it is the place and absent."""
    if place == "AMB":
        place = metropolitan_area()
    person = user(**fields)
    role(person, name, place)
    return person
