"""Read NGSI-LD lines leniently: what is no entity becomes a fault with its line number."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from amb247.context.data import LineFault
from amb247.context.errors import ContextError

MAX_LINE = 2_000_000


class LinesUnreadable(ContextError):
    """The file is not one of NGSI-LD lines; the message says why."""


def read_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | LineFault]]:
    """Line number and entity, or what is wrong with the line. `.gz` is unpacked on the way.

    Raises
    ------
    LinesUnreadable
        The file cannot be opened or is no text.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.strip().rstrip(b",")
                if text in {b"", b"[", b"]"}:
                    continue
                if len(text) > MAX_LINE:
                    yield (
                        number,
                        LineFault(
                            number,
                            None,
                            "line",
                            f"has {len(text):,} bytes",
                            f"send at most {MAX_LINE:,} a line",
                            "too_large",
                        ),
                    )
                    continue
                try:
                    yield number, orjson.loads(text)
                except orjson.JSONDecodeError as problem:
                    yield (
                        number,
                        LineFault(
                            number,
                            None,
                            "line",
                            f"is no JSON: {problem}",
                            "write one entity as a JSON object on each line",
                            "not_json",
                        ),
                    )
    except (OSError, EOFError) as problem:
        raise LinesUnreadable(f"{path.name}: {problem}") from problem
