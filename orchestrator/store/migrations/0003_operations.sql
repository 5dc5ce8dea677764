-- Messages that may have been sent twice are few, and asked for every few seconds. The condition
-- names no column that a receipt changes, so receipts still update in place.
CREATE INDEX messages_may_duplicate ON messages (subscriber_id) WHERE may_duplicate;

-- The failures of a day.
CREATE INDEX failures_at ON failures (at);
