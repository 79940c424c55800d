-- The stored state of a batch, locked in the order of ids so that two batches cannot wait for each other.
-- One JSON text in, one out: psycopg needs many times as long for a list of a thousand ids or rows. A document that the
-- writer still has (same version since the same creation) is not sent again.
SELECT '[' || coalesce(string_agg(line, ','), '') || ']'
FROM (
    SELECT '["' || e.id || '",' || e.version || ',' || (extract(epoch FROM e.created_at) * 1000000)::bigint
           || CASE WHEN r.version = e.version
                    AND r.created = (extract(epoch FROM e.created_at) * 1000000)::bigint THEN ']'
                   ELSE ',' || to_json(e.type) || ',' || to_json(e.scope) || ',' || e.doc || ','
                        || coalesce((extract(epoch FROM e.expires_at) * 1000000)::bigint::text, 'null') || ']' END AS line
    FROM json_to_recordset(%(known)s::json) AS r (id text, version bigint, created bigint)
    JOIN context_entity e ON e.id = r.id
    ORDER BY e.id
    FOR UPDATE OF e
) locked
