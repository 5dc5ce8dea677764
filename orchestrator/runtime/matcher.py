"""The matcher: owns some partitions of the feed, judges their events, and commits what fired.

Everything it knows is in memory; what must outlive it is committed in one transaction with what
fired, on the connection whose leases make the partitions its own. Whoever takes over begins from
that commit and reads the events after it again, so that nothing is lost and nothing comes twice.
Whatever goes wrong (Redis restarts, the connection ends) has one remedy: to begin again from there.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg
from msgspec.structs import replace
from redis.exceptions import RedisError

from orchestrator.core.errors import OutreachError
from orchestrator.core.matching import Matching
from orchestrator.core.sieve import Who
from orchestrator.core.standing import Fired, State
from orchestrator.core.triggers import Triggers
from orchestrator.runtime.context import Context
from orchestrator.runtime.feed_stream import FeedStream
from orchestrator.runtime.fired_turns import RING_EVERY_S, FiredTurns
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.streams import BEGINNING, Entry, Progress
from orchestrator.runtime.worker import following
from orchestrator.store import lease, matching, sharing
from orchestrator.store.matching import Checkpoint, Place
from orchestrator.store.now import real_now

LOOK_S = 0.5
"""Real seconds between two looks at who else shares the partitions, and what authors changed."""

REST_S = 2.0
"""What need not be committed with what fired (states, waits, how far we are) is so soon."""

WAIT_MS = 50
"""So long we listen for new events; meanwhile nothing else is noticed."""

MOST_ENTRIES = 32
"""Entries of one partition that are taken between two looks at the time."""

MOST_FIRED = 5_000
"""With so many to be committed, no more events are taken before they are."""

REST_PER_EVENT_S, LONGEST_REST_S = 0.002, 0.2
"""After so many events as were read at once we rest, so that the next are more: what is read at
once is committed at once, and one more costs a tenth of the first. Few events hardly wait for each
other; with more than 500 a second, a commit is of a fifth of a second."""

ENDING_S = 5.0
"""What is under way when a matcher ends, or begins again, is waited for so long."""

AHEAD_S = 60.0
"""Somebody's clock was wrong if events were judged of a time so far ahead of all that can have
come. It goes back then: better some begin late than none for as long as the clock was ahead."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Between a failure and the next try."""

log = logging.getLogger(__name__)


class ClockError(OSError):
    """The clock of Redis, or ours, was set back."""


class _Partition:
    """A partition that is ours: its matcher, where in its stream we are, and what is not committed
    yet."""

    def __init__(self, number: int, place: Place | None, partitions: int, engine: Matching) -> None:
        self.number = number
        self.partitions = partitions
        self.engine = engine
        self.cursor = place.seen_id if place else BEGINNING
        self.taken = place.taken if place else 0
        self.resume_id = place.resume_id if place else BEGINNING
        self.states_watermark = place.states_watermark if place else engine.watermark
        self.kept: deque[tuple[str, float]] = deque()
        """Entries that may have to be read again: id, and when the last of their events was."""
        self.fired: list[Fired] = []
        self.states: dict[Who, State] = {}
        self.dirty = self.resume_id != self.cursor

    def take(self, entry: Entry) -> None:
        """The entry's events are taken, and what fires at once has fired."""
        self.fired += self.engine.take(entry.events)
        self.taken = entry.count or self.taken
        self.cursor = entry.id
        self._keep(entry)
        self.dirty = True

    def replay(self, entries: Sequence[Entry]) -> None:
        """What was taken before the last commit is known again."""
        events = [it for entry in entries for it in entry.events]
        self.engine.learn(events, self.states_watermark)
        self.engine.take(events, replayed=True)
        for entry in entries:
            self._keep(entry)

    def advance(self, watermark: float) -> None:
        """Everything up to the watermark is judged."""
        if self.engine.next_at <= watermark:
            self.dirty = True
        self.fired += self.engine.advance(watermark)

    def checkpoint(self, whole: bool) -> Checkpoint:
        """What is to be committed now; `whole`: also what can wait a while."""
        changes = self.engine.changes()
        self.states.update(changes.states)
        states: dict[Who, State] = {}
        if whole:
            states, self.states = self.states, {}
            self.states_watermark = watermark = self.engine.watermark
            while self.kept and self.kept[0][1] <= watermark:
                self.resume_id = self.kept.popleft()[0]
            if not self.kept:
                self.resume_id = self.cursor
            self.dirty = bool(self.kept)
        fired, self.fired = self.fired, []
        place = Place(
            partitions=self.partitions,
            resume_id=self.resume_id,
            seen_id=self.cursor,
            taken=self.taken,
            watermark=self.engine.watermark,
            states_watermark=self.states_watermark,
        )
        return Checkpoint(self.number, place, fired, changes, states)

    def _keep(self, entry: Entry) -> None:
        last = max((it.at for it in entry.events), default=float("-inf"))
        self.kept.append((entry.id, last))


class Matcher:
    """The matcher of one process, on the connection of its leases."""

    def __init__(self, context: Context, connection: asyncpg.Connection) -> None:
        self._context = context
        self._streams = context.streams
        self._connection = connection
        self._using = asyncio.Lock()
        self._ours: dict[int, _Partition] = {}
        self._triggers: Triggers | None = None
        self._number = -1
        self._late = 0
        self._looked_at = self._rested_at = float("-inf")
        self._real_s = 0.0
        self._covered: dict[int, Progress] = {}
        self._committing: asyncio.Task[None] | None = None
        self._rested_until = float("-inf")
        self._turns = FiredTurns(context)

    async def run(self, stopping: asyncio.Event) -> None:
        """Partitions are taken, matched and given back, until asked to stop; then everything is
        committed and given back. Raises what the stores raise."""
        await sharing.join(self._connection)
        try:
            while not stopping.is_set():
                await self._look()
                await self._listen()
                await self._commit()
                await self._turns.ring(RING_EVERY_S)
            await self._settle()
            await self._take_off()
            await self._turns.ring()
            await sharing.leave(self._connection)
            await self._give([*self._ours])
        finally:
            if self._committing is not None:
                self._committing.cancel()
                await asyncio.wait({self._committing}, timeout=ENDING_S)
            await self._turns.ended(ENDING_S)
            self._context.meters.matching(partitions=0, waits=0, late=0)

    async def _look(self) -> None:
        """Now and then: the newest project and lists, and our fair part of the partitions."""
        if time.monotonic() - self._looked_at < LOOK_S:
            return
        context = self._context
        if self._triggers is None or self._number != context.projects.number:
            self._number = context.projects.number
            self._triggers = Triggers(context.projects.project, context.lists)
            for it in self._ours.values():
                it.engine.renewed(self._triggers)
                it.dirty = True
        async with self._using:
            self._real_s = (await real_now(self._connection)).timestamp()
            self._looked_at = time.monotonic()
            quota = await sharing.quota(self._connection, self._streams.partitions)
        await self._take_off()
        if len(self._ours) > quota:
            await self._settle()
            await self._give(sorted(self._ours)[quota:])
        elif len(self._ours) < quota:
            await self._take(quota - len(self._ours))
        engines = [it.engine for it in self._ours.values()]
        late = sum(it.late for it in engines)
        context.meters.matching(
            partitions=len(engines),
            waits=sum(it.waiting for it in engines),
            late=max(0, late - self._late),
            backlog=await self._streams.backlog(
                {number: it.cursor for number, it in self._ours.items()}
            ),
        )
        self._late = late

    async def _take(self, most: int) -> None:
        """Up to so many partitions that nobody has are ours, as far as they had come."""
        partitions = self._streams.partitions
        candidates = [it for it in range(partitions) if it not in self._ours]
        random.shuffle(candidates)
        async with self._using:
            for number in await sharing.take(self._connection, candidates, most):
                slots = matching.slots_of(number, partitions)
                place, standing = await matching.load(self._connection, number, slots)
                if place is not None and place.partitions != partitions:
                    raise OutreachError(
                        f"the feed has {place.partitions} partitions, not {partitions}",
                        "OUTREACH_PARTITIONS must be the same for all; to change it: see "
                        "docs/operators.md",
                    )
                assert self._triggers is not None
                now = await self._streams.now()
                if place is not None and place.watermark > self._to_come(now):
                    watermark = self._watermark(now)
                    known = min(place.states_watermark, watermark)
                    place = replace(place, watermark=watermark, states_watermark=known)
                    standing = replace(standing, watermark=watermark)
                    log.warning("clock_was_wrong partition=%d", number)
                lateness_s = self._triggers.project.feed.lateness.total_seconds()
                engine = Matching(self._triggers, lateness_s, standing)
                it = _Partition(number, place, partitions, engine)
                if place is not None:
                    self._covered[number] = Progress(place.taken, place.resume_id)
                    it.replay(await self._streams.again(number, place.resume_id, place.seen_id))
                self._ours[number] = it
                log.info("partition_taken partition=%d waits=%d", number, len(standing.waits))

    async def _give(self, numbers: Sequence[int]) -> None:
        """These partitions, of which everything is committed, are nobody's."""
        for number in numbers:
            del self._ours[number]
        async with self._using:
            await sharing.give(self._connection, numbers)
        if numbers:
            log.info("partitions_given count=%d", len(numbers))

    async def _listen(self) -> None:
        """New events are taken, and time has passed for the others."""
        if not self._ours:
            await asyncio.sleep(WAIT_MS / 1000)
            return
        if (rest_s := self._rested_until - time.monotonic()) > 0:
            await asyncio.sleep(rest_s)
        cursors = {number: it.cursor for number, it in self._ours.items()}
        wait_ms = 1 if any(it.fired for it in self._ours.values()) else WAIT_MS
        now, arrived, found = await self._streams.read(cursors, MOST_ENTRIES, wait_ms)
        # More may wait behind a full hand.
        full = {number for number, entries in found.items() if len(entries) >= MOST_ENTRIES}
        if not full:
            read = sum(len(entry.events) for entries in found.values() for entry in entries)
            rest_s = min(LONGEST_REST_S, REST_PER_EVENT_S * read)
            self._rested_until = time.monotonic() + rest_s
        latest = self._watermark(arrived)
        if any(it.engine.watermark > self._to_come(now) for it in self._ours.values()):
            raise ClockError("events were judged of a time that has not come")
        for number, it in self._ours.items():
            entries = found.get(number, [])
            for entry in entries:
                # So that what is late does not depend on how much is read at once.
                it.advance(self._watermark(min(entry.arrived, arrived)))
                it.take(entry)
            if number not in full:
                it.advance(latest)

    def _to_come(self, now: float) -> float:
        """No watermark can rightly be there yet, at `now` (Unix seconds, by Redis)."""
        return self._context.clock.domain_at(now).timestamp() + AHEAD_S

    def _watermark(self, arrived: float) -> float:
        """Up to when everything has come that counts in its order, once what Redis took until
        `arrived` (Unix seconds) is here."""
        assert self._triggers is not None
        lateness = self._triggers.project.feed.lateness
        return (self._context.clock.domain_at(arrived) - lateness).timestamp()

    async def _commit(self) -> None:
        """What fired is being committed, at once; and the rest, now and then."""
        if self._committing is not None:
            too_many = sum(len(it.fired) for it in self._ours.values()) > MOST_FIRED
            if not self._committing.done() and not too_many:
                return
            await self._committed()
        whole = time.monotonic() - self._rested_at >= REST_S
        some = [
            it.checkpoint(whole) for it in self._ours.values() if it.fired or (whole and it.dirty)
        ]
        if whole:
            self._rested_at = time.monotonic()
        if some:
            self._committing = asyncio.create_task(self._save(some))
            await asyncio.sleep(0)

    async def _settle(self) -> None:
        """Everything so far is committed."""
        await self._committed()
        some = [it.checkpoint(True) for it in self._ours.values()]
        if some:
            await self._save(some)

    async def _committed(self) -> None:
        if self._committing is not None:
            task, self._committing = self._committing, None
            await task

    async def _save(self, checkpoints: Sequence[Checkpoint]) -> None:
        context = self._context
        began_at = time.monotonic()
        now = context.clock.domain_at(self._real_s + time.monotonic() - self._looked_at)
        async with self._using:
            stored, nobody = await matching.save(self._connection, checkpoints, now, context.ids)
        for it in checkpoints:
            self._covered[it.partition] = Progress(it.place.taken, it.place.resume_id)
        await self._turns.let(stored)
        fired = [it for checkpoint in checkpoints for it in checkpoint.fired]
        context.meters.fired(fired, len(fired) - nobody, time.monotonic() - began_at)

    async def _take_off(self) -> None:
        """What is committed waits no longer."""
        covered, self._covered = self._covered, {}
        if covered:
            await self._streams.take_off(covered)


async def serve(context: Context, stopping: asyncio.Event) -> None:
    """This process matches its part of the feed until asked to stop, and then has given it back.

    The project and the lists must be followed meanwhile. Raises OutreachError.
    """
    pause_s = FIRST_PAUSE_S
    while not stopping.is_set():
        began_at = time.monotonic()
        try:
            async with lease.session(context.pool) as connection:
                await Matcher(context, connection).run(stopping)
        except (
            RedisError,
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,  # of a connection that ended amid an operation
        ) as error:
            log.warning("matcher_begins_again error=%s", type(error).__name__)
            if time.monotonic() - began_at > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause_s * (1 + random.random()))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


@asynccontextmanager
async def feeding(context: Context) -> AsyncIterator[asyncio.Task[None]]:
    """This process matches its part of the feed, and takes in what the stream `outreach:feed` has,
    until the block ends. Yields what ends only if it cannot go on."""
    stopping = asyncio.Event()
    async with following(context, LOOK_S):
        consumer = FeedStream(context.streams.redis, Intake(context), context.name)
        tasks = [
            asyncio.create_task(serve(context, stopping)),
            asyncio.create_task(consumer.serve(stopping)),
        ]
        try:
            yield tasks[0]
        finally:
            stopping.set()
            await asyncio.gather(*tasks)
