from django.urls import path, register_converter

from amb247.centre.web import views


class ThingId:
    """The part of a URN after `urn:ngsi-ld:`."""

    regex = r"[^/\s<>\"{}|\\^`]{3,500}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ThingId, "thing")

app_name = "centre"
urlpatterns = [
    path("", views.home, name="home"),
    path("lista/", views.things, name="list"),
    path("alertas/", views.alerts, name="alerts"),
    path("capas.json", views.layers, name="layers"),
    path("momento.json", views.moment, name="moment"),
    path("mapa/base.geojson", views.base, name="base"),
    path("teselas/<int:z>/<int:x>/<int:y>.mvt", views.tile, name="tile"),
    path("cosa/<slug:layer>/<int:key>/", views.thing_by_key, name="thing-by-key"),
    path("cosa/<thing:thing_id>/", views.thing, name="thing"),
    path("cosa/<thing:thing_id>/serie.json", views.series, name="series"),
    path("cosa/<thing:thing_id>/entidad.json", views.raw, name="raw"),
]
