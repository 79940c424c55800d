-- The feed after a cursor, only as far as no earlier transaction can still add to it. Who asks for some types gets only
-- theirs, and without attributes the last one that was looked at: from there it goes on.
WITH portion AS (
    SELECT tx, seq, at, op, entity_id, type, attributes, source,
           %(types)s::text[] IS NULL OR type && %(types)s::text[] AS is_asked_for,
           row_number() OVER (ORDER BY tx DESC, seq DESC) = 1 AS is_last,
           count(*) OVER () AS size
    FROM (
        SELECT * FROM context_change
        WHERE (tx, seq) > (%(tx)s::text::xid8, %(seq)s)
          AND tx < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY tx, seq
        LIMIT %(limit)s
    ) looked_at
)
SELECT tx::text::bigint, seq, at, op, entity_id, type, CASE WHEN is_asked_for THEN attributes::text END, source, size
FROM portion
WHERE is_asked_for OR is_last
ORDER BY tx, seq
