"""What can go wrong with territory, people and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amb247.territory.data import ImportReport


class TerritoryError(Exception):
    """Base of this room's errors; the message is for people, in their language."""


class AreaUnknown(TerritoryError):
    """No area has this code."""


class NotAllowed(TerritoryError):
    """The person may not do this here."""


class LastAdministrator(TerritoryError):
    """Revoking this role would leave the metropolitan area without an administrator."""


class RoleMisplaced(TerritoryError):
    """A role is held in exactly one place: an area or an organisation."""


class TokenScopeRefused(TerritoryError):
    """The scope does not exist, or the person who makes the token may not do it there."""


class TokenLimitRefused(TerritoryError):
    """A tenant's name or an entity type of a token is malformed, or there are too many."""


class PersonExists(TerritoryError):
    """Somebody with this e-mail address is already known."""


class FileRefused(TerritoryError):
    """The file as a whole cannot be read as territory: not JSON, cut short, too large, another CRS."""


class ImportRefused(TerritoryError):
    """Some features were refused and nothing was imported; `report` says which and why."""

    def __init__(self, report: ImportReport) -> None:
        super().__init__(f"{len(report.refused)} features refused, nothing imported")
        self.report = report
