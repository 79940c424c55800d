-- Entity maps (GS CIM 009 v1.9.1, 5.14): which entities a query found, and where, so that its pages are all of the same query.

CREATE TABLE context_entity_map (
    id         text PRIMARY KEY,
    owner      text NOT NULL,             -- whose query it was (`Access.name`)
    kind       text NOT NULL CHECK (kind IN ('entities', 'temporal')),
    linked     jsonb NOT NULL DEFAULT '{}',  -- registration -> the entity map that its source made
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX context_entity_map_expires_at ON context_entity_map (expires_at);

-- `sources`: ids of registrations, "@none" for what is here. Pages go by `place`.
CREATE TABLE context_entity_map_entry (
    map_id    text NOT NULL REFERENCES context_entity_map (id) ON DELETE CASCADE,
    place     integer NOT NULL,
    entity_id text NOT NULL,
    sources   text[] NOT NULL,
    PRIMARY KEY (map_id, place)
);
CREATE UNIQUE INDEX context_entity_map_entry_entity ON context_entity_map_entry (map_id, entity_id);
