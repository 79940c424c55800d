-- Hourly figures good enough for every aggregation of NGSI-LD, and corrections of the past.

-- `spread` is the sum of squared deviations from the hour's own mean: hours are put together from it without the loss of
-- digits that a sum of squares brings. `plain`: all that was taken in the hour are observed numbers without datasetId;
-- where it is false the hour is read from the history. Both are null in hours made before: their count, sum, least and
-- greatest are as good as ever, their spread is read from the history. An hour without any number has n = 0 and nulls.
ALTER TABLE context_hour
    ADD COLUMN spread double precision,
    ADD COLUMN plain boolean,
    ALTER COLUMN total DROP NOT NULL,
    ALTER COLUMN minimum DROP NOT NULL,
    ALTER COLUMN maximum DROP NOT NULL;

-- When an instance was taken, where that was corrected since (`modified_at` is then the correction); else null.
ALTER TABLE context_history ADD COLUMN created_at timestamptz;

-- Where a thing lay when it went, so that readers of a part of the territory see the history of that part alone.
ALTER TABLE context_past ADD COLUMN bbox box, ADD COLUMN cell bigint;

-- An hour's rows are written side by side for all things, but read for one thing over many hours: from the index alone.
ALTER TABLE context_hour DROP CONSTRAINT context_hour_pkey;
ALTER TABLE context_hour ADD PRIMARY KEY (entity_id, attribute, hour)
    INCLUDE (n, total, minimum, maximum, spread, plain);
