"""The stream `outreach:feed`: whoever can add to a Redis stream can report events.

An entry's field `event` holds one event of JSON, `events` NDJSON. Processes share the stream as the
consumer group `outreach`; an entry is acknowledged, and deleted, once its events are dealt with.
An event without `at` happened when its entry was added.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import asyncpg
import msgspec
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from orchestrator.runtime.intake import Intake
from orchestrator.runtime.reports import MOST_KEPT, Broken, EventShape, read_lines, unfit
from orchestrator.runtime.streams import BEGINNING, FEED, PATIENCE_S, FullError

GROUP = "outreach"
MOST_ENTRIES = 200
MOST_OCTETS = 512 * 1024
MOST_EVENTS = 5_000
"""Of entries and events that are dealt with at once."""
WAIT_MS = 250
FORSAKEN_MS = 15_000
"""Entries that a consumer has had for so long are taken over: it was killed."""

GONE_MS = 60_000
"""A consumer that has not asked for so long (it asks four times a second) was killed."""

LONGEST_AGO_S = 86_400.0
"""An entry is taken for one of the last day: whoever adds it may give it any id."""

NEW = ">"
"""Instead of an id: entries that nobody had yet."""

# The group forgets consumers that have nothing in hand and have not asked for a while. With what
# one has in hand the group would forget that too: so it is looked at and done in one step.
_FORGET = """
for _, it in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local told = {}
  for i = 1, #it, 2 do told[it[i]] = it[i + 1] end
  if told['pending'] == 0 and told['idle'] >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], told['name'])
  end
end
"""

PAUSE_S = 1.0
"""Between a failure and the next try."""

AWAY = (RedisError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""No fault of an event's: it is tried again."""

_Entry = tuple[bytes, Mapping[bytes, bytes]]

log = logging.getLogger(__name__)


class FeedStream:
    """One consumer of the stream."""

    def __init__(self, redis: Redis, intake: Intake, name: str) -> None:
        self._redis = redis
        self._intake = intake
        self._name = name
        self._claimed_at = float("-inf")
        self._forget = redis.register_script(_FORGET)

    async def serve(self, stopping: asyncio.Event) -> None:
        """The same, whatever happens to Redis and PostgreSQL meanwhile."""
        while not stopping.is_set():
            try:
                await self.run(stopping)
            except Exception as error:  # nobody else would see that feeds stand still
                log.warning("feed_stream_begins_again error=%s", type(error).__name__)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), PAUSE_S)

    async def run(self, stopping: asyncio.Event) -> None:
        """Entries are dealt with as they come, until asked to stop; before them those that we had
        in hand when something failed. Raises RedisError, or TimeoutError if Redis says nothing."""
        async with asyncio.timeout(PATIENCE_S):
            await self._join()
        after: str | bytes = BEGINNING
        while not stopping.is_set():
            async with asyncio.timeout(PATIENCE_S):
                entries = await self._forsaken()
                if not entries:
                    entries = await self._read(after)
                    after = entries[-1][0] if entries and after != NEW else NEW
            for some in _hands([it for it in entries if it[1]]):
                if not await self._deal_with(some, stopping):
                    return
        async with asyncio.timeout(PATIENCE_S):
            await self._leave()

    async def _join(self) -> None:
        """The group is there."""
        try:
            await self._redis.xgroup_create(FEED, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _read(self, after: str | bytes) -> list[_Entry]:
        """NEW entries, once there is one; or, after an id, those that we have in hand."""
        found = await self._redis.xreadgroup(
            GROUP, self._name, {FEED: after}, count=MOST_ENTRIES, block=WAIT_MS
        )
        entries: list[_Entry] = found[0][1] if found else []
        return entries

    async def _forsaken(self) -> list[_Entry]:
        now = asyncio.get_running_loop().time()
        if now - self._claimed_at < FORSAKEN_MS / 3000:
            return []
        self._claimed_at = now
        await self._forget(keys=[FEED], args=[GROUP, GONE_MS])
        _, entries, *_ = await self._redis.xautoclaim(
            FEED, GROUP, self._name, FORSAKEN_MS, "0-0", count=MOST_ENTRIES
        )
        return [it for it in entries if it[1]]

    async def _deal_with(self, entries: list[_Entry], stopping: asyncio.Event) -> bool:
        """These entries are dealt with and gone; False if we were asked to stop before."""
        shapes: list[EventShape] = []
        broken: list[Broken] = []
        for name, fields in entries:
            if not fields.keys() & {b"event", b"events"}:
                broken.append(_other(fields))
                continue
            read, unread = read_lines(_lines(fields))
            added = self._intake.clock.domain_at(_added_s(name))
            shapes += [it if it.at else replace(it, at=added) for _, it in read]
            broken += unread
        for start in range(0, max(1, len(shapes)), MOST_EVENTS):
            some = shapes[start : start + MOST_EVENTS]
            if not await self._take(some, broken if not start else (), stopping):
                return False
        ids = [name for name, _ in entries]
        async with (
            asyncio.timeout(PATIENCE_S),
            self._redis.pipeline(transaction=True) as gone,
        ):
            gone.xack(FEED, GROUP, *ids)
            gone.xdel(FEED, *ids)
            await gone.execute()
        return True

    async def _take(
        self, some: Sequence[EventShape], broken: Sequence[Broken], stopping: asyncio.Event
    ) -> bool:
        """These are taken, or set aside if they never can be; False if we were asked to stop."""
        while True:
            try:
                await self._intake.take(some, broken=broken)
            except FullError as full:
                if stopping.is_set():
                    return False
                await asyncio.sleep(full.retry_s)
            except Exception as raised:
                error = raised
                if not some or (
                    isinstance(error, AWAY) and not isinstance(error, asyncpg.DataError)
                ):
                    raise
                break
            else:
                return True
        if len(some) == 1:
            reason = "it cannot be taken: " + type(error).__name__
            return await self._take((), [*broken, unfit(some[0], 0, reason)], stopping)
        for place, it in enumerate(some):
            if not await self._take([it], () if place else broken, stopping):
                return False
        return True

    async def _leave(self) -> None:
        """The group need not know a consumer who is gone and left nothing."""
        consumers = await self._redis.xinfo_consumers(FEED, GROUP)
        for it in consumers:
            if it["name"] == self._name.encode() and not it["pending"]:
                await self._redis.xgroup_delconsumer(FEED, GROUP, self._name)


def _hands(entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
    """The entries, so many at a time as are not too much at once."""
    hand: list[_Entry] = []
    octets = 0
    for entry in entries:
        hand.append(entry)
        octets += sum(map(len, entry[1].values()))
        if octets >= MOST_OCTETS:
            yield hand
            hand, octets = [], 0
    if hand:
        yield hand


def _added_s(name: bytes) -> float:
    """When the entry of this id was added, in Unix seconds."""
    now_s = time.time()
    return min(now_s, max(now_s - LONGEST_AGO_S, int(name.partition(b"-")[0]) / 1000))


def _lines(fields: Mapping[bytes, bytes]) -> bytes:
    """What an entry says, as lines."""
    if b"event" in fields:
        return fields[b"event"].replace(b"\n", b" ")
    return fields[b"events"].rstrip(b"\n")


def _other(fields: Mapping[bytes, bytes]) -> Broken:
    """An entry that says nothing where we look: all of it is kept."""
    said = {
        name.decode("utf-8", "replace"): it.decode("utf-8", "replace")
        for name, it in fields.items()
    }
    body = msgspec.json.encode(said).decode()
    return Broken(0, body[:MOST_KEPT], "an entry has a field `event` or `events`")
