-- Codes that join an address to a person, as keyed hashes. `used_by` is the keyed hash of the
-- address that said the code: the same one may say it again.
CREATE TABLE invitations (
    code_hash bytea PRIMARY KEY,
    subscriber_id bigint NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_by bytea
);
CREATE INDEX ON invitations (subscriber_id);
CREATE INDEX ON invitations (expires_at);

-- Wrong codes, counted per address (its keyed hash) since the first of them.
CREATE TABLE invitation_tries (
    address_hash bytea PRIMARY KEY,
    since timestamptz NOT NULL,
    tries smallint NOT NULL
);
CREATE INDEX ON invitation_tries (since);
