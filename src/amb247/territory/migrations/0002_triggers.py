"""The audit log refuses change; a change of areas renews the stamp that caches compare."""

from django.db import migrations

AUDIT = """
CREATE FUNCTION territory_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_refuses_change BEFORE UPDATE OR DELETE ON territory_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION territory_audit_is_append_only();
CREATE TRIGGER audit_refuses_truncate BEFORE TRUNCATE ON territory_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION territory_audit_is_append_only();
"""
AUDIT_BACK = """
DROP TRIGGER audit_refuses_truncate ON territory_auditentry;
DROP TRIGGER audit_refuses_change ON territory_auditentry;
DROP FUNCTION territory_audit_is_append_only();
"""
STAMP = """
CREATE FUNCTION territory_renew_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO territory_territoryversion (id, stamp) VALUES (1, gen_random_uuid())
    ON CONFLICT (id) DO UPDATE SET stamp = excluded.stamp, changed_at = statement_timestamp();
    RETURN NULL;
END $$;

CREATE TRIGGER area_renews_stamp AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON territory_area
    FOR EACH STATEMENT EXECUTE FUNCTION territory_renew_stamp();
"""
STAMP_BACK = """
DROP TRIGGER area_renews_stamp ON territory_area;
DROP FUNCTION territory_renew_stamp();
"""


class Migration(migrations.Migration):
    dependencies = [("territory", "0001_initial")]
    operations = [migrations.RunSQL(AUDIT, AUDIT_BACK), migrations.RunSQL(STAMP, STAMP_BACK)]
