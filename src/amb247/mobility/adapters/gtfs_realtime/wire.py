"""The outermost layer of protobuf by hand, to tell a message cut short from no message, and to save its whole parts.

Reference: protobuf encoding, https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parts:
    """Length-delimited fields of the top level: (field number, bytes), and whether they reach the end cleanly."""

    fields: tuple[tuple[int, bytes], ...]
    is_whole: bool


def top_level(content: bytes) -> Parts:
    """Split a message into its top-level fields as far as they are whole."""
    fields: list[tuple[int, bytes]] = []
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        if tag is None:
            return Parts(tuple(fields), is_whole=False)
        kind = tag & 7
        if kind == 2:
            length, at = _varint(content, at)
            if length is None or at + length > len(content):
                return Parts(tuple(fields), is_whole=False)
            fields.append((tag >> 3, content[at : at + length]))
            at += length
        elif kind == 0:
            value, at = _varint(content, at)
            if value is None:
                return Parts(tuple(fields), is_whole=False)
        elif kind in {1, 5}:
            at += 8 if kind == 1 else 4
            if at > len(content):
                return Parts(tuple(fields), is_whole=False)
        else:
            return Parts(tuple(fields), is_whole=False)
    return Parts(tuple(fields), is_whole=True)


def _varint(content: bytes, at: int) -> tuple[int | None, int]:
    value = 0
    for index in range(10):
        if at >= len(content):
            return None, at
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at
    return None, at
