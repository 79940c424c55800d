from django.db import migrations

from amb247.kernel.sql import statement


class Migration(migrations.Migration):
    dependencies = [("context", "0008_hourly")]
    operations = [
        migrations.RunSQL(
            statement("amb247.context", "0009_tenants"), "ALTER TABLE context_tenant DROP COLUMN applied"
        ),
        migrations.RunSQL(
            statement("amb247.context", "0009_entity_maps"),
            "DROP TABLE context_entity_map_entry, context_entity_map",
        ),
    ]
