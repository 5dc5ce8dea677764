"""Every invariant of the database, recomputed: what is wrong, and what to do about it.

Reads whole tables, in one snapshot; it may run beside a busy installation, though not every minute.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg
from msgspec import Struct

from orchestrator.store import audit

PATIENCE = timedelta(minutes=10)
"""What a gateway or a sweep puts right by itself is wrong only after so long."""

# Addresses of somebody whose row does not list them.
ADDRESS_NOT_LISTED = """
SELECT 'subscriber ' || s.key || ': the ' || a.channel || ' address is kept as theirs, not listed'
FROM addresses a JOIN subscribers s ON s.id = a.subscriber_id
WHERE s.addresses ->> a.channel IS DISTINCT FROM a.address AND a.gone_at IS NULL
ORDER BY 1 LIMIT $1
"""

# Addresses that somebody lists, and that are nobody's or somebody else's.
ADDRESS_NOT_OWNED = """
SELECT 'subscriber ' || s.key || ': lists a ' || listed.key || ' address that is '
    || coalesce('subscriber ' || owner.key || '''s', 'nobody''s')
FROM subscribers s CROSS JOIN LATERAL jsonb_each_text(s.addresses) listed
LEFT JOIN addresses a ON a.channel = listed.key AND a.address = listed.value
LEFT JOIN subscribers owner ON owner.id = a.subscriber_id
WHERE a.subscriber_id IS DISTINCT FROM s.id
ORDER BY 1 LIMIT $1
"""

# Rows about somebody in another shard than theirs, or about nobody. What is kept of those who were
# erased is about nobody on purpose.
SHARDS = """
SELECT what || ' of subscriber ' || coalesce(s.key, rows.subscriber_id::text) || ': shard '
    || rows.shard || coalesce(', theirs is ' || s.shard, ', and there is no such subscriber')
FROM (
    SELECT DISTINCT 'enrollments' AS what, subscriber_id, shard FROM enrollments
    UNION ALL SELECT DISTINCT 'waiting events', subscriber_id, shard FROM events
        WHERE taken_at IS NULL
    UNION ALL SELECT 'points', subscriber_id, shard FROM accounts
    UNION ALL SELECT 'row', id, shard FROM subscribers WHERE shard NOT BETWEEN 0 AND 63) rows
LEFT JOIN subscribers s ON s.id = rows.subscriber_id
WHERE (s.shard IS DISTINCT FROM rows.shard OR rows.shard NOT BETWEEN 0 AND 63)
  AND (what = 'waiting events'
       OR NOT EXISTS (SELECT FROM erasures e WHERE e.subscriber_id = rows.subscriber_id))
ORDER BY 1 LIMIT $1
"""

# Triggers that should have fired, or been dropped, long ago.
OVERDUE_TRIGGERS = """
SELECT count(*) || ' triggers of ' || w.journey || ' wait past their time, since '
    || to_timestamp(min(w.due))
FROM trigger_waits w
WHERE w.due < extract(epoch FROM $2::timestamptz)
GROUP BY w.journey ORDER BY 1 LIMIT $1
"""

# Reports that somebody should look at.
SET_ASIDE = """
SELECT count(*) || ' reports of ' || CASE name WHEN '' THEN 'no known event' ELSE name END
    || ' are set aside, since ' || min(at) || ': ' || min(reason)
FROM set_aside_events GROUP BY name ORDER BY 1 LIMIT $1
"""

# Open enrollments that nothing can ever move.
STUCK = """
SELECT 'subscriber ' || coalesce(s.key, e.subscriber_id::text) || ' in ' || e.journey || ': '
    || CASE WHEN e.step IS NULL THEN 'stands at no step'
       ELSE 'at ' || e.step || ', neither due nor waiting' END
FROM enrollments e LEFT JOIN subscribers s ON s.id = e.subscriber_id
WHERE e.ended_at IS NULL AND e.status = 'active'
  AND (e.step IS NULL OR (e.due_at IS NULL AND e.waiting IS NULL))
ORDER BY 1 LIMIT $1
"""

# Ended enrollments that are still due: they would be looked at again and again.
ENDED_DUE = """
SELECT 'subscriber ' || coalesce(s.key, e.subscriber_id::text) || ' in ' || e.journey
    || ': ended, and due at ' || e.due_at
FROM enrollments e LEFT JOIN subscribers s ON s.id = e.subscriber_id
WHERE e.ended_at IS NOT NULL AND e.due_at IS NOT NULL
ORDER BY 1 LIMIT $1
"""

# Versions that people stand in and whose text is gone.
VERSIONS = """
SELECT 'journey ' || e.journey || ': ' || count(*) || ' stand in version ' || e.version
    || ', which is not stored'
FROM enrollments e LEFT JOIN versions v ON v.version = e.version
WHERE e.ended_at IS NULL AND v.version IS NULL
GROUP BY e.journey, e.version
ORDER BY 1 LIMIT $1
"""

# People who should have followed an edit long since.
UNFINISHED_MOVES = """
SELECT 'journey ' || journey || ': ' || moved || ' of ' || planned || ' people have followed since '
    || begun_at
FROM moves
WHERE project_id = (SELECT max(id) FROM projects) AND done_at IS NULL AND begun_at < $2
ORDER BY journey LIMIT $1
"""

# Queued messages that no gateway will ever claim.
QUEUED_NOWHERE = """
SELECT 'message ' || m.id || ' to subscriber ' || coalesce(s.key, m.subscriber_id::text) || ', '
    || m.template || ': queued in attempt ' || m.attempt_id || ', which does not exist'
FROM messages m LEFT JOIN attempts a ON a.id = m.attempt_id
LEFT JOIN subscribers s ON s.id = m.subscriber_id
WHERE m.state = 'queued' AND a.id IS NULL
ORDER BY 1 LIMIT $1
"""

# Attempts that should be over: nothing in them is queued, and nobody has ended them.
EMPTY_ATTEMPTS = """
SELECT 'attempt ' || a.id || ' on ' || a.channel || ': no message of it is queued'
FROM attempts a
WHERE a.claimed_by IS NULL AND a.not_before < $2
  AND NOT EXISTS (SELECT FROM messages m WHERE m.attempt_id = a.id AND m.state = 'queued')
ORDER BY a.id LIMIT $1
"""

# Attempts whose lease is long over, and which no sweep has settled. Leases are in real time.
LAPSED = """
SELECT 'attempt ' || id || ' on ' || channel || ': its lease ended at ' || lease_until
FROM attempts WHERE claimed_by IS NOT NULL AND lease_until < now() - interval '10 minutes'
ORDER BY id LIMIT $1
"""

# Consents that are not what the last record of them says, or have no record.
CONSENTS = """
SELECT 'subscriber ' || s.key || ', ' || c.key || ': now '
    || CASE WHEN (c.value ->> 'granted')::boolean THEN 'granted' ELSE 'refused' END || ', '
    || CASE WHEN last.granted IS NULL THEN 'without a record'
       WHEN last.granted THEN 'last recorded as granted' ELSE 'last recorded as refused' END
FROM subscribers s CROSS JOIN LATERAL jsonb_each(s.consents) c
LEFT JOIN LATERAL (
    SELECT r.granted FROM consent_records r
    WHERE r.subscriber_id = s.id AND r.purpose = c.key ORDER BY r.at DESC LIMIT 1) last ON true
WHERE last.granted IS DISTINCT FROM (c.value ->> 'granted')::boolean
ORDER BY 1 LIMIT $1
"""

# Refusals on record that the subscriber's row has forgotten.
FORGOTTEN_REFUSALS = """
SELECT 'subscriber ' || s.key || ', ' || last.purpose || ': refused on record, and not in their row'
FROM subscribers s JOIN (
    SELECT DISTINCT ON (subscriber_id, purpose) subscriber_id, purpose, granted
    FROM consent_records ORDER BY subscriber_id, purpose, at DESC) last ON last.subscriber_id = s.id
WHERE NOT last.granted AND NOT s.consents ? last.purpose
ORDER BY 1 LIMIT $1
"""

# What is left about people who were erased, and should not be.
NOT_ERASED = """
SELECT 'subscriber ' || e.subscriber_id || ', erased at ' || e.at || ': ' || left_over.what
FROM erasures e JOIN (
    SELECT id AS subscriber_id, 'is there' AS what FROM subscribers
    UNION ALL SELECT DISTINCT subscriber_id, 'has events' FROM events
    UNION ALL SELECT DISTINCT subscriber_id, 'has consents' FROM consent_records
    UNION ALL SELECT DISTINCT subscriber_id, 'has suppressions' FROM suppressions
    UNION ALL SELECT DISTINCT subscriber_id, 'has failures' FROM failures
    UNION ALL SELECT DISTINCT subscriber_id, 'has messages with words or an address' FROM messages
        WHERE content <> '{}' OR address <> '') left_over USING (subscriber_id)
ORDER BY 1 LIMIT $1
"""

# Entries of the audit log that were changed, or do not follow the one before.
ACTS = """
SELECT 'entry ' || number || ': ' || CASE
    WHEN encode(sha256(convert_to(entry, 'UTF8')), 'hex') <> hash THEN 'it was changed'
    ELSE 'it does not follow the one before it' END
FROM (SELECT number, entry, hash, lag(hash, 1, repeat('0', 64)) OVER by_number AS before,
             row_number() OVER by_number AS place
      FROM acts WINDOW by_number AS (ORDER BY number)) chain
WHERE encode(sha256(convert_to(entry, 'UTF8')), 'hex') <> hash
   OR entry::json ->> 'previous' <> before OR number <> place
ORDER BY number LIMIT $1
"""


class Check(Struct, frozen=True):
    """One invariant: the query finds what breaks it, as lines for people. `remedy` says what to
    do; `timed` queries take as `$2` the instant before which things should have settled."""

    name: str
    query: str
    remedy: str
    timed: bool = False


# How many people have an address on a channel.
REACHED = "SELECT count(*) FROM addresses WHERE channel = $1 AND gone_at IS NULL"

_LEDGER = (
    "points are only ever changed by turns: find who else wrote to the database; correct by a new "
    "entry, never by hand; `outreach show` lists the member's entries"
)

CHECKS = (
    Check(
        "addresses are listed",
        ADDRESS_NOT_LISTED,
        "a number they no longer have: if it is not theirs any more, delete its row in "
        "`addresses`, so that whoever has it now can be imported",
    ),
    Check(
        "addresses are owned",
        ADDRESS_NOT_OWNED,
        "import the one whose address it really is, and take it out of the other's `addresses`; an "
        "opt-out from there holds for the owner only",
    ),
    Check(
        "shards are right",
        SHARDS,
        "set the row's shard to the subscriber's: no turn finds it where it is",
    ),
    Check(
        "nobody is stuck",
        STUCK,
        "set `due_at` to now, and a turn looks at them; nothing was sent meanwhile",
    ),
    Check("what has ended rests", ENDED_DUE, "set its `due_at` to null"),
    Check(
        "versions in use are stored",
        VERSIONS,
        "apply the project from the commit that has this version, then the current one again",
    ),
    Check(
        "edits are followed",
        UNFINISHED_MOVES,
        "sweeps move them: is a worker running? `outreach apply` goes on with it as well",
        timed=True,
    ),
    Check(
        "queued messages have an attempt",
        QUEUED_NOWHERE,
        "they were never handed to a carrier by the attempt that is gone, or it would have an "
        "outcome: insert an attempt on their channel and point them at it, or suppress them",
    ),
    Check(
        "attempts have messages",
        EMPTY_ATTEMPTS,
        "a gateway ends them when it claims them: does one hold that channel? else delete them",
        timed=True,
    ),
    Check(
        "silent gateways are settled",
        LAPSED,
        "a sweep settles them: does a worker run, and do its logs say `sweep_failed`?",
    ),
    Check(
        "consents are on record",
        CONSENTS,
        "until it is clear what they said, take it as refused; add the missing record",
    ),
    Check(
        "refusals are kept",
        FORGOTTEN_REFUSALS,
        "write the refusal into their `consents` at once: they would be written to",
    ),
    Check(
        "who was erased is gone",
        NOT_ERASED,
        "delete these rows, or empty them; find out what wrote them after the erasure",
    ),
    Check(
        "the audit log is whole",
        ACTS,
        "somebody wrote to `acts` by hand: compare it with your last `outreach audit export`; "
        "`outreach audit verify` looks at the seals too",
    ),
    Check(
        "triggers fire when their time has come",
        OVERDUE_TRIGGERS,
        "no matcher has these people's partition, or it cannot go on: does `outreach matcher` "
        "run, and do its logs say `matcher_begins_again`?",
        timed=True,
    ),
    Check(
        "reported events can be taken",
        SET_ASIDE,
        "put their sender or journeys/program/events.yaml right, and take them again: "
        "outreach events set-aside --replay",
    ),
    Check("the ledger adds up to nothing", audit.TOTAL, _LEDGER),
    Check("members' figures are their entries'", audit.FIGURES, _LEDGER),
    Check("balances are their lots'", audit.LOTS, _LEDGER),
    Check("held points are the open holds'", audit.HOLDS, _LEDGER),
    Check("holds took from lots what they cost", audit.TAKEN, _LEDGER),
    Check(
        "stock is what the holds say",
        audit.STOCK,
        "count the holds, and set `reserved`, `sold` and `free` in `stock` from them",
    ),
    Check(
        "codes belong to sales",
        audit.CODES,
        "do not honour such a code before you know where it came from",
    ),
    Check(
        "points expire when they are due",
        audit.DUE,
        "set the account's `due_at` to what is said to expire first",
    ),
)


class Finding(Struct, frozen=True):
    """What one check came to. `found` is empty if all is well, and has at most `most` lines."""

    check: str
    found: tuple[str, ...]
    remedy: str


async def reached(connection: asyncpg.Connection, channel: str) -> int:
    """How many people have an address on this channel."""
    found: int = await connection.fetchval(REACHED, channel)
    return found


async def examine(connection: asyncpg.Connection, now: datetime, most: int = 20) -> list[Finding]:
    """Every invariant, recomputed on one snapshot of the database."""
    findings = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for check in CHECKS:
            settled = (now - PATIENCE,) if check.timed else ()
            rows = await connection.fetch(check.query, most, *settled)
            found = tuple(row[0] for row in rows)
            findings.append(Finding(check.name, found, check.remedy if found else ""))
    return findings
