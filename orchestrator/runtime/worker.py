"""arq workers: jobs that carry no state and run until nothing is due, supervised."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from arq.worker import Function, Worker, func
from redis.exceptions import RedisError
from tenacity import retry, retry_if_not_exception_type, wait_random_exponential

from orchestrator.runtime import bell
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import LEASE, Delivery
from orchestrator.runtime.redis_url import redis_settings
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import take_due

FOLLOW_S = 1.0
"""Real seconds after which a process goes by a newer project or list: two small queries."""

JOB_TIMEOUT_S = 60
JOB_RUN_S = 40.0
"""A job that still finds work after this long rings for its successor and ends."""
PICKING_S = 1.0
"""What a worker that stops is just picking has this long, if Redis does not answer."""
FINISH_S = 30.0
"""What is under way when a worker stops has this long to finish."""
GIVE_UP_S = 5.0
"""What was cancelled then is waited for so long: it tells Redis, which may not answer."""

log = logging.getLogger(__name__)


class _Worker(Worker):
    """A worker that can be cancelled where nothing of Redis's is in hand: a pipeline that is
    cancelled while it gives up what it watched keeps its connection for good (redis 5.3)."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.at_redis = asyncio.Lock()

    async def _poll_iteration(self) -> None:
        async with self.at_redis:
            await super()._poll_iteration()


def turn_jobs(context: Context) -> list[Function]:
    """The jobs of a worker: `turn` for a lane, and `sweep`."""

    async def turn(ctx: dict[str, Any], lane: str) -> None:
        await context.bell.begin("turn", lane)
        shards = bell.shards_of(int(lane))
        go_on = _for_a_while(ctx["stopping"])
        while go_on():
            taken = await take_due(context, shards)
            await context.bell.ring_delivery(taken.channels)
            if not taken.subscribers:
                return
        await context.bell.ring_turns(shards)

    async def run_sweep(ctx: dict[str, Any], about: str) -> None:
        await context.bell.begin("sweep", about)
        await sweep(context)

    return [
        func(turn, name="turn", keep_result=0, timeout=JOB_TIMEOUT_S, max_tries=1),
        func(run_sweep, name="sweep", keep_result=0, timeout=JOB_TIMEOUT_S, max_tries=1),
    ]


def delivery_jobs(context: Context, delivery: Delivery) -> list[Function]:
    """The job of a gateway: `deliver` its channel."""

    async def deliver(ctx: dict[str, Any], channel: str) -> None:
        await context.bell.begin("deliver", channel)
        go_on = _for_a_while(ctx["stopping"])
        await delivery.run(go_on)
        if not go_on():
            await context.bell.ring_delivery([channel])

    # To cut a send short would leave its messages unknown: it ends by its own deadlines.
    lease_s = LEASE.total_seconds()
    return [func(deliver, name="deliver", keep_result=0, timeout=lease_s, max_tries=1)]


def _for_a_while(stopping: asyncio.Event) -> Callable[[], bool]:
    """True until `stopping` is set or a job has run long enough."""
    end_at = time.monotonic() + JOB_RUN_S
    return lambda: not stopping.is_set() and time.monotonic() < end_at


@asynccontextmanager
async def running_worker(
    context: Context, queue: str, jobs: Sequence[Function], max_jobs: int = 4
) -> AsyncIterator[None]:
    """An arq worker serves `queue` until the block ends; then what is under way may finish.

    arq ends when Redis restarts or is away: it is started again, with growing pauses.
    """

    @retry(
        retry=retry_if_not_exception_type(asyncio.CancelledError),
        wait=wait_random_exponential(multiplier=0.1, max=5),
        before_sleep=lambda state: log.warning(
            "worker_restarts queue=%s error=%s",
            queue,
            type(state.outcome.exception()).__name__ if state.outcome else "",
        ),
    )
    async def serve() -> None:
        redis = await bell.connect(redis_settings(context.redis_url))
        stopping = asyncio.Event()
        worker = _Worker(
            jobs,
            queue_name=queue,
            redis_pool=redis,
            handle_signals=False,
            max_jobs=max_jobs,
            poll_delay=0.05,
            keep_result=0,
            job_timeout=JOB_TIMEOUT_S,
            health_check_interval=15,
            health_check_key=f"{queue}:health:{context.name}",
            job_serializer=bell.serialize,
            job_deserializer=bell.deserialize,
            log_results=False,
            ctx={"stopping": stopping},
        )
        serving = asyncio.create_task(worker.async_run())
        try:
            await asyncio.shield(serving)
        finally:
            stopping.set()
            await _finish(worker, serving)
            # A task of its own: until Python 3.11.3 a timeout in a task that was cancelled, and
            # redis sets some of 0 s, is taken for one more cancellation.
            await asyncio.create_task(_put_away(worker))

    task = asyncio.create_task(serve())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _finish(worker: _Worker, serving: asyncio.Task[None]) -> None:
    """The worker takes no more jobs and its jobs are done; those that take too long are
    cancelled."""
    # A job that is being picked as we stop is marked as running: it must come to run.
    worker.allow_pick_jobs = False
    idle = asyncio.create_task(worker.at_redis.acquire())
    await asyncio.wait({serving, idle}, timeout=PICKING_S, return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    idle.cancel()
    running = {*worker.tasks.values()}
    if running:
        await asyncio.wait(running, timeout=FINISH_S)
    for job in running:
        job.cancel()
    ended, _ = await asyncio.wait({serving, idle, *running}, timeout=GIVE_UP_S)
    await asyncio.gather(*ended, return_exceptions=True)


async def _put_away(worker: Worker) -> None:
    """No key and no connection of the worker is left."""
    with suppress(RedisError, OSError):
        async with asyncio.timeout(PICKING_S):
            await worker.pool.delete(worker.health_check_key)
    await worker.pool.aclose()


@asynccontextmanager
async def repeating(
    action: Callable[[], Awaitable[None]], every_s: float, what: str
) -> AsyncIterator[None]:
    """`action` is done every `every_s` real seconds until the block ends; a failure is logged and
    the next time comes."""

    async def repeat() -> None:
        while True:
            try:
                await action()
            except Exception as error:  # the next time may go well
                log.warning("%s_failed error=%s", what, type(error).__name__)
            await asyncio.sleep(every_s)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def following(context: Context, every_s: float = FOLLOW_S) -> AsyncIterator[None]:
    """This process runs the newest applied project and knows the lists of numbers in force, now
    and, within `every_s`, as newer ones come."""

    async def follow() -> None:
        now = await context.now()
        async with context.pool.acquire() as connection:
            await context.projects.follow(connection)
            await context.lists.follow(connection, now)

    await follow()
    async with repeating(follow, min(every_s, context.sweep_s), "follow"):
        yield


@asynccontextmanager
async def working(context: Context) -> AsyncIterator[None]:
    """This process takes turns and sweeps."""
    async with (
        following(context),
        running_worker(context, bell.TURNS, turn_jobs(context)),
        repeating(context.bell.ring_sweep, context.sweep_s, "sweep_bell"),
    ):
        yield
