-- The stored state of a batch, locked in the order of ids so that two batches cannot wait for each other.
-- One JSON text in, one out: psycopg needs many times as long for a list of a thousand ids or rows.
SELECT '[' || coalesce(string_agg(line, ','), '') || ']'
FROM (
    SELECT '["' || id || '",' || to_json(type) || ',' || to_json(scope) || ',' || doc || ',' || version || ',"'
           || to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"]' AS line
    FROM context_entity
    WHERE id IN (SELECT jsonb_array_elements_text(%(ids)s::jsonb))
    ORDER BY id
    FOR UPDATE
) locked
