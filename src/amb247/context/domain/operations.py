"""What the NGSI-LD interface does to entities: one function for each operation of the standard.

Each takes the transaction's `Writing` and does all of its operation in memory; a problem is raised before or undone after, so
that several requests can share one transaction (`grouping`). Nothing is checked here that `documents.parse` has checked.

References
----------
ETSI GS CIM 009 v1.8.1, 5.6 (context information provision).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from amb247.context.documents.kinds import DELETE, NGSI_NULL, VALUE_KEY, VALUE_KEYS, Delete
from amb247.context.documents.parse import Parsed
from amb247.context.domain.writing import (
    EPOCH,
    Attribute,
    Pending,
    Writing,
    as_list,
    begin,
    finish,
    mark,
    merge_attribute,
    remove_entity,
    remove_instances,
    roll_back,
)
from amb247.context.ngsi_errors import AlreadyExists, BadRequestData, Forbidden, NgsiError, ResourceNotFound
from amb247.context.stored import Instance

# Says whether the caller may see (and change) an entity of these types at this place; raises when not.
Guard = Callable[[Sequence[str], Mapping[str, Attribute]], bool]

# Gives a simplified value the kind of what is stored: (name, given, kind) -> instance.
Fit = Callable[[str, Instance, str], Instance]


@dataclass(slots=True)
class Updated:
    """What became of the attributes of one request (UpdateResult of the standard); internal names."""

    updated: list[str] = field(default_factory=list)
    not_updated: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """What became of one entity of a batch."""

    entity_id: str
    is_new: bool = False
    error: NgsiError | None = None


def anyone(_types: Sequence[str], _attributes: Mapping[str, Attribute]) -> bool:
    """The guard that lets everything pass."""
    return True


def _found(writing: Writing, entity_id: str, guard: Guard) -> Pending:
    pending = writing.pending.get(entity_id)
    if pending is None or not pending.exists or not guard(pending.types, pending.attributes):
        raise ResourceNotFound(f"There is no entity {entity_id}.")
    return pending


def require_types(writing: Writing, entity_id: str, fits: Callable[[Sequence[str]], bool]) -> None:
    """Refuse an entity of other types than those asked for, as if there were none.

    Raises
    ------
    ResourceNotFound
    """
    pending = writing.pending.get(entity_id)
    if pending is None or not pending.exists or not fits(pending.types):
        raise ResourceNotFound(f"There is no entity {entity_id} of such a type.")


def _permit(pending: Pending, guard: Guard) -> None:
    """Refuse a change that would put an entity out of the writer's own reach."""
    if not guard(pending.types, pending.attributes):
        raise Forbidden(
            f"{pending.id}: this token may not write an entity of this type at this place; "
            "use one whose types and territory include it."
        )


def _end(writing: Writing, pending: Pending) -> None:
    finish(writing, pending)


def create(writing: Writing, parsed: Parsed, guard: Guard) -> None:
    """5.6.1: a new entity.

    Raises
    ------
    AlreadyExists
    """
    pending = writing.pending.get(parsed.id)
    if pending is not None and pending.exists:
        raise AlreadyExists(f"There already is an entity {parsed.id}.")
    _make(writing, parsed, guard)


def _make(writing: Writing, parsed: Parsed, guard: Guard) -> None:
    if not parsed.types:
        raise BadRequestData("type: is missing; an entity has at least one.")
    pending = begin(writing, parsed.id, list(parsed.types), _scope_of(parsed))
    for name, given in parsed.attributes.items():
        if given is not DELETE:
            merge_attribute(writing, pending, name, given, newest_wins=False)
    _set_end(pending, parsed)
    _permit(pending, guard)
    _end(writing, pending)


def replace(writing: Writing, parsed: Parsed, guard: Guard) -> None:
    """5.6.18: all that the entity had gives way to what is given; it keeps its id and its creation.

    Raises
    ------
    ResourceNotFound
    """
    _replace(writing, _found(writing, parsed.id, guard), parsed, guard)


def _replace(writing: Writing, pending: Pending, parsed: Parsed, guard: Guard) -> None:
    for name in [name for name in pending.attributes if name not in parsed.attributes]:
        remove_instances(writing, pending, name, every=True)
    for name, given in parsed.attributes.items():
        if given is DELETE:
            remove_instances(writing, pending, name, every=True)
            continue
        kept = {one.get("datasetId", "") for one in as_list(given)}
        for one in as_list(pending.attributes.get(name)):
            if one.get("datasetId", "") not in kept:
                remove_instances(writing, pending, name, dataset=one.get("datasetId", ""))
        merge_attribute(writing, pending, name, given, newest_wins=False)
    _set_types(pending, parsed.types or pending.types)
    _set_scope(pending, _scope_of(parsed))
    _set_end(pending, parsed, is_whole=True)
    _permit(pending, guard)
    _end(writing, pending)


def merge(
    writing: Writing,
    parsed: Parsed,
    guard: Guard,
    *,
    observed_at: str | None = None,
    fit: Fit | None = None,
) -> None:
    """5.6.17: merge a patch (RFC 7396 with `urn:ngsi-ld:null`) into the entity.

    Raises
    ------
    ResourceNotFound
    """
    pending = _found(writing, parsed.id, guard)
    for name, given in parsed.attributes.items():
        if given is DELETE:
            remove_instances(writing, pending, name, every=True)
            continue
        stored = {one.get("datasetId", ""): one for one in as_list(pending.attributes.get(name))}
        for one in as_list(given):
            dataset = one.get("datasetId", "")
            before = stored.get(dataset)
            if is_null(one):
                remove_instances(writing, pending, name, dataset=dataset)
                continue
            if before is None:
                merged = _complete(name, _without_nulls(one))
            else:
                merged = merge_instance(name, before, one if fit is None else fit(name, one, before["type"]))
            if observed_at is not None and "observedAt" not in one and "observedAt" in (before or ()):
                merged["observedAt"] = observed_at
            merge_attribute(writing, pending, name, merged, newest_wins=False)
    _add_types(pending, parsed.types)
    if parsed.scope is not None:
        _set_scope(pending, _scope_of(parsed))
    _set_end(pending, parsed)
    _permit(pending, guard)
    _end(writing, pending)


def _complete(name: str, instance: Instance) -> Instance:
    """A new attribute needs a value: a patch that only changes its unit or time has nothing to change."""
    if "type" not in instance or VALUE_KEY[instance["type"]] not in instance:
        raise BadRequestData(f"{name}: the entity has no such attribute; send its value too.")
    return instance


def is_null(instance: Instance) -> bool:
    """Whether the value itself is NGSI-LD Null: the instance goes."""
    return DELETE in instance.values() and any(instance.get(key) is DELETE for key in VALUE_KEYS)


def merge_instance(name: str, before: Instance, given: Instance) -> Instance:
    """One instance after a patch: members given replace those stored, objects are merged, nulls remove.

    Raises
    ------
    BadRequestData
        The patch says another type of attribute.
    """
    kind = before["type"]
    if given.get("type", kind) != kind:
        raise BadRequestData(
            f"{name}: is a {kind} and cannot become a {given['type']}; replace the attribute instead."
        )
    merged = {key: part for key, part in before.items() if key not in {"createdAt", "modifiedAt"}}
    for key, part in given.items():
        if part is DELETE:
            merged.pop(key, None)
        elif (
            kind != "GeoProperty"
            and isinstance(part, dict)
            and isinstance(merged.get(key), dict)
            and "@type" not in part
        ):
            merged[key] = _merged(merged[key], part)
        else:
            merged[key] = _without_nulls(part) if isinstance(part, dict) else part
    return merged


def _merged(before: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(before)
    for key, part in patch.items():
        if part is DELETE or part == NGSI_NULL:
            merged.pop(key, None)
        elif isinstance(part, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], part)
        else:
            merged[key] = _without_nulls(part) if isinstance(part, dict) else part
    return merged


def _without_nulls(part: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(inner) if isinstance(inner, dict) else inner
        for key, inner in part.items()
        if inner is not DELETE and inner != NGSI_NULL
    }


def append(writing: Writing, parsed: Parsed, guard: Guard, *, overwrite: bool = True) -> Updated:
    """5.6.3: add attributes; those that are there are overwritten, or kept and reported.

    Raises
    ------
    ResourceNotFound
    """
    pending = _found(writing, parsed.id, guard)
    result = Updated()
    for name, given in parsed.attributes.items():
        if given is DELETE or any(is_null(one) for one in as_list(given)):
            raise BadRequestData(f"{name}: null cannot be appended; delete the attribute instead.")
        if overwrite:
            merge_attribute(writing, pending, name, given, newest_wins=False)
            result.updated.append(name)
            continue
        stored = {one.get("datasetId", "") for one in as_list(pending.attributes.get(name))}
        taken = [one for one in as_list(given) if one.get("datasetId", "") not in stored]
        if taken:
            merge_attribute(writing, pending, name, taken[0] if len(taken) == 1 else taken, newest_wins=False)
        if len(taken) < len(as_list(given)):
            result.not_updated.append((name, "The attribute exists, and noOverwrite was asked for."))
        else:
            result.updated.append(name)
    _add_types(pending, parsed.types)
    if parsed.scope is not None:
        scope = _scope_of(parsed)
        _set_scope(pending, scope if overwrite else list(dict.fromkeys((*pending.scope, *scope))))
    _set_end(pending, parsed)
    _permit(pending, guard)
    _end(writing, pending)
    return result


def update(writing: Writing, parsed: Parsed, guard: Guard) -> Updated:
    """5.6.2: replace attributes that are there, add those that are not; only what cannot be removed is reported.

    Raises
    ------
    ResourceNotFound
    """
    pending = _found(writing, parsed.id, guard)
    result = Updated()
    for name, given in parsed.attributes.items():
        stored = {one.get("datasetId", "") for one in as_list(pending.attributes.get(name))}
        if given is DELETE:
            (result.updated.append(name) if stored else result.not_updated.append((name, MISSING)))
            remove_instances(writing, pending, name, every=True)
            continue
        is_missing = False
        for one in as_list(given):
            dataset = one.get("datasetId", "")
            if not is_null(one):
                merge_attribute(writing, pending, name, _without_nulls(one), newest_wins=False)
            elif dataset in stored:
                remove_instances(writing, pending, name, dataset=dataset)
            else:
                is_missing = True
        if is_missing:
            result.not_updated.append((name, MISSING))
        else:
            result.updated.append(name)
    _add_types(pending, parsed.types)
    if parsed.scope is not None and pending.scope:
        _set_scope(pending, _scope_of(parsed))
    _set_end(pending, parsed)
    _permit(pending, guard)
    _end(writing, pending)
    return result


MISSING = "The entity has no such attribute."


def partial_update(
    writing: Writing, entity_id: str, name: str, given: Attribute | Delete, guard: Guard
) -> None:
    """5.6.4: change members of an attribute that is there.

    Raises
    ------
    ResourceNotFound, BadRequestData
    """
    if isinstance(given, Delete):
        delete_attribute(writing, entity_id, name, guard)
        return
    pending = _found(writing, entity_id, guard)
    stored = {one.get("datasetId", ""): one for one in as_list(pending.attributes.get(name))}
    for one in as_list(given):
        dataset = one.get("datasetId", "")
        before = stored.get(dataset)
        if before is None:
            raise ResourceNotFound(_no_attribute(entity_id, name, dataset))
        if is_null(one):
            remove_instances(writing, pending, name, dataset=dataset)
            continue
        kind = before["type"]
        if one.get("type", kind) != kind:
            raise BadRequestData(f"{name}: is a {kind} and cannot become a {one['type']}.")
        changed = {key: part for key, part in before.items() if key not in {"createdAt", "modifiedAt"}}
        for key, part in one.items():
            if part is DELETE:
                changed.pop(key, None)
            elif key == "languageMap" and isinstance(part, dict):
                changed[key] = _merged(changed.get(key) or {}, part)
            else:
                changed[key] = _without_nulls(part) if isinstance(part, dict) else part
        merge_attribute(writing, pending, name, changed, newest_wins=False)
    _permit(pending, guard)
    _end(writing, pending)


def replace_attribute(writing: Writing, entity_id: str, name: str, given: Attribute, guard: Guard) -> None:
    """5.6.19: put an attribute (one datasetId, or the default instance) in the place of that which is there.

    Raises
    ------
    ResourceNotFound
    """
    pending = _found(writing, entity_id, guard)
    stored = {one.get("datasetId", "") for one in as_list(pending.attributes.get(name))}
    for one in as_list(given):
        if one.get("datasetId", "") not in stored:
            raise ResourceNotFound(_no_attribute(entity_id, name, one.get("datasetId", "")))
    merge_attribute(writing, pending, name, given, newest_wins=False)
    _permit(pending, guard)
    _end(writing, pending)


def delete_attribute(
    writing: Writing, entity_id: str, name: str, guard: Guard, *, dataset: str = "", every: bool = False
) -> None:
    """5.6.5: remove one instance of an attribute, or all.

    Raises
    ------
    ResourceNotFound
    """
    pending = _found(writing, entity_id, guard)
    if name == "scope" and pending.scope:
        _set_scope(pending, [])
    elif not remove_instances(writing, pending, name, dataset=dataset, every=every):
        raise ResourceNotFound(_no_attribute(entity_id, name, "" if every else dataset))
    _permit(pending, guard)
    _end(writing, pending)


def _no_attribute(entity_id: str, name: str, dataset: str) -> str:
    return f"{entity_id} has no attribute {name}" + (f" with datasetId {dataset}." if dataset else ".")


def delete(writing: Writing, entity_id: str, guard: Guard) -> None:
    """5.6.6: remove an entity.

    Raises
    ------
    ResourceNotFound
    """
    pending = _found(writing, entity_id, guard)
    remove_entity(writing, pending)
    _end(writing, pending)


def purge(
    writing: Writing,
    entity_ids: Sequence[str],
    guard: Guard,
    *,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> int:
    """5.6.21: remove all these entities, or only some of their attributes; how many were changed."""
    count = 0
    for entity_id in entity_ids:
        pending = writing.pending.get(entity_id)
        if pending is None or not pending.exists or not guard(pending.types, pending.attributes):
            continue
        if drop or keep:
            names = [n for n in pending.attributes if n in drop or (keep and n not in keep)]
            for name in names:
                remove_instances(writing, pending, name, every=True)
            if not names:
                continue
        else:
            remove_entity(writing, pending)
        _end(writing, pending)
        count += 1
    return count


def batch(
    writing: Writing, entities: Sequence[Parsed], work: Callable[[Writing, Parsed], bool]
) -> list[Outcome]:
    """5.6.7 to 5.6.10, 5.6.20: the same operation on each entity; one that fails leaves no trace and stops no other.

    `work` does the operation and says whether the entity is new.
    """
    outcomes = []
    for parsed in entities:
        before = mark(writing, parsed.id)
        try:
            outcomes.append(Outcome(parsed.id, is_new=work(writing, parsed)))
        except NgsiError as problem:
            roll_back(writing, parsed.id, before)
            outcomes.append(Outcome(parsed.id, error=problem))
    return outcomes


def upsert(
    writing: Writing, parsed: Parsed, guard: Guard, *, replacing: bool, overwrite: bool = True
) -> bool:
    """5.6.8: create the entity, or replace or update the one that is there; whether it is new."""
    pending = writing.pending.get(parsed.id)
    if pending is None or not pending.exists:
        _make(writing, parsed, guard)
        return True
    if replacing:
        _replace(writing, _found(writing, parsed.id, guard), parsed, guard)
    else:
        append(writing, parsed, guard, overwrite=overwrite)
    return False


def _scope_of(parsed: Parsed) -> list[str]:
    return [] if parsed.scope is None or parsed.scope is DELETE else list(parsed.scope)


def _set_types(pending: Pending, types: Sequence[str]) -> None:
    if set(types) != set(pending.types):
        pending.types = list(types)
        pending.is_touched = pending.is_whole = True


def _add_types(pending: Pending, types: Sequence[str] | None) -> None:
    new = [name for name in types or () if name not in pending.types]
    if new:
        pending.types = [*pending.types, *new]
        pending.is_touched = pending.is_whole = True


def _set_scope(pending: Pending, scope: list[str]) -> None:
    if scope != pending.scope:
        pending.scope = scope
        pending.is_touched = pending.is_whole = True


def _set_end(pending: Pending, parsed: Parsed, *, is_whole: bool = False) -> None:
    if parsed.expires_at is None and not is_whole:
        return
    expires = None
    if isinstance(parsed.expires_at, datetime):
        expires = round((parsed.expires_at - EPOCH) / timedelta(microseconds=1))
    if expires != pending.expires:
        pending.expires = expires
        pending.is_touched = pending.is_whole = True
