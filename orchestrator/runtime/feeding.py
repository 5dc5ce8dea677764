"""Events fed into an installation as they once happened, or as a made-up city has them: each at its
time, shifted to now, by whichever way in there is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp
import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.reports import read_lines
from orchestrator.runtime.streams import FEED, FullError

BATCH = 1_000
"""Events that are sent at once, at most."""
TICK_S = 0.1
"""Events of so many seconds are sent together: none early, the first of them so late."""
SLIP_S = 1.0
"""Once a replay is so many real seconds behind, it goes on more slowly: its events must not come
too late."""

MOST_ENTRIES = 2_000
"""Entries of the Redis stream that may wait before we do."""
BUSY_S = 0.2
TIMEOUT_S = 60.0
MOST_TRIES = 8
AWAY_S = 0.25
"""Before the second try of a server that is away; before each next one twice as long."""

_encode = msgspec.json.Encoder().encode


class Recorded(Struct, frozen=True, gc=False):
    """One event of a recording, and the line on which it stands: it happened to the telephone
    number `who`, or to the subscriber of that key, at `at` (Unix seconds)."""

    line: int
    name: str
    who: int | str
    at: float
    source_id: str
    properties: dict[str, Any]


class Counts(Struct):
    """What became of events: see `runtime.intake.Taken`. `sent` went to where nobody says."""

    lines: int = 0
    stored: int = 0
    known: int = 0
    queued: int = 0
    unmatched: int = 0
    set_aside: int = 0
    strangers: int = 0

    def add(self, other: Counts) -> None:
        """These as well."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class BusyError(Exception):
    """Too many events wait there: only those `taken` were taken. Try again after `retry_s`."""

    def __init__(self, retry_s: float, taken: Counts) -> None:
        super().__init__(retry_s)
        self.retry_s = retry_s
        self.taken = taken


class Sender(Protocol):
    """A way in. Raises BusyError, and OutreachError if it is of no use to try again."""

    async def send(self, lines: Sequence[bytes]) -> Counts:
        """These events, each of JSON, were dealt with."""
        ...


class Direct:
    """Straight into the installation that this process belongs to."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def send(self, lines: Sequence[bytes]) -> Counts:
        read, broken = read_lines(b"\n".join(lines))
        try:
            taken = await self._intake.take([it for _, it in read], broken=broken)
        except FullError as full:
            raise BusyError(full.retry_s, Counts()) from None
        return Counts(
            len(lines), taken.stored, taken.known, taken.queued, taken.unmatched,
            len(taken.set_aside), len(taken.strangers),
        )  # fmt: skip


class ToStream:
    """Into the Redis stream `outreach:feed`, from which matchers take them in."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def send(self, lines: Sequence[bytes]) -> Counts:
        if await self._redis.xlen(FEED) >= MOST_ENTRIES:
            raise BusyError(BUSY_S, Counts())
        await self._redis.xadd(FEED, {"events": b"\n".join(lines)})
        return Counts(len(lines))


class _Refusal(Struct):
    """As far as we read a problem (RFC 9457)."""

    title: str = ""
    detail: str = ""
    taken: Counts = msgspec.field(default_factory=Counts)


class ToServer:
    """To `POST /v1/events` of a server, over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = f"{url.rstrip('/').removesuffix('/v1/events')}/v1/events"
        self._headers = {"Content-Type": "application/x-ndjson"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    async def send(self, lines: Sequence[bytes]) -> Counts:
        body = b"\n".join(lines)
        for tried in range(MOST_TRIES):
            if tried:
                await asyncio.sleep(AWAY_S * 2**tried)
            try:
                async with self._session.post(
                    self._url,
                    data=body,
                    headers=self._headers,
                    timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                ) as answer:
                    said = await answer.read()
                    status, retry = answer.status, answer.headers.get("Retry-After", "")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = type(error).__name__
                continue
            if status == 202:
                return msgspec.json.decode(said, type=Counts)
            refusal = _Refusal()
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                refusal = msgspec.json.decode(said, type=_Refusal)
            if status == 429:
                raise BusyError(float(retry) if retry.isdecimal() else 1.0, refusal.taken)
            reason = f"{status} {refusal.title}".strip()
            if status < 500:
                raise OutreachError(f"{self._url} refuses: {reason}", refusal.detail)
        raise OutreachError(
            f"{self._url} is away: {reason}", "is it running, and is the URL right?"
        )


class Fed(Struct):
    """What a replay came to. `events` were sent; `waited` is how often the installation was busy,
    `slipped_s` by how much the replay became longer because of that; `resume` is the first line
    that was not sent, if there is one."""

    events: int = 0
    counts: Counts = msgspec.field(default_factory=Counts)
    waited: int = 0
    slipped_s: float = 0.0
    seconds: float = 0.0
    resume: int | None = None


class Feeder:
    """One replay, into `sender`. Intervals are divided by `speed`; without one, events go as fast
    as they are taken, each at the instant of its sending; if `as_recorded`, with the time and the
    source id that they have. Else `run` is added to source ids: a second replay is another."""

    def __init__(
        self,
        sender: Sender,
        clock: Clock,
        run: str,
        speed: float | None = 1.0,
        as_recorded: bool = False,
        tell: Callable[[Fed, int], None] = lambda fed, line: None,
    ) -> None:
        self.fed = Fed()
        self._sender = sender
        self._clock = clock
        self._suffix = "" if as_recorded else f"@{run}"
        self._speed = None if as_recorded else speed
        self._as_recorded = as_recorded
        self._tell = tell
        self._begin = 0.0
        self._first = 0.0

    async def feed(self, events: Iterable[Recorded], stop: asyncio.Event) -> Fed:
        """All these were sent, each at its time; or those until `stop` was set."""
        began_at = time.monotonic()
        batch: list[Recorded] = []
        last = 0.0
        for it in events:
            if stop.is_set():
                self.fed.resume = batch[0].line if batch else it.line
                batch = []
                break
            due = self._due(it)
            if batch and (len(batch) >= BATCH or due > last):
                if not await self._sent(batch, stop):
                    break
                batch = []
                due = self._due(it)
            if not batch:
                last = due + TICK_S * (self._clock.speed or 1.0)
            batch.append(it)
        if batch and self.fed.resume is None:
            await self._sent(batch, stop)
        self.fed.seconds = time.monotonic() - began_at
        return self.fed

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _due(self, it: Recorded) -> float:
        """When it is to be sent, in domain time."""
        if self._speed is None:
            return 0.0
        if not self._begin:
            self._begin, self._first = self._now(), it.at
        return self._begin + max(0.0, it.at - self._first) / self._speed

    async def _sent(self, batch: list[Recorded], stop: asyncio.Event) -> bool:
        """These were sent, once the last of them was due; False if we were stopped before."""
        if self._speed is not None:
            ahead = self._due(batch[-1]) - self._now()
            if ahead > 0 and self._clock.speed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), ahead / self._clock.speed)
            elif ahead < -SLIP_S * (self._clock.speed or 1.0):
                self._begin -= ahead
                self.fed.slipped_s -= ahead
        now = self._now()
        lines = [self._line(it, now + place / 1e6) for place, it in enumerate(batch)]
        done = 0
        while True:
            if stop.is_set():
                self.fed.resume = batch[done].line
                return False
            try:
                taken = await self._sender.send(lines[done:])
            except BusyError as busy:
                self.fed.waited += 1
                self.fed.counts.add(busy.taken)
                done += busy.taken.lines
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), busy.retry_s)
            except OutreachError:
                self.fed.resume = batch[done].line
                raise
            else:
                self.fed.counts.add(taken)
                self.fed.events += len(batch)
                self._tell(self.fed, batch[-1].line)
                return True

    def _line(self, it: Recorded, now: float) -> bytes:
        at = it.at if self._as_recorded else now if self._speed is None else self._due(it)
        whom = "number" if type(it.who) is int else "subscriber"
        return _encode(
            {
                "name": it.name,
                whom: it.who,
                "source_id": it.source_id + self._suffix,
                "at": datetime.fromtimestamp(at, UTC),
                "properties": it.properties,
            }
        )
