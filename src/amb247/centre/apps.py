from django.apps import AppConfig


class CentreConfig(AppConfig):
    name = "amb247.centre"
    label = "centre"
    default_auto_field = "django.db.models.BigAutoField"
