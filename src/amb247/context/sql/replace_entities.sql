-- Entities that the writer has locked, written whole: attributes were removed, or types, scopes or the end changed.
UPDATE context_entity e
SET type = r.type,
    scope = r.scope,
    doc = r.doc,
    bbox = CASE WHEN r.cell IS NULL THEN NULL
                ELSE box(point(r.box[1], r.box[2]), point(r.box[3], r.box[4])) END,
    cell = r.cell,
    created_at = r.created,
    modified_at = %(now)s,
    expires_at = r.expires,
    version = r.version
FROM json_to_recordset(%(rows)s::json)
     AS r (id text, type text[], scope text[], doc jsonb, box float8[], cell bigint, created timestamptz,
           expires timestamptz, version bigint)
WHERE e.id = r.id
