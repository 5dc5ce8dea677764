"""Points in PostgreSQL: accounts loaded, and what happened to them saved, set by set.

Whoever saves holds the lock on the subscribers concerned (the turn's), so that the figures an
account was decided on are still the ones it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

import asyncpg
from msgspec import Struct
from msgspec.json import Decoder

from orchestrator.core.effects import Effect, LotChange, PostEntry, Redeem, Release, Reserve
from orchestrator.core.points import Account, Hold, Lot
from orchestrator.store import json, stock
from orchestrator.store.columns import columns
from orchestrator.store.stock import StockMove

# What these members have, if they ever had any.
LOAD_ACCOUNTS = """
SELECT subscriber_id, balance_points, due_at, earned_points, day, awards
FROM accounts WHERE subscriber_id = ANY($1::bigint[])
"""

# Their lots, oldest first.
LOAD_LOTS = """
SELECT subscriber_id, key, points, expires_at
FROM lots WHERE subscriber_id = ANY($1::bigint[])
ORDER BY expires_at NULLS LAST, key
"""

# Their open holds.
LOAD_HOLDS = """
SELECT subscriber_id, key, reward, points, taken, expires_at
FROM holds WHERE subscriber_id = ANY($1::bigint[]) AND state = 'held'
ORDER BY expires_at, key
"""

# How many of each reward these members have bought or hold.
LOAD_CLAIMS = """
SELECT subscriber_id, reward, count(*)
FROM holds WHERE subscriber_id = ANY($1::bigint[]) AND state <> 'released'
GROUP BY subscriber_id, reward
"""

# The last entries that changed what these members own, newest first: earned, spent, expired.
LOAD_HISTORY = """
SELECT who.subscriber_id, line.points, line.reason, line.at
FROM unnest($1::bigint[]) AS who (subscriber_id) CROSS JOIN LATERAL (
    SELECT CASE debit WHEN 'issued' THEN points ELSE -points END AS points, reason, at, number
    FROM entries e
    WHERE e.subscriber_id = who.subscriber_id
      AND (e.debit = 'issued' OR e.credit IN ('issued', 'spent', 'expired'))
    ORDER BY at DESC, number DESC LIMIT $2) line
ORDER BY who.subscriber_id, line.at DESC, line.number DESC
"""

# Entries are posted; those whose key is known already are not, and not returned.
POST = """
INSERT INTO entries (subscriber_id, key, debit, credit, points, reason, at)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[],
    $7::timestamptz[])
ON CONFLICT (subscriber_id, key) DO NOTHING
RETURNING subscriber_id, key
"""

# What stands in the ledger under these keys.
POSTED = """
SELECT e.subscriber_id, e.key, e.debit, e.credit, e.points
FROM unnest($1::bigint[], $2::text[]) AS u (subscriber_id, key)
JOIN entries e USING (subscriber_id, key)
"""

# Lots grow, shrink, appear, and are gone once empty.
CHANGE_LOTS = """
MERGE INTO lots l
USING unnest($1::bigint[], $2::text[], $3::bigint[], $4::timestamptz[])
    AS u (subscriber_id, key, points, expires_at)
ON l.subscriber_id = u.subscriber_id AND l.key = u.key
WHEN MATCHED AND l.points + u.points = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET points = l.points + u.points
WHEN NOT MATCHED THEN INSERT VALUES (u.subscriber_id, u.key, u.points, u.expires_at)
"""

# Purchases are held; those known already are not, and not returned.
ADD_HOLDS = """
INSERT INTO holds (subscriber_id, key, reward, points, taken, at, expires_at)
SELECT subscriber_id, key, reward, points, taken::jsonb, at, expires_at
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[],
    $7::timestamptz[]) AS u (subscriber_id, key, reward, points, taken, at, expires_at)
ON CONFLICT (subscriber_id, key) DO NOTHING
RETURNING reward
"""

# Open holds are sold or released; ended ones are left as they are, and not returned.
END_HOLDS = """
UPDATE holds h SET state = u.state, ended_at = u.at
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[])
    AS u (subscriber_id, key, state, at)
WHERE h.subscriber_id = u.subscriber_id AND h.key = u.key AND h.state = 'held'
RETURNING h.reward, h.state
"""

# Holds that did not end as they were to: unknown, or ended otherwise before.
ENDED_OTHERWISE = """
SELECT u.subscriber_id, u.key, u.state, h.state
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS u (subscriber_id, key, state)
LEFT JOIN holds h USING (subscriber_id, key)
WHERE h.state IS DISTINCT FROM u.state
"""

# Buyers' codes are known.
ADD_CODES = """
INSERT INTO codes (subscriber_id, code_hash, hold, reward, given_at)
SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT (subscriber_id, code_hash) DO NOTHING
"""

# The members' figures move with their entries, and say when their points are due next.
UPDATE_ACCOUNTS = """
MERGE INTO accounts a
USING (
    SELECT u.*, (
        SELECT least((SELECT min(l.expires_at) FROM lots l WHERE l.subscriber_id = u.id),
                     (SELECT min(h.expires_at) FROM holds h
                      WHERE h.subscriber_id = u.id AND h.state = 'held'))) AS due_at
    FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[],
        $6::bigint[], $7::bigint[]) AS u (id, shard, available, held, spent, expired, issued)
) m
ON a.subscriber_id = m.id
WHEN MATCHED THEN UPDATE SET
    balance_points = a.balance_points + m.available,
    held_points = a.held_points + m.held,
    spent_points = a.spent_points + m.spent,
    expired_points = a.expired_points + m.expired,
    earned_points = a.earned_points - m.issued,
    due_at = m.due_at, tries = 0
WHEN NOT MATCHED THEN INSERT
    (subscriber_id, shard, balance_points, held_points, spent_points, expired_points,
     earned_points, due_at)
    VALUES (m.id, m.shard, m.available, m.held, m.spent, m.expired, -m.issued, m.due_at)
"""

# Members who were awarded points know how often that day, by reason.
COUNT_AWARDS = """
UPDATE accounts a SET day = u.day, awards = coalesce((
    SELECT jsonb_object_agg(reason, times) FROM (
        SELECT e.reason, count(*) AS times FROM entries e
        WHERE e.subscriber_id = u.subscriber_id AND e.debit = 'issued'
          AND e.at >= u.day::timestamp AT TIME ZONE 'UTC'
        GROUP BY e.reason) counts), '{}')
FROM unnest($1::bigint[], $2::date[]) AS u (subscriber_id, day)
WHERE a.subscriber_id = u.subscriber_id AND (a.day IS NULL OR a.day <= u.day)
"""

_awards = Decoder(dict[str, int]).decode
_taken = Decoder(tuple[LotChange, ...]).decode

_LEDGER = ("available", "held", "spent", "expired", "issued")


class Conflict(Struct, frozen=True):
    """A key under which something else stands in the ledger already: nothing was posted."""

    subscriber_id: int
    key: str


async def load_accounts(
    connection: asyncpg.Connection, subscriber_ids: Iterable[int]
) -> dict[int, Account]:
    """The accounts of those of these subscribers who have one."""
    rows = await connection.fetch(LOAD_ACCOUNTS, [*subscriber_ids])
    with_lots = [row["subscriber_id"] for row in rows if row["balance_points"]]
    with_holds = [row["subscriber_id"] for row in rows if row["due_at"]]
    lots: dict[int, list[Lot]] = {}
    if with_lots:
        for subscriber_id, *lot in await connection.fetch(LOAD_LOTS, with_lots):
            lots.setdefault(subscriber_id, []).append(Lot(*lot))
    holds: dict[int, list[Hold]] = {}
    if with_holds:
        for row in await connection.fetch(LOAD_HOLDS, with_holds):
            subscriber_id, key, reward, points, taken, expires_at = row
            held = Hold(key, reward, points, _taken(taken), expires_at)
            holds.setdefault(subscriber_id, []).append(held)
    return {
        subscriber_id: Account(
            lots=tuple(lots.get(subscriber_id, ())),
            holds=tuple(holds.get(subscriber_id, ())),
            earned_points=earned_points,
            day=day,
            awards=_awards(awards),
        )
        for subscriber_id, _, _, earned_points, day, awards in rows
    }


async def load_claims(
    connection: asyncpg.Connection, subscriber_ids: Iterable[int]
) -> dict[int, dict[str, int]]:
    """How many of each reward each of these subscribers has bought or holds."""
    claims: dict[int, dict[str, int]] = {}
    for subscriber_id, reward, count in await connection.fetch(LOAD_CLAIMS, [*subscriber_ids]):
        claims.setdefault(subscriber_id, {})[reward] = count
    return claims


async def load_history(
    connection: asyncpg.Connection, subscriber_ids: Iterable[int], lines: int = 5
) -> dict[int, tuple[tuple[int, str, datetime], ...]]:
    """The last lines of each of these subscribers' points: how many (negative: gone), why, when."""
    history: dict[int, list[tuple[int, str, datetime]]] = {}
    for row in await connection.fetch(LOAD_HISTORY, [*set(subscriber_ids)], lines):
        history.setdefault(row["subscriber_id"], []).append((row[1], row[2], row[3]))
    return {subscriber_id: tuple(rows) for subscriber_id, rows in history.items()}


async def save_points(
    connection: asyncpg.Connection, changes: Sequence[tuple[int, int, Effect]]
) -> list[Conflict]:
    """All these changes (subscriber, shard, effect) are made, in the caller's transaction.

    An entry whose key is known is not posted again; if something else stands under that key, it is
    returned as a conflict. Raises `StockError` if an item is not there to be moved and `HoldError`
    if a hold is not open, and then the transaction must not be committed.
    """
    posted, conflicts = await _post(connection, changes)
    await _change_lots(connection, posted)
    moves = await _hold(connection, changes)
    moves += await _end_holds(connection, changes)
    await stock.move_stock(connection, moves)
    await _update_accounts(connection, {who: shard for who, shard, _ in changes}, posted)
    return conflicts


class HoldError(ValueError):
    """A hold was to end that is not open: the decision was made on an account out of date."""


_Posted = list[tuple[int, PostEntry]]


async def _post(
    connection: asyncpg.Connection, changes: Sequence[tuple[int, int, Effect]]
) -> tuple[_Posted, list[Conflict]]:
    """The entries that were new, and the conflicts."""
    entries = [(who, effect) for who, _, effect in changes if isinstance(effect, PostEntry)]
    if not entries:
        return [], []
    by_key: dict[tuple[int, str], PostEntry] = {}
    for who, entry in entries:
        by_key.setdefault((who, entry.key), entry)
    new = {
        (row["subscriber_id"], row["key"])
        for row in await connection.fetch(
            POST,
            *columns(
                (who, key, e.debit, e.credit, e.points, e.reason, e.at)
                for (who, key), e in by_key.items()
            ),
        )
    }
    posted = [(who, by_key[who, key]) for who, key in by_key if (who, key) in new]
    if len(posted) == len(entries):
        return posted, []
    known = {
        (row["subscriber_id"], row["key"]): (row["debit"], row["credit"], row["points"])
        for row in await connection.fetch(POSTED, *columns(by_key))
    }
    conflicts = [
        Conflict(who, entry.key)
        for who, entry in entries
        if known[who, entry.key] != (entry.debit, entry.credit, entry.points)
    ]
    return posted, conflicts


async def _change_lots(connection: asyncpg.Connection, posted: _Posted) -> None:
    points: Counter[tuple[int, str]] = Counter()
    expiries: dict[tuple[int, str], datetime] = {}
    for who, entry in posted:
        for change in entry.lots:
            points[who, change.lot] += change.points
            if change.expires_at is not None:
                expiries[who, change.lot] = change.expires_at
    rows = [
        (who, lot, change, expiries.get((who, lot)))
        for (who, lot), change in points.items()
        if change
    ]
    if rows:
        await connection.execute(CHANGE_LOTS, *columns(rows))


async def _hold(
    connection: asyncpg.Connection, changes: Sequence[tuple[int, int, Effect]]
) -> list[StockMove]:
    reserved = [(who, effect) for who, _, effect in changes if isinstance(effect, Reserve)]
    if not reserved:
        return []
    rows = await connection.fetch(
        ADD_HOLDS,
        *columns(
            (who, r.hold, r.reward, r.points, json.encode(r.taken), r.at, r.expires_at)
            for who, r in reserved
        ),
    )
    return [StockMove(row["reward"], "held") for row in rows]


async def _end_holds(
    connection: asyncpg.Connection, changes: Sequence[tuple[int, int, Effect]]
) -> list[StockMove]:
    ended = [
        (who, effect.hold, "sold" if isinstance(effect, Redeem) else "released", effect.at)
        for who, _, effect in changes
        if isinstance(effect, Redeem | Release)
    ]
    if not ended:
        return []
    rows = await connection.fetch(END_HOLDS, *columns(ended))
    if len(rows) < len(ended):
        wrong = await connection.fetch(ENDED_OTHERWISE, *columns(ended)[:3])
        if wrong:
            raise HoldError(f"hold {wrong[0][1]} was to be {wrong[0][2]}, and is {wrong[0][3]}")
    given = [
        (who, effect.code_hash, effect.hold, effect.reward, effect.at)
        for who, _, effect in changes
        if isinstance(effect, Redeem) and effect.code_hash
    ]
    if given:
        await connection.execute(ADD_CODES, *columns(given))
    return [StockMove(row["reward"], row["state"]) for row in rows]


async def _update_accounts(
    connection: asyncpg.Connection, shards: dict[int, int], posted: _Posted
) -> None:
    """Figures follow the entries. Also accounts with nothing new are given their next due
    instant, so that none is looked at again and again."""
    sums: Counter[tuple[int, str]] = Counter()
    days: dict[int, date] = {}
    for who, entry in posted:
        sums[who, entry.credit] += entry.points
        sums[who, entry.debit] -= entry.points
        if entry.debit == "issued":
            day = entry.at.astimezone(UTC).date()
            days[who] = max(day, days.get(who, day))
    rows = [
        (who, shard, *(sums[who, account] for account in _LEDGER)) for who, shard in shards.items()
    ]
    if rows:
        await connection.execute(UPDATE_ACCOUNTS, *columns(rows))
    if days:
        await connection.execute(COUNT_AWARDS, *columns(days.items()))
