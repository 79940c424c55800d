"""Addresses of the explorer, under /contexto/."""

from __future__ import annotations

from django.urls import path

from amb247.context.web import entities, entity, types

app_name = "context"
urlpatterns = [
    path("", types.index, name="types"),
    path("buscar/", types.search, name="search"),
    path("entidades/", entities.index, name="entities"),
    path("mapa.geojson", entities.places, name="places"),
    path("descargar/", entities.download, name="download"),
    path("serie.json", entity.series, name="series"),
    path("entidades/<path:entity_id>", entity.detail, name="entity"),
]
