from django.db import migrations

from amb247.kernel.sql import statement


class Migration(migrations.Migration):
    dependencies = [("context", "0005_subscriptions")]
    operations = [
        migrations.RunSQL(
            statement("amb247.context", "0006_registrations"),
            "DROP TABLE context_source_subscription, context_registration_revision, context_registration_health,"
            " context_registration",
        ),
    ]
