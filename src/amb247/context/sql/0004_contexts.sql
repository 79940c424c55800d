-- The @contexts that clients use. Shared by all tenants: words belong to nobody, and an id says nothing about its owner.
CREATE TABLE context_jsonld (
    id          text PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('Hosted', 'Cached', 'ImplicitlyCreated')),
    url         text,                         -- where a cached one was read
    body        text NOT NULL,                -- {"@context": ...}, as it was sent or read
    created_at  timestamptz NOT NULL,         -- of a cached one: when it was last read there
    expires_at  timestamptz,                  -- of a cached one: when it is to be read again
    last_usage  timestamptz,
    hits        bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX context_jsonld_url ON context_jsonld (url) WHERE kind = 'Cached';
CREATE INDEX context_jsonld_kind ON context_jsonld (kind, last_usage);

-- Changes whenever a kept @context is replaced or removed: what a process remembers of contexts is then read anew.
CREATE TABLE context_jsonld_stamp (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    stamp    bigint NOT NULL
);
INSERT INTO context_jsonld_stamp (stamp) VALUES (0) ON CONFLICT DO NOTHING;
