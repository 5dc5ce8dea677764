-- The pictures of applied projects, each once, by the SHA-256 of its octets.
CREATE TABLE media (
    hash text PRIMARY KEY,
    mime text NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    octets bytea NOT NULL,
    kept_at timestamptz NOT NULL
);
-- PNG, JPEG and GIF are packed already.
ALTER TABLE media ALTER COLUMN octets SET STORAGE EXTERNAL;

-- Which picture a name meant in which applied project. What none means is not kept.
CREATE TABLE pictures (
    name text NOT NULL,
    project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE,
    hash text NOT NULL REFERENCES media,
    PRIMARY KEY (name, project_id)
);
CREATE INDEX pictures_hash ON pictures (hash);
