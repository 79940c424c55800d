"""Bytes of a request to JSON, refusing what would be read in two ways.

`orjson` refuses NaN, Infinity, numbers that overflow, broken text and more than 1,024 levels; it takes the last of two
members of one name silently, so that two systems may see different documents in the same bytes. Those are found here. It
writes no more than 254 levels: what is taken must be shown again, inside other documents, so the limit is lower.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from amb247.context.ngsi_errors import InvalidRequest

Json = Any
SPACES = b" \t\r\n"
MAX_LEVELS = 100
LEVELS_WRITTEN = 254  # by orjson


def read_json(body: bytes) -> Json:
    """The document in a request's body.

    Costs about twice `orjson.loads`: the document is written again and its keys are counted in both texts; only where
    the counts differ is it read by the slow parser, which sees every member.

    Raises
    ------
    InvalidRequest
        No JSON, an object with two members of one name, or more than `MAX_LEVELS` levels.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise InvalidRequest(f"the body is no JSON: {problem}") from None
    if isinstance(document, (dict, list)) and _keys(body) != _keys(_written(document, body)):
        try:
            json.loads(body, object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            raise InvalidRequest("the body is nested too deep") from None
    return document


def _written(document: Json, body: bytes) -> bytes:
    if body.count(b"[") + body.count(b"{") <= MAX_LEVELS:  # nearly all: spares the 154 lists
        return orjson.dumps(document)
    written = as_written(document)
    if written is None:
        raise InvalidRequest(f"the body has more than {MAX_LEVELS} levels; nest it less")
    return written


def as_written(document: Json) -> bytes | None:
    """The document's text, inside as many lists as it may not be deep itself; None when it has more than `MAX_LEVELS` levels."""
    for _ in range(LEVELS_WRITTEN - MAX_LEVELS):
        document = [document]
    try:
        return orjson.dumps(document)
    except TypeError:  # "Recursion limit reached"
        return None


def _keys(text: bytes) -> int:
    """How often a text of JSON has a quote before a colon: its keys, and a few texts that look alike in both."""
    return text.translate(None, SPACES).count(b'":')


def _unique(pairs: list[tuple[str, Json]]) -> Json:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(f"the member {twice[:80]!r} stands twice in one object; send it once")
    return found
