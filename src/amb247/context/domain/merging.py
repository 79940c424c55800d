"""One entity out of what several sources say of it.

References
----------
ETSI GS CIM 009 v1.8.1, 4.3.6 (modes), 4.5.5 (several instances of one attribute: the most recent one counts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from amb247.context.documents.kinds import VALUE_KEYS
from amb247.context.documents.parse import parse_entity
from amb247.context.documents.times import canonical, moment, time_text
from amb247.context.domain.writing import as_list, from_list
from amb247.context.jsonld.context import Context
from amb247.context.querying.geometry import distance_m, shape_of
from amb247.context.querying.query import Order, Path
from amb247.context.stored import Instance, Stored

Json = Any

# Whose word counts: what is held nowhere else, what is here or with equals, what only fills gaps.
PROXIED, EQUAL, AUXILIARY = 0, 1, 2
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
Age = tuple[datetime | None, datetime]


@dataclass(frozen=True, slots=True)
class Part:
    """What one source says of an entity."""

    entity: Stored
    rank: int = EQUAL
    is_local: bool = False


def entity_of(raw: Json, context: Context, *, now: datetime) -> Stored:
    """An entity as another broker shows it (normalized or concise, with its system times), in the form of the store.

    Raises
    ------
    BadRequestData
        It is none.
    """
    parsed = parse_entity(raw, context)
    created = _moment(raw, "createdAt")
    modified = _moment(raw, "modifiedAt") or created
    terms = {context.expand(term): value for term, value in raw.items() if term != "@context"}
    attributes: dict[str, Any] = {}
    for name, value in parsed.attributes.items():
        stamps = {_dataset(one): one for one in as_list(terms.get(name)) if isinstance(one, dict)}
        attributes[name] = from_list(
            [_stamped(one, stamps.get(_dataset(one), {})) for one in as_list(value)]  # type: ignore[arg-type]
        )
    expires = parsed.expires_at if isinstance(parsed.expires_at, datetime) else None
    scope = parsed.scope if isinstance(parsed.scope, list) else []
    found = Stored(parsed.id, parsed.types or [], scope, attributes, created or now, modified or now, expires)
    if created is None:
        found.extra["unstamped"] = True
    return found


def _dataset(instance: Instance) -> str:
    return str(instance.get("datasetId", ""))


def _moment(raw: Json, name: str) -> datetime | None:
    value = raw.get(name)
    if isinstance(value, dict):
        value = value.get("@value", value.get("value"))
    return moment(value) if isinstance(value, str) else None


def _stamped(instance: Instance, raw: Json) -> Instance:
    made = dict(instance)
    for name in ("createdAt", "modifiedAt"):
        given = raw.get(name)
        found = canonical(given) if isinstance(given, str) else None
        if found is not None:
            made[name] = found
    return made


def merged(parts: Sequence[Part]) -> Stored:
    """One entity out of its parts, of which there is at least one.

    Of two instances of an attribute with the same datasetId the one of the better rank counts, then the one observed
    last, then the one modified last, then the one named first.
    """
    ordered = sorted(parts, key=lambda part: (part.rank, not part.is_local))
    if len(ordered) == 1:
        return ordered[0].entity
    first = ordered[0].entity
    created = min(part.entity.created_at for part in ordered)
    chosen: dict[str, dict[str, tuple[int, Instance, Age]]] = {}
    for part in ordered:
        born = time_text(part.entity.created_at)
        is_known = "unstamped" not in part.entity.extra
        for name, value in part.entity.attributes.items():
            datasets = chosen.setdefault(name, {})
            for one in as_list(value):
                spelled = one
                if "createdAt" not in one and part.entity.created_at != created:
                    spelled = {**one, "createdAt": born}
                age = _age(one, born if is_known else None)
                known = datasets.get(_dataset(one))
                if known is None or (known[0] == part.rank != AUXILIARY and is_newer(age, known[2])):
                    datasets[_dataset(one)] = (part.rank, spelled, age)
    return replace(
        first,
        types=list(dict.fromkeys(name for part in ordered for name in part.entity.types)),
        scope=list(dict.fromkeys(name for part in ordered for name in part.entity.scope)),
        attributes={
            name: from_list([one for _, one, _ in datasets.values()]) for name, datasets in chosen.items()
        },
        created_at=created,
        modified_at=max(part.entity.modified_at for part in ordered),
        expires_at=next((part.entity.expires_at for part in ordered if part.entity.expires_at), None),
    )


def sort_key(entity: Stored, order: Order) -> tuple[int, Any] | None:
    """By what an entity is ordered: numbers before texts, None where there is nothing."""
    path = order.path
    if path.attribute in {"id", "type", "scope", "createdAt", "modifiedAt"}:
        found = {
            "id": entity.id,
            "type": ",".join(entity.types),
            "scope": ",".join(entity.scope) or None,
            "createdAt": time_text(entity.created_at),
            "modifiedAt": time_text(entity.modified_at),
        }[path.attribute]
    else:
        found = _value_at(entity, path)
    if order.origin is not None:
        shape = shape_of(found)
        return None if shape is None else (0, distance_m(order.origin, shape))
    if isinstance(found, bool | int | float):
        return 0, found
    return (1, found) if isinstance(found, str) else None


def _value_at(entity: Stored, path: Path) -> Any:
    instances = as_list(entity.attributes.get(path.attribute))
    found: Any = next(
        (one for one in instances if "datasetId" not in one), instances[0] if instances else None
    )
    for name in path.subs:
        found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, list):
            found = found[0]
    if isinstance(found, dict) and "type" in found:
        found = next((found[key] for key in VALUE_KEYS if key in found), None)
    for name in path.members:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def is_newer(one: Age, other: Age) -> bool:
    """Whether `one` was observed after the other or, where that does not tell, modified after it."""
    if one[0] is not None and other[0] is not None and one[0] != other[0]:
        return one[0] > other[0]
    return one[1] > other[1]


def _age(instance: Instance, born: str | None) -> Age:
    """When it was observed, if that is known, and when it was last written."""
    observed = instance.get("observedAt")
    written = instance.get("modifiedAt") or instance.get("createdAt") or born
    return (
        None if observed is None else moment(observed),
        (None if written is None else moment(written)) or LONG_AGO,
    )
