"""The items that points buy: how many are free, reserved and sold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import asyncpg
from msgspec import Struct

from orchestrator.core.project import Reward

# Items of each reward that nobody has claimed; negative if authors took back more than was left.
READ = """
SELECT reward, stock - reserved - sold AS free FROM stock WHERE reward = ANY($1::text[])
"""

# The same, locked until the transaction ends, in an order that all transactions share.
LOCK = """
SELECT reward, stock - reserved - sold AS free FROM stock WHERE reward = ANY($1::text[])
ORDER BY reward FOR UPDATE
"""

# Items move from free to reserved, to sold, or back. What is claimed must be free; what leaves
# `reserved` must have been there (a constraint).
MOVE = """
UPDATE stock s SET
    reserved = s.reserved + u.held - u.sold - u.released,
    sold = s.sold + u.sold,
    free = greatest(0, s.stock - s.reserved - u.held + u.released - s.sold)
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
    AS u (reward, held, sold, released)
WHERE s.reward = u.reward
  AND (u.held = 0 OR s.stock - s.reserved - s.sold + u.released >= u.held)
RETURNING s.reward
"""

# Each reward has the authors' figure of items; what is reserved or sold stays so.
ENSURE = """
INSERT INTO stock AS s (reward, stock, free, stocked_at)
SELECT reward, stock, stock, $3 FROM unnest($1::text[], $2::bigint[]) AS u (reward, stock)
ON CONFLICT (reward) DO UPDATE SET stock = excluded.stock, stocked_at = excluded.stocked_at,
    free = greatest(0, excluded.stock - s.reserved - s.sold)
WHERE s.stock <> excluded.stock
"""


class StockMove(Struct, frozen=True):
    """One item of a reward is now held, sold, or released (free again)."""

    reward: str
    to: Literal["held", "sold", "released"]


class StockError(ValueError):
    """Items were to be moved that are not there: the decision was made on stock out of date."""


async def read_stock(connection: asyncpg.Connection, rewards: Iterable[str]) -> dict[str, int]:
    """How many items of each of these rewards are free just now, for a list to show."""
    return {row["reward"]: row["free"] for row in await connection.fetch(READ, [*rewards])}


async def lock_stock(connection: asyncpg.Connection, rewards: Iterable[str]) -> dict[str, int]:
    """How many items of each of these rewards are free, and stay so until this transaction ends.

    Two transactions cannot wait for each other if each locks once, all it may claim or give back.
    """
    return {row["reward"]: row["free"] for row in await connection.fetch(LOCK, [*rewards])}


async def move_stock(connection: asyncpg.Connection, moves: Sequence[StockMove]) -> None:
    """Every item has moved; raises `StockError` if one was not there to be moved."""
    if not moves:
        return
    counts = Counter((move.reward, move.to) for move in moves)
    rewards = sorted({move.reward for move in moves})
    await lock_stock(connection, rewards)
    columns = [[counts[reward, to] for reward in rewards] for to in ("held", "sold", "released")]
    moved = {row["reward"] for row in await connection.fetch(MOVE, rewards, *columns)}
    if missing := set(rewards) - moved:
        raise StockError(f"not enough items left of {', '.join(sorted(missing))}")


async def ensure_stock(
    connection: asyncpg.Connection, rewards: Iterable[Reward], now: datetime
) -> None:
    """Each of these rewards has a row, with the figure that authors gave it. Safe to repeat: only
    a changed figure changes anything, and never below nothing free."""
    figures = {reward.id: reward.stock for reward in rewards}
    ids = sorted(figures)
    await connection.execute(ENSURE, ids, [figures[reward] for reward in ids], now)
