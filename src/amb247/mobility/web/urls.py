"""Addresses of the mobility pages, under /movilidad/."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from amb247.mobility.web import views

app_name = "mobility"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="mobility:feeds"), name="home"),
    path("gtfs/", views.feeds, name="feeds"),
    path("gtfs/subir/", views.upload, name="upload"),
    path("gtfs/<slug:feed>/<int:number>/", views.version, name="version"),
    path("gtfs/<slug:feed>/<int:number>/activar/", views.activate, name="activate"),
    path("gtfs/<slug:feed>/volver/", views.roll_back, name="roll_back"),
]
