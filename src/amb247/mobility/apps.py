from django.apps import AppConfig


class MobilityConfig(AppConfig):
    name = "amb247.mobility"
    label = "mobility"
    default_auto_field = "django.db.models.BigAutoField"
