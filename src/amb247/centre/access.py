"""Which areas of the control centre a person sees."""

from __future__ import annotations

from typing import Any

from amb247.territory import api as territory

Visible = frozenset[str] | None


def visible_areas(user: Any) -> tuple[bool, Visible]:
    """Whether the person may see the centre at all, and the topmost areas it shows them; None is everything."""
    held = territory.areas_visible_to(user, territory.Permission.CENTRE_VIEW)
    if not held:
        return False, frozenset()
    if any(area.level == "metropolitan_area" for area in held):
        return True, None
    codes = {area.code for area in held}
    return True, frozenset(area.code for area in held if area.parent not in codes)
