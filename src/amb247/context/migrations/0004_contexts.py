from django.db import migrations

from amb247.kernel.sql import statement


class Migration(migrations.Migration):
    dependencies = [("context", "0003_ngsi")]
    operations = [
        migrations.RunSQL(statement("amb247.context", "0004_contexts"), migrations.RunSQL.noop),
    ]
