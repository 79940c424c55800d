-- What only the history still knows.
INSERT INTO context_past (id, type, scope, created_at, modified_at, deleted_at)
SELECT r.id, r.type, r.scope, r.created, %(now)s, %(now)s
FROM json_to_recordset(%(rows)s::json) AS r (id text, type text[], scope text[], created timestamptz)
ON CONFLICT (id) DO UPDATE
SET type = EXCLUDED.type, scope = EXCLUDED.scope, created_at = EXCLUDED.created_at,
    modified_at = EXCLUDED.modified_at, deleted_at = EXCLUDED.deleted_at
