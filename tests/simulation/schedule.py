"""One thing at a time: who goes on next is drawn by the seed, and is the same whenever the seed is.

Everything that runs in a simulated world runs in a `Life`: one life of one process. Its code is the
real code; what it awaits outside itself (a statement, the time, the carrier) is a *yield point*,
where its task is parked until the schedule lets it go on. Exactly one task goes on at a time, and
only once everything it set off has come to rest is the next one drawn. A statement is the finest
grain at which PostgreSQL shows anything to others, so nothing is lost by not going finer.

**Locks.** A statement may wait for a row that a parked transaction has locked. It is sent all the
same; if it is not answered within `LOOK_S`, a second connection asks `pg_blocking_pids`. That time
only says when to look: a statement is either answered or blocked by another's transaction, and we
ask until it is one of the two, so no decision depends on how fast the machine is. While somebody is
blocked, the one who blocks goes on, to the end of the transaction if it comes to that; so what one
commit wakes is one statement, and not two that race. If those who wait wait for each other, the
one who came last gets the error that PostgreSQL would give after `deadlock_timeout`.

**Death.** Whoever is killed is killed at a yield point: nothing of it runs any more, and its open
transaction is rolled back, as PostgreSQL does when a connection ends. The connection itself is
used again by others, because making a new one costs as much as all the rest of a world; no code
here holds anything on a connection but its transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from hashlib import sha256
from random import Random
from typing import Any, TypeVar

import asyncpg

LOOK_S = 0.005
"""Real seconds after which an unanswered statement is asked after. Changes nothing but speed."""

BLOCKERS = "SELECT pg_blocking_pids($1)"

Answer = TypeVar("Answer")


class Killed(asyncio.CancelledError):
    """The process was killed. Not an Exception: nothing takes it for a failure and goes on."""


class Life:
    """One life of a process: its tasks see `dead` at their next yield point, and do not go on by
    themselves before the step `frozen_until`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen_until = 0
        self.jobs: dict[str, asyncio.Task[Any]] = {}


class Parked:
    """A task at a yield point, about to do `what`, maybe on `connection`."""

    def __init__(self, life: Life, what: str, connection: object | None, since: int) -> None:
        self.life, self.what, self.connection, self.since = life, what, connection, since
        self.go: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Running:
    """A statement that PostgreSQL has not answered. `blocked`: it waits for this connection."""

    def __init__(self, life: Life, raw: asyncpg.Connection) -> None:
        self.life, self.raw = life, raw
        self.blocked: asyncpg.Connection | None = None
        self.deadlocked = False


_life: ContextVar[Life] = ContextVar("life")
_schedule: ContextVar[Schedule] = ContextVar("schedule")
_read_at: ContextVar[float] = ContextVar("read_at")


class Schedule:
    """Lets parked tasks go on one by one, tells the time, and writes down what was done."""

    def __init__(self, random: Random, monitor: asyncpg.Connection, began: float) -> None:
        self.random, self.now = random, began
        self.steps = self.statements = self.blocks = self.deadlocks = 0
        self.parked: list[Parked] = []
        self.trace: list[str] = []
        self.broken: list[str] = []
        """What no process should ever come to."""
        self.commits: dict[float, tuple[int, float]] = {}
        """When the transaction whose time was read then was committed: the step and the time."""
        self._began = began
        self._monitor = monitor
        self._running: list[Running] = []
        self._changed: asyncio.Future[None] | None = None
        self._ready: Any = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]

    # For the code in the world

    async def park(self, what: str, connection: object | None = None) -> None:
        """The schedule lets this task go on."""
        life = _life.get()
        if life.dead:
            raise Killed
        parked = Parked(life, what, connection, self.steps)
        self.parked.append(parked)
        await parked.go

    async def ask(
        self,
        what: str,
        raw: asyncpg.Connection,
        connection: object,
        call: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """PostgreSQL's answer, after a yield point."""
        await self.park(what, connection)
        return await self.tell(raw, call)

    async def tell(self, raw: asyncpg.Connection, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """PostgreSQL's answer, at once."""
        life = _life.get()
        running = Running(life, raw)
        self._running.append(running)
        self.statements += 1
        try:
            answer = await call()
        except asyncpg.QueryCanceledError:
            if life.dead:
                raise Killed from None
            if running.deadlocked:
                raise asyncpg.DeadlockDetectedError("they wait for each other") from None
            raise
        finally:
            self._running.remove(running)
            self._wake()
        return answer

    def ended(self) -> None:
        """A transaction has ended: whoever it blocked may go on."""
        for running in self._running:
            running.blocked = None

    async def real_now(self) -> datetime:
        """The time of this world, after a yield point."""
        await self.park("reads the time")
        _read_at.set(self.now)
        return datetime.fromtimestamp(self.now, UTC)

    def committed(self) -> None:
        """The transaction of this task is committed."""
        read_at = _read_at.get(None)
        if read_at is not None:
            self.commits[read_at] = (self.steps, self.now)

    def last_commit(self) -> tuple[int, float]:
        """The step of this task's last commit, and the time that its transaction went by."""
        read_at = _read_at.get()
        return self.commits[read_at][0], read_at

    def note(self, line: str) -> None:
        """The trace has this line."""
        self.trace.append(line)

    # For whoever drives the world

    async def start(self, life: Life, job: str, work: Coroutine[Any, Any, Any]) -> None:
        """The work has begun in that life, and has come to its first yield point, or its end."""

        async def run() -> None:
            _life.set(life)
            _schedule.set(self)
            try:
                await work
            except asyncpg.DeadlockDetectedError:
                self.note(f"{life.name} {job}: given up by PostgreSQL, to be rung again")
            except Exception as error:
                self.broken.append(f"{life.name} {job}: {type(error).__name__}: {error}")
            finally:
                life.jobs.pop(job, None)

        life.jobs[job] = asyncio.get_running_loop().create_task(run())
        await self._rest()

    async def go_on(self, parked: Parked) -> None:
        """This task has gone on to its next yield point, and so has what it set off."""
        self.parked.remove(parked)
        if parked.life.dead:
            parked.go.set_exception(Killed())
        else:
            self._step(parked.life, parked.what)
            parked.go.set_result(None)
        await self._rest()

    async def finish(self) -> None:
        """Everybody has come to the end of what they do, each in turn."""
        while self.parked or self.someone_waits:
            can = self.choice()
            await (self.go_on(can[0]) if can else self.end_deadlock())

    async def kill(self, life: Life, others: Iterable[asyncio.Task[Any]] = ()) -> None:
        """That process is gone, with its jobs and other tasks, and PostgreSQL has noticed."""
        self.note(f"{self.steps} {life.name} is killed")
        life.dead = True
        for running in [it for it in self._running if it.life is life]:
            await self._monitor.execute("SELECT pg_cancel_backend($1)", pid(running.raw))
        for parked in [it for it in self.parked if it.life is life]:
            self.parked.remove(parked)
            parked.go.set_exception(Killed())
        self.ended()
        await self._rest()
        for task in [*life.jobs.values(), *others]:  # those who waited for others of their own
            task.cancel()
        await self._rest()

    def choice(self) -> list[Parked]:
        """Who may go on: all who are parked, or, if somebody waits for a lock, whoever has it."""
        waiting = next((it for it in self._running if it.blocked is not None), None)
        if waiting is None:
            return self.parked
        holder = waiting.blocked
        seen = 0
        while (behind := next((it for it in self._running if it.raw is holder), None)) is not None:
            holder, seen = behind.blocked, seen + 1
            if seen > len(self._running):
                return []
        return [it for it in self.parked if getattr(it.connection, "raw", None) is holder]

    @property
    def someone_waits(self) -> bool:
        """Somebody is blocked by another's lock."""
        return any(it.blocked is not None for it in self._running)

    async def end_deadlock(self) -> None:
        """Of those who wait for each other, the last gets an error."""
        last = self._running[-1]
        last.deadlocked, last.blocked = True, None
        self.deadlocks += 1
        self.note(f"{self.steps} {last.life.name} is the victim of a deadlock")
        await self._monitor.execute("SELECT pg_cancel_backend($1)", pid(last.raw))
        await self._rest()

    def digest(self) -> str:
        """What tells this trace from every other."""
        return sha256("\n".join(self.trace).encode()).hexdigest()

    # Inside

    def _step(self, life: Life, what: str) -> None:
        self.steps += 1
        self.now += 0.002 * self.random.randrange(1, 20)
        self.note(f"{self.steps} {self.now - self._began:.3f}s {life.name} {what}")

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _rest(self) -> None:
        """Everybody is parked, blocked, waiting for somebody of theirs, or done."""
        loop, noted = asyncio.get_running_loop(), len(self.trace)
        while True:
            if any(it.blocked is None for it in self._running):
                self._changed = loop.create_future()
                timer = loop.call_later(LOOK_S, self._wake)
                before = len(self._running)
                await self._changed
                timer.cancel()
                if len(self._running) == before:
                    await self._look()
            elif self._ready:
                await asyncio.sleep(0)
            else:
                # Whoever a commit woke races with whoever committed, and with whoever was given up
                # for them: their order here is ours, and that of what came of it in the trace.
                self.parked.sort(key=lambda it: (it.since, it.life.name, it.what))
                self.trace[noted:] = sorted(self.trace[noted:])
                return

    async def _look(self) -> None:
        """Who is blocked is known to be."""
        for running in [it for it in self._running if it.blocked is None]:
            pids = await self._monitor.fetchval(BLOCKERS, pid(running.raw))
            if running not in self._running or not pids:
                continue
            held = [it.connection for it in self.parked if it.connection is not None]
            raws = [it.raw for it in held] + [it.raw for it in self._running]  # type: ignore[attr-defined]
            running.blocked = next((raw for raw in raws if pid(raw) in pids), None)
            if running.blocked is not None:
                self.blocks += 1
                self.note(f"{self.steps} {running.life.name} waits for a lock")


class WorldTime:
    """What stands in for the module `time` where seconds are measured to decide by."""

    @staticmethod
    def monotonic() -> float:
        return _schedule.get().now


async def yielding(seconds: float) -> None:
    """A sleep, as the world that this task runs in has it."""
    schedule = _schedule.get()
    schedule.now += seconds
    await asyncio.sleep(0)
    await schedule.park("has slept")


def pid(raw: asyncpg.Connection) -> int:
    """The number of the connection's process in PostgreSQL."""
    return int(raw.get_server_pid())
