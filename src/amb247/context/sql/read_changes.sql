-- The feed after a cursor, only as far as no earlier transaction can still add to it.
SELECT tx::text::bigint, seq, at, op, entity_id, type, attributes::text, source
FROM context_change
WHERE (tx, seq) > (%(tx)s::text::xid8, %(seq)s)
  AND tx < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY tx, seq
LIMIT %(limit)s
