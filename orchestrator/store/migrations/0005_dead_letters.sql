-- Events that were given up after their last try. Their number is small, and asked for by people.
CREATE INDEX events_given_up ON events (subscriber_id, id) WHERE tries >= 5;
