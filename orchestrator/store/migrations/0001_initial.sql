-- Subscribers and how they are reached. `addresses` in a subscriber's row says how to reach them;
-- the table of that name says whose an address is.
CREATE TABLE subscribers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,
    shard smallint NOT NULL,
    locale text NOT NULL,
    timezone text,
    attributes jsonb NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    addresses jsonb NOT NULL DEFAULT '{}',
    consents jsonb NOT NULL DEFAULT '{}',
    conversation jsonb,
    created_at timestamptz NOT NULL
);

CREATE TABLE addresses (
    channel text NOT NULL,
    address text NOT NULL,
    subscriber_id bigint NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    PRIMARY KEY (channel, address)
);
CREATE INDEX ON addresses (subscriber_id);

-- Every consent ever given or withdrawn; the current ones stand in the subscriber's row.
CREATE TABLE consent_records (
    subscriber_id bigint NOT NULL,
    at timestamptz NOT NULL,
    purpose text NOT NULL,
    granted boolean NOT NULL,
    how text NOT NULL,
    wording text NOT NULL
);
CREATE INDEX ON consent_records (subscriber_id, at);

-- What authors applied. A journey's version is the hash of its text, and is never changed.
CREATE TABLE projects (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash text NOT NULL,
    applied_at timestamptz NOT NULL,
    files jsonb NOT NULL
);
CREATE TABLE versions (
    version text PRIMARY KEY,
    journey text NOT NULL,
    path text NOT NULL,
    text text NOT NULL,
    applied_at timestamptz NOT NULL
);

-- The latest run of each subscriber in each journey; earlier runs move to past_enrollments.
CREATE TABLE enrollments (
    subscriber_id bigint NOT NULL,
    journey text NOT NULL,
    shard smallint NOT NULL,
    version text NOT NULL,
    run integer NOT NULL,
    status text NOT NULL,
    step text,
    due_at timestamptz,
    entered_at timestamptz NOT NULL,
    waiting jsonb,
    ran_at timestamptz,
    ran_step text,
    goal_at timestamptz,
    ended_at timestamptz,
    reason text,
    PRIMARY KEY (subscriber_id, journey)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX enrollments_due ON enrollments (shard, due_at) WHERE due_at IS NOT NULL;
CREATE TABLE past_enrollments (
    LIKE enrollments,
    PRIMARY KEY (subscriber_id, journey, run)
);

-- What happened to subscribers, once each; `taken_at` says when a turn looked at it.
CREATE TABLE events (
    id bigint NOT NULL,
    subscriber_id bigint NOT NULL,
    shard smallint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    properties jsonb NOT NULL,
    at timestamptz NOT NULL,
    source text NOT NULL,
    source_id text NOT NULL,
    taken_at timestamptz,
    tries smallint NOT NULL DEFAULT 0,
    not_before timestamptz,
    PRIMARY KEY (subscriber_id, id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01);
CREATE INDEX events_waiting ON events (shard, id) WHERE taken_at IS NULL;

-- Every source id ever taken in: the same one twice is one event.
CREATE TABLE sources (
    source text NOT NULL,
    source_id text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (source, source_id)
);

-- One message, one row, from the decision to the last receipt. Ids are ordered by time.
-- A message is `submitting` while its state is `queued` and its attempt has been claimed.
CREATE TABLE messages (
    id bigint NOT NULL,
    subscriber_id bigint NOT NULL,
    template text NOT NULL,
    journey text NOT NULL,
    contact_class text NOT NULL,
    attempt_id bigint NOT NULL,
    state text NOT NULL,
    channel text NOT NULL,
    address text NOT NULL,
    content text NOT NULL,
    via text[] NOT NULL,
    run integer NOT NULL,
    step text NOT NULL,
    carrier_id text,
    code text,
    reason text,
    parts smallint,
    may_duplicate boolean NOT NULL DEFAULT false,
    queued_at timestamptz NOT NULL,
    valid_until timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (subscriber_id, id) INCLUDE (template, journey, contact_class)
) WITH (fillfactor = 80);
CREATE INDEX messages_attempt ON messages (attempt_id);
CREATE INDEX messages_carrier ON messages (carrier_id) WHERE carrier_id IS NOT NULL;

-- One claim's worth of messages on one channel. Claiming it, committed before the first byte is
-- written, makes its messages `submitting`; a late worker is fenced off because what it records
-- must still name this attempt.
CREATE TABLE attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text NOT NULL,
    priority smallint NOT NULL,
    not_before timestamptz NOT NULL,
    claimed_by text,
    lease_until timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.01);
CREATE INDEX attempts_waiting ON attempts (channel, priority, id) WHERE claimed_by IS NULL;
CREATE INDEX attempts_leased ON attempts (lease_until) WHERE claimed_by IS NOT NULL;

-- Receipts that came before the response they belong to, or for nothing we know.
CREATE TABLE parked_receipts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text NOT NULL,
    carrier_id text NOT NULL,
    state text NOT NULL,
    code text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX ON parked_receipts (carrier_id);

-- Why a message did not go, or went later.
CREATE TABLE suppressions (
    subscriber_id bigint NOT NULL,
    at timestamptz NOT NULL,
    journey text NOT NULL,
    step text NOT NULL,
    template text NOT NULL,
    reason text NOT NULL,
    until timestamptz
);
CREATE INDEX ON suppressions (subscriber_id, at);

-- Subscribers whose turn failed: what was put aside, and why.
CREATE TABLE failures (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    at timestamptz NOT NULL,
    what text NOT NULL,
    error text NOT NULL
);
CREATE INDEX ON failures (subscriber_id, at);

-- When each segment entry last ran.
CREATE TABLE schedules (
    journey text NOT NULL,
    entry text NOT NULL,
    next_at timestamptz NOT NULL,
    PRIMARY KEY (journey, entry)
);
