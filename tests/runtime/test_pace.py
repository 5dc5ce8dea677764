"""A journey's pace: no more than so many messages are handed to carriers, whoever hands them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
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
    until,
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
    """A carrier that takes everything, if it is slow only once so many messages have been handed to
    it, and remembers when it was handed what."""

    capabilities = Capabilities(max_text=160, two_way=False, receipts=False)

    def __init__(self, name: str = "sms", waits_for: int = 0) -> None:
        self.name = name
        self.waits_for = waits_for
        self.handed: list[tuple[float, int]] = []

    async def start(self, inbox: Inbox) -> None: ...

    async def stop(self) -> None: ...

    def health(self) -> Health:
        return "up"

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        when = time.monotonic()
        self.handed += [(when, m.subscriber_id) for m in batch]
        await until(lambda: len(self.handed) >= self.waits_for)
        return [Outcome(m.message_id, "accepted", f"{self.name}{m.message_id}") for m in batch]


async def remember_times(context: Context) -> None:
    """`times_taken` knows from now on."""
    await do(context, "CREATE TABLE taken (at timestamptz)")
    await do(
        context,
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO taken VALUES (new.taken_at); RETURN new; END'",
    )
    await do(
        context,
        "CREATE TRIGGER note AFTER INSERT OR UPDATE ON paces FOR EACH ROW EXECUTE FUNCTION note()",
    )


async def times_taken(context: Context) -> list[datetime]:
    """When a lot's time was taken, each time. When a line is handed it says less: of two lots, the
    first may be held up on its way."""
    return [row[0] for row in await rows(context, "SELECT at FROM taken ORDER BY at")]


def apart(times: Sequence[datetime], every_s: float) -> bool:
    """No two of them are closer together."""
    return all(b - a >= timedelta(seconds=every_s) for a, b in pairwise(times))


async def test_what_does_not_fit_goes_by_itself_in_order_and_never_in_a_burst(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, paced("50/s")) as context:
        who = await queued(context, 60)
        await remember_times(context)
        line = Line()
        assert await Delivery(context, line).run() == 60
        assert [one for _, one in line.handed] == who
        lots = Counter(when for when, _ in line.handed)
        assert [*lots.values()] == [10] * 6
        times = await times_taken(context)
        assert len(times) == 6
        assert apart(times, 0.2)
        assert await rows(context, STATES) == [("accepted", 60)]
        assert await value(context, "SELECT count(*) FROM attempts") == 0


async def test_gateways_and_channels_share_one_pace(database_url: str, redis_url: str) -> None:
    both = {"journeys/chat.yaml": WELCOME.replace("welcome", "chat", 1).replace("[sms]", "[chat]")}
    async with installed(database_url, redis_url, paced("20/s", **both)) as context:
        await queued(context, 40)
        await remember_times(context)
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
        lots = Counter(when for line in lines for when, _ in line.handed)
        assert max(lots.values()) <= 4
        assert apart(await times_taken(context), 0.2)


async def test_a_slow_carrier_does_not_slow_the_pace(database_url: str, redis_url: str) -> None:
    async with installed(database_url, redis_url, paced("20/s")) as context:
        await queued(context, 16)
        line = Line(waits_for=12)
        assert await Delivery(context, line).run() == 16, "no lot waited for the one before it"


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
        assert await Delivery(context, line).run() == 3
        assert len({when for when, _ in line.handed[-3:]}) == 1, "all together"


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
        await remember_times(context)
        line = Line()
        assert await Delivery(later, line).run() == 4
        assert len({when for when, _ in line.handed}) == 2
        times = await times_taken(context)
        assert len(times) == 2
        assert apart(times, 0.2)


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
