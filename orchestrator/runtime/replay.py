"""Dead letters replayed: rehearsed in a turn that is rolled back, or put where turns find them.

Both go through everything that any event goes through, as of now: the journey's state, consent,
hours and caps. Nothing is sent that the contact policy would not let go today.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from msgspec import Struct

from orchestrator.core.acts import Deed
from orchestrator.core.effects import (
    Effect,
    MoveTo,
    PostEntry,
    RerouteMessage,
    SendMessage,
    Suppress,
)
from orchestrator.runtime.context import Context
from orchestrator.runtime.turn import turn
from orchestrator.store import acts, letters, scenes
from orchestrator.store.failures import TRANSIENT
from orchestrator.store.letters import Letter


class Rehearsal(Struct, frozen=True):
    """What replaying one subscriber's letters would do, in words; `error` if it would fail."""

    key: str
    events: tuple[str, ...]
    effects: tuple[str, ...]
    error: str = ""


async def rehearse(context: Context, dead: Sequence[Letter]) -> list[Rehearsal]:
    """What replaying these letters would do now, by subscriber. Nothing is changed: each turn is
    taken for real, save its commit."""
    found = []
    async with context.pool.acquire() as connection:
        for subscriber_id, theirs in _by_subscriber(dead).items():
            transaction = connection.transaction()
            await transaction.start()
            try:
                effects, error = await _try(context, connection, subscriber_id, theirs)
            finally:
                await transaction.rollback()
            names = tuple(letter.name for letter in theirs)
            found.append(Rehearsal(theirs[0].key, names, effects, error))
    return found


async def replay(context: Context, dead: Sequence[Letter], who: str) -> int:
    """These letters wait for their subscribers' turns, which are rung for; returns how many. That
    `who` did it is in the audit log."""
    revived = 0
    async with context.pool.acquire() as connection, connection.transaction():
        for subscriber_id, theirs in _by_subscriber(dead).items():
            # As a turn locks them: what a turn has in hand is not put back under its feet.
            await scenes.claim_named(connection, [subscriber_id])
            revived += await letters.revive(
                connection, subscriber_id, [it.id for it in theirs], context.clock.now()
            )
        if revived:
            subscribers = sorted({it.subscriber_id for it in dead})
            deed = Deed(
                who, "events.replayed", f"subscriber:{subscribers[0]}" if len(subscribers) == 1
                else "subscribers", after={"events": revived, "subscribers": subscribers},
            )  # fmt: skip
            await acts.record(connection, deed, context.clock.now(), context.secret)
    await context.bell.ring_turns(letter.shard for letter in dead)
    return revived


async def _try(
    context: Context,
    connection: asyncpg.Connection,
    subscriber_id: int,
    theirs: Sequence[Letter],
) -> tuple[tuple[str, ...], str]:
    now = context.clock.now()
    try:
        rows = await scenes.claim_named(connection, [subscriber_id])
        await letters.revive(
            connection, subscriber_id, [it.id for it in theirs], context.clock.now()
        )
        taken, decided = await turn(context, connection, rows, now)
        if taken.failed:
            return (), await letters.last_error(connection, subscriber_id)
    except TRANSIENT:
        raise
    except Exception as error:  # whatever a turn may fail with is what is asked for
        return (), f"{type(error).__name__}: {error}"
    effects = tuple(told(it) for decision in decided for it in decision.effects)
    return tuple(it for it in effects if it), ""


def told(effect: Effect) -> str:
    """An effect in words, or '' if it says nothing to an operator."""
    match effect:
        case SendMessage() | RerouteMessage():
            return f"would send {effect.message.template} by {effect.message.channel}"
        case Suppress():
            until = f" until {effect.until:%Y-%m-%d %H:%M:%S}Z" if effect.until else ""
            return f"would not send {effect.template}: {effect.reason}{until}"
        case MoveTo():
            enrollment = effect.enrollment
            where = f"at {enrollment.step}" if enrollment.step else enrollment.status
            return f"would stand in {enrollment.journey} {where}"
        case PostEntry():
            return f"would move {effect.points} points from {effect.debit} to {effect.credit}"
        case _:
            return ""


def _by_subscriber(dead: Sequence[Letter]) -> dict[int, list[Letter]]:
    by_subscriber: dict[int, list[Letter]] = {}
    for letter in sorted(dead, key=lambda it: it.subscriber_id):
        by_subscriber.setdefault(letter.subscriber_id, []).append(letter)
    return by_subscriber
