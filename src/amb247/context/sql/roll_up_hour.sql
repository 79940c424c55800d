-- The figures of one hour, per entity and attribute; made again when late data touched the hour. An attribute that took no
-- number gets a row as well (n = 0), so that a reader knows without the history whether the hour is all numbers.
INSERT INTO context_hour (entity_id, attribute, hour, n, total, minimum, maximum, spread, plain)
SELECT entity_id, attribute, %(hour)s, count(num), sum(num), min(num), max(num), var_pop(num) * count(num),
       bool_and(num IS NOT NULL AND observed AND dataset_id = '')
FROM context_history
WHERE at >= %(hour)s AND at < %(hour)s + interval '1 hour' AND NOT deleted
GROUP BY entity_id, attribute
ON CONFLICT (entity_id, attribute, hour) DO UPDATE
SET n = EXCLUDED.n, total = EXCLUDED.total, minimum = EXCLUDED.minimum, maximum = EXCLUDED.maximum,
    spread = EXCLUDED.spread, plain = EXCLUDED.plain
