-- What each member has, kept in step with their entries in the same transaction. `earned_points`
-- is what the house gave out, so the five figures of one member add up to nothing.
CREATE TABLE accounts (
    subscriber_id bigint PRIMARY KEY,
    shard smallint NOT NULL,
    balance_points bigint NOT NULL CHECK (balance_points >= 0),
    held_points bigint NOT NULL CHECK (held_points >= 0),
    spent_points bigint NOT NULL CHECK (spent_points >= 0),
    expired_points bigint NOT NULL CHECK (expired_points >= 0),
    earned_points bigint NOT NULL CHECK (earned_points >= 0),
    day date,
    awards jsonb NOT NULL DEFAULT '{}',
    due_at timestamptz,
    CHECK (balance_points + held_points + spent_points + expired_points - earned_points = 0)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01);
CREATE INDEX accounts_due ON accounts (shard, due_at) WHERE due_at IS NOT NULL;

-- The ledger: points move from `debit` to `credit`, once per key. Nothing here is ever changed.
CREATE TABLE entries (
    subscriber_id bigint NOT NULL,
    key text NOT NULL,
    debit text NOT NULL CHECK (debit IN ('available', 'held', 'issued', 'spent', 'expired')),
    credit text NOT NULL CHECK (credit IN ('available', 'held', 'issued', 'spent', 'expired')),
    points bigint NOT NULL CHECK (points > 0),
    reason text NOT NULL,
    at timestamptz NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (subscriber_id, key),
    CHECK (debit <> credit)
);
CREATE INDEX entries_at ON entries (subscriber_id, at, number);

-- Points earned together that are still there to spend.
CREATE TABLE lots (
    subscriber_id bigint NOT NULL,
    key text NOT NULL,
    points bigint NOT NULL CHECK (points > 0),
    expires_at timestamptz,
    PRIMARY KEY (subscriber_id, key)
) WITH (autovacuum_vacuum_scale_factor = 0.01);

-- Every purchase from the moment it is held. `taken` says what each lot gave.
CREATE TABLE holds (
    subscriber_id bigint NOT NULL,
    key text NOT NULL,
    reward text NOT NULL,
    points bigint NOT NULL CHECK (points >= 0),
    taken jsonb NOT NULL,
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'sold', 'released')),
    at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (subscriber_id, key),
    CHECK ((state = 'held') = (ended_at IS NULL))
);
CREATE INDEX holds_open ON holds (subscriber_id) WHERE state = 'held';

-- Items of each reward. `stock` is the authors' figure; if they lower it below what is reserved
-- and sold, nothing is free until enough holds have ended.
CREATE TABLE stock (
    reward text PRIMARY KEY,
    stock bigint NOT NULL CHECK (stock >= 0),
    free bigint NOT NULL CHECK (free >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    sold bigint NOT NULL DEFAULT 0 CHECK (sold >= 0),
    stocked_at timestamptz NOT NULL,
    CHECK (free = greatest(0, stock - reserved - sold))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);

-- Codes given to buyers, as keyed hashes. `used_as` is the key of the request that used one.
CREATE TABLE codes (
    subscriber_id bigint NOT NULL,
    code_hash bytea NOT NULL,
    hold text NOT NULL,
    reward text NOT NULL,
    given_at timestamptz NOT NULL,
    used_at timestamptz,
    used_as text,
    PRIMARY KEY (subscriber_id, code_hash),
    CHECK ((used_at IS NULL) = (used_as IS NULL))
);
CREATE INDEX codes_hash ON codes (code_hash);
