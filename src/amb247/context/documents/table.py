"""Entities as a table, for those who work with spreadsheets and data frames (beyond the standard)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from amb247.context.documents.represent import Form, represent
from amb247.context.jsonld.context import Context
from amb247.context.stored import Stored

Json = Any
FIRST: Final = ("id", "type", "scope", "createdAt", "modifiedAt", "expiresAt")


def as_csv(entities: Sequence[Stored], context: Context, form: Form) -> bytes:
    """RFC 4180, UTF-8, one line an entity; columns in the order in which they first occur, `id` and `type` first.

    A value goes into the column of its attribute: a point as `NAME.longitude` and `NAME.latitude`, compound values as
    JSON, flags as true and false. Unless the simplified form is asked for, `NAME.observedAt` and `NAME.unitCode` stand
    beside it where there are any. Of several instances only the default one is shown, or the first.
    """
    rows = [_row(entity, context, form) for entity in entities]
    names = dict.fromkeys(name for name in FIRST if any(name in row for row in rows))
    names.update(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, list(names), restval="", lineterminator="\r\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def _row(entity: Stored, context: Context, form: Form) -> dict[str, Json]:
    one = replace(entity, attributes={name: _default(value) for name, value in entity.attributes.items()})
    row: dict[str, Json] = {}
    for name, value in represent(one, context, replace(form, kind="simplified", geojson=False)).items():
        if isinstance(value, dict) and value.get("type") == "Point" and "coordinates" in value:
            row[f"{name}.longitude"], row[f"{name}.latitude"] = value["coordinates"][:2]
        else:
            row[name] = _cell(value)
        stored = one.attributes.get(context.expand(name)) if name not in FIRST else None
        if form.kind != "simplified" and isinstance(stored, dict):
            row.update({f"{name}.{key}": stored[key] for key in ("observedAt", "unitCode") if key in stored})
    return row


def _default(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return next((one for one in value if "datasetId" not in one), value[0])


def _cell(value: Json) -> Json:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict) and set(value) in ({"vocab"}, {"json"}, {"languageMap"}):
        return _cell(next(iter(value.values())))
    return orjson.dumps(value).decode()
