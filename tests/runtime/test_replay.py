"""Events that were given up: rehearsed without a trace, then replayed through every gate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from orchestrator.runtime.context import Context
from orchestrator.runtime.replay import rehearse, replay
from orchestrator.store import letters
from orchestrator.store.failures import MOST_TRIES
from orchestrator.store.letters import Letter
from tests.runtime.installation import NOON, at, do, happened, people, rows, turns, value

SPOIL = "UPDATE subscribers SET attributes = '[1]' WHERE key = '1'"
MEND = "UPDATE subscribers SET attributes = '{\"name\": \"Ann\"}' WHERE key = '1'"


async def dead(context: Context) -> Sequence[Letter]:
    async with context.pool.acquire() as connection:
        return await letters.letters(connection, 50)


async def given_up(office: Context) -> Context:
    """Somebody's event is given up; it is noon again, a day later."""
    known = await people(office, range(3))
    await happened(office, known)
    await do(office, SPOIL)
    for tries in range(MOST_TRIES):
        await turns(at(office, NOON + timedelta(minutes=11 * tries)))
    return at(office, NOON + timedelta(days=1))


async def test_what_waits_for_another_try_is_told_from_what_is_given_up(office: Context) -> None:
    known = await people(office, range(3))
    await happened(office, known)
    await do(office, SPOIL)
    await turns(office)
    (letter,) = await dead(office)
    assert (letter.key, letter.tries, letter.given_up) == ("1", 1, False)
    assert letter.not_before == NOON + timedelta(minutes=10)
    for tries in range(1, MOST_TRIES):
        await turns(at(office, NOON + timedelta(minutes=11 * tries)))
    (letter,) = await dead(office)
    assert (letter.name, letter.tries, letter.given_up) == (
        "subscriber.activated",
        MOST_TRIES,
        True,
    )
    assert letter.error
    async with office.pool.acquire() as connection:
        assert len(await letters.latest(connection, NOON, 50)) == MOST_TRIES


async def test_a_rehearsal_says_what_would_fail_again_and_what_would_be_sent(
    office: Context,
) -> None:
    tomorrow = await given_up(office)
    count = "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM failures)"
    before = await rows(office, count)
    (bad,) = await rehearse(tomorrow, await dead(tomorrow))
    assert (bad.key, bad.effects) == ("1", ())
    assert bad.error
    await do(office, MEND)
    (good,) = await rehearse(tomorrow, await dead(tomorrow))
    assert good.error == ""
    assert "would send hello by sms" in good.effects
    assert await rows(office, count) == before
    assert len(await dead(tomorrow)) == 1


async def test_a_replay_goes_through_the_gates_of_now_and_happens_once(office: Context) -> None:
    tomorrow = await given_up(office)
    await do(office, MEND)
    night = at(office, NOON + timedelta(hours=10))
    (late,) = await rehearse(night, await dead(night))
    assert any(it.startswith("would not send hello: outside_hours") for it in late.effects)
    found = await dead(tomorrow)
    assert await replay(tomorrow, found, "cli:ann@host") == 1
    assert await replay(tomorrow, found, "cli:ann@host") == 0
    await turns(tomorrow)
    assert await dead(tomorrow) == []
    mine = "SELECT count(*) FROM messages m JOIN subscribers s ON s.id = m.subscriber_id"
    assert await value(office, mine + " WHERE s.key = '1'") == 1
    assert await replay(tomorrow, found, "cli:ann@host") == 0
