-- What only the history still knows; runs before the state goes, and keeps where it lay.
INSERT INTO context_past (id, type, scope, created_at, modified_at, deleted_at, version, bbox, cell)
SELECT r.id, r.type, r.scope, r.created, %(now)s, %(now)s, r.version, e.bbox, e.cell
FROM json_to_recordset(%(rows)s::json) AS r (id text, type text[], scope text[], created timestamptz, version bigint)
LEFT JOIN context_entity e ON e.id = r.id
ON CONFLICT (id) DO UPDATE
SET type = EXCLUDED.type, scope = EXCLUDED.scope, created_at = EXCLUDED.created_at,
    modified_at = EXCLUDED.modified_at, deleted_at = EXCLUDED.deleted_at, version = EXCLUDED.version, bbox = EXCLUDED.bbox, cell = EXCLUDED.cell
