-- Who wants to be told of what, and what they have not been told yet.

-- `document` has internal names and no read-only members; `context` is the @context of the request that made it.
CREATE TABLE context_subscription (
    id          text PRIMARY KEY,
    document    jsonb NOT NULL,
    context     jsonb,
    owner       text NOT NULL DEFAULT '',
    restriction jsonb,                        -- what the owner's token may see; null sees all
    interest    text[] NOT NULL,              -- types whose changes carry their state (context_interest); '*' is all
    is_active   boolean NOT NULL DEFAULT true,
    expires_at  timestamptz,
    created_at  timestamptz NOT NULL,
    modified_at timestamptz NOT NULL,
    made_tx     xid8 NOT NULL DEFAULT pg_current_xact_id(),  -- changes of earlier transactions are none of its business
    revision    bigint NOT NULL
);
CREATE INDEX context_subscription_created ON context_subscription (created_at, id);

-- How delivery goes, apart from the definition because it changes with every notification.
CREATE TABLE context_subscription_health (
    id                text PRIMARY KEY,
    times_sent        bigint NOT NULL DEFAULT 0,
    times_failed      bigint NOT NULL DEFAULT 0,
    last_notification timestamptz,
    last_success      timestamptz,
    last_failure      timestamptz,
    last_error        text,
    next_at           timestamptz             -- of a periodic one: when its next notification is due
) WITH (fillfactor = 50);

-- Goes up with every change of a subscription: the delivery engine looks at it after each portion of the feed.
CREATE TABLE context_subscription_revision (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    revision bigint NOT NULL
);
INSERT INTO context_subscription_revision (revision) VALUES (0);

-- How far the feed is delivered: what came before is either acknowledged by its receiver or lies in context_notification.
CREATE TABLE context_delivery (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    tx       bigint NOT NULL,
    seq      bigint NOT NULL
);

-- Notifications that are late (waiting for their receiver) or dead (given up, kept with the reason, replayable).
-- `entities` are the texts of its entities, so that throttled ones can still be put together.
CREATE TABLE context_notification (
    number          bigint PRIMARY KEY,       -- order of matching; delivery keeps it per endpoint and entity
    id              text NOT NULL,
    subscription_id text NOT NULL,
    endpoint        text NOT NULL,
    entity_id       text NOT NULL,
    notified_at     text NOT NULL,
    accept          text NOT NULL,
    entities        text NOT NULL,
    held            boolean NOT NULL DEFAULT false,  -- waits for the end of its subscription's throttling
    attempts        integer NOT NULL DEFAULT 0,
    dead_at         timestamptz,
    reason          text,
    replay          boolean NOT NULL DEFAULT false,  -- was dead and shall be tried again
    made_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX context_notification_waiting ON context_notification (endpoint, number) WHERE dead_at IS NULL;
CREATE INDEX context_notification_subscription ON context_notification (subscription_id, number);
CREATE INDEX context_notification_replay ON context_notification (number) WHERE replay;
