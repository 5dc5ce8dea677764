-- A receipt that waits may be of a channel that goes over the one it came by.
ALTER TABLE parked_receipts ADD COLUMN riders text[] NOT NULL DEFAULT '{}';
