-- Changed attributes of entities that the writer has locked, or remembers: those that are no more as it knows them are left
-- out, and the count tells. Nothing else of them changed.
UPDATE context_entity e
SET doc = e.doc || r.doc,
    bbox = CASE WHEN r.cell IS NULL THEN e.bbox
                ELSE box(point(r.box[1], r.box[2]), point(r.box[3], r.box[4])) END,
    cell = coalesce(r.cell, e.cell),
    modified_at = %(now)s,
    version = r.version
FROM json_to_recordset(%(rows)s::json) AS r (id text, doc jsonb, box float8[], cell bigint, version bigint,
                                         was bigint, born bigint)
WHERE e.id = r.id AND e.version = r.was AND e.created_at = timestamptz 'epoch' + r.born * interval '1 microsecond'
