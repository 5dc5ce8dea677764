"""`python -m tests.bench.replies`: how soon the bot answers while a blast goes out beside it.

As `outreach up` runs it: PostgreSQL, Valkey, a worker and a gateway, each a process of its own; the
carrier and its telephones are in this one. One telephone after another asks for its points; the
time from its deliver_sm being written to the answer on its screen is taken, and besides the whole
time since it asked, which includes the carrier's queue: a carrier brings what people say in turn
with the receipts of the blast. Prints figures for people and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import uvloop

from channels.carriers.customer import Customer
from channels.carriers.handset import Handset, Said
from channels.carriers.smsc import Change, Smsc, SmscSettings
from orchestrator.project.source import read_folder
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.embedded import Urls, run_servers
from orchestrator.runtime.projects import apply
from tests.bench.pipeline import ours
from tests.bench.pipeline.__main__ import TEXT_OURS
from tests.bench.pipeline.floor import NOW

HOME = Path(__file__).parents[2]
SHORT_CODE = "10086"
ASKERS = 1000
"""Subscribers 1 to this one ask; the others get the blast."""
ASK_EVERY_S = 0.02
PATIENCE_S = 300.0


class Carrier(Smsc):
    """A carrier that knows when it wrote what each telephone said."""

    def __init__(self) -> None:
        super().__init__(SmscSettings(receipt_delay_s=0.0, remembered=2))
        self.written_at: dict[str, float] = {}
        self._whose: dict[int, str] = {}

    def carry(self, handset: Handset, said: Said) -> None:
        super().carry(handset, said)
        (outbox,) = self._outbox.values()
        if outbox:  # else it has been written at once
            self._whose[id(outbox[-1])] = handset.number
        else:
            self.written_at[handset.number] = time.perf_counter()

    def ready(self, customer: Customer) -> None:
        (outbox,) = self._outbox.values()
        for delivery in islice(outbox, max(0, customer.room)) if self._whose else ():
            if number := self._whose.pop(id(delivery), None):
                self.written_at[number] = time.perf_counter()
        super().ready(customer)


class Asking:
    """Telephones that ask, and how long each waited for its answer: since its deliver_sm was
    written, and since it asked."""

    def __init__(self, smsc: Carrier) -> None:
        self.waits_ms: list[float] = []
        self.whole_ms: list[float] = []
        self.asked = 0
        self.blasted = 0
        self._smsc = smsc
        self._since: dict[str, float] = {}
        smsc.on_change.append(self._changed)

    def ask(self) -> None:
        """The next telephone asks for its points."""
        number = f"8613{800_000_001 + self.asked % ASKERS}"
        self.asked += 1
        self._since[number] = time.perf_counter()
        self._smsc.handset(number).say("points", to=SHORT_CODE)

    def _changed(self, change: Change) -> None:
        if change.kind != "arrived":
            return
        since = self._since.pop(change.number, None)
        if since is None:
            self.blasted += 1
            return
        now = time.perf_counter()
        self.whole_ms.append((now - since) * 1000)
        self.waits_ms.append((now - self._smsc.written_at[change.number]) * 1000)

    async def while_true(self, holds: Callable[[], bool]) -> Asking:
        """Somebody asks every so often as long as it holds, and all were answered."""
        self.waits_ms, self.whole_ms = [], []
        end = time.perf_counter() + PATIENCE_S
        while holds() and time.perf_counter() < end:
            self.ask()
            await asyncio.sleep(ASK_EVERY_S)
        while self._since and time.perf_counter() < end:  # noqa: ASYNC110 - no event of its own
            await asyncio.sleep(0.01)
        if self._since:
            raise SystemExit(f"{len(self._since)} were never answered")
        return self


def shown(what: str, asking: Asking) -> dict[str, float]:
    """The figures, printed."""
    waits, whole = sorted(asking.waits_ms), sorted(asking.whole_ms)
    figures: dict[str, float] = {"replies": len(waits)}
    figures |= {f"p{p}_ms": round(_at(waits, p), 1) for p in (50, 90, 99)}
    figures["max_ms"] = round(waits[-1], 1)
    figures |= {f"with_carrier_queue_p{p}_ms": round(_at(whole, p), 1) for p in (50, 99)}
    print(f"{what:>16}: " + "  ".join(f"{name} {value}" for name, value in figures.items()))
    return figures


def _at(waits_ms: list[float], percent: int) -> float:
    return waits_ms[min(len(waits_ms) - 1, len(waits_ms) * percent // 100)]


@asynccontextmanager
async def processes(urls: Urls, port: int, folder: Path, rate: int) -> AsyncIterator[None]:
    """A gateway and a worker run."""
    env = {
        **os.environ,
        "DATABASE_URL": urls.database_url,
        "REDIS_URL": urls.redis_url,
        "OUTREACH_SMPP_URL": f"smpp://outreach:secret@127.0.0.1:{port}?source={SHORT_CODE}"
        + (f"&rate={rate}" if rate else ""),
        "OUTREACH_PROJECT": str(HOME),
        "OUTREACH_DATA": str(folder / "data"),
        "OUTREACH_SECRET": "bench-bench-bench-bench-bench-bench",
        "OUTREACH_CLOCK": str(Clock.starting(NOW, 1.0)),
    }
    running = []
    for role in ("gateway", "worker"):
        with (folder / f"{role}.log").open("w") as log:
            command = [sys.executable, "-m", "orchestrator.cli", role]
            running.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))  # noqa: ASYNC220
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            await asyncio.to_thread(process.wait)


async def fill(url: str, messages: int) -> None:
    """So many people, whose first message is due tomorrow, and those who ask."""
    connection = await asyncpg.connect(url)
    await ours.fill(connection, ASKERS + messages, 1, TEXT_OURS)
    bot = {k: v for k, v in read_folder(HOME).items() if k.startswith("templates/bot/")}
    await apply(connection, {**ours.files(TEXT_OURS), **bot}, NOW)
    await connection.execute("DELETE FROM enrollments WHERE subscriber_id <= $1", ASKERS)
    await connection.execute("UPDATE enrollments SET due_at = due_at + interval '1 day'")
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def measure(urls: Urls, folder: Path, messages: int, rate: int) -> dict[str, object]:
    await fill(urls.database_url, messages)
    smsc = Carrier()
    await smsc.start()
    asking = Asking(smsc)
    async with processes(urls, smsc.port, folder, rate):
        async with asyncio.timeout(60):
            while not smsc.customers:  # noqa: ASYNC110 - no event of its own
                await asyncio.sleep(0.05)
        end = time.perf_counter() + 1.0
        await asking.while_true(lambda: time.perf_counter() < end)  # warms up
        end = time.perf_counter() + 5.0
        quiet = shown("nothing else", await asking.while_true(lambda: time.perf_counter() < end))
        connection = await asyncpg.connect(urls.database_url)
        await connection.execute("UPDATE enrollments SET due_at = due_at - interval '1 day'")
        await connection.close()
        start = time.perf_counter()
        await asking.while_true(lambda: asking.blasted < messages)
        blast_s = time.perf_counter() - start
        busy = shown("during a blast", asking)
    await smsc.stop()
    reached = round(messages / blast_s)
    print(f"           blast: {messages} messages in {blast_s:.1f} s, {reached}/s")
    return {"quiet": quiet, "blast": busy, "blast_messages": messages, "blast_per_s": reached}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.replies", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help="of the blast (20000)")
    parser.add_argument(
        "--rate", type=int, default=0, help="what the carrier allows per second (no limit)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outreach-bench-") as name:
        folder = Path(name)
        given = SimpleNamespace(database_url=None, redis_url=None, data=folder / "servers")
        with (
            run_servers(given) as urls,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            print(json.dumps(runner.run(measure(urls, folder, options.messages, options.rate))))


if __name__ == "__main__":
    main()
