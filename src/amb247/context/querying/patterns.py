"""Regular expressions of clients: RE2, whose time is linear in the text whatever the pattern.

PostgreSQL's own engine can be made to take very long and differs in details, so it is given only patterns of a small
subset that both read alike, with every repetition on a single character. All others are tried here, on what the rest of
the query leaves.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]  # google-re2 carries no types

from amb247.context.ngsi_errors import BadRequestData

MAX_PATTERN = 512
ANY_CASE = "(?i)"


def _options() -> Any:
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    options.dot_nl = True  # as in PostgreSQL
    return options


@lru_cache(512)
def compiled(pattern: str) -> Any:
    """A compiled pattern; its ``search`` says whether a text contains it.

    Raises
    ------
    BadRequestData
        It is no regular expression, too long or too large when compiled.
    """
    if len(pattern) > MAX_PATTERN:
        raise BadRequestData(f"The pattern has {len(pattern)} characters; at most {MAX_PATTERN} are accepted")
    if "\x00" in pattern:
        raise BadRequestData("The pattern contains the character NUL")
    try:
        return re2.compile(pattern, _options())
    except (re2.error, UnicodeEncodeError) as problem:
        raise BadRequestData(
            f"{pattern[:80]!r} is no regular expression that is accepted here: {problem}"
        ) from None


_CLASS = r"\[\^?(?:[A-Za-z0-9 _.,:/@#%&]-?)+\]"
_ATOM = (
    rf"(?:[A-Za-z0-9 _,:;/@#%&=~<>'\"\-\u00a1-\ud7ff]|\\[.*+?()\[\]{{}}|^$/\\\-]|\\[dw]|\.|{_CLASS})[*+?]?"
)
_SIMPLE = re.compile(rf"\^?(?:{_ATOM}|\((?:\?:)?(?:{_ATOM}|\|)*\))*\$?\Z")
_NUL_REPEAT = re.compile(r"[*+?]{2}|\(\||\|\||\|\)|\(\)")


@lru_cache(512)
def for_postgresql(pattern: str) -> str | None:
    """The same pattern for PostgreSQL's ``~`` and ``like_regex``, or None when it must be tried here."""
    bare = re.sub(r"\\.", "x", pattern)
    if not _SIMPLE.match(pattern) or _NUL_REPEAT.search(bare) or bare.count("*") + bare.count("+") > 8:
        return None
    if not all(_is_plain_range(*pair) for group in _GROUP.findall(bare) for pair in _RANGE.findall(group)):
        return None
    return re.sub(r"\\(.)", lambda found: _NAMED.get(found[1], found[0]), pattern)


_GROUP = re.compile(r"\[[^\]]*\]")
_RANGE = re.compile(r"(.)-([^\]])")
_NAMED = {"d": "[0-9]", "w": "[0-9A-Za-z_]"}  # PostgreSQL's own would go beyond ASCII


def _is_plain_range(low: str, high: str) -> bool:
    return any(is_of(low) and is_of(high) for is_of in (str.isdigit, str.islower, str.isupper))
