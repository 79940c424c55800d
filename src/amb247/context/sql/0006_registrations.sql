-- Who else holds context, and who wants to be told of it.

-- `document` has internal names and no read-only members.
CREATE TABLE context_registration (
    id          text PRIMARY KEY,
    document    jsonb NOT NULL,
    owner       text NOT NULL DEFAULT '',
    expires_at  timestamptz,
    created_at  timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
CREATE INDEX context_registration_created ON context_registration (created_at, id);

-- How the asking goes, apart from the definition because it changes with every operation that is passed on.
CREATE TABLE context_registration_health (
    id           text PRIMARY KEY,
    times_sent   bigint NOT NULL DEFAULT 0,
    times_failed bigint NOT NULL DEFAULT 0,
    last_success timestamptz,
    last_failure timestamptz
) WITH (fillfactor = 50);

-- Another number after every change of a registration: each process keeps them all in memory and looks here now and then.
CREATE TABLE context_registration_revision (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    revision bigint NOT NULL
);

-- Subscriptions to registrations; few, told at the change itself and not by the feed.
CREATE TABLE context_source_subscription (
    id                text PRIMARY KEY,
    document          jsonb NOT NULL,
    context           jsonb,
    owner             text NOT NULL DEFAULT '',
    is_active         boolean NOT NULL DEFAULT true,
    expires_at        timestamptz,
    created_at        timestamptz NOT NULL,
    modified_at       timestamptz NOT NULL,
    times_sent        bigint NOT NULL DEFAULT 0,
    times_failed      bigint NOT NULL DEFAULT 0,
    last_notification timestamptz,
    last_success      timestamptz,
    last_failure      timestamptz,
    next_at           timestamptz             -- of a periodic one: when its next notification is due
);
