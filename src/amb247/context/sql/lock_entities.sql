-- The stored state of a batch, locked in the order of ids so that two batches cannot wait for each other.
-- Lists come as words: psycopg reads a text ten times faster than a text[].
SELECT id, array_to_string(type, ' '), array_to_string(scope, ' '), doc::text, version
FROM context_entity
WHERE id = ANY(%(ids)s)
ORDER BY id
FOR UPDATE
