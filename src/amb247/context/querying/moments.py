"""Dates and times inside values, read the same way here and in PostgreSQL.

Both sides test with the same regular expression, which lets only real moments pass, and only then convert: PostgreSQL
would otherwise end the whole query with an error at the first odd text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_LEAP_YEAR = "(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)"
_DATE = (
    "(?:[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.,][0-9]{1,9})?"
_ZONE = "(?:Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])"
# Used by both `re` and PostgreSQL: no construct in them means two things.
DATETIME_PATTERN = f"^{_DATE}T{_TIME}{_ZONE}?$"
DATE_PATTERN = f"^{_DATE}$"
TIME_PATTERN = f"^{_TIME}Z?$"

_DATETIME = re.compile(DATETIME_PATTERN.replace("$", r"\Z"))
_DATE_ALONE = re.compile(DATE_PATTERN.replace("$", r"\Z"))
_TIME_ALONE = re.compile(TIME_PATTERN.replace("$", r"\Z"))


@lru_cache(4096)
def moment(text: str) -> datetime | None:
    """The moment that a text names; UTC where it says no zone; None when it names none."""
    if not _DATETIME.match(text):
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def date_text(text: str) -> str | None:
    return text if _DATE_ALONE.match(text) else None


def time_key(text: str) -> str | None:
    """A time of day as a text that sorts as times do."""
    if not _TIME_ALONE.match(text):
        return None
    return text[:8] + text[9:].rstrip("Z").ljust(9, "0") if text[8:9] in (".", ",") else text[:8] + "0" * 9


def sql_moment(text: str) -> str:
    """SQL that gives the same moment for a text expression, and null where there is none."""
    fraction = f"regexp_replace(replace({text}, ',', '.'), '([.][0-9]{{6}})[0-9]+', '\\1')"
    zone = f"CASE WHEN {text} ~ '(Z|[+-][0-9]{{2}}:?[0-9]{{2}})$' THEN '' ELSE 'Z' END"
    return f"CASE WHEN {text} ~ '{DATETIME_PATTERN}' THEN ({fraction} || {zone})::timestamptz END"


def sql_date(text: str) -> str:
    return f"CASE WHEN {text} ~ '{DATE_PATTERN}' THEN {text} END"


def sql_time(text: str) -> str:
    fraction = f"rpad(translate(substr({text}, 10), 'Z', ''), 9, '0')"
    return f"CASE WHEN {text} ~ '{TIME_PATTERN}' THEN left({text}, 8) || {fraction} END"
