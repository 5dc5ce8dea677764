"""Matchers that are killed at random while events flow: nothing is lost and nothing comes twice."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from pathlib import Path

from orchestrator.core.feed import Happened
from orchestrator.core.matching import Matching
from orchestrator.core.triggers import Triggers
from orchestrator.runtime.context import Context
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.reports import EventShape
from tests.runtime.feed import TRIGGERS, clock, event, fired, judged
from tests.runtime.installation import installed, number, people
from tests.runtime.matchers import matchers

PEOPLE = 60
ROUNDS = 80
KILL_EVERY = 12


def happenings(now: datetime, chance: random.Random, first: int) -> list[EventShape]:
    """Some events of the last second and a half, in any order."""
    some = []
    for position in range(first, first + 25):
        kind = chance.choice(("call.ended", "call.ended", "call.ended", "phone.off", "phone.on"))
        cell = chance.choice(("airport", "airport", "airport", "campus", "road"))
        said = {"cell": cell} if kind == "call.ended" else {}
        at = now - timedelta(seconds=chance.uniform(0, 1.5))
        some.append(event(chance.randrange(PEOPLE), kind, f"e{position}", at, **said))
    return some


def expected(context: Context, reports: list[EventShape]) -> set[tuple[str, str, str]]:
    """What one matcher that looks at everything at once says: whose, of which journey, why."""
    triggers = Triggers(context.projects.project, {})
    whole = Matching(triggers, 1e9)
    happened = [
        Happened(it.name, int(it.number), it.at.timestamp(), it.source_id, it.properties)
        for it in reports
        if isinstance(it.number, str) and it.at is not None
    ]
    found = whole.take(happened) + whole.advance(max(it.at for it in happened) + 100)
    keys = {int(number(n)): str(n) for n in range(PEOPLE)}
    return {(keys[int(it.who)], it.journey, it.source_id) for it in found}


async def test_matchers_that_are_killed_lose_nothing_and_repeat_nothing(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    chance = random.Random(7)
    domain = clock()
    env = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "OUTREACH_PROJECT": str(tmp_path),
        "OUTREACH_SECRET": "secret of sixteen",
        "OUTREACH_CLOCK": str(domain),
    }
    async with installed(database_url, redis_url, TRIGGERS, domain) as context:
        await people(context, range(PEOPLE))
        intake = Intake(context)
        reports: list[EventShape] = []
        with matchers(env) as running:
            running.start()
            running.start()
            for turn in range(ROUNDS):
                fresh = happenings(domain.now(), chance, 25 * turn)
                again = chance.sample(reports[-100:], min(2, len(reports)))
                await intake.take([*fresh, *again])
                reports += fresh
                await asyncio.sleep(0.05)
                if turn % KILL_EVERY == KILL_EVERY - 1:
                    running.kill(chance.randrange(len(running.running)))
                    running.start()
            await judged(context)
            assert running.stop(0) == 0
        found = await fired(context)
        assert len(found) == len(set(found)) > 200
        assert set(found) == expected(context, reports)
