-- What waits for a person of ours: messages on the channels `counter` and `calls` that were
-- accepted and have had no last word.
CREATE INDEX messages_desk ON messages (channel, id)
    WHERE state = 'accepted' AND channel IN ('counter', 'calls');

-- Who has an item, and what became of it. An item nobody has touched has no row here. It may be
-- taken again from `ready_at` on: when a reservation has ended, or when they asked to be called.
CREATE TABLE desk_items (
    subscriber_id bigint NOT NULL,
    message_id bigint NOT NULL,
    reserved_by text,
    ready_at timestamptz NOT NULL,
    tries smallint NOT NULL DEFAULT 0,
    outcome text,
    note text,
    ended_at timestamptz,
    PRIMARY KEY (subscriber_id, message_id)
);
