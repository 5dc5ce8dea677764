"""Much happens to one person at once, and all of it is on record, in its order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.core.delivery import Reply
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import EventIn, Ingest
from tests.runtime.installation import FILES, NOON, at, installed, number, people, turns

QUICK = """
journey: quick
class: promotion
enter:
  - on: subscriber.activated
again: always
steps:
  - id: thanks
    award: 5
    for: quick
"""

RUNS = """
SELECT run, status, ended_at IS NOT NULL AS ended FROM past_enrollments
UNION ALL SELECT run, status, ended_at IS NOT NULL FROM enrollments ORDER BY run
"""


@pytest.mark.parametrize("before", [0, 1])
async def test_runs_that_end_and_begin_again_in_one_turn_are_all_kept(
    database_url: str, redis_url: str, before: int
) -> None:
    files = {**FILES, "journeys/quick.yaml": QUICK}
    del files["journeys/welcome.yaml"]
    async with installed(database_url, redis_url, files) as office:
        await people(office, [1])
        ingest = Ingest(office)
        for batch in (range(before), range(before, before + 3)):
            for n in batch:
                await ingest.events([EventIn("1", "subscriber.activated", str(n))], "switch")
            await turns(office)
        found = [tuple(row) for row in await office.pool.fetch(RUNS)]
    assert found == [(run + 1, "finished", True) for run in range(before + 3)]


@pytest.mark.parametrize("said", [("STOP", "START"), ("START", "STOP"), ("STOP", "START", "STOP")])
async def test_which_of_two_consents_of_one_turn_was_the_last_is_on_record(
    office: Context, said: tuple[str, ...]
) -> None:
    await people(office, [1])
    ingest = Ingest(office)
    replies = [Reply("sms", number(1), it, f"{n}") for n, it in enumerate(said)]
    await ingest.inbox.replies(replies)
    await ingest.answered()
    found = await office.pool.fetch(
        "SELECT wording FROM consent_records WHERE purpose = 'everything' ORDER BY at"
    )
    assert [row["wording"] for row in found] == [*said]
    times = await office.pool.fetchval("SELECT count(DISTINCT at) FROM consent_records")
    assert times == len(said)


async def test_a_consent_whose_turn_goes_by_an_earlier_time_is_on_record_as_the_later(
    office: Context,
) -> None:
    """Its turn has read the time, and waited for another turn of the same person."""
    await people(office, [1])
    for moment, words in ((NOON, "STOP"), (NOON - timedelta(seconds=5), "START")):
        ingest = Ingest(at(office, moment))
        await ingest.inbox.replies([Reply("sms", number(1), words, words)])
        await ingest.answered()
    said = await office.pool.fetch("SELECT wording FROM consent_records ORDER BY at")
    assert [row["wording"] for row in said] == ["STOP", "START"]
