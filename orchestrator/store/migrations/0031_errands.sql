-- What operators ask of carriers about messages that are out: what became of one, or to take it
-- back. Whoever holds the message's channel sees to it. All of one command have one `batch`.
CREATE TABLE errands (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('query', 'recall')),
    subscriber_id bigint NOT NULL,
    message_id bigint NOT NULL,
    channel text NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL,
    taken_by text,
    taken_until timestamptz,
    word text,
    code text,
    reason text,
    answered_at timestamptz
);
CREATE SEQUENCE errand_batches;
CREATE INDEX errands_waiting ON errands (channel, id) WHERE word IS NULL;
CREATE INDEX ON errands (batch, id);
CREATE INDEX ON errands (subscriber_id);
