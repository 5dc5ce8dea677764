-- How many turns in a row failed on what was due. After the last one it is due no more, and waits
-- for an operator; see `store/letters.py`.
ALTER TABLE enrollments ADD COLUMN tries smallint NOT NULL DEFAULT 0;
ALTER TABLE past_enrollments ADD COLUMN tries smallint NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN tries smallint NOT NULL DEFAULT 0;
CREATE INDEX enrollments_tried ON enrollments (subscriber_id) WHERE tries > 0;
CREATE INDEX accounts_tried ON accounts (subscriber_id) WHERE tries > 0;
