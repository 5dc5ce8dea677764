-- Attempts of a journey that has a `pace` are kept apart, `paced` naming it: a claim takes of their
-- messages only so many as the pace allows. `size` is how many messages they were made with.
ALTER TABLE attempts ADD COLUMN paced text, ADD COLUMN size integer;
DROP INDEX attempts_waiting;
CREATE INDEX attempts_waiting ON attempts (channel, priority, id)
    WHERE claimed_by IS NULL AND paced IS NULL;
CREATE INDEX attempts_paced ON attempts (paced, channel, priority, id)
    WHERE claimed_by IS NULL AND paced IS NOT NULL;

-- When messages of a paced journey were last claimed, by this database's clock, and how long that
-- was for.
CREATE TABLE paces (
    journey text PRIMARY KEY,
    taken_at timestamptz NOT NULL,
    every interval NOT NULL
);

-- When a message that fell back to another channel goes: it counts for that day. Few have one.
ALTER TABLE messages ADD COLUMN goes_at timestamptz;
CREATE INDEX messages_goes_at ON messages (subscriber_id) WHERE goes_at IS NOT NULL;
