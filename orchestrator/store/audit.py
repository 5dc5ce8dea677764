"""Does everything about points add up? Each check recomputes from the ground; none should find
anything."""

from __future__ import annotations

import asyncpg

# Members whose figures are not what their entries say.
FIGURES = """
SELECT 'member ' || coalesce(a.subscriber_id, e.subscriber_id) || ': figures '
    || concat_ws('/', a.balance_points, a.held_points, a.spent_points, a.expired_points,
                 a.earned_points)
    || ', entries ' || concat_ws('/', e.available, e.held, e.spent, e.expired, e.issued)
FROM accounts a FULL JOIN (
    SELECT subscriber_id,
        sum(points * ((credit = 'available')::int - (debit = 'available')::int)) AS available,
        sum(points * ((credit = 'held')::int - (debit = 'held')::int)) AS held,
        sum(points * ((credit = 'spent')::int - (debit = 'spent')::int)) AS spent,
        sum(points * ((credit = 'expired')::int - (debit = 'expired')::int)) AS expired,
        sum(points * ((debit = 'issued')::int - (credit = 'issued')::int)) AS issued
    FROM entries GROUP BY subscriber_id) e USING (subscriber_id)
WHERE a.subscriber_id IS NULL
    OR (a.balance_points, a.held_points, a.spent_points, a.expired_points, a.earned_points)
    <> (coalesce(e.available, 0), coalesce(e.held, 0), coalesce(e.spent, 0),
        coalesce(e.expired, 0), coalesce(e.issued, 0))
ORDER BY 1 LIMIT $1
"""

# The sum over all accounts of all members and the house, if it is not nothing.
TOTAL = """
SELECT 'all accounts together: ' || total || ' points instead of none' FROM (
    SELECT sum(balance_points + held_points + spent_points + expired_points - earned_points)
        AS total FROM accounts) sums
WHERE total <> 0 LIMIT $1
"""

# Members whose balance is not the sum of their lots.
LOTS = """
SELECT 'member ' || coalesce(a.subscriber_id, l.subscriber_id) || ': balance '
    || coalesce(a.balance_points, 0) || ', lots ' || coalesce(l.points, 0)
FROM accounts a FULL JOIN (
    SELECT subscriber_id, sum(points) AS points FROM lots GROUP BY subscriber_id) l
    USING (subscriber_id)
WHERE coalesce(a.balance_points, 0) <> coalesce(l.points, 0)
ORDER BY 1 LIMIT $1
"""

# Members whose held points are not the sum of their open holds.
HOLDS = """
SELECT 'member ' || coalesce(a.subscriber_id, h.subscriber_id) || ': held '
    || coalesce(a.held_points, 0) || ', holds ' || coalesce(h.points, 0)
FROM accounts a FULL JOIN (
    SELECT subscriber_id, sum(points) AS points FROM holds WHERE state = 'held'
    GROUP BY subscriber_id) h USING (subscriber_id)
WHERE coalesce(a.held_points, 0) <> coalesce(h.points, 0)
ORDER BY 1 LIMIT $1
"""

# Holds whose points are not what their lots gave.
TAKEN = """
SELECT 'member ' || subscriber_id || ': hold ' || key || ' of ' || points || ' took '
    || coalesce(given, 0)
FROM holds CROSS JOIN LATERAL (
    SELECT -sum((t ->> 'points')::bigint) AS given FROM jsonb_array_elements(taken) t) lots
WHERE coalesce(given, 0) <> points
ORDER BY 1 LIMIT $1
"""

# Rewards whose reserved and sold items are not those of the holds.
STOCK = """
SELECT 'reward ' || coalesce(s.reward, h.reward) || ': reserved/sold '
    || coalesce(s.reserved, 0) || '/' || coalesce(s.sold, 0) || ', holds '
    || coalesce(h.held, 0) || '/' || coalesce(h.sold, 0)
FROM stock s FULL JOIN (
    SELECT reward, count(*) FILTER (WHERE state = 'held') AS held,
        count(*) FILTER (WHERE state = 'sold') AS sold
    FROM holds GROUP BY reward) h USING (reward)
WHERE coalesce(s.reserved, 0) <> coalesce(h.held, 0) OR coalesce(s.sold, 0) <> coalesce(h.sold, 0)
ORDER BY 1 LIMIT $1
"""

# Codes that do not belong to a sale.
CODES = """
SELECT 'member ' || c.subscriber_id || ': a code without a sale, of ' || c.reward
FROM codes c LEFT JOIN holds h ON h.subscriber_id = c.subscriber_id AND h.key = c.hold
WHERE h.state IS DISTINCT FROM 'sold' OR h.reward <> c.reward
ORDER BY 1 LIMIT $1
"""

# Members who would be looked at too late, or again and again.
DUE = """
SELECT 'member ' || a.subscriber_id || ': due ' || coalesce(a.due_at::text, 'never')
    || ', first expiry ' || coalesce(first.at::text, 'never')
FROM accounts a CROSS JOIN LATERAL (
    SELECT least(
        (SELECT min(l.expires_at) FROM lots l WHERE l.subscriber_id = a.subscriber_id),
        (SELECT min(h.expires_at) FROM holds h
         WHERE h.subscriber_id = a.subscriber_id AND h.state = 'held')) AS at) first
WHERE a.due_at IS DISTINCT FROM first.at
ORDER BY 1 LIMIT $1
"""

CHECKS = (TOTAL, FIGURES, LOTS, HOLDS, TAKEN, STOCK, CODES, DUE)


async def imbalances(connection: asyncpg.Connection, most: int = 20) -> list[str]:
    """One line for everything about points that does not add up, at most `most` of each kind."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return [row[0] for check in CHECKS for row in await connection.fetch(check, most)]
