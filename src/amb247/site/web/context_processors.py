"""What every page needs: the menu that this person may use, and whether the city is synthetic."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    return {"menu": [], "synthetic_city": False}
