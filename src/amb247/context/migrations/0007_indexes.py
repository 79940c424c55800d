from django.db import migrations

from amb247.kernel.sql import statement


class Migration(migrations.Migration):
    dependencies = [("context", "0006_registrations")]
    operations = [
        migrations.RunSQL(
            statement("amb247.context", "0007_indexes"),
            "DROP TABLE context_index; DROP STATISTICS context_entity_many; DROP INDEX context_entity_scope_above, context_entity_type_id, context_entity_types; DROP FUNCTION context_scopes_above",
        ),
    ]
