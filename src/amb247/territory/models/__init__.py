from amb247.territory.models.area import Area, TerritoryVersion
from amb247.territory.models.audit import AuditEntry
from amb247.territory.models.organisation import Organisation
from amb247.territory.models.role import Role
from amb247.territory.models.token import ApiToken
from amb247.territory.models.user import User

__all__ = ["ApiToken", "Area", "AuditEntry", "Organisation", "Role", "TerritoryVersion", "User"]
