"""The Redis streams of a feed: `outreach:feed`, where anybody may add events, and one stream for
each partition of subscribers, where those that a trigger may need wait for their matcher.

A partition has one owner at a time, who reads it from its own cursor. There is no consumer group on
it: a group hands an entry to whoever asks, also to an owner who has lost the partition and does not
know yet, and the next one would never see it. What an owner has read is only taken off once what
came of it is committed, so that the next one can read it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from orchestrator.core.errors import OutreachError
from orchestrator.core.feed import Happened
from orchestrator.runtime.gather import Gathering
from orchestrator.store.matching import slot_of

FEED = "outreach:feed"
"""The stream of events that anybody may add to."""

ADDED, TAKEN = "outreach:matching:added", "outreach:matching:taken"
"""By partition: how many events were ever added, and how many of them a commit has covered."""

FULL_RETRY_S = 1.0
"""After so long somebody who was refused may try again."""

MOST_AT_ONCE = 20_000
"""Events that are added in one round trip."""

REST_PER_EVENT_S, LONGEST_REST_S = 0.001, 0.01
"""After so many events as were added at once we rest, so that the next are more: the first costs
what ten others do. Few events hardly wait for each other."""

PATIENCE_S = 10.0
"""Whoever hears nothing of Redis for so long takes it for away."""

BEGINNING = "0-0"

# When the oldest entry of `outreach:feed` was added that is not dealt with (ms since 1970), or now;
# within the last day, since whoever adds one may give it any id.
_SINCE = """
local function since(feed)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if redis.call('XLEN', feed) == 0 then return now end
  local waiting = redis.pcall('XPENDING', feed, 'outreach')
  local id = not waiting.err and waiting[1] > 0 and waiting[2]
    or redis.call('XRANGE', feed, '-', '+', 'COUNT', 1)[1][1]
  return math.max(now - 86400000, math.min(now, tonumber(string.match(id, '^%d+'))))
end
"""

# Events are added to their partitions, all or, if too many wait already, none: then -1.
_ADD = f"""
{_SINCE}
local function counts(key)
  local told, by = redis.call('HGETALL', key), {{}}
  for i = 1, #told, 2 do by[told[i]] = tonumber(told[i + 1]) end
  return by
end
local added, taken, waiting, changed = counts(KEYS[1]), counts(KEYS[2]), 0, {{}}
for partition, count in pairs(added) do
  waiting = waiting + math.max(0, count - (taken[partition] or 0))
end
if waiting >= tonumber(ARGV[1]) then return -1 end
local arrived = since(KEYS[3])
for i = 4, #KEYS do
  local at = 3 * i - 10
  local count = (added[ARGV[at]] or 0) + ARGV[at + 1]
  changed[2 * i - 7], changed[2 * i - 6] = ARGV[at], count
  redis.call('XADD', KEYS[i], '*', 'count', count, 'arrived', arrived, 'events', ARGV[at + 2])
end
redis.call('HSET', KEYS[1], unpack(changed))
return waiting
"""

# Of each partition so many events are covered by a commit, and entries before an id are not needed.
# What the server no longer knows it was given (it lost its memory) is not covered either.
_TAKE_OFF = """
for i = 3, #KEYS do
  local at = 3 * i - 8
  local added = tonumber(redis.call('HGET', KEYS[1], ARGV[at]) or '0')
  local before = tonumber(redis.call('HGET', KEYS[2], ARGV[at]) or '0')
  local count = math.min(added, math.max(before, tonumber(ARGV[at + 1])))
  redis.call('HSET', KEYS[2], ARGV[at], count)
  redis.call('XTRIM', KEYS[i], 'MINID', ARGV[at + 2])
end
"""

# The time (ms since 1970), and see `_SINCE`.
_ARRIVED = f"""
{_SINCE}
local time = redis.call('TIME')
return {{time[1] * 1000 + math.floor(time[2] / 1000), since(KEYS[1])}}
"""

log = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Happened]).decode


class FullError(OutreachError):
    """Too many events wait for matchers; nothing was taken. Try again after `retry_s`."""

    def __init__(self, retry_s: float = FULL_RETRY_S) -> None:
        super().__init__(
            "too many events wait for a matcher",
            "send them again in a moment; if it lasts, start more: outreach matcher",
        )
        self.retry_s = retry_s


class Entry(Struct, frozen=True):
    """One entry of a partition: its id, how many events were ever added with it, and its own. All
    that came before `arrived` (Unix seconds, by Redis) has been added before it: into partitions,
    or into `outreach:feed` and from there into partitions."""

    id: str
    count: int
    arrived: float
    events: list[Happened]


class Progress(Struct, frozen=True):
    """How far a partition has come, as committed: `count` of its events, and the id of the first
    entry that is still needed."""

    count: int
    needed_id: str


class Backlog(Struct, frozen=True):
    """How many events wait for matchers, and for how many real seconds the first of them has."""

    events: int
    lag_s: float


def writable(happened: Sequence[Happened]) -> bool:
    """Whether a stream can hold these events: whole numbers have 64 bits in it."""
    try:
        _encode(happened)
    except OverflowError:
        return False
    return True


def stream_of(partition: int) -> str:
    """The name of a partition's stream."""
    return f"outreach:matching:{partition}"


class Streams:
    """The streams, over one Redis. `most_waiting` events may wait for matchers."""

    def __init__(self, redis: Redis, partitions: int, most_waiting: int) -> None:
        self.redis = redis
        self.partitions = partitions
        self._most_waiting = most_waiting
        self._add = redis.register_script(_ADD)
        self._take_off = redis.register_script(_TAKE_OFF)
        self._adding: Gathering[Happened] = Gathering(
            self._add_some, MOST_AT_ONCE, REST_PER_EVENT_S, LONGEST_REST_S
        )

    async def add(self, happened: Sequence[Happened]) -> None:
        """These events wait for their matchers, and will after a crash of anybody; Redis has
        written them to its append-only file, if it has one. Raises FullError if none was taken."""
        await self._adding.add(happened)

    async def _add_some(self, happened: Sequence[Happened]) -> None:
        parts: dict[int, list[Happened]] = {}
        for it in happened:
            parts.setdefault(slot_of(it.who) % self.partitions, []).append(it)
        values: list[str | int | bytes] = [self._most_waiting]
        for partition, events in parts.items():
            values += [partition, len(events), _encode(events)]
        keys = [ADDED, TAKEN, FEED, *map(stream_of, parts)]
        async with asyncio.timeout(PATIENCE_S):
            answer = await self._add(keys=keys, args=values)
        if answer == -1:
            raise FullError

    async def read(
        self, cursors: Mapping[int, str], most: int, wait_ms: int
    ) -> tuple[float, float, dict[int, list[Entry]]]:
        """Up to `most` entries of each partition after its cursor, once there is one, or none after
        `wait_ms`; before them the time and `arrived` (Unix seconds, by Redis, before it looked):
        all that came until then has been added. An entry that is not ours to read is empty."""
        streams: dict[Any, Any] = {stream_of(it): cursor for it, cursor in cursors.items()}
        async with (
            asyncio.timeout(PATIENCE_S + wait_ms / 1000),
            self.redis.pipeline(transaction=False) as asked,
        ):
            asked.eval(_ARRIVED, 1, FEED)
            asked.xread(streams, count=most, block=wait_ms)
            (now, arrived), found = await asked.execute()
        names = {stream_of(partition).encode(): partition for partition in cursors}
        entries = {names[name]: [_entry(*it) for it in rows] for name, rows in found or ()}
        return now / 1000, arrived / 1000, entries

    async def now(self) -> float:
        """The time by Redis, in Unix seconds."""
        async with asyncio.timeout(PATIENCE_S):
            seconds, micros = await self.redis.time()
        return float(seconds + micros / 1e6)

    async def again(self, partition: int, after: str, until: str) -> list[Entry]:
        """The entries of a partition after one id, up to another."""
        async with asyncio.timeout(PATIENCE_S):
            rows = await self.redis.xrange(stream_of(partition), f"({after}", until)
        return [_entry(*it) for it in rows]

    async def take_off(self, progress: Mapping[int, Progress]) -> None:
        """What these commits cover waits no longer. Safe to repeat, and to leave out: the next one
        makes up for it."""
        keys = [ADDED, TAKEN, *map(stream_of, progress)]
        values: list[int | str] = []
        for partition, it in progress.items():
            values += [partition, it.count, it.needed_id]
        async with asyncio.timeout(PATIENCE_S):
            await self._take_off(keys=keys, args=values)

    async def backlog(self, seen: Mapping[int, str]) -> Backlog:
        """How many events wait in all partitions, and for how long the first has after the last
        seen entry of these."""
        async with (
            asyncio.timeout(PATIENCE_S),
            self.redis.pipeline(transaction=False) as asked,
        ):
            asked.hgetall(ADDED)
            asked.hgetall(TAKEN)
            asked.time()
            for partition, last in seen.items():
                asked.xrange(stream_of(partition), f"({last}", "+", count=1)
            added, taken, (seconds, micros), *firsts = await asked.execute()
        events = sum(max(0, int(n) - int(taken.get(p, 0))) for p, n in added.items())
        since = [int(rows[0][0].partition(b"-")[0]) / 1000 for rows in firsts if rows]
        lag_s = seconds + micros / 1e6 - min(since) if since else 0.0
        return Backlog(events, max(0.0, lag_s))


def _entry(name: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    try:
        count, arrived = int(fields[b"count"]), int(fields[b"arrived"]) / 1000
        return Entry(name.decode(), count, arrived, _decode(fields[b"events"]))
    except (KeyError, ValueError, msgspec.MsgspecError):
        added = int(name.partition(b"-")[0]) / 1000
        log.warning("entry_unread id=%s", name.decode())
        return Entry(name.decode(), 0, added, [])
