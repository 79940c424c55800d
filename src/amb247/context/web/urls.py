"""Addresses of the explorer, under /contexto/."""

from __future__ import annotations

from django.urls import path

from amb247.context.web import contexts, entities, entity, registrations, subscriptions, types

app_name = "context"
urlpatterns = [
    path("", types.index, name="types"),
    path("buscar/", types.search, name="search"),
    path("entidades/", entities.index, name="entities"),
    path("mapa.geojson", entities.places, name="places"),
    path("descargar/", entities.download, name="download"),
    path("serie.json", entity.series, name="series"),
    path("entidades/<path:entity_id>", entity.detail, name="entity"),
    path("suscripciones/", subscriptions.index, name="subscriptions"),
    path("suscripciones/accion/<slug:deed>/", subscriptions.act, name="subscription-act"),
    path("suscripciones/<path:subscription_id>", subscriptions.detail, name="subscription"),
    path("contextos/", contexts.index, name="contexts"),
    path("contextos/accion/<slug:deed>/", contexts.act, name="context-act"),
    path("registros/", registrations.index, name="registrations"),
    path("registros/<path:registration_id>", registrations.detail, name="registration"),
]
