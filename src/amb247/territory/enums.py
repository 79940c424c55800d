"""Levels, kinds, roles, permissions and scopes, with the words that people read."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Level(TextChoices):
    METROPOLITAN_AREA = "metropolitan_area", _("Área metropolitana")
    MUNICIPALITY = "municipality", _("Municipio")
    COMMUNE = "commune", _("Comuna o corregimiento")
    NEIGHBOURHOOD = "neighbourhood", _("Barrio o vereda")

    @property
    def depth(self) -> int:
        return list(Level).index(self)

    @property
    def above(self) -> Level | None:
        return list(Level)[self.depth - 1] if self.depth else None


class OrganisationKind(TextChoices):
    """The six actors of the strategy."""

    COMMUNITY = "community", _("Comunidad")
    GOVERNMENT = "government", _("Gobierno")
    UNIVERSITY = "university", _("Universidad")
    COMPANY = "company", _("Empresa")
    FUND = "fund", _("Fondo")
    MARKET = "market", _("Mercado")


class RoleName(TextChoices):
    ADMINISTRATOR = "administrator", _("Administrador")
    SUPERVISOR = "supervisor", _("Supervisor")
    OPERATOR = "operator", _("Operador")
    DATA_ENGINEER = "data_engineer", _("Ingeniero de datos")
    ANALYST = "analyst", _("Analista")
    VIEWER = "viewer", _("Consulta")


class Permission(TextChoices):
    """What a role may allow. Rooms ask for these by value; a new one is added here and in `rules.GRANTS`."""

    CENTRE_VIEW = "centre.view", _("Ver el centro de control")
    CENTRE_OPERATE = "centre.operate", _("Atender alertas")
    CENTRE_SUPERVISE = "centre.supervise", _("Supervisar el turno")
    FEEDS_VIEW = "feeds.view", _("Ver las fuentes de datos")
    FEEDS_MANAGE = "feeds.manage", _("Administrar las fuentes de datos")
    CONTEXT_READ = "context.read", _("Leer entidades")
    CONTEXT_WRITE = "context.write", _("Escribir entidades")
    HISTORY_EXPORT = "history.export", _("Descargar historia")
    GTFS_VIEW = "gtfs.view", _("Ver versiones GTFS")
    GTFS_MANAGE = "gtfs.manage", _("Importar y activar versiones GTFS")
    TERRITORY_VIEW = "territory.view", _("Ver el territorio")
    TERRITORY_IMPORT = "territory.import", _("Importar el territorio")
    PEOPLE_MANAGE = "people.manage", _("Administrar personas y roles")
    TOKENS_MANAGE = "tokens.manage", _("Administrar fichas de acceso")
    AUDIT_VIEW = "audit.view", _("Ver la bitácora")


class Scope(TextChoices):
    """What an integration's token may do; each stands for one permission of the person who made it."""

    CONTEXT_READ = "context:read", _("Leer entidades")
    CONTEXT_WRITE = "context:write", _("Escribir entidades")
    HISTORY_READ = "history:read", _("Leer historia")
    GTFS_READ = "gtfs:read", _("Leer GTFS")
    GTFS_WRITE = "gtfs:write", _("Importar GTFS")
    TERRITORY_READ = "territory:read", _("Leer el territorio")
    TERRITORY_WRITE = "territory:write", _("Importar el territorio")


class Channel(TextChoices):
    WEB = "web", _("Página")
    API = "api", _("Interfaz de programación")
    CLI = "cli", _("Línea de órdenes")
    JOB = "job", _("Tarea")
