-- Lists of numbers, such as a do-not-disturb register. A list is what its row says: its numbers are
-- those of that version, so that a new one takes the place of the old in one step.
CREATE TABLE lists (
    name text PRIMARY KEY,
    version bigint NOT NULL,
    numbers bigint NOT NULL,
    source text NOT NULL,
    loaded_at timestamptz NOT NULL
);
CREATE SEQUENCE list_versions;
CREATE TABLE listed (
    list text NOT NULL,
    address text NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (list, address, version)
);
