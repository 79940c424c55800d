from django.urls import path

from amb247.territory.web import areas, audit, people, tokens

app_name = "territory"
urlpatterns = [
    path("", areas.index, name="areas"),
    path("area/<str:code>/", areas.detail, name="area"),
    path("area/<str:code>/formas.geojson", areas.shapes, name="shapes"),
    path("personas/", people.index, name="people"),
    path("personas/invitar/", people.invite, name="invite"),
    path("personas/<int:person_id>/", people.detail, name="person"),
    path("personas/<int:person_id>/acceso/", people.suspend, name="suspend"),
    path("personas/<int:person_id>/roles/<int:role_id>/revocar/", people.revoke, name="revoke-role"),
    path("fichas/", tokens.index, name="tokens"),
    path("fichas/nueva/", tokens.create, name="token-new"),
    path("fichas/<int:token_id>/revocar/", tokens.revoke, name="revoke-token"),
    path("bitacora/", audit.index, name="audit"),
    path("bitacora.csv", audit.export, name="audit-csv"),
]
