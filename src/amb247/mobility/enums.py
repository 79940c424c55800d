"""States of a feed's versions and the words the data uses."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class VersionState(models.TextChoices):
    """Life of one imported GTFS feed. Its transitions are in `NEXT_STATES`."""

    IMPORTED = "imported", _("Importada")
    ACTIVE = "active", _("Activa")
    RETIRED = "retired", _("Retirada")


NEXT_STATES: dict[str, frozenset[str]] = {
    VersionState.IMPORTED: frozenset({VersionState.ACTIVE}),
    VersionState.ACTIVE: frozenset({VersionState.RETIRED}),
    # rolling back makes a retired version active again
    VersionState.RETIRED: frozenset({VersionState.ACTIVE}),
}
