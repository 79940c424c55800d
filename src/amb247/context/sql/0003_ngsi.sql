-- What the NGSI-LD interface needs of the store.

-- Entities may end by themselves; a moving thing must not touch an index at each step. `cell` is the smallest quad of
-- the world's grid that holds `bbox` (domain/places.py): it stays the same for most steps, so the update is HOT.
ALTER TABLE context_entity ADD COLUMN expires_at timestamptz, ADD COLUMN cell bigint;
DROP INDEX context_entity_bbox;
CREATE INDEX context_entity_cell ON context_entity (cell) WHERE cell IS NOT NULL;
CREATE INDEX context_entity_expires ON context_entity (expires_at) WHERE expires_at IS NOT NULL;

-- Entities that only the history knows: deleted ones, and those made as a temporal evolution.
CREATE TABLE context_past (
    id          text PRIMARY KEY,
    type        text[] NOT NULL,
    scope       text[] NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    deleted_at  timestamptz,
    version     bigint NOT NULL DEFAULT 0     -- the last one: who comes back goes on counting from it
);
CREATE INDEX context_past_type ON context_past USING gin (type);

-- False: the instance carries no observedAt, and `at` is the moment it was taken.
ALTER TABLE context_history ADD COLUMN observed boolean NOT NULL DEFAULT true;
UPDATE context_history SET observed = false WHERE at = modified_at AND NOT deleted;

-- `version` orders the changes of one entity. Where somebody subscribed to the type, the row also carries what a
-- notification says: the whole state after the change (with scope and stamps) and the instances that it replaced.
ALTER TABLE context_change ADD COLUMN version bigint NOT NULL DEFAULT 0, ADD COLUMN state jsonb, ADD COLUMN before jsonb;
-- The types that subscriptions ask for; '*' asks for all.
CREATE TABLE context_interest (type text PRIMARY KEY);
