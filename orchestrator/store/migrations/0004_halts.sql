-- Journeys that operators hold up. `paused`: nobody in it moves. `cancelled`: nobody stays in it and
-- nobody enters.
CREATE TABLE halts (
    journey text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('paused', 'cancelled')),
    at timestamptz NOT NULL
);

-- An enrollment that a turn found in a paused journey is `held`: it stays due, and no claim meets it
-- again until the journey goes on.
ALTER TABLE enrollments ADD COLUMN held boolean NOT NULL DEFAULT false;
ALTER TABLE past_enrollments ADD COLUMN held boolean NOT NULL DEFAULT false;
DROP INDEX enrollments_due;
CREATE INDEX enrollments_due ON enrollments (shard, due_at) WHERE due_at IS NOT NULL AND NOT held;
CREATE INDEX enrollments_held ON enrollments (journey, subscriber_id) WHERE held;
