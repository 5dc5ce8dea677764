-- How far each partition of the feed has come, as its matcher committed it last. Instants are
-- seconds since 1970, as matchers reckon, so that they come back exactly. Events up to `watermark`
-- have been judged; up to `states_watermark` what they made known is in `trigger_states`. Entries of
-- the stream up to `seen_id` were taken, and those from `resume_id` on must be taken again by
-- whoever takes over; `taken` counts events.
CREATE TABLE matching (
    partition smallint PRIMARY KEY,
    partitions smallint NOT NULL,
    resume_id text NOT NULL,
    seen_id text NOT NULL,
    taken bigint NOT NULL,
    watermark double precision NOT NULL,
    states_watermark double precision NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Triggers that wait for their time. `who` is a number (+8613800138000) or, of somebody without
-- one, their key (=ann); its slot is a stable hash, and a partition has some slots.
CREATE TABLE trigger_waits (
    slot smallint NOT NULL,
    who text NOT NULL,
    journey text NOT NULL,
    number smallint NOT NULL,
    name text NOT NULL,
    began double precision NOT NULL,
    due double precision NOT NULL,
    source_id text NOT NULL,
    properties text NOT NULL,
    PRIMARY KEY (slot, who, journey, number)
) WITH (autovacuum_vacuum_scale_factor = 0.01);

-- What events made known of somebody that a trigger asks about: `{name: [since, value]}`.
CREATE TABLE trigger_states (
    slot smallint NOT NULL,
    who text NOT NULL,
    known text NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (slot, who)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

-- When triggers that have a `once_per` fired last.
CREATE TABLE trigger_firings (
    slot smallint NOT NULL,
    who text NOT NULL,
    journey text NOT NULL,
    number smallint NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (slot, who, journey, number)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- Reports that could not be taken, for somebody to look at and try again; the same one is kept once.
CREATE TABLE set_aside_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    source text NOT NULL,
    name text NOT NULL,
    source_id text NOT NULL,
    who text NOT NULL,
    reason text NOT NULL,
    body text NOT NULL,
    digest bytea NOT NULL UNIQUE
);
CREATE INDEX ON set_aside_events (who) WHERE who <> '';
