"""arq workers: jobs that carry no state and run until nothing is due, supervised."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from arq.worker import Function, Worker, func
from tenacity import retry, retry_if_not_exception_type, wait_random_exponential

from orchestrator.runtime import bell
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.redis_url import redis_settings
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import take_due

JOB_TIMEOUT_S = 60
JOB_RUN_S = 40.0
"""A job that still finds work after this long rings for its successor and ends."""

log = logging.getLogger(__name__)


def turn_jobs(context: Context) -> list[Function]:
    """The jobs of a worker: `turn` for a lane, and `sweep`."""

    async def turn(_: dict[str, Any], lane: str) -> None:
        await context.bell.begin("turn", lane)
        shards = bell.shards_of(int(lane))
        async with asyncio.timeout(JOB_RUN_S) as limit:
            with suppress(TimeoutError):
                while not limit.expired():
                    taken = await take_due(context, shards)
                    await context.bell.ring_delivery(taken.channels)
                    if not taken.subscribers:
                        return
        await context.bell.ring_turns(shards)

    async def run_sweep(_: dict[str, Any], about: str) -> None:
        await context.bell.begin("sweep", about)
        await sweep(context)

    return [
        func(turn, name="turn", keep_result=0, timeout=JOB_TIMEOUT_S, max_tries=1),
        func(run_sweep, name="sweep", keep_result=0, timeout=JOB_TIMEOUT_S, max_tries=1),
    ]


def delivery_jobs(context: Context, delivery: Delivery) -> list[Function]:
    """The job of a gateway: `deliver` its channel."""

    async def deliver(_: dict[str, Any], channel: str) -> None:
        await context.bell.begin("deliver", channel)
        await delivery.run()

    return [func(deliver, name="deliver", keep_result=0, timeout=None, max_tries=1)]


@asynccontextmanager
async def running_worker(
    context: Context, queue: str, jobs: Sequence[Function], max_jobs: int = 4
) -> AsyncIterator[None]:
    """An arq worker serves `queue` until the block ends; then what is under way may finish.

    arq ends when Redis restarts or is away: it is started again, with growing pauses.
    """
    current: list[Worker] = []

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
        worker = Worker(
            jobs,
            queue_name=queue,
            redis_settings=redis_settings(context.redis_url),
            handle_signals=False,
            max_jobs=max_jobs,
            poll_delay=0.05,
            keep_result=0,
            job_timeout=JOB_TIMEOUT_S,
            job_completion_wait=30,
            health_check_interval=15,
            health_check_key=f"{queue}:health:{context.name}",
            job_serializer=bell.serialize,
            job_deserializer=bell.deserialize,
            log_results=False,
        )
        current[:] = [worker]
        await worker.async_run()

    task = asyncio.create_task(serve())
    try:
        yield
    finally:
        if current:
            current[0].allow_pick_jobs = False
            if current[0].tasks:
                await asyncio.wait(current[0].tasks.values(), timeout=30)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if current:
            with suppress(Exception, asyncio.CancelledError):
                await current[0].close()


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
async def working(context: Context) -> AsyncIterator[None]:
    """This process takes turns and sweeps."""
    async with context.pool.acquire() as connection:
        await context.projects.follow(connection)
    async with (
        running_worker(context, bell.TURNS, turn_jobs(context)),
        repeating(context.bell.ring_sweep, context.sweep_s, "sweep_bell"),
    ):
        yield
