from django.db import migrations

from amb247.kernel.sql import statement


class Migration(migrations.Migration):
    dependencies = [("context", "0007_indexes")]
    operations = [migrations.RunSQL(statement("amb247.context", "0008_hourly"), migrations.RunSQL.noop)]
