"""Triggers that fire, at their time, once, whatever happens to whoever matches."""

from __future__ import annotations

from tests.runtime.feed import TRIGGERS, clock, event, fired, matching, report
from tests.runtime.installation import installed, people, turns, until_found, value

FIRED = "SELECT count(*) FROM events WHERE kind = 'trigger'"


async def test_what_needs_nothing_but_the_event_fires_at_once_and_is_sent(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, TRIGGERS, clock()) as context:
        await people(context, range(3))
        async with matching(context):
            said = await report(context, [event(0), event(1, cell="elsewhere"), event(2)])
            assert (said["queued"], said["unmatched"]) == (3, 0)
            await until_found(context, 2, FIRED)
        assert {it[:2] for it in await fired(context)} == {("0", "at-once"), ("2", "at-once")}
        assert (await turns(context)).failed == 0
        assert await value(context, "SELECT count(*) FROM messages") == 2
