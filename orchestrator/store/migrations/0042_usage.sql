-- What was counted of each subscriber, by local day: a row for each measure and month, `days[1]` is
-- what was counted on the 1st. A month stands together, so that reading it is reading one row, and
-- an update of it touches no index.
CREATE TABLE usage_months (
    subscriber_id bigint NOT NULL,
    measure text COLLATE "C" NOT NULL,
    month date NOT NULL,
    total numeric NOT NULL,
    days numeric[] NOT NULL,
    PRIMARY KEY (subscriber_id, measure, month)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- When each measure is compared next.
CREATE TABLE usage_comparisons (
    measure text PRIMARY KEY,
    next_at timestamptz NOT NULL
);

-- How a month stood in each region when it was last looked at: how many people there are in it, how
-- much they used each, on average, and places in it: of whoever has `totals[n]`, or more but less
-- than `totals[n + 1]`, so many people are above and so many below. A row is kept in one piece, so
-- that a place is found in it without fetching or unpacking anything.
CREATE TABLE usage_regions (
    measure text COLLATE "C" NOT NULL,
    month date NOT NULL,
    region text COLLATE "C" NOT NULL,
    people bigint NOT NULL,
    mean numeric NOT NULL,
    totals float8[] STORAGE EXTERNAL NOT NULL,
    above integer[] STORAGE EXTERNAL NOT NULL,
    below integer[] STORAGE EXTERNAL NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (measure, month, region)
) WITH (toast_tuple_target = 8160);
