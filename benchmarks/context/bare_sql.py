"""What the bare ceilings execute where the platform does more: no look at the version of what is changed."""

UPDATE = """
UPDATE context_entity e
SET doc = e.doc || r.doc,
    bbox = CASE WHEN r.cell IS NULL THEN e.bbox ELSE box(point(r.box[1], r.box[2]), point(r.box[3], r.box[4])) END,
    cell = coalesce(r.cell, e.cell), modified_at = %(now)s, version = r.version
FROM json_to_recordset(%(rows)s::json) AS r (id text, doc jsonb, box float8[], cell bigint, version bigint)
WHERE e.id = r.id
"""
