from typing import Any

from django.db import migrations

from amb247.context.domain.places import fill_cells
from amb247.kernel.sql import statement


def fill(_apps: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        fill_cells(cursor)


class Migration(migrations.Migration):
    dependencies = [("context", "0002_feeds")]
    operations = [
        migrations.RunSQL(statement("amb247.context", "0003_ngsi"), migrations.RunSQL.noop),
        migrations.RunSQL(statement("amb247.context", "0003_tenants"), migrations.RunSQL.noop),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
