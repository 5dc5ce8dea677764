-- Who used a code, as they call themselves at their counter. `used_as` is whose key the request
-- came with, and its own name, so that a request is found by it.
ALTER TABLE codes ADD COLUMN used_by text;
CREATE INDEX codes_used_as ON codes (used_as) WHERE used_as IS NOT NULL;
