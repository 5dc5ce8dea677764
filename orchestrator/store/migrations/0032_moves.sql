-- Who applied a project; of a rollback, which earlier project it is again.
ALTER TABLE projects ADD COLUMN applied_by text NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN copy_of bigint REFERENCES projects;

-- People in flight who follow a journey into the version that this project has. `sources` are the
-- versions somebody stood in when it was applied; `rule` maps old steps to new ones. `done_at` says
-- when nobody was left who could move; sweeps look again for as long as the project is the newest,
-- because a process may still have let somebody in by the one before.
CREATE TABLE moves (
    project_id bigint NOT NULL REFERENCES projects,
    journey text NOT NULL,
    version text NOT NULL,
    sources text[] NOT NULL,
    rule jsonb NOT NULL,
    planned bigint NOT NULL,
    moved bigint NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL,
    done_at timestamptz,
    PRIMARY KEY (project_id, journey)
);

-- Who stands in which version, for counting and moving them. Turns wait while it is built, some
-- seconds for a million people; who cannot spare them builds it before, CONCURRENTLY.
CREATE INDEX IF NOT EXISTS enrollments_in_flight ON enrollments (journey, version, subscriber_id)
    WHERE ended_at IS NULL;
