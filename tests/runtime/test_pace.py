"""A journey's pace: no more than so many messages are handed to carriers, whoever hands them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from msgspec.structs import replace

from channels.base import Capabilities, Health, Inbox
from orchestrator.cli.explain import answer
from orchestrator.core.delivery import Outcome, Outgoing
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.projects import apply
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import take_named
from orchestrator.store import pace
from tests.runtime.installation import (
    FILES,
    NOON,
    at,
    do,
    happened,
    installed,
    people,
    rows,
    turns,
    value,
)

STATES = "SELECT state, count(*) FROM messages GROUP BY 1 ORDER BY 1"
WELCOME = FILES["journeys/welcome.yaml"]


def paced(text: str, **more: str) -> dict[str, str]:
    """The installation's files, its journey at this pace."""
    return {**FILES, "journeys/welcome.yaml": f"{WELCOME}pace: {text}\n", **more}


async def applied(context: Context, files: dict[str, str]) -> None:
    async with context.pool.acquire() as connection:
        await apply(connection, files, context.clock.now())
        await context.projects.follow(connection)


async def queued(context: Context, count: int, first: int = 0) -> list[int]:
    """So many people have a message that waits to be delivered, one after the other."""
    known = await people(context, range(first, first + count))
    await happened(context, known)
    for who in known.values():
        await take_named(context, [who])
    return [*known.values()]


class Line:
    """A carrier that takes everything after a while, and remembers when it was handed what."""

    capabilities = Capabilities(max_text=160, two_way=False, receipts=False)

    def __init__(self, name: str = "sms", slow_s: float = 0.0) -> None:
        self.name = name
        self.slow_s = slow_s
        self.handed: list[tuple[float, int]] = []

    async def start(self, inbox: Inbox) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> Health:
        return "up"

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        when = time.monotonic()
        self.handed += [(when, m.subscriber_id) for m in batch]
        await asyncio.sleep(self.slow_s)
        return [Outcome(m.message_id, "accepted", f"{self.name}{m.message_id}") for m in batch]


def most_in(lines: Sequence[Line], span_s: float) -> int:
    """The most messages that were handed over in any such time."""
    times = sorted(when for line in lines for when, _ in line.handed)
    return max(sum(start <= t < start + span_s for t in times) for start in times)


async def test_what_does_not_fit_goes_by_itself_in_order_and_never_in_a_burst(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, paced("50/s")) as context:
        who = await queued(context, 60)
        line = Line()
        assert await Delivery(context, line).run() == 60
        assert [one for _, one in line.handed] == who
        lots = sorted({when for when, _ in line.handed})
        assert len(lots) == 6
        assert all(later - earlier > 0.15 for earlier, later in pairwise(lots))
        assert most_in([line], 0.1) == 10
        assert await rows(context, STATES) == [("accepted", 60)]
        assert await value(context, "SELECT count(*) FROM attempts") == 0


async def test_gateways_and_channels_share_one_pace(database_url: str, redis_url: str) -> None:
    both = {"journeys/chat.yaml": WELCOME.replace("welcome", "chat", 1).replace("[sms]", "[chat]")}
    async with installed(database_url, redis_url, paced("20/s", **both)) as context:
        await queued(context, 40)
        await do(context, "UPDATE messages SET channel = 'webchat' WHERE subscriber_id % 2 = 0")
        await do(context, "UPDATE attempts a SET channel = m.channel FROM messages m"
                          " WHERE m.attempt_id = a.id")  # fmt: skip
        other = replace(context, name="another")
        lines = [Line(), Line(), Line("webchat"), Line("webchat")]
        deliveries = [
            Delivery(of, line) for of, line in zip([context, other] * 2, lines, strict=True)
        ]
        began_at = time.monotonic()
        assert sum(await asyncio.gather(*(it.run() for it in deliveries))) == 40
        assert time.monotonic() - began_at > 1.7, "40 messages, of which 4 go at once"
        assert most_in(lines, 0.1) <= 8


async def test_a_slow_carrier_does_not_slow_the_pace(database_url: str, redis_url: str) -> None:
    async with installed(database_url, redis_url, paced("20/s")) as context:
        await queued(context, 16)
        line = Line(slow_s=1.0)
        await Delivery(context, line).run()
        lots = sorted({when for when, _ in line.handed})
        assert lots[2] - lots[0] < 1.0, "the second and third lot did not wait for the first"


async def test_a_paced_journey_holds_no_other_up(database_url: str, redis_url: str) -> None:
    other = WELCOME.replace("welcome", "other", 1).replace("subscriber.activated", "other")
    files = paced("1/h", **{"journeys/other.yaml": other.replace("promotion", "urgent")})
    async with installed(database_url, redis_url, files) as context:
        who = await queued(context, 5)
        line = Line()
        waiting = asyncio.create_task(Delivery(context, line).run(lambda: len(line.handed) < 6))
        while not line.handed:  # noqa: ASYNC110 - the channel has no event
            await asyncio.sleep(0.01)
        await happened(context, map(str, range(5)), "other")
        await turns(context)
        delivery = Delivery(context, line)
        running = asyncio.create_task(delivery.run(lambda: len(line.handed) < 6))
        assert sum(await asyncio.gather(waiting, running)) == 6
        assert [one for _, one in line.handed] == [who[0], *who]
        async with context.pool.acquire() as connection:
            assert await pace.count(connection) == {"welcome": 4}
            told = await answer(connection, "4", "welcome", NOON)
        assert "the journey's pace of 1/h" in told.journeys[0].messages[0].why


async def test_a_new_pace_holds_for_what_is_queued_and_for_older_versions_and_ends_when_taken_out(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url) as context:
        await queued(context, 6)
        await applied(context, paced("2/h"))
        line = Line()
        await Delivery(context, line).run(lambda: not line.handed)
        assert len(line.handed) == 1
        assert await value(context, "SELECT count(*) FROM attempts WHERE paced = 'welcome'") > 0
        await applied(context, paced("5/s"))
        assert await Delivery(context, line).run(lambda: len(line.handed) < 3) == 2, "at once"

        await applied(context, FILES)
        await sweep(context)
        began_at = time.monotonic()
        assert await Delivery(context, line).run() == 3
        assert most_in([line], time.monotonic() - began_at) >= 3


async def test_what_a_carrier_throttled_keeps_the_pace(database_url: str, redis_url: str) -> None:
    class Busy(Line):
        async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
            await super().send(batch)
            return [Outcome(m.message_id, "unsent", retry="later") for m in batch]

    async with installed(database_url, redis_url, paced("10/s")) as context:
        await queued(context, 4)
        busy = Busy()
        await Delivery(context, busy).run(lambda: len(busy.handed) < 4)
        assert len(busy.handed) == 4
        # The clock stands still: what is to be tried again is due a little later.
        later = at(context, NOON + timedelta(minutes=1))
        line = Line()
        assert await Delivery(later, line).run() == 4
        lots = sorted({when for when, _ in line.handed})
        assert len(lots) == 2
        assert lots[1] - lots[0] > 0.15


async def test_what_outlives_its_hours_is_put_off_whatever_the_pace(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, paced("1/h")) as context:
        await queued(context, 5)
        evening = at(context, NOON + timedelta(hours=9))
        assert await Delivery(evening, Line()).run(lambda: True) == 0
        assert await rows(context, STATES) == [("expired", 5)]
        await turns(evening)
        assert await rows(context, STATES) == [("queued", 5)]
        due = await rows(context, "SELECT DISTINCT paced, not_before FROM attempts")
        assert due == [("welcome", NOON + timedelta(hours=21))], "at nine in the morning"
        assert await value(context, "SELECT count(*) FROM messages WHERE goes_at IS NULL") == 0


async def test_an_opt_out_reaches_what_waits_for_a_pace(database_url: str, redis_url: str) -> None:
    async with installed(database_url, redis_url, paced("2/s")) as context:
        who = await queued(context, 3)
        await do(
            context,
            "UPDATE messages SET state = 'suppressed' WHERE subscriber_id = ANY($1)",
            who[:2],
        )
        line = Line()
        assert await Delivery(context, line).run() == 1
        assert [one for _, one in line.handed] == [who[2]]
        assert await value(context, "SELECT count(*) FROM attempts") == 0
