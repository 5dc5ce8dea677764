-- What the decisions about each subscriber were made of, besides the events: every turn that did
-- something, by which project; and what changed between turns, which is what imports, operators and
-- links between addresses did. `id` gives the order, which clocks do not.
CREATE TABLE lives (
    subscriber_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    project_id bigint,
    person jsonb,
    enrollment jsonb,
    PRIMARY KEY (subscriber_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE FUNCTION person_of(s subscribers, is_new boolean) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('new', is_new, 'key', s.key, 'shard', s.shard, 'locale', s.locale,
        'timezone', s.timezone, 'attributes', s.attributes, 'tags', to_jsonb(s.tags),
        'addresses', s.addresses, 'consents', s.consents, 'created_at', s.created_at)
$$;

CREATE FUNCTION keep_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO lives (subscriber_id, at, person)
        SELECT f.id, clock_timestamp(), person_of(f, true) FROM fresh f;
    ELSE
        INSERT INTO lives (subscriber_id, at, person)
        SELECT f.id, clock_timestamp(), person_of(f, false) FROM fresh f JOIN stale o USING (id)
        WHERE (f.key, f.locale, f.timezone, f.attributes, f.tags, f.addresses, f.consents)
            IS DISTINCT FROM
            (o.key, o.locale, o.timezone, o.attributes, o.tags, o.addresses, o.consents);
    END IF;
    RETURN NULL;
END $$;

-- A turn says that it is one by the setting, and what it does is decided anew when it is replayed.
CREATE TRIGGER keep_new_people AFTER INSERT ON subscribers REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT WHEN (current_setting('outreach.turn', true) IS DISTINCT FROM 'yes')
    EXECUTE FUNCTION keep_people();
CREATE TRIGGER keep_people AFTER UPDATE ON subscribers
    REFERENCING NEW TABLE AS fresh OLD TABLE AS stale
    FOR EACH STATEMENT WHEN (current_setting('outreach.turn', true) IS DISTINCT FROM 'yes')
    EXECUTE FUNCTION keep_people();
