"""Which room answers which address (DESIGN 6)."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.i18n import set_language

from amb247.site.web import views

urlpatterns = [
    path("", views.portal, name="portal"),
    path("idioma/", login_not_required(set_language), name="set_language"),
    path("cuenta/", include("allauth.urls")),
    path("centro/", include("amb247.centre.web.urls")),
    path("territorio/", include("amb247.territory.web.urls")),
    path("movilidad/", include("amb247.mobility.web.urls")),
    path("contexto/", include("amb247.context.web.urls")),
    path("fuentes/", views.feeds, name="feeds"),
    path("fuentes/<slug:slug>/", views.feed, name="feed"),
]
