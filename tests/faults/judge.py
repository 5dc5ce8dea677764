"""What the handsets received, held against what the installation says of it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg
from msgspec import Struct

from channels.carriers.handset import Handset
from channels.carriers.visitors import Visitor
from tests.faults.campaign import STEPS

_WORDS = re.compile(r"N(\d+) (first|second)\.")

REPLIES = """
SELECT properties ->> 'text' AS text, count(*) AS times FROM events
WHERE kind = 'reply' GROUP BY 1
"""

ANSWERS = """
SELECT address, state FROM messages WHERE contact_class = 'answer'
"""

RECOVERED = 0.9
"""Of the allowed rate: reached again, a fault is over."""
RECOVERED_WITHIN_S = 60.0

SLACK_S = 1.0
"""A turn's time is read a little before its transaction begins."""

Name = tuple[str, str]
"""A message: the person's key and the step."""


class Verdict(Struct, kw_only=True):
    """One run of one fault. `lost`: never arrived, though nothing says that it may not have.
    `duplicates`: arrivals too many; `unflagged`: those of messages that are not flagged
    may_duplicate. `unknown`: those that end as unknown; `refused`: those that end as rejected,
    undelivered, expired or suppressed. `untrue`: said to be refused, but arrived. `recovered_pct`:
    the best second after the carrier was well again, in percent of what it allows;
    `recovered_s`: how soon after that a second had nine tenths of it. `late_s`: how long after it
    was due the latest message stood on its phone; sweeps are `sweep_s` apart; `late_calm_s` and
    `late_hurt_s`: see `Lateness`. `left`:
    what was still under way when patience ended. `replies`: what people said,
    of which `replies_lost` were never stored, `replies_twice` were counted again, and `unanswered`
    got no answer, and none of the `answers_unknown` either; whose, is said in `left`."""

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
    gateway_kills: int = 0
    recovered_pct: int | None = None
    recovered_s: float | None = None
    late_s: float | None = None
    late_calm_s: float | None = None
    late_hurt_s: float | None = None
    sweep_s: float | None = None
    seconds: float = 0.0
    left: str = ""
    replies: int | None = None
    replies_lost: int = 0
    replies_twice: int = 0
    unanswered: int = 0
    answers_unknown: int = 0
    failed: list[str] = []


MESSAGES = """
SELECT s.key, m.step, m.state, m.may_duplicate, m.attempt_id, w.at
FROM messages m JOIN subscribers s ON s.id = m.subscriber_id
JOIN witness_queued w ON w.message_id = m.id
WHERE m.journey = 'blast'
"""
CLAIMS = "SELECT attempt_id, min(at) AS at FROM witness_claimed GROUP BY attempt_id"

DUE = """
SELECT s.key, d.due_at, q.at AS first_at FROM witness_due d
JOIN subscribers s ON s.id = d.subscriber_id
LEFT JOIN messages m ON m.subscriber_id = s.id AND m.journey = 'blast' AND m.step = 'first'
LEFT JOIN witness_queued q ON q.message_id = m.id
"""

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


class Hurt(Struct, frozen=True):
    """Something was away from then until then."""

    began: datetime
    well: datetime


class Lateness(Struct, frozen=True):
    """How many seconds late the latest message was; of those that no hurt can have touched
    (`calm_s`); and of the others, from when they were due and all was well again (`hurt_s`)."""

    most_s: float
    calm_s: float
    hurt_s: float


async def lateness(
    connection: asyncpg.Connection,
    handsets: Mapping[str, Handset],
    wait_s: float,
    hurts: Sequence[Hurt] = (),
    sweep_s: float = 0.0,
) -> Lateness:
    """How late messages arrived, the first time they did; of what was due before any had, nothing
    is said, for the staff was starting. A hurt touches what was to be sent while it lasted, and
    what became due within a sweep after it."""
    due: dict[Name, datetime] = {}
    for key, due_at, first_at in await connection.fetch(DUE):
        due[key, "first"] = due_at
        if first_at is not None:
            due[key, "second"] = first_at + timedelta(seconds=wait_s)
    times: dict[Name, datetime] = {}
    for handset in handsets.values():
        for message in handset.arrived:
            if (match := _WORDS.match(message.text)) and (match[1], match[2]) in due:
                times.setdefault((match[1], match[2]), message.at)
    started = min(times.values(), default=None)
    times = {name: at for name, at in times.items() if started is None or due[name] > started}
    within = timedelta(seconds=sweep_s)
    calm, hurt = [timedelta()], [timedelta()]
    for name, at in times.items():
        touching = [it for it in hurts if it.began <= at and due[name] <= it.well + within]
        since = max([due[name], *(it.well for it in touching if it.well <= at)])
        (hurt if touching else calm).append(at - since)
    most = max((at - due[name] for name, at in times.items()), default=timedelta())
    return Lateness(*(round(it.total_seconds(), 1) for it in (most, max(calm), max(hurt))))


def recovery(
    taken_at: Sequence[float], well_at: float, rate: float
) -> tuple[int | None, float | None]:
    """The best second after `well_at` in percent of `rate`, and how soon a second with nine tenths
    of it was over. `taken_at`: when the carrier took each message, in order."""
    later = [at for at in taken_at if at > well_at]
    best, soon, first = 0, None, 0
    for last, at in enumerate(later):
        while later[first] <= at - 1:
            first += 1
        best = max(best, last - first + 1)
        if soon is None and best >= RECOVERED * rate:
            soon = round(at - well_at, 1)
    return (round(100 * best / rate) if later else None), soon


async def heard(
    connection: asyncpg.Connection, verdict: Verdict, handsets: Mapping[str, Handset | Visitor]
) -> None:
    """`verdict` has its counts of replies. Everybody's words are their own; each person's answers
    are alike, so they are counted by person: as many as they said things, and each of them on the
    phone unless it says why not."""
    stored = {row["text"]: row["times"] for row in await connection.fetch(REPLIES)}
    answers: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in await connection.fetch(ANSWERS):
        answers[row["address"].removeprefix("+")].append(row)
    verdict.replies = 0
    for number, handset in handsets.items():
        arrived = sum(not _WORDS.match(message.text) for message in handset.arrived)
        theirs = answers[number]
        unknown = sum(row["state"] == "unknown" for row in theirs)
        verdict.unknown += unknown
        verdict.answers_unknown += unknown
        verdict.replies += len(handset.said)
        never_made = max(0, len(handset.said) - len(theirs))
        never_came = max(0, len(theirs) - unknown - arrived)
        verdict.unanswered += never_made + never_came
        if never_made or never_came:
            states = ", ".join(row["state"] for row in theirs)
            verdict.left += (
                f"{number}: {len(handset.said)} said, {arrived} on the phone: {states}; "
            )
        for said in handset.said:
            times = stored.get(said.text, 0)
            verdict.replies_lost += times == 0
            verdict.replies_twice += max(0, times - 1)
