"""One installation under attack: servers, processes, a carrier, and people with telephones."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
from msgspec import Struct

from channels.carriers.smsc import Change, SmscSettings
from channels.carriers.visitors import Visitors
from channels.webchat.link import mint
from tests.faults import campaign
from tests.faults.carrier import RudeSmsc
from tests.faults.judge import Hurt, Verdict, heard, judge, lateness, recovery
from tests.faults.servers import Servers
from tests.faults.staff import Member

DATABASE = "faults"
SECRET = b"the secret of a run of faults"
SWEEP_S = 0.5
PACE = 400.0
"""Messages per second that fall due, unless a fault says otherwise."""
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

OPEN = """
SELECT (SELECT count(*) FROM enrollments WHERE status = 'active')
    + (SELECT count(*) FROM messages WHERE state = 'queued') + (SELECT count(*) FROM attempts)
    + (SELECT count(*) FROM events WHERE taken_at IS NULL)
"""


LEFT = """
SELECT concat_ws(', ',
    (SELECT count(*) FROM enrollments WHERE status = 'active') || ' active',
    (SELECT count(*) FROM messages WHERE state = 'queued') || ' queued',
    (SELECT string_agg(concat_ws(' ', 'attempt', id, priority, claimed_by, not_before, lease_until),
        ', ') FROM (SELECT * FROM attempts ORDER BY id LIMIT 5) some))
"""


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that goes wrong. `disturb` does it while the messages go out, and returns once
    everything is well again; `promise` looks at the verdict and says what it breaks. `rate`: what
    the carrier allows per second; everybody is due at once then, and how soon that rate is reached
    again is measured. `late`: how late the latest message was is measured; `replies`:
    what people say is counted."""

    name: str
    disturb: Callable[[World], Awaitable[None]]
    promise: Callable[[Verdict], list[str]]
    uncertain: str = "hold"
    messages: int = 2_000
    short: int = 0
    wait_s: int = 2
    clocks_off_s: float = 0.0
    pace: float = PACE
    rate: int = 0
    late: bool = False
    replies: bool = False
    sweep_s: float = SWEEP_S
    smpp: str = ""
    carrier: dict[str, Any] = {}
    staff: tuple[str, ...] = ("worker", "gateway")
    patience_s: float = 90.0


class World:
    """What a fault may take hold of."""

    def __init__(self, fault: Fault, seed: int, messages: int, servers: Servers) -> None:
        self.fault, self.messages, self.servers = fault, messages, servers
        self.random = Random(f"{fault.name}:{seed}")
        self.verdict = Verdict(name=fault.name, seed=seed, messages=messages)
        carrier = {"receipt_delay_s": 0.02, "deliver_window": 200, **fault.carrier}
        self.smsc = RudeSmsc(SmscSettings(**carrier), seed)
        self.arrived = 0
        self.well_at = 0.0
        self.hurts: list[Hurt] = []
        self.web_port = free_port()
        self.visitors = Visitors(
            f"http://127.0.0.1:{self.web_port}", lambda who: f"/chat?token={mint(who, SECRET)}"
        )
        self.opted_out: dict[str, datetime] = {}
        self.skew = servers.folder.root / "skew"
        self.staff = {role: Member(role, self._env, servers.folder.root) for role in fault.staff}
        for role, member in self.staff.items():
            if role.endswith("-off"):
                member.command[1:3] = ["-m", "tests.faults.skewed", str(self.skew)]

    # For faults

    async def reached(self, share: float, patience_s: float = 120.0) -> None:
        """So much of what is to be sent stands on the handsets, or that does not come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self.arrived < share * self.messages:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    def moments(self, count: int, until: float = 0.9) -> list[float]:
        """So many random points of the run, as shares of what arrives, in order."""
        return sorted(self.random.random() * until for _ in range(count))

    async def kill(self, role: str) -> None:
        """The process was killed with -9, and its supervisor starts another."""
        self.verdict.kills += 1
        self.verdict.gateway_kills += role.startswith("gateway")
        await self.staff[role].kill()

    def well(self) -> None:
        """The carrier is well again: from now on its rate can be reached."""
        self.well_at = time.monotonic()

    @asynccontextmanager
    async def hurting(self) -> AsyncIterator[None]:
        """Something is away until the block ends."""
        began = now()
        yield
        self.hurts.append(Hurt(began, now()))

    async def ask(self, query: str, *values: object) -> Any:
        """What the database answers, once it does."""
        while True:
            try:
                connection = await asyncpg.connect(self.servers.database_url(DATABASE))
                try:
                    return await connection.fetchval(query, *values)
                finally:
                    await connection.close()
            except AWAY:
                await asyncio.sleep(0.1)

    # The run

    async def run(self) -> Verdict:
        """The verdict, with what it breaks in `failed`."""
        began = time.monotonic()
        fault, verdict = self.fault, self.verdict
        await self.servers.fresh(DATABASE)
        self.set_clocks_off(fault.clocks_off_s)
        self.smsc.on_change.append(self._see)
        await self.smsc.start()
        try:
            connection = await asyncpg.connect(self.servers.database_url(DATABASE))
            people = self.messages // len(campaign.STEPS)
            spread_s = 0.0 if fault.rate else self.messages / fault.pace
            await campaign.begin(connection, people, fault.uncertain, fault.wait_s, spread_s)
            await connection.close()
            for member in self.staff.values():
                member.start()
            async with self._supervision():
                await fault.disturb(self)
                sent_s = self.messages / fault.rate if fault.rate else spread_s
                await self._settle(sent_s + fault.wait_s + fault.patience_s)
            connection = await asyncpg.connect(self.servers.database_url(DATABASE))
            handsets = self.smsc.handsets
            await judge(connection, verdict, handsets, fault.wait_s, self.opted_out)
            if fault.late:
                late = await lateness(connection, handsets, fault.wait_s, self.hurts, fault.sweep_s)
                verdict.late_s, verdict.sweep_s = late.most_s, fault.sweep_s
                if self.hurts:
                    verdict.late_calm_s, verdict.late_hurt_s = late.calm_s, late.hurt_s
            if fault.replies:
                await heard(connection, verdict, {**handsets, **self.visitors.handsets})
            await connection.close()
            if fault.rate and self.well_at:
                verdict.recovered_pct, verdict.recovered_s = recovery(
                    self.smsc.taken_at, self.well_at, fault.rate
                )
        finally:
            await self.visitors.stop()
            for member in self.staff.values():
                await member.kill()
            await self.smsc.stop()
        verdict.failed = fault.promise(verdict)
        verdict.seconds = round(time.monotonic() - began, 1)
        return verdict

    async def _settle(self, patience_s: float) -> None:
        """Nothing is on its way any more, or it has taken too long; then it counts as it is."""
        try:
            async with asyncio.timeout(patience_s):
                while await self.ask(OPEN):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
        except TimeoutError:
            self.verdict.left = await self.ask(LEFT)
        await asyncio.sleep(self.smsc.settings.receipt_delay_s + 0.5)

    @asynccontextmanager
    async def _supervision(self) -> AsyncIterator[None]:
        """Whoever ends is started again, as systemd would."""

        async def supervise() -> None:
            while True:
                for member in self.staff.values():
                    if not member.runs:
                        if member.process is not None and member.process.returncode != -9:
                            member.ended_by_itself += 1
                        member.start()
                await asyncio.sleep(0.05)

        task = asyncio.create_task(supervise())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _see(self, change: Change) -> None:
        if change.kind == "arrived":
            self.arrived += 1

    def _env(self, life: str) -> dict[str, str]:
        """The settings of one process."""
        account = f"outreach:secret@127.0.0.1:{self.smsc.port}"
        usual = "source=10086&reconnect=0.1&reconnect_max_s=1&refused_s=0.5&deadline=3"
        if self.fault.rate:
            usual += f"&rate={self.fault.rate}"
        return {
            "DATABASE_URL": self.servers.database_url(DATABASE, life),
            "REDIS_URL": self.servers.redis_url,
            "OUTREACH_SECRET": SECRET.decode(),
            "OUTREACH_WEB_PORT": str(self.web_port),
            "OUTREACH_PROJECT": str(self.servers.folder.root),
            "OUTREACH_SMPP_URL": f"smpp://{account}?{usual}{self.fault.smpp}",
            "OUTREACH_SWEEP_S": str(self.fault.sweep_s),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

    def set_clocks_off(self, by_s: float) -> None:
        """The clocks of members called `…-off` are wrong by so much from now on."""
        draft = self.skew.with_suffix(".new")
        draft.write_text(str(by_s))
        draft.replace(self.skew)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def now() -> datetime:
    return datetime.now(UTC)
