-- The stored state of a batch, locked in the order of ids so that two batches cannot wait for each other.
SELECT id, type, scope, doc::text, version
FROM context_entity
WHERE id = ANY(%(ids)s)
ORDER BY id
FOR UPDATE
