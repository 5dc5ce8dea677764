"""A journey edited at random while workers carry people through it and telephones ring."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import open_context
from orchestrator.runtime.embedded import Urls
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.store.ids import instant_of
from tests.bench.versions.world import FILES, World, fill, write
from tests.runtime.edits import TEMPLATES, Applied, Author, Received, entry, first, judge

MONDAY = datetime(2026, 3, 2, 1, tzinfo=UTC)
SLICE = 2_000
PAUSE_S = 5.0
ENTERING = 0.7
"""People come in during so much of the edits."""
HEARD_S = 30.0
"""Real seconds after which every worker has heard of a project; its sweeps are busy."""

UNDER_WAY = """
SELECT (SELECT count(*) FROM enrollments WHERE ended_at IS NULL)
    + (SELECT count(*) FROM messages WHERE state = 'queued')
    + (SELECT count(*) FROM events WHERE taken_at IS NULL)
"""
LIVES = """
SELECT s.addresses ->> 'sms' AS number, e.entered_at, e.status,
    array_agg(m.id ORDER BY m.id) FILTER (WHERE m.id IS NOT NULL) AS ids,
    array_agg(m.template ORDER BY m.id) FILTER (WHERE m.id IS NOT NULL) AS templates
FROM enrollments e JOIN subscribers s ON s.id = e.subscriber_id
LEFT JOIN messages m ON m.subscriber_id = e.subscriber_id
GROUP BY s.id, e.subscriber_id, e.entered_at, e.status
"""
MOVES = "SELECT coalesce(sum(moved), 0)::int FROM moves"
NEWEST = "SELECT max(id) FROM projects"
KEPT = "SELECT count(*) FROM projects"
MOVING = """
SELECT count(*) FROM moves WHERE done_at IS NULL AND moved > 0
  AND project_id = (SELECT max(id) FROM projects) AND project_id > $1
"""


class Editor:
    """Somebody who edits, plans and applies, by the commands."""

    def __init__(self, world: World, author: Author) -> None:
        self._world, self._author = world, author
        self.applied: list[Applied] = []
        self.times_s: list[float] = []
        self.ended: Counter[str] = Counter()

    async def begin(self) -> None:
        """The first version runs."""
        write(self._world.project, self._files())
        await asyncio.to_thread(self._world.applied)
        self.applied.append(Applied(self._author.version, MONDAY, MONDAY))

    async def edit(self, number: int, connection: asyncpg.Connection) -> None:
        """The next version is applied, or refused because it would strand somebody; every fifth
        time the command is killed as soon as people move."""
        version = self._author.edit("follow" if number % 5 == 0 or number % 2 else None)
        write(self._world.project, self._files())
        at, kept = self._world.clock.now(), await connection.fetchval(KEPT)
        began = time.monotonic()
        if number % 5 == 0:
            how = await self._killed(connection, await connection.fetchval(NEWEST))
        elif number % 3 == 0:
            how = await self._planned()
        else:
            how = await asyncio.to_thread(self._plain)
        self.times_s.append(time.monotonic() - began)
        if await connection.fetchval(KEPT) > kept:
            self.applied.append(Applied(version, at, self._world.clock.now()))
        else:
            self._author.take_back()
            write(self._world.project, self._files())
        self.ended[how] += 1
        print(
            f"  edit {number}: {version.written().splitlines()[2]:.60} … {how}, "
            f"{self.times_s[-1]:.1f} s",
            flush=True,
        )

    def _files(self) -> dict[str, str]:
        return {**FILES, **TEMPLATES, "journeys/tour.yaml": self._author.version.written()}

    def _plain(self) -> str:
        code, said, complained = self._world.outreach("apply", "--json")
        if code == 0:
            return f"applied, {json.loads(said)['moved']} moved"
        return _refusal(complained)

    async def _planned(self) -> str:
        file = self._world.project.parent / "plan.json"
        why = ""
        for _ in range(3):
            code, _, complained = await asyncio.to_thread(
                self._world.outreach, "plan", "--out", str(file)
            )
            if code:
                return "stranded"
            code, _, complained = await asyncio.to_thread(
                self._world.outreach, "apply", str(file), "--json"
            )
            if code == 0:
                return "applied as planned"
            why = _refusal(complained)
        return why

    async def _killed(self, connection: asyncpg.Connection, newest: int) -> str:
        process = self._world.start("apply", "--json")
        while process.poll() is None:
            if await connection.fetchval(MOVING, newest):
                process.kill()
                process.communicate()
                return "killed while people moved"
            await asyncio.sleep(0.01)
        said, complained = process.communicate()
        return "applied before it could be killed" if said else _refusal(complained)


def _refusal(complained: str) -> str:
    for word in ("stranded", "did not foresee"):
        if word in complained:
            return word
    raise SystemExit(f"apply went wrong: {complained}")


async def run(
    urls: Urls, folder: Path, people: int, edits: int, seed: int, speed: float, workers: int
) -> dict[str, Any]:
    """What it came to; ends the program if a telephone got what no applied version allows."""
    clock = Clock.starting(MONDAY, speed)
    world = World(urls, folder, clock)
    chance = random.Random(seed)
    editor = Editor(world, Author(first(5, wait_h=8), chance))
    got = folder / "got.txt"
    await editor.begin()
    connection = await asyncpg.connect(urls.database_url)
    await fill(connection, people, clock)
    carrier = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.versions.carrier", str(got),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert carrier.stdout
    assert carrier.stdin
    port = int(await carrier.stdout.readline())
    began = time.monotonic()
    with world.running(workers, port):
        async with open_context(
            urls.database_url, urls.redis_url, secret=b"secret", clock=clock
        ) as context:
            ingest, came = Ingest(context), 0
            for number in range(1, edits + 1):
                upto = min(people, round(people * number / (edits * ENTERING)))
                for begin in range(came, upto, SLICE):
                    await _enter(ingest, range(begin + 1, min(begin + SLICE, upto) + 1))
                came = upto
                await asyncio.sleep(PAUSE_S)
                await editor.edit(number, connection)
        print("  everybody goes on to the end …", flush=True)
        while left := await connection.fetchval(UNDER_WAY):
            print(f"  {time.monotonic() - began:5.0f} s: {left:,} to go", flush=True)
            await asyncio.sleep(10)
    wall_s = time.monotonic() - began
    carrier.stdin.close()
    await carrier.wait()
    judged = await _judge(connection, editor.applied, got, timedelta(seconds=HEARD_S * speed))
    moved = await connection.fetchval(MOVES)
    await connection.close()
    return {
        "people": people,
        "versions": len(editor.applied),
        "refused": editor.ended["stranded"] + editor.ended["did not foresee"],
        "killed": editor.ended["killed while people moved"],
        "moved": moved,
        "apply_s_most": round(max(editor.times_s), 1),
        "wall_s": round(wall_s),
        **judged,
    }


async def _enter(ingest: Ingest, numbers: range) -> None:
    """These people come in."""
    reports = [EventIn(f"k{n}", "tour.asked", f"asked:{n}", properties={}) for n in numbers]
    await ingest.events(reports, "bench")


def _heard(got: Path) -> dict[str, list[str]]:
    """By number: what rang there, in order."""
    rang: dict[str, list[str]] = {}
    for line in got.read_text().splitlines():
        number, text, _ = line.split("\t")
        rang.setdefault(number.lstrip("+"), []).append(text)
    return rang


async def _judge(
    connection: asyncpg.Connection, applied: list[Applied], got: Path, patience: timedelta
) -> dict[str, Any]:
    """Every telephone's messages are those queued for its owner, each once, and a sequence that the
    applied versions allow."""
    rang = _heard(got)
    wrong, swapped, messages, lives = [], 0, 0, 0
    for row in await connection.fetch(LIVES):
        queued = row["templates"] or []
        heard = rang.pop(row["number"].lstrip("+"), [])
        lives += 1
        messages += len(heard)
        swapped += heard != queued
        if sorted(heard) != sorted(queued):
            wrong.append(f"{row['number']}: queued {queued}, heard {heard}")
            continue
        pairs = [(name, instant_of(i)) for i, name in zip(row["ids"] or [], queued, strict=True)]
        received = Received(row["entered_at"], pairs, finished=row["status"] == "finished")
        if why := judge(applied, received, entry(applied, row["entered_at"], patience)):
            wrong.append(f"{row['number']}: {why}")
    if wrong or rang:
        print("\n".join(wrong[:20]))
        for number, it in enumerate(applied):
            print(number, it.at, it.version.written())
        raise SystemExit(f"{len(wrong)} telephones got what no version allows, {len(rang)} strange")
    return {"telephones": lives, "messages": messages, "order_on_the_wire_differs": swapped}
