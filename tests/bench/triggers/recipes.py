"""Events of a whole city through the two shipped recipes, by real processes on a fast clock; what
fired and what was queued must be what the oracle says of the same events. With `disturbed`, one in
twenty comes late, one in twenty comes twice, and processes are killed all the while."""

from __future__ import annotations

import asyncio
import heapq
import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec

from orchestrator.core.feed import Happened
from orchestrator.core.model import Consent
from orchestrator.project.city import AIRPORT, CAMPUSES, generate
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.embedded import Urls
from orchestrator.store import subscribers
from orchestrator.store.subscribers import NewSubscriber
from tests.bench.triggers.oracle import Oracle, Sets
from tests.bench.triggers.throughput import KEY, PORT, listening
from tests.bench.versions.world import HOME, OUTREACH, World

FIRST = 86_138_0000_0000
TEN = datetime(2026, 3, 2, 10, tzinfo=timezone(timedelta(hours=8)))
MEAN_BUSY = 1.45
"""Of the generator's day curve from ten to four."""
LATENESS_S = 1800
LATE = TWICE = 0.05
LATEST_S = 0.5 * LATENESS_S
KILL_EVERY_S = 7.0
STARTING_S = 60.0
"""Real seconds before the day begins, in which everything starts."""
AT_ONCE = 4
BATCH = 1_000
PROCESSES = (("matcher",), ("matcher",), ("worker",), ("web",))
URL = f"http://127.0.0.1:{PORT}/v1/events"

FIRED = """
SELECT e.at, a.address, e.properties ->> 'journey' FROM events e
JOIN addresses a ON a.subscriber_id = e.subscriber_id AND a.channel = 'sms'
WHERE e.kind = 'trigger'
"""
SENT = "SELECT address, journey, queued_at FROM messages"
WAITING = "SELECT count(*) FROM events WHERE taken_at IS NULL"


class Run:
    """One installation and one day of its city."""

    def __init__(
        self, urls: Urls, folder: Path, events: int, people: int, speed: float, seed: int,
        hours: float, *, disturbed: bool,
    ) -> None:  # fmt: skip
        self.urls, self.folder, self.seed, self.disturbed = urls, folder, seed, disturbed
        self.events, self.hours = events, hours
        self.people = range(FIRST, FIRST + people)
        self.speed = speed
        self.clock = Clock()
        self.world = World(urls, folder, self.clock)
        chance = random.Random(seed)
        self.lists = {
            "crbt-prospects": frozenset(chance.sample(self.people, people * 3 // 10)),
            "crbt-users": frozenset(chance.sample(self.people, people // 2)),
            "mms-readers": frozenset(chance.sample(self.people, people * 3 // 10)),
            "blacklist": frozenset(chance.sample(self.people, people // 100)),
        }
        self.oracle = Oracle(
            Sets(
                self.lists["crbt-prospects"], self.lists["crbt-users"], self.lists["mms-readers"],
                self.lists["blacklist"], CAMPUSES, AIRPORT,
            )
        )  # fmt: skip
        self.killed = self.late = self.twice = self.posted = 0
        self.most_behind_s = 0.0

    async def run(self) -> dict[str, Any]:
        """What it came to; ends the program if anything differs from the oracle."""
        await self._build()
        began = time.monotonic()
        with self._running() as processes:
            await listening(f"http://127.0.0.1:{PORT}/livez")
            await asyncio.sleep(8)
            killing = asyncio.create_task(self._kill(processes)) if self.disturbed else None
            await self._feed()
            if killing is not None:
                killing.cancel()
                await asyncio.gather(killing, return_exceptions=True)
            print("  the last waits end …", flush=True)
            end = TEN + timedelta(hours=self.hours, seconds=2 * LATENESS_S)
            await asyncio.sleep(self.clock.real_seconds_until(end))
            connection = await asyncpg.connect(self.urls.database_url)
            while await connection.fetchval(WAITING):  # noqa: ASYNC110 - others work on it
                await asyncio.sleep(0.5)
            await asyncio.sleep(5)
        self.oracle.pass_to(end.timestamp())
        found = await self._judge(connection)
        await connection.close()
        return {
            "events": self.posted,
            "people": len(self.people),
            "late": self.late,
            "twice": self.twice,
            "killed": self.killed,
            "most_behind_s": round(self.most_behind_s),
            "wall_s": round(time.monotonic() - began),
            **found,
        }

    async def _build(self) -> None:
        project = self.world.project
        for part in ("journeys", "templates"):
            shutil.copytree(HOME / part, project / part)
        for file in (project / "journeys/triggers").glob("*.yaml"):
            file.write_text(re.sub(r"(?m)^control: .*\n", "", file.read_text()))
        feed = project / "journeys/program/events.yaml"
        text = re.sub(r"(?m)^lateness: .*\n", "", feed.read_text())
        feed.write_text(f"{text}\nlateness: {LATENESS_S}s\n")
        self.clock = Clock.starting(
            TEN.astimezone(UTC) - timedelta(seconds=STARTING_S * self.speed), self.speed
        )
        self.world = World(self.urls, self.folder, self.clock)
        self.world.env |= {"OUTREACH_API_KEYS": KEY, "OUTREACH_WEB_PORT": str(PORT)}
        await asyncio.to_thread(self.world.applied)
        connection = await asyncpg.connect(self.urls.database_url)
        consent = {"marketing": Consent(True, TEN - timedelta(days=100), "bench", "")}
        for begin in range(0, len(self.people), 5_000):
            news = [
                NewSubscriber(
                    key=f"k{number}", locale="en", timezone="Asia/Shanghai",
                    addresses={"sms": f"+{number}"}, consents=consent,
                )
                for number in self.people[begin : begin + 5_000]
            ]  # fmt: skip
            async with connection.transaction():
                await subscribers.upsert(connection, news, self.clock.now(), "en")
        await connection.execute("VACUUM ANALYZE")
        await connection.close()
        file = self.folder / "numbers.txt"
        for name, numbers in self.lists.items():
            file.write_text("".join(f"+{number}\n" for number in sorted(numbers)))
            code, _, complained = await asyncio.to_thread(
                self.world.outreach, "list", "load", name, str(file)
            )
            assert code == 0, complained
        # The day begins once everything stands.
        self.clock = Clock.starting(
            TEN.astimezone(UTC) - timedelta(seconds=STARTING_S * self.speed), self.speed
        )
        self.world.env["OUTREACH_CLOCK"] = str(self.clock)

    @contextmanager
    def _running(self) -> Iterator[list[subprocess.Popen[bytes]]]:
        processes = [self._start(it) for it in PROCESSES]
        try:
            yield processes
        except SystemExit:
            print(self.world.log.read_text()[-3000:])
            raise
        finally:
            for it in processes:
                it.terminate()
                it.wait()

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self.world.log.open("ab") as log:
            return subprocess.Popen(
                [*OUTREACH, *command], env=self.world.env, stdout=log, stderr=log
            )

    async def _kill(self, processes: list[subprocess.Popen[bytes]]) -> None:
        chance = random.Random(self.seed)
        while True:
            await asyncio.sleep(KILL_EVERY_S * chance.uniform(0.5, 1.5))
            number = chance.choice((0, 1, 0, 1, 2, 3))
            processes[number].kill()
            processes[number].wait()
            processes[number] = self._start(PROCESSES[number])
            self.killed += 1

    async def _feed(self) -> None:
        """Every event is posted when its time has come, or late, or twice."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(AT_ONCE)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-ndjson"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(AT_ONCE):
                group.create_task(_post(session, queue))
            batch: list[bytes] = []
            shown = 0
            for at, event in self._arrivals():
                if len(batch) == BATCH or at > self.clock.now().timestamp():
                    if batch:
                        await queue.put(b"\n".join(batch))
                        batch.clear()
                    ahead_s = self.clock.real_seconds_until(datetime.fromtimestamp(at, UTC))
                    await asyncio.sleep(max(ahead_s, 0.05) if ahead_s else 0)
                    behind_s = self.clock.now().timestamp() - at
                    self.most_behind_s = max(self.most_behind_s, behind_s)
                    if behind_s > LATENESS_S - LATEST_S:
                        raise SystemExit(
                            f"after {self.posted:,} events {behind_s / self.speed:.0f} s behind: "
                            "the machine is too slow for this speed, try a lower one"
                        )
                batch.append(_line(event))
                self.posted += 1
                if self.posted - shown == 1_000_000:
                    shown = self.posted
                    print(
                        f"  {shown:,} events, {len(self.oracle.firings):,} waits came to an end, "
                        f"{self.killed} processes killed",
                        flush=True,
                    )
            await queue.put(b"\n".join(batch))
            for _ in range(AT_ONCE):
                await queue.put(None)

    def _arrivals(self) -> Iterator[tuple[float, Happened]]:
        """When each event comes, in that order; the oracle sees them in theirs."""
        chance = random.Random(self.seed)
        rate = self.events / (self.hours * 3600) / MEAN_BUSY
        put_off: list[tuple[float, int, Happened]] = []
        number = 0
        for events in generate(self.seed, self.people, TEN, self.hours, rate):
            for event in events:
                self.oracle.see(event)
                while put_off and put_off[0][0] <= event.at:
                    at, _, late = heapq.heappop(put_off)
                    yield at, late
                if not self.disturbed:
                    yield event.at, event
                    continue
                draw = chance.random()
                if draw < LATE + TWICE:
                    number += 1
                    at = event.at + chance.uniform(0, LATEST_S)
                    heapq.heappush(put_off, (at, number, event))
                if draw < LATE:
                    self.late += 1
                else:
                    self.twice += draw < LATE + TWICE
                    yield event.at, event
        while put_off:
            at, _, late = heapq.heappop(put_off)
            yield at, late

    async def _judge(self, connection: asyncpg.Connection) -> dict[str, Any]:
        fired = sorted(
            (round(at.timestamp(), 3), int(address[1:]), journey)
            for at, address, journey in await connection.fetch(FIRED)
        )
        wanted = sorted((round(at, 3), who, journey) for at, who, journey in self.oracle.firings)
        rows = await connection.fetch(SENT)
        sent = sorted((int(address[1:]), journey) for address, journey, _ in rows)
        to_send = sorted(self.oracle.sends())
        due = {(who, journey): at for at, who, journey in self.oracle.firings}
        early = [
            (address, journey)
            for address, journey, at in rows
            if at.timestamp() < due.get((int(address[1:]), journey), 0)
        ]
        for name, ours, theirs in (("fired", fired, wanted), ("sent", sent, to_send)):
            if ours != theirs:
                lacking, strange = {*theirs} - {*ours}, {*ours} - {*theirs}
                print(f"{name}, lacking: {sorted(lacking)[:10]}\nstrange: {sorted(strange)[:10]}")
                raise SystemExit(
                    f"{name}: {len(ours):,}, the oracle says {len(theirs):,}; "
                    f"{len(lacking)} lacking, {len(strange)} strange"
                )
        if early:
            raise SystemExit(f"{len(early)} messages were early: {early[:10]}")
        return {"fired": len(fired), "sent": len(sent)}


async def _post(session: aiohttp.ClientSession, queue: asyncio.Queue[bytes | None]) -> None:
    """Bodies are posted until each is taken; whoever does not answer may have taken it."""
    while (body := await queue.get()) is not None:
        while True:
            try:
                async with session.post(URL, data=body) as answer:
                    said = await answer.json(content_type=None)
                    if answer.status == 202 and not said["set_aside"]:
                        break
                    if answer.status != 429:
                        raise SystemExit(f"the web process said {answer.status}: {said}")
                    await asyncio.sleep(float(answer.headers["Retry-After"]))
            except (aiohttp.ClientError, ConnectionError):
                await asyncio.sleep(0.1)


def _line(event: Happened) -> bytes:
    return msgspec.json.encode(
        {
            "name": event.name,
            "number": event.who,
            "source_id": event.source_id,
            "at": datetime.fromtimestamp(event.at, UTC),
            "properties": event.properties,
        }
    )
