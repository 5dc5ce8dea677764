"""Decisions, saved: all effects of one turn, in a fixed number of set-based statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
from msgspec import Struct

from orchestrator.core.contact import EVERYTHING, refusal
from orchestrator.core.effects import (
    Effect,
    EmitEvent,
    Invite,
    MoveTo,
    PostEntry,
    Redeem,
    Release,
    RerouteMessage,
    Reserve,
    SendMessage,
    SetAttributes,
    SetConsent,
    SetConversation,
    SetLocale,
    Suppress,
)
from orchestrator.core.model import Enrollment, Subscriber
from orchestrator.core.scene import Scene
from orchestrator.store import events, invitations, json, lives, optouts, points
from orchestrator.store.columns import columns, shared
from orchestrator.store.ids import Ids
from orchestrator.store.queueing import Linked, Queued, queue

# Enrollments that were there move to where they now stand.
MOVE = """
UPDATE enrollments e SET
    status = ($4::text[])[u.n], step = ($5::text[])[u.n], due_at = ($6::timestamptz[])[u.n],
    waiting = ($7::text[])[u.n]::jsonb, ran_at = ($8::timestamptz[])[u.n],
    ran_step = ($9::text[])[u.n], goal_at = ($10::timestamptz[])[u.n],
    ended_at = ($11::timestamptz[])[u.n], reason = ($12::text[])[u.n],
    held = ($13::boolean[])[u.n], tries = 0
FROM unnest($1::bigint[], $2::integer[]) AS u (subscriber_id, n)
WHERE e.subscriber_id = u.subscriber_id AND e.journey = ($3::text[])[u.n]
"""

# Runs that a new entry is about to replace are kept.
KEEP_RUNS = """
INSERT INTO past_enrollments
SELECT e.* FROM enrollments e
JOIN unnest($1::bigint[], $2::text[]) AS u (subscriber_id, journey) USING (subscriber_id, journey)
"""

# Subscribers enter journeys; a later run takes the place of the earlier one.
ENTER = """
INSERT INTO enrollments (subscriber_id, shard, journey, version, run, status, step, due_at,
    entered_at, waiting, ran_at, ran_step, goal_at, ended_at, reason, held)
SELECT u.subscriber_id, u.shard, ($4::text[])[u.n], ($5::text[])[u.n], ($6::integer[])[u.n],
    ($7::text[])[u.n], ($8::text[])[u.n], ($9::timestamptz[])[u.n], ($10::timestamptz[])[u.n],
    ($11::text[])[u.n]::jsonb, ($12::timestamptz[])[u.n], ($13::text[])[u.n],
    ($14::timestamptz[])[u.n], ($15::timestamptz[])[u.n], ($16::text[])[u.n],
    ($17::boolean[])[u.n]
FROM unnest($1::bigint[], $2::smallint[], $3::integer[]) AS u (subscriber_id, shard, n)
ON CONFLICT (subscriber_id, journey) DO UPDATE SET
    version = excluded.version, run = excluded.run, status = excluded.status,
    step = excluded.step, due_at = excluded.due_at, entered_at = excluded.entered_at,
    waiting = excluded.waiting, ran_at = excluded.ran_at, ran_step = excluded.ran_step,
    goal_at = excluded.goal_at, ended_at = excluded.ended_at, reason = excluded.reason,
    held = excluded.held
"""

# Why something did not go, or goes later.
SUPPRESS = """
INSERT INTO suppressions (subscriber_id, at, journey, step, template, reason, until)
SELECT u.subscriber_id, $7, u.journey, u.step, u.template, u.reason, u.until
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
    AS u (subscriber_id, journey, step, template, reason, until)
"""

# What we know of these subscribers is now this.
SET_SUBSCRIBERS = """
UPDATE subscribers s SET attributes = u.attributes::jsonb, tags = array(
        SELECT jsonb_array_elements_text(u.tags::jsonb)),
    consents = u.consents::jsonb, conversation = u.conversation::jsonb, locale = u.locale
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
    AS u (id, attributes, tags, consents, conversation, locale)
WHERE s.id = u.id
"""

# Queued messages of these classes to people who no longer want them are dropped; those whose
# attempt a gateway has claimed are on their way already.
DROP_QUEUED = """
WITH free AS (
    SELECT id FROM attempts WHERE claimed_by IS NULL AND id IN (
        SELECT m.attempt_id FROM messages m
        JOIN unnest($1::bigint[], $2::text[]) AS u (subscriber_id, contact_class)
            USING (subscriber_id, contact_class)
        WHERE m.state = 'queued')
    FOR UPDATE
)
UPDATE messages m SET state = 'suppressed', reason = 'opted_out', ended_at = $3
FROM unnest($1::bigint[], $2::text[]) AS u (subscriber_id, contact_class)
WHERE m.subscriber_id = u.subscriber_id AND m.contact_class = u.contact_class
  AND m.state = 'queued' AND m.attempt_id IN (SELECT id FROM free)
"""

# Each consent given or withdrawn leaves a record.
RECORD_CONSENTS = """
INSERT INTO consent_records (subscriber_id, at, purpose, granted, how, wording)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::boolean[], $5::text[],
    $6::text[])
"""

_CHANGES_SUBSCRIBER = (SetAttributes, SetConsent, SetConversation, SetLocale)
_CHANGES_POINTS = (PostEntry, Reserve, Redeem, Release)


class Decided(Struct, frozen=True, gc=False):
    """What was decided for one subscriber: the scene it was decided on, the effects, the scene
    that they make. `urgent` messages are answers to somebody who waits."""

    before: Scene
    effects: tuple[Effect, ...]
    after: Scene
    urgent: bool = False


async def save(
    connection: asyncpg.Connection,
    decided: Sequence[Decided],
    now: datetime,
    ids: Ids,
    linked: Linked,
    project_number: int,
) -> set[str]:
    """Everything decided, by the project applied under that number, is in the database (in the
    caller's transaction); returns the channels that now have something to deliver. `linked` puts
    the addresses of its links into a content that has some."""
    moved: dict[tuple[int, str, int], tuple[Enrollment, Decided]] = {}
    queued: list[Queued] = []
    suppressed: list[tuple[int, Suppress]] = []
    consents: list[tuple[int, SetConsent]] = []
    changed: list[Decided] = []
    emitted: list[tuple[Subscriber, EmitEvent]] = []
    posted: list[tuple[int, int, Effect]] = []
    invited: list[tuple[bytes, int, datetime]] = []
    paces = decided[0].after.project.paces if decided else {}
    for decision in decided:
        subscriber = decision.after.subscriber
        changes = False
        for effect in decision.effects:
            if isinstance(effect, MoveTo):
                enrollment = effect.enrollment
                moved[subscriber.id, enrollment.journey, enrollment.run] = (enrollment, decision)
            elif isinstance(effect, SendMessage):
                priority, message = 0 if decision.urgent else 1, effect.message
                paced = message.journey if message.journey in paces else ""
                queued.append(Queued(subscriber.id, message, priority, now, paced))
            elif isinstance(effect, Suppress):
                suppressed.append((subscriber.id, effect))
            elif isinstance(effect, RerouteMessage):
                message, at = effect.message, effect.not_before
                paced = message.journey if message.journey in paces else ""
                queued.append(Queued(subscriber.id, message, 1, at, paced, effect.message_id))
            elif isinstance(effect, EmitEvent):
                emitted.append((subscriber, effect))
            elif isinstance(effect, Invite):
                invited.append((effect.code_hash, subscriber.id, effect.expires_at))
            elif isinstance(effect, _CHANGES_POINTS):
                posted.append((subscriber.id, subscriber.shard, effect))
            elif isinstance(effect, _CHANGES_SUBSCRIBER):
                changes = True
                if isinstance(effect, SetConsent):
                    consents.append((subscriber.id, effect))
        if changes:
            changed.append(decision)
    if acted := [it.after.subscriber.id for it in decided if it.effects]:
        await lives.add_turns(connection, acted, now, project_number)
    await _save_enrollments(connection, moved)
    await queue(connection, queued, now, ids, linked)
    await _save_subscribers(connection, changed, consents, now)
    if suppressed:
        await connection.execute(
            SUPPRESS,
            *columns(
                (who, s.journey, s.step, s.template, s.reason, s.until) for who, s in suppressed
            ),
            now,
        )
    if emitted:
        project = decided[0].after.project
        await events.add_emitted(connection, emitted, now, ids, project)
    if posted:
        await points.save_points(connection, posted)
    if invited:
        await invitations.add(connection, invited, now)
    return {item.message.channel for item in queued}


async def _save_enrollments(
    connection: asyncpg.Connection,
    moved: Mapping[tuple[int, str, int], tuple[Enrollment, Decided]],
) -> None:
    """Each run stands where it came to; one that ended in this turn is kept before the next of the
    same turn takes its place."""
    lots: list[dict[tuple[int, str], tuple[int | None, Enrollment, Decided]]] = []
    latest: dict[tuple[int, str], tuple[int, int]] = {}
    for (subscriber_id, journey, run), (enrollment, decision) in moved.items():
        who = subscriber_id, journey
        there = decision.before.enrollments.get(journey)
        lot, before = latest.get(who, (-1, there.run if there is not None else None))
        latest[who] = lot + 1, run
        if len(lots) == lot + 1:
            lots.append({})
        lots[lot + 1][who] = before, enrollment, decision
    for some in lots:
        await _save_runs(connection, some)


async def _save_runs(
    connection: asyncpg.Connection,
    moved: Mapping[tuple[int, str], tuple[int | None, Enrollment, Decided]],
) -> None:
    """One run of each person and journey, with the number of the run that is there."""
    staying: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = []
    entering: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = []
    replaced: list[tuple[int, str]] = []
    for (subscriber_id, journey), (before, e, decision) in moved.items():
        waiting = json.encode(e.waiting) if e.waiting else None
        paused = decision.before.halted.get(journey) == "paused"
        held = paused and e.open and e.status == "active"
        if before == e.run:
            staying.append((
                (subscriber_id,),
                (journey, e.status, e.step, e.due_at, waiting, e.ran_at, e.ran_step, e.goal_at,
                 e.ended_at, e.reason, held),
            ))  # fmt: skip
            continue
        if before is not None:
            replaced.append((subscriber_id, journey))
        entering.append((
            (subscriber_id, decision.after.subscriber.shard),
            (journey, e.version, e.run, e.status, e.step, e.due_at, e.entered_at, waiting,
             e.ran_at, e.ran_step, e.goal_at, e.ended_at, e.reason, held),
        ))  # fmt: skip
    if staying:
        await connection.execute(MOVE, *shared(staying))
    if replaced:
        await connection.execute(KEEP_RUNS, *columns(replaced))
    if entering:
        await connection.execute(ENTER, *shared(entering))


async def _save_subscribers(
    connection: asyncpg.Connection,
    changed: list[Decided],
    consents: list[tuple[int, SetConsent]],
    now: datetime,
) -> None:
    if changed:
        rows = []
        for decision in changed:
            s, conversation = decision.after.subscriber, decision.after.conversation
            rows.append(
                (s.id, json.encode(s.attributes), json.encode(sorted(s.tags)),
                 json.encode(s.consents), json.encode(conversation) if conversation else None,
                 s.locale)
            )  # fmt: skip
        await connection.execute(SET_SUBSCRIBERS, *columns(rows))
    if consents:
        await connection.execute(
            RECORD_CONSENTS,
            *columns(
                (who, c.consent.at, c.purpose, c.consent.granted, c.consent.how, c.consent.wording)
                for who, c in consents
            ),
        )
        if back := [it for it in changed if it.after.secret and _said_start(it)]:
            theirs = [it for d in back for it in d.after.subscriber.addresses.items()]
            await optouts.lift(connection, theirs, back[0].after.secret)
        unwanted = [
            (decision.after.subscriber.id, name)
            for decision in changed
            for name, rules in decision.after.project.contact.classes.items()
            if refusal(rules, decision.after.subscriber) == "opted_out"
        ]
        if unwanted:
            await connection.execute(DROP_QUEUED, *columns(unwanted), now)


def _said_start(decision: Decided) -> bool:
    """Whether they opted in again, themselves."""
    return any(
        isinstance(it, SetConsent)
        and (it.purpose, it.consent.granted, it.consent.how) == (EVERYTHING, True, "reply")
        for it in decision.effects
    )
