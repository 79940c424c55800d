from django.db import migrations

from amb247.kernel.sql import statement


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(
            statement("amb247.context", "0001_schema"),
            "DROP TABLE context_feed_floor, context_change, context_hour, context_dirty_hour, context_history,"
            " context_entity; DROP SEQUENCE context_history_seq, context_change_seq",
        ),
    ]
