"""From bytes to a FeedMessage: protobuf or JSON, plain or gzipped, whole or in parts."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from google.transit import gtfs_realtime_pb2

from amb247.mobility.adapters.gtfs_realtime.wire import top_level
from amb247.mobility.adapters.refusals import Tally
from amb247.mobility.errors import UnreadableMessage

MOST_BYTES = 20_000_000
MOST_UNPACKED_BYTES = 100_000_000
HEADER, ENTITY = 1, 2
# What is read of a JSON entity; the rest (carriages, extensions) may be malformed without harm.
WANTED = ("trip", "vehicle", "position", "current_stop_sequence", "stop_id", "current_status", "timestamp",
          "congestion_level", "occupancy_status")  # fmt: skip


def open_message(content: bytes, *, keep_good: bool, tally: Tally) -> Any:
    """A FeedMessage.

    Parameters
    ----------
    content : bytes
    keep_good : bool    take the whole entities of a message that is cut or has broken ones
    tally : Tally       counts what had to be left out

    Raises
    ------
    UnreadableMessage    empty, too large, something else, or (without `keep_good`) not whole
    """
    if len(content) > MOST_BYTES:
        raise UnreadableMessage(f"{len(content)} bytes, the limit is {MOST_BYTES}", reason="too_large")
    content = _unzipped(content)
    if not content:
        raise UnreadableMessage("no bytes", reason="empty_message")
    if content.startswith(b"PK\x03\x04"):
        raise UnreadableMessage("a zip: GTFS static is imported, not replayed", reason="not_gtfs_realtime")
    start = content[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    # A header's tag is a line feed, and its length may be the code of "{": only then is it not clear which one it is.
    if not content.startswith(b"\n") and start.startswith((b"<", b"[")):
        raise UnreadableMessage(f"text: {start[:60].decode('latin-1')}", reason="not_gtfs_realtime")
    if not content.startswith(b"\n") and start.startswith(b"{"):
        return _from_json(content, tally)
    try:
        return _from_protobuf(content, keep_good=keep_good, tally=tally)
    except UnreadableMessage as error:
        if error.reason == "not_gtfs_realtime" and start.startswith(b"{"):
            return _from_json(content, tally)
        raise


def _unzipped(content: bytes) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    machine = zlib.decompressobj(wbits=31)
    try:
        plain = machine.decompress(content, MOST_UNPACKED_BYTES)
    except zlib.error as error:
        raise UnreadableMessage(f"gzip: {error}", reason="truncated_message") from error
    if machine.unconsumed_tail:
        raise UnreadableMessage(f"more than {MOST_UNPACKED_BYTES} bytes unpacked", reason="too_large")
    if not machine.eof:
        raise UnreadableMessage("gzip: cut short", reason="truncated_message")
    return plain


def _from_protobuf(content: bytes, *, keep_good: bool, tally: Tally) -> Any:
    message = gtfs_realtime_pb2.FeedMessage()
    try:
        message.ParseFromString(content)
    except DecodeError as error:
        return _salvaged(content, error, keep_good=keep_good, tally=tally)
    if not _is_header(message.header) and not (message.entity and message.header.timestamp):
        raise UnreadableMessage("no GTFS-Realtime header", reason="not_gtfs_realtime")
    return message


def _is_header(header: Any) -> bool:
    return bool(header.gtfs_realtime_version[:1].isdigit())


def _salvaged(content: bytes, error: DecodeError, *, keep_good: bool, tally: Tally) -> Any:
    """The parts that are whole; says how far the message goes where they may not be used."""
    parts = top_level(content)
    message = gtfs_realtime_pb2.FeedMessage()
    broken = 0
    for number, part in parts.fields:
        try:
            if number == HEADER:
                message.header.MergeFromString(part)
            elif number == ENTITY:
                message.entity.append(gtfs_realtime_pb2.FeedEntity.FromString(part))
        except DecodeError:
            broken += 1
    if not _is_header(message.header):
        raise UnreadableMessage("no GTFS-Realtime header", reason="not_gtfs_realtime") from error
    if not keep_good:
        how = "malformed" if parts.is_whole else f"cut after {len(content)} bytes"
        detail = f"{how}; {len(message.entity)} entities before it are whole, {broken} are not"
        reason = "malformed_message" if parts.is_whole else "truncated_message"
        raise UnreadableMessage(detail, reason=reason) from error
    for _ in range(broken):
        tally.add("", "malformed_entity")
    if not parts.is_whole:
        tally.add("", "truncated_message", f"{len(content)} bytes")
    return message


def _from_json(content: bytes, tally: Tally) -> Any:
    try:
        document = orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        is_cut = error.pos >= len(content) - 1
        raise UnreadableMessage(
            str(error), reason="truncated_message" if is_cut else "not_gtfs_realtime"
        ) from error
    message = gtfs_realtime_pb2.FeedMessage()
    header = document.get("header")
    entities = document.get("entity")
    if not isinstance(header, dict) or not isinstance(entities, list):
        raise UnreadableMessage("JSON without header and entity", reason="not_gtfs_realtime")
    try:
        ParseDict(header, message.header, ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableMessage(f"header: {error}", reason="not_gtfs_realtime") from error
    for index, entity in enumerate(entities):
        made = gtfs_realtime_pb2.FeedEntity()
        try:
            ParseDict(_pruned(entity), made, ignore_unknown_fields=True)
        except (ParseError, ValueError, TypeError, AttributeError, OverflowError) as error:
            tally.add(f"entity[{index}]", "malformed_entity", str(error)[:120])
        else:
            message.entity.append(made)
    return message


def _pruned(entity: Any) -> dict[str, Any]:
    if not isinstance(entity, Mapping):
        raise ParseError("not an object")
    kept: dict[str, Any] = {"id": str(entity.get("id", ""))}
    if (deleted := entity.get("is_deleted", entity.get("isDeleted"))) is not None:
        kept["is_deleted"] = deleted
    vehicle = entity.get("vehicle")
    if isinstance(vehicle, Mapping):
        kept["vehicle"] = {
            name: value
            for name in WANTED
            if (value := vehicle.get(name, vehicle.get(_camel(name)))) is not None
        }
    elif vehicle is not None:
        raise ParseError("vehicle is not an object")
    if entity.get("trip_update", entity.get("tripUpdate")):
        kept["trip_update"] = {}
    if entity.get("alert"):
        kept["alert"] = {}
    return kept


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
