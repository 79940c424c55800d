-- The numbers of one hour, per entity and attribute; made again when late data touched the hour.
INSERT INTO context_hour (entity_id, attribute, hour, n, total, minimum, maximum)
SELECT entity_id, attribute, %(hour)s, count(*), sum(num), min(num), max(num)
FROM context_history
WHERE at >= %(hour)s AND at < %(hour)s + interval '1 hour' AND num IS NOT NULL AND NOT deleted
GROUP BY entity_id, attribute
ON CONFLICT (entity_id, attribute, hour) DO UPDATE
SET n = EXCLUDED.n, total = EXCLUDED.total, minimum = EXCLUDED.minimum, maximum = EXCLUDED.maximum
