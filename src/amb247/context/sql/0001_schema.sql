-- The context's own tables. Citus-safe: the entity's id is the shard key of state, history and rollups
-- (no triggers, foreign keys or MERGE on them); the change feed is an outbox and stays local.

CREATE TABLE context_entity (
    id          text PRIMARY KEY,
    type        text[] NOT NULL CHECK (cardinality(type) > 0),
    scope       text[] NOT NULL DEFAULT '{}',
    doc         jsonb NOT NULL,               -- attribute name -> instance, or list of instances with datasetId
    bbox        box,                          -- of the attribute `location`; lon = x, lat = y
    created_at  timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    version     bigint NOT NULL               -- counts the changes: a writer that saw another one retries
) WITH (fillfactor = 80);
CREATE INDEX context_entity_type ON context_entity USING gin (type);
CREATE INDEX context_entity_bbox ON context_entity USING gist (bbox);
CREATE INDEX context_entity_scope ON context_entity USING gin (scope) WHERE cardinality(scope) > 0;

-- One row for each attribute instance ever taken. A number with nothing beside it but its unit lives in `num` and `unit`.
CREATE SEQUENCE context_history_seq;
CREATE TABLE context_history (
    entity_id   text NOT NULL,
    attribute   text NOT NULL,
    at          timestamptz NOT NULL,         -- observedAt, else the moment it was taken
    seq         bigint NOT NULL DEFAULT nextval('context_history_seq'),
    modified_at timestamptz NOT NULL,
    dataset_id  text NOT NULL DEFAULT '',
    deleted     boolean NOT NULL DEFAULT false,
    num         double precision,
    unit        text,
    instance    jsonb,
    PRIMARY KEY (entity_id, attribute, at, seq)
) PARTITION BY RANGE (at);

-- Hours whose numbers changed since their rollup was made; the hour's row is the lock between writer and rollup.
CREATE TABLE context_dirty_hour (hour timestamptz PRIMARY KEY, touched timestamptz NOT NULL);
CREATE TABLE context_hour (
    entity_id text NOT NULL,
    attribute text NOT NULL,
    hour      timestamptz NOT NULL,
    n         bigint NOT NULL,
    total     double precision NOT NULL,
    minimum   double precision NOT NULL,
    maximum   double precision NOT NULL,
    PRIMARY KEY (entity_id, attribute, hour)
);

-- The change feed. Order of reading is (tx, seq), and only transactions below the oldest one still running are
-- shown, so that a reader's cursor never passes a row that commits later.
CREATE SEQUENCE context_change_seq;
CREATE TABLE context_change (
    tx         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seq        bigint NOT NULL DEFAULT nextval('context_change_seq'),
    at         timestamptz NOT NULL,
    op         text NOT NULL CHECK (op IN ('created', 'updated', 'deleted')),
    entity_id  text NOT NULL,
    type       text[] NOT NULL,
    attributes jsonb NOT NULL,                -- only what changed
    source     text NOT NULL DEFAULT ''
) PARTITION BY RANGE (at);
CREATE INDEX context_change_position ON context_change (tx, seq);
-- Up to which transaction the feed was cleared: an older cursor has missed something and must start anew.
CREATE TABLE context_feed_floor (
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    dropped_tx bigint NOT NULL
);
