-- The telephone number that a text is: +8613… and 8613… are 8613…; anything else is none.
CREATE FUNCTION number_of(address text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN address ~ '^\+?[1-9][0-9]{0,14}$' THEN ltrim(address, '+')::bigint END;

-- A list may expire: then nobody knows who is on it. A sweep notes that it has (`expired`), so that
-- conditions in SQL need no clock. `bitmap` holds its numbers for who looks at them in memory (a
-- 64-bit roaring bitmap in its portable format); where it is missing, it is made of the rows.
ALTER TABLE lists
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN expired boolean NOT NULL DEFAULT false,
    ADD COLUMN bitmap bytea;
ALTER TABLE lists ALTER COLUMN bitmap SET STORAGE EXTERNAL;

-- Numbers are numbers: half the room, and loaded ten times as fast. Versions are those of all lists.
ALTER TABLE listed RENAME TO listed_as_texts;
ALTER INDEX listed_pkey RENAME TO listed_as_texts_pkey;
CREATE TABLE listed (
    version bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (version, number)
);
INSERT INTO listed (version, number)
SELECT l.version, number_of(n.address)
FROM lists l JOIN listed_as_texts n ON n.list = l.name AND n.version = l.version
WHERE number_of(n.address) IS NOT NULL
ORDER BY 1, 2;
DROP TABLE listed_as_texts;
