"""How subscribers' use compares with that of others in their region: a few hundred places for each
region and month, rather than a figure for each subscriber."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import asyncpg

from orchestrator.core.project import Project

EVERY = timedelta(hours=1)
"""Of domain time, from one comparison to the next."""

PLACES = 400
"""Of a region, at most; among so few people each has their exact place."""

LONGEST_REGION = 100
"""Characters; what is longer names no region."""

# When a measure is compared next, unless somebody else is at it.
NEXT = "SELECT next_at FROM usage_comparisons WHERE measure = $1 FOR UPDATE SKIP LOCKED"

# A measure that is compared for the first time.
BEGIN = "INSERT INTO usage_comparisons (measure, next_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"

# It has been compared.
END = "UPDATE usage_comparisons SET next_at = $2 WHERE measure = $1"

# What is not compared any more, and what is about to be compared anew.
FORGET_REGIONS = "DELETE FROM usage_regions WHERE measure = $1 OR measure <> ALL($2::text[])"
FORGET = "DELETE FROM usage_comparisons WHERE measure <> ALL($1::text[])"

# Everyone's use of a month, by the region that an attribute names: how it stands in each, and at
# most so many places, the first of whoever shares one.
COMPARE = """
WITH totals AS MATERIALIZED (
    SELECT s.attributes ->> $3::text AS region, coalesce(u.total, 0) AS total, count(*) AS people
    FROM subscribers s LEFT JOIN usage_months u
        ON u.subscriber_id = s.id AND u.measure = $1 AND u.month = $2
    WHERE jsonb_typeof(s.attributes -> $3::text) = 'string'
      AND char_length(s.attributes ->> $3::text) <= $6
    GROUP BY 1, 2
), ranked AS (
    SELECT region, total, people, sum(people) OVER (PARTITION BY region) AS size,
        sum(people) OVER (PARTITION BY region ORDER BY total) - people AS below
    FROM totals
), placed AS (
    SELECT *, div(below * $5::integer, size) AS place,
        lag(div(below * $5::integer, size)) OVER (PARTITION BY region ORDER BY total) AS last
    FROM ranked
)
INSERT INTO usage_regions (measure, month, region, people, mean, totals, above, below, at)
SELECT $1, $2, region, sum(people), round(sum(total * people) / sum(people), 2),
    array_agg(total::float8 ORDER BY total) FILTER (WHERE place IS DISTINCT FROM last),
    array_agg((size - below - people)::integer ORDER BY total)
        FILTER (WHERE place IS DISTINCT FROM last),
    array_agg(below::integer ORDER BY total) FILTER (WHERE place IS DISTINCT FROM last), $4
FROM placed GROUP BY region
"""


async def compare(connection: asyncpg.Connection, project: Project, now: datetime) -> list[str]:
    """Every measure whose time had come has been compared anew; returns which. Run by several at
    once, each is compared by one of them; readers see the old comparison or the new one."""
    wanted = {name: it.by for name, it in project.feed.measures.items() if it.by}
    done = []
    for measure, by in wanted.items():
        async with connection.transaction():
            next_at = await connection.fetchval(NEXT, measure)
            if next_at is None:
                await connection.execute(BEGIN, measure, now)
                next_at = await connection.fetchval(NEXT, measure)
            if next_at is None or next_at > now:
                continue
            await connection.execute(FORGET_REGIONS, measure, [*wanted])
            await connection.execute(FORGET, [*wanted])
            for month in sorted(months(now)):
                await connection.execute(COMPARE, measure, month, by, now, PLACES, LONGEST_REGION)
            await connection.execute(END, measure, now + EVERY)
        done.append(measure)
    return done


def months(now: datetime) -> set[date]:
    """The first days of the months that it is now, somewhere."""
    return {(now + timedelta(hours=offset)).date().replace(day=1) for offset in (-12, 0, 14)}
