from django.db import migrations

from amb247.kernel.sql import statement


class Migration(migrations.Migration):
    dependencies = [("context", "0004_contexts")]
    operations = [
        migrations.RunSQL(
            statement("amb247.context", "0005_subscriptions"),
            "DROP TABLE context_notification, context_delivery, context_subscription_revision,"
            " context_subscription_health, context_subscription",
        ),
    ]
