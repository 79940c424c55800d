"""Times as NGSI-LD writes them (GS CIM 009, 4.6.3): read leniently, kept and written in UTC with "Z"."""

from __future__ import annotations

import re
from datetime import UTC, datetime

SHAPE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})\Z")
MAX_KNOWN = 20_000
_known: dict[str, str] = {}


def moment(text: str) -> datetime | None:
    """The moment, aware, in UTC; None when the text is no complete date and time with a time zone."""
    if not SHAPE.match(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def canonical(text: str) -> str | None:
    """The same moment as `time_text` writes it, so that texts of equal length sort as times do."""
    found = _known.get(text)
    if found is None:
        read = moment(text)
        if read is None:
            return None
        found = time_text(read)
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        _known[text] = found
    return found


def time_text(at: datetime) -> str:
    """In UTC, with milliseconds, or microseconds where there are any. Texts of equal length then sort as times do."""
    utc = at.astimezone(UTC)
    return utc.isoformat(timespec="microseconds" if utc.microsecond % 1000 else "milliseconds")[:-6] + "Z"
