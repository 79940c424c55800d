"""Which text of a LanguageProperty a reader gets (GS CIM 009, 4.15; RFC 9110, 12.5.4; RFC 4647)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

Json = Any


def choose(texts: Mapping[str, Json], wanted: str) -> tuple[Json, str]:
    """The best matching text and its language. Where nothing matches, whatever there is: `@none` first."""
    lower = {language.lower(): language for language in texts}
    for asked in ranked(wanted):
        if asked == "*":
            break
        found = lower.get(asked)
        if found is None:
            # "fr" is content with "fr-CH"; "fr-CH" falls back to "fr".
            found = next((lower[one] for one in sorted(lower) if one.startswith(asked + "-")), None)
        parts = asked
        while found is None and "-" in parts:
            parts = parts.rpartition("-")[0]
            found = lower.get(parts)
        if found is not None:
            return texts[found], found
    language = "@none" if "@none" in texts else next(iter(texts))
    return texts[language], language


@lru_cache(maxsize=1_000)
def ranked(wanted: str) -> tuple[str, ...]:
    """The languages of an Accept-Language text, best first; those of quality 0 left out."""
    graded: list[tuple[float, int, str]] = []
    for place, part in enumerate(wanted[:1_000].split(",")):
        language, _, parameter = part.partition(";")
        name, _, quality = parameter.strip().partition("=")
        try:
            grade = float(quality) if name.strip() == "q" else 1.0
        except ValueError:
            grade = 1.0
        if language.strip() and grade > 0:
            graded.append((-grade, place, language.strip().lower()))
    return tuple(language for _, _, language in sorted(graded))
