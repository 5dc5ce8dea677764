"""One seed, one small world: what is drawn, who lives in it, and how it goes on to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

import asyncpg

from orchestrator.core.delivery import Receipt, Reply
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import LEASE, Delivery
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.meters import Meters
from orchestrator.runtime.projects import Projects
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import take_due
from orchestrator.store import subscribers
from orchestrator.store.ids import Ids
from orchestrator.store.subscribers import NewSubscriber
from tests.simulation.campaign import JOURNEYS, REWARD, ZONE
from tests.simulation.carrier import Carrier, Line
from tests.simulation.connections import Pool, Stock
from tests.simulation.schedule import Life, Parked, Schedule

BEGAN_REAL = 1_800_000_000.0
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
CHANNELS = ("sms", "webchat")
HALVES = (range(0, 64, 2), range(1, 64, 2))
MOST_STEPS = 180
"""Steps of a world before it is let run to its end."""
MOST_ROUNDS = 80
"""Rounds to its end; a world that needs more never comes to rest."""

# What is left to be done, and when the first of it is due.
LEFT = """
SELECT least(
    (SELECT min(due_at) FROM enrollments WHERE subscriber_id = ANY($1::bigint[])),
    (SELECT min(coalesce(not_before, at)) FROM events
     WHERE subscriber_id = ANY($1::bigint[]) AND taken_at IS NULL),
    (SELECT min(due_at) FROM accounts WHERE subscriber_id = ANY($1::bigint[])),
    (SELECT min(not_before) FROM attempts WHERE claimed_by IS NULL)) AS due_at,
    (SELECT count(*) FROM attempts WHERE claimed_by IS NOT NULL) AS claimed,
    (SELECT count(*) FROM parked_receipts p JOIN messages m USING (carrier_id)) AS parked
"""


# So many items of the reward are free for this world; what was sold in others stays sold.
STOCK_UP = "UPDATE stock SET stock = reserved + sold + $2, free = $2 WHERE reward = $1"

# Channels with messages to deliver.
WAITING = "SELECT DISTINCT channel FROM attempts ORDER BY 1"


class Means:
    """What worlds on one database share."""

    def __init__(self, stock: Stock, monitor: asyncpg.Connection, projects: Projects) -> None:
        self.stock, self.monitor, self.projects = stock, monitor, projects
        self.meters = Meters()


class Doorbell:
    """The bell of a world: who is rung for looks some time. It may be forgotten, as Redis may."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.turns = False
        self.deliveries: set[str] = set()

    async def ring_turns(self, shards: Iterable[int]) -> None:
        if [*shards] and self._random.random() > 0.05:
            self.turns = True

    async def ring_delivery(self, channels: Iterable[str]) -> None:
        for channel in sorted(channels):
            if self._random.random() > 0.05:
                self.deliveries.add(channel)


class Member:
    """One process of the staff, over all its lives."""

    def __init__(self, world: World, role: str, number: int) -> None:
        self._world, self.role, self.number = world, role, number
        self._lives = 0
        self.live()

    def live(self) -> None:
        """It has been started, again perhaps."""
        world = self._world
        self._lives += 1
        self.life = Life(f"{self.role}-{self.number}.{self._lives}")
        ids = Ids()
        ids._process = (self.number * 64 + self._lives % 64) << 12
        self.context = Context(
            pool=Pool(world.schedule, world.means.stock),
            bell=world.bell,  # type: ignore[arg-type]
            streams=None,  # type: ignore[arg-type]  # no feed: nobody here asks for it
            redis_url="",
            projects=world.means.projects,
            clock=world.clock,
            ids=ids,
            secret=b"secret",
            name=self.life.name,
            batch=world.batch,
            meters=world.means.meters,
        )
        self.ingest = Ingest(self.context)
        self.deliveries = {
            name: Delivery(self.context, Line(name, world.schedule, world.carrier), lanes=2)
            for name in CHANNELS
        }


class World:
    """A few people, some journeys, and everything that can happen to them."""

    def __init__(self, seed: int, means: Means) -> None:
        self.seed, self.means = seed, means
        self.random = Random(f"world {seed}")
        self.schedule = Schedule(self.random, means.monitor, BEGAN_REAL)
        self.carrier = Carrier(self.schedule, self.random, seed)
        self.clock = Clock(NOON, BEGAN_REAL, self.random.choice([30.0, 60.0, 60.0, 600.0]))
        self.batch = self.random.choice([64, 500])
        self.bell = Doorbell(self.random)
        self.kills = 0
        self.jobs = 0
        self.ids: list[int] = []
        self.people: list[NewSubscriber] = []
        self.staff = [
            Member(self, "worker", 1),
            Member(self, "worker", 2),
            Member(self, "gateway", 3),
            Member(self, "gateway", 4),
            Member(self, "web", 5),
        ]
        self.workers, self.gateways, self.web = self.staff[:2], self.staff[2:4], self.staff[4]
        self.reports: list[EventIn] = []
        self.told: set[str] = set()
        self.script: list[Callable[[], None]] = []
        self.late: list[Callable[[], None]] = []
        """What happens once nothing else is left to be done."""
        self.items = 0
        """So many of the reward can be bought."""
        self._draw()

    @property
    def broken(self) -> list[str]:
        """What no process should ever have come to."""
        return self.schedule.broken

    def domain(self, real: float) -> datetime:
        """Domain time at that time of this world, as PostgreSQL has told it."""
        return self.clock.domain_at(datetime.fromtimestamp(real, UTC).timestamp())

    def level(self, key: str) -> str:
        """What conditions look at in the person of that key."""
        return next(str(one.attributes["level"]) for one in self.people if one.key == key)

    async def run(self) -> None:
        """Everything has happened, and nothing is left to be done."""
        await self._populate()
        await self._go_wrong()
        await self._calm_down()

    # What is drawn

    def _draw(self) -> None:
        random = self.random
        journeys = random.sample(sorted(JOURNEYS), random.choice([1, 1, 2]))
        told = 0
        for n in range(random.randrange(3, 9)):
            key = f"{self.seed}-{n}"
            sms, chat = f"+86{self.seed:09}{n}", f"visitor-{key}"
            addresses = random.choices(
                [{"sms": sms, "webchat": chat}, {"sms": sms}, {"webchat": chat}], [5, 3, 2]
            )[0]
            self.people.append(
                NewSubscriber(
                    key,
                    timezone=ZONE,
                    attributes={
                        "name": f"Name {n}",
                        "level": random.choice(["gold", "plain"]),
                    },
                    addresses=addresses,
                )
            )
            self.carrier.names |= dict.fromkeys(addresses.values(), f"person {n}")
            names = [f"begin.{name}" for name in journeys if random.random() < 0.85]
            names += random.choices(["data.used", "card.topped"], k=random.randrange(3))
            for name in names:
                told += 1
                event = EventIn(key, name, f"{self.seed}-{told}")
                self.told.add(event.source_id)
                self.script += [self._telling(event)] * random.choice([1, 1, 1, 2])
            channel = random.choice(sorted(addresses))
            if random.random() < 0.12:
                self.script.append(self._saying(channel, addresses[channel], "STOP"))
                if random.random() < 0.5:
                    start = self._saying(channel, addresses[channel], "START")
                    random.choice([self.script, self.late]).append(start)
            if random.random() < 0.2:
                told += 1
                event = EventIn(key, f"begin.{random.choice(journeys)}", f"{self.seed}-{told}")
                self.told.add(event.source_id)
                random.choice([self.script, self.late]).append(self._telling(event))
        self._draw_purchases()
        self.script.append(self.carrier.litter)
        # Most are told of early, the rest at any time.
        random.shuffle(self.script)
        random.shuffle(self.late)

    def _draw_purchases(self) -> None:
        """In one world of four there is something to buy, mostly less of it than is wanted. It is
        drawn apart, so that the other worlds are as they would be without it."""
        random = Random(f"shop {self.seed}")
        if random.random() < 0.75:
            return
        self.items = random.choice([1, 1, 2, 4])
        for one in self.people:
            channel = random.choice(sorted(one.addresses))
            for n in range(random.randrange(3)):
                event = EventIn(one.key, "card.topped", f"{one.key}-shop-{n}")
                self.told.add(event.source_id)
                self.script.append(self._telling(event))
            words = [f"redeem {REWARD}"] * random.choice([0, 1, 1, 2])
            words += random.choices(["YES", "NO"], [3, 1], k=random.choice([0, 0, 1]))
            self.script += [self._saying(channel, one.addresses[channel], it) for it in words]

    def _telling(self, event: EventIn) -> Callable[[], None]:
        return lambda: self.reports.append(event)

    def _saying(self, channel: str, address: str, words: str) -> Callable[[], None]:
        return lambda: self.carrier.say(channel, address, words)

    async def _populate(self) -> None:
        raw = self.means.stock.lend()
        await raw.execute(
            "SELECT setval(pg_get_serial_sequence('subscribers', 'id'), $1::bigint * 16 + 1), "
            "setval(pg_get_serial_sequence('attempts', 'id'), $1::bigint * 10000 + 1)",
            self.seed,
        )
        async with raw.transaction():
            await subscribers.upsert(raw, self.people, self.clock.epoch_domain, "en")
        await raw.execute(STOCK_UP, REWARD, self.items)
        found = await subscribers.find_keys(raw, [one.key for one in self.people])
        self.ids = [found[one.key][0] for one in self.people]
        self.means.stock.take_back(raw)

    # What goes wrong

    async def _go_wrong(self) -> None:
        schedule, random = self.schedule, self.random
        while schedule.steps < MOST_STEPS:
            await self.means.stock.grow(6)
            if schedule.someone_waits:
                await self._unblock()
                continue
            moves = self._moves()
            if not moves:
                if not self._thaw():
                    break
                continue
            if random.random() < 0.012:
                await self._kill(random.choice(self.staff))
                continue
            if random.random() < 0.012:
                self._jump()
                continue
            if random.random() < 0.008:
                await self._freeze(random.choice(self.gateways))
                continue
            (move,) = random.choices([m for _, m in moves], [weight for weight, _ in moves])
            await move()

    async def _unblock(self) -> None:
        """Whoever holds the lock that somebody waits for goes on, or dies."""
        schedule = self.schedule
        can = schedule.choice()
        if not can:
            await schedule.end_deadlock()
        elif self.random.random() < 0.03:
            await self._kill(next(m for m in self.staff if m.life is can[0].life))
        else:
            await schedule.go_on(can[0])

    def _moves(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        """What can happen next, and how likely it is."""
        found: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        for parked in self.schedule.parked:
            if parked.life.frozen_until <= self.schedule.steps:
                found.append((4.0, self._going_on(parked)))
        if self.bell.turns:
            found += [(2.0, self._turning(m)) for m in self.workers if not m.life.jobs]
        for channel in sorted(self.bell.deliveries):
            job = f"delivers {channel}"
            found += [(2.0, self._delivering(m, channel)) for m in self.gateways
                      if job not in m.life.jobs]  # fmt: skip
        if self.script:
            found.append((1.0, self._happen))
        if self.reports and "ingests" not in self.web.life.jobs:
            found.append((1.5, self._report))
        if self.carrier.air:
            found += [(1.0, self._bringing(m)) for m in self.gateways if len(m.life.jobs) < 4]
        if found:
            found += [(0.06, self._sweeping(m)) for m in self.workers if not m.life.jobs]
        return found

    def _going_on(self, parked: Parked) -> Callable[[], Awaitable[None]]:
        return lambda: self.schedule.go_on(parked)

    def _turning(self, worker: Member) -> Callable[[], Awaitable[None]]:
        async def turns() -> None:
            halves = [*HALVES]
            self.random.shuffle(halves)
            for shards in [range(64)] if self.random.random() < 0.6 else halves:
                taken = await take_due(worker.context, shards)
                await self.bell.ring_delivery(taken.channels)

        async def begin() -> None:
            self.bell.turns = False
            await self.schedule.start(worker.life, "turns", turns())

        return begin

    def _delivering(self, gateway: Member, channel: str) -> Callable[[], Awaitable[None]]:
        async def begin() -> None:
            self.bell.deliveries.discard(channel)
            delivery = gateway.deliveries[channel]
            work = delivery.run() if self.random.random() < 0.8 else delivery.run_answers()
            if self.random.random() < 0.2:
                self.bell.deliveries.add(channel)  # the other gateway is rung for as well
            await self.schedule.start(gateway.life, f"delivers {channel}", work)

        return begin

    def _sweeping(self, worker: Member) -> Callable[[], Awaitable[None]]:
        return lambda: self.schedule.start(worker.life, "sweeps", sweep(worker.context))

    async def _happen(self) -> None:
        for _ in range(self.random.choice([1, 2, 4, 8])):
            if self.script:
                self.script.pop()()

    async def _report(self) -> None:
        reports, self.reports = self.reports, []
        done = [False]

        async def report() -> None:
            try:
                await self.web.ingest.events(reports, "switch")
                done[0] = True
            finally:
                if not done[0]:
                    self.reports += reports  # whoever reports tries again

        await self.schedule.start(self.web.life, "ingests", report())

    def _bringing(self, gateway: Member) -> Callable[[], Awaitable[None]]:
        async def begin() -> None:
            air = self.carrier.air
            self.random.shuffle(air)
            some = [air.pop() for _ in range(min(len(air), self.random.choice([1, 2, 4, 8])))]
            self.jobs += 1
            await self.schedule.start(
                gateway.life, f"hears {self.jobs}", self._bring(gateway, some)
            )

        return begin

    async def _bring(self, gateway: Member, some: Sequence[Receipt | Reply]) -> None:
        inbox = gateway.ingest.inbox
        left = [*some]
        try:
            if receipts := [it for it in some if isinstance(it, Receipt)]:
                await inbox.receipts(receipts)
                left = [it for it in some if isinstance(it, Reply)]
            if replies := [it for it in some if isinstance(it, Reply)]:
                await inbox.replies(replies)
                left = []
        finally:
            again = left
            if not left and not self.carrier.calm and self.random.random() < 0.1:
                again = [*some]  # our acknowledgement was lost
            self.carrier.air += again

    async def _kill(self, member: Member) -> None:
        if not member.life.jobs:
            return
        self.kills += 1
        await self.schedule.kill(member.life, member.ingest._answering)
        member.live()
        if self.random.random() < 0.5:  # a sweep has rung, soon after
            self.bell.turns = True
            self.bell.deliveries |= {*CHANNELS}

    async def _freeze(self, gateway: Member) -> None:
        """The gateway stands still until its leases are over and a sweep has ended them."""
        if not gateway.life.jobs:
            return
        gateway.life.frozen_until = self.schedule.steps + self.random.randrange(10, 80)
        self.schedule.note(f"{gateway.life.name} is frozen")
        self.schedule.now += LEASE.total_seconds() + 5.0
        idle = [worker for worker in self.workers if not worker.life.jobs]
        if idle:
            await self._sweeping(idle[0])()

    def _thaw(self) -> bool:
        """Nobody is frozen any more; whether anybody was."""
        frozen = [it.life for it in self.gateways if it.life.frozen_until > self.schedule.steps]
        for life in frozen:
            life.frozen_until = 0
        return bool(frozen)

    def _jump(self) -> None:
        jump_s = self.random.choice([1.0, 5.0, 30.0, 60.0, LEASE.total_seconds() + 5.0])
        self.schedule.now += jump_s
        self.schedule.note(f"{jump_s} seconds pass")

    # How it ends

    async def _calm_down(self) -> None:
        """Everybody finishes what they do; then the clock goes from one due thing to the next."""
        schedule = self.schedule
        schedule.note("all is well from here on")
        self.carrier.calm = True
        while self.script:
            self.script.pop()()
        await schedule.finish()
        worker, gateway = self.workers[0], self.gateways[0]
        await self._see_to(worker, "sweeps", sweep(worker.context))
        for _ in range(MOST_ROUNDS):
            if self.broken:
                return
            await self.means.stock.grow(6)
            while self.reports:
                await self._report()
                await schedule.finish()
            while self.carrier.air:
                some, self.carrier.air = self.carrier.air, []
                await self._see_to(gateway, "hears", self._bring(gateway, some))
            left = await self._left()
            if left["due_at"] is None and not left["claimed"] and not left["parked"]:
                if not self.late:
                    return
                self.late.pop()()
                continue
            await self._reach(left)
            await self._see_to(worker, "turns", self._turn_and_deliver())
        self.broken.append(f"never comes to rest: {dict(left)}")

    async def _see_to(self, member: Member, job: str, work: Coroutine[Any, Any, None]) -> None:
        """The job has been done, and what came of it."""
        await self.means.stock.grow(6)
        await self.schedule.start(member.life, job, work)
        await self.schedule.finish()

    async def _left(self) -> Any:
        raw = self.means.stock.lend()
        try:
            return await raw.fetchrow(LEFT, self.ids)
        finally:
            self.means.stock.take_back(raw)

    async def _reach(self, left: Any) -> None:
        """It is time for what is left."""
        schedule = self.schedule
        now = self.domain(schedule.now)
        if left["due_at"] is not None and left["due_at"] > now:
            ahead_s = (left["due_at"] - now).total_seconds() / self.clock.speed
            late_s = self.random.choice([0.0, 600.0, 7200.0, 20000.0]) / self.clock.speed
            schedule.now += ahead_s + late_s + 0.001
        if left["claimed"]:
            schedule.now += LEASE.total_seconds() + 1
        if left["claimed"] or left["parked"]:
            worker = self.workers[0]
            await self._see_to(worker, "sweeps", sweep(worker.context))

    async def _turn_and_deliver(self) -> None:
        worker, gateway = self.workers[0], self.gateways[0]
        await take_due(worker.context, range(64))
        async with worker.context.pool.acquire() as connection:
            rows = await connection.fetch(WAITING)
        for row in rows:
            await gateway.deliveries[row["channel"]].run(partial(next, iter([True]), False))
