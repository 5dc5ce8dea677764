"""What the handsets received, held against what the installation says of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import asyncpg
from msgspec import Struct

from channels.carriers.handset import Handset
from tests.faults.campaign import STEPS

_WORDS = re.compile(r"N(\d+) (first|second)\.")

SLACK_S = 1.0
"""A turn's time is read a little before its transaction begins."""

Name = tuple[str, str]
"""A message: the person's key and the step."""


class Verdict(Struct, kw_only=True):
    """One run of one fault. `lost`: never arrived, though nothing says that it may not have.
    `duplicates`: arrivals too many; `unflagged`: those of messages that are not flagged
    may_duplicate. `unknown`: those that end as unknown; `refused`: those that end as rejected,
    undelivered, expired or suppressed. `untrue`: said to be refused, but arrived."""

    name: str
    seed: int
    messages: int
    lost: int = 0
    duplicates: int = 0
    flagged: int = 0
    early: int = 0
    after_opt_out: int = 0
    unflagged: int = 0
    unknown: int = 0
    refused: int = 0
    untrue: int = 0
    exposure: int = 0
    kills: int = 0
    recovered_pct: int | None = None
    seconds: float = 0.0
    failed: list[str] = []


MESSAGES = """
SELECT s.key, m.step, m.state, m.may_duplicate, m.attempt_id, w.at
FROM messages m JOIN subscribers s ON s.id = m.subscriber_id
JOIN witness_queued w ON w.message_id = m.id
WHERE m.journey = 'blast'
"""
CLAIMS = "SELECT attempt_id, min(at) AS at FROM witness_claimed GROUP BY attempt_id"

_REFUSED = {"rejected", "undelivered", "expired", "suppressed"}


async def judge(
    connection: asyncpg.Connection,
    verdict: Verdict,
    handsets: Mapping[str, Handset],
    wait_s: float,
    opted_out: Mapping[str, datetime],
) -> None:
    """`verdict` has its counts. `opted_out`: by when each person's opt-out was committed."""
    arrived = arrivals(handsets)
    claims = {row["attempt_id"]: row["at"] for row in await connection.fetch(CLAIMS)}
    rows: dict[Name, asyncpg.Record] = {}
    for row in await connection.fetch(MESSAGES):
        if (row["key"], row["step"]) in rows:
            verdict.untrue += 1  # one step made two messages
        rows[row["key"], row["step"]] = row
    for name, row in rows.items():
        copies, state = arrived[name], row["state"]
        verdict.flagged += row["may_duplicate"]
        verdict.unknown += state == "unknown"
        verdict.refused += state in _REFUSED
        verdict.untrue += state in _REFUSED and copies > 0
        verdict.duplicates += max(0, copies - 1)
        verdict.unflagged += max(0, copies - 1) if not row["may_duplicate"] else 0
        if not copies and state != "unknown" and state not in _REFUSED:
            verdict.lost += 1
        since = opted_out.get(row["key"])
        claimed = claims.get(row["attempt_id"])
        verdict.after_opt_out += bool(copies and since and claimed and claimed > since)
    keys = {str(number) for number in range(1, verdict.messages // len(STEPS) + 1)}
    for key in keys:
        first, second = rows.get((key, "first")), rows.get((key, "second"))
        if key not in opted_out:
            verdict.lost += (first is None) + (second is None)
        if first is not None and second is not None:
            apart_s = (second["at"] - first["at"]).total_seconds()
            verdict.early += apart_s < wait_s - SLACK_S
    verdict.untrue += sum(copies for name, copies in arrived.items() if name not in rows)


def arrivals(handsets: Mapping[str, Handset]) -> Counter[Name]:
    """How often each message stood on its phone."""
    found: Counter[Name] = Counter()
    for number, handset in handsets.items():
        for message in handset.arrived:
            if match := _WORDS.match(message.text):
                key = match[1] if number.endswith(match[1]) else f"{match[1]} on {number}"
                found[key, match[2]] += 1
    return found
