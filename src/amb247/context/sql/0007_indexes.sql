-- What queries need beside the columns' own indexes. `scope` rarely changes, so this index costs an update nothing.

-- Every scope of an entity with all that lie above it, up to "/": so that "/a/#" and "/a/+/c" are found by an index.
CREATE FUNCTION context_scopes_above(scope text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT coalesce(array_agg(DISTINCT above), '{}')
    FROM (
        SELECT '/' || array_to_string(levels[1:n], '/') AS above
        FROM unnest(scope) s,
             LATERAL (SELECT string_to_array(ltrim(s, '/'), '/') AS levels) l,
             LATERAL generate_series(0, cardinality(levels)) n
    ) all_above
$$;
CREATE INDEX context_entity_scope_above ON context_entity USING gin (context_scopes_above(scope))
    WHERE cardinality(scope) > 0;

-- The entities of one type in the order of their ids, and how many they are without opening them. Entities of several
-- types are few: they have an index of their own. Neither column changes with an attribute, so updates stay HOT.
CREATE INDEX context_entity_type_id ON context_entity (type, id) INCLUDE (expires_at);
CREATE INDEX context_entity_types ON context_entity USING gin (type) WHERE cardinality(type) > 1;
-- So that the planner knows how few they are; it would guess a third.
CREATE STATISTICS context_entity_many ON (cardinality(type)) FROM context_entity;

-- Indexes on attributes' values, made and dropped by what clients ask (domain/indexes.py).
CREATE TABLE context_index (
    attribute  text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('text', 'number')),
    state      text NOT NULL DEFAULT 'noticed' CHECK (state IN ('noticed', 'building', 'ready')),
    asked      bigint NOT NULL DEFAULT 0,
    slow_ms    bigint NOT NULL DEFAULT 0,       -- what the slow ones among them took
    first_at   timestamptz NOT NULL DEFAULT now(),
    last_at    timestamptz NOT NULL DEFAULT now(),
    ready_at   timestamptz,
    PRIMARY KEY (attribute, kind)
);
