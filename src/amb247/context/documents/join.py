"""Entities with those that they point to: inside the relationship, or behind it in the list (GS CIM 009, 4.5.23)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from amb247.context.documents.kinds import TARGETED
from amb247.context.documents.projection import Pick, depth
from amb247.context.documents.represent import Form, feature_collection, represent
from amb247.context.jsonld.context import Context
from amb247.context.ngsi_errors import BadRequestData, TooManyResults
from amb247.context.stored import Stored

Json = Any
Lookup = Callable[[Sequence[str]], Mapping[str, Stored]]
MAX_LEVEL: Final = 10
MAX_LINKED: Final = 10_000


def check_projection(form: Form, *, join: str | None, level: int) -> None:
    """A projection may reach no further than the join does (5.7.1.4).

    Raises
    ------
    BadRequestData
    """
    for parameter, terms in (("pick", form.pick), ("omit", form.omit)):
        reach = depth(_picks(terms))
        if reach > (level if join in ("inline", "flat") else 0):
            raise BadRequestData(
                f"{parameter}: reaches {reach} links away; add join=inline or join=flat with joinLevel={reach}"
            )


def join_inline(
    entities: Sequence[Stored],
    context: Context,
    form: Form,
    *,
    lookup: Lookup,
    level: int = 1,
    contained_by: Iterable[str] = (),
) -> list[Json]:
    """Each entity with `entity` or `entityList` in its relationships, `level` links deep.

    Parameters
    ----------
    lookup : callable
        Ids -> those of them that are stored and that the reader may see.
    contained_by : ids
        Entities that the asker has met on the way; they are not opened again, nor is any entity inside itself.

    Raises
    ------
    TooManyResults
        More than 10,000 linked entities.
    """
    known = _gather(entities, level, lookup)
    met = frozenset(contained_by)

    def shown(entity: Stored, form: Form, left: int, way: frozenset[str]) -> Json:
        if left == 0:
            return represent(entity, context, form)
        inner = way | {entity.id}

        def linked(name: str, target: str) -> Json:
            found = None if target in inner else known.get(target)
            return None if found is None else shown(found, _nested(form, name), left - 1, inner)

        return represent(entity, context, form, linked=linked)

    return [shown(entity, form, level, met) for entity in entities]


def join_flat(
    entities: Sequence[Stored],
    context: Context,
    form: Form,
    *,
    lookup: Lookup,
    level: int = 1,
    contained_by: Iterable[str] = (),
) -> list[Json]:
    """The entities, then every one that they point to, level by level and each once; features where GeoJSON is asked."""
    met = {*contained_by, *(entity.id for entity in entities)}
    answer = [represent(entity, context, form) for entity in entities]
    layer = [(entity, form) for entity in entities]
    for _ in range(level):
        wanted: dict[str, Form] = {}
        for entity, shape in layer:
            for name, target in targets(entity, shape):
                if target not in met:
                    wanted.setdefault(target, _nested(shape, name))
        met.update(wanted)
        if len(met) > MAX_LINKED:
            raise TooManyResults(
                f"more than {MAX_LINKED:,} linked entities; narrow the query or lower joinLevel"
            )
        found = lookup(list(wanted)) if wanted else {}
        layer = [(found[target], shape) for target, shape in wanted.items() if target in found]
        answer += [represent(entity, context, shape) for entity, shape in layer]
    return answer


def join_flat_geojson(
    entities: Sequence[Stored], context: Context, form: Form, *, lookup: Lookup, level: int = 1
) -> Json:
    """The same as one FeatureCollection (5.7.1.5)."""
    return feature_collection(
        join_flat(entities, context, replace(form, geojson=True), lookup=lookup, level=level)
    )


def targets(entity: Stored, form: Form) -> Iterable[tuple[str, str]]:
    """(attribute, target) of the relationships that the form shows, in their order."""
    kept = None if form.pick is None else {one if isinstance(one, str) else one.name for one in form.pick}
    for name, value in entity.attributes.items():
        if kept is not None and name not in kept:
            continue
        for instance in value if isinstance(value, list) else (value,):
            if instance.get("type") in TARGETED:
                given: Json = instance.get("object", instance.get("objectList"))
                for target in given if isinstance(given, list) else (given,):
                    yield name, target


EVERYTHING: Final = Form()


def _gather(entities: Sequence[Stored], level: int, lookup: Lookup) -> dict[str, Stored]:
    """Every entity within reach, by one lookup a level. Those asked for are known already."""
    if level > MAX_LEVEL:
        raise BadRequestData(f"joinLevel: send at most {MAX_LEVEL}")
    known = {entity.id: entity for entity in entities}
    layer: Sequence[Stored] = entities
    asked = set(known)
    for _ in range(level):
        wanted = list(
            dict.fromkeys(
                target for entity in layer for _, target in targets(entity, EVERYTHING) if target not in asked
            )
        )
        asked.update(wanted)
        if len(asked) > MAX_LINKED:
            raise TooManyResults(
                f"more than {MAX_LINKED:,} linked entities; narrow the query or lower joinLevel"
            )
        found = lookup(wanted) if wanted else {}
        known.update(found)
        layer = list(found.values())
    return known


def _picks(terms: tuple[Pick | str, ...] | None) -> tuple[Pick, ...]:
    return tuple(one for one in terms or () if isinstance(one, Pick))


def _nested(form: Form, name: str) -> Form:
    """How a linked entity is shown: by what stands in the braces behind the relationship, else as the first one."""
    changes: dict[str, Json] = {"attrs": None}
    for parameter in ("pick", "omit"):
        inner = next(
            (one.nested for one in _picks(getattr(form, parameter)) if one.name == name and one.nested), None
        )
        if inner is not None:
            changes[parameter] = inner
    return replace(form, **changes)
