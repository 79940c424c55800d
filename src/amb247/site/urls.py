"""Which room answers which address (DESIGN 6)."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("cuenta/", include("allauth.urls")),
]
