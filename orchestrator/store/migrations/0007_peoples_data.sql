-- Who was erased. Nothing here says who that was: the number names what is kept without a person
-- (points, and what became of messages and journeys).
CREATE TABLE erasures (
    subscriber_id bigint PRIMARY KEY,
    at timestamptz NOT NULL
);

-- Addresses of those who were erased, as keyed hashes: whoever comes back with one is opted out.
CREATE TABLE forgotten_addresses (
    address_hash bytea PRIMARY KEY,
    at timestamptz NOT NULL
);

-- What operators did, each entry chained to the one before by its hash. `entry` is canonical JSON.
CREATE TABLE acts (
    number bigint PRIMARY KEY,
    entry text NOT NULL,
    hash text NOT NULL,
    seal text NOT NULL
);
CREATE INDEX ON acts ((entry::json ->> 'about'));
CREATE FUNCTION acts_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to';
END $$;
CREATE TRIGGER acts_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON acts
    FOR EACH STATEMENT EXECUTE FUNCTION acts_stay();

-- How far retention's pass over each table has come: it goes by physical pages.
CREATE TABLE retention_passes (
    kind text PRIMARY KEY,
    next_page bigint NOT NULL DEFAULT 0,
    taken bigint NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL
);
