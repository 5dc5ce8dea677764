"""The doorbell: the only place that enqueues arq jobs, so that the queue can be swapped.

Jobs carry no state. `turn` names a lane (some shards), `deliver` a channel. A job's id is fixed
but for a generation: each run of a job begins a new generation, so that a ring during the run
queues exactly one more, and a worker that was killed in its run blocks nothing. A worker may also
be killed after it picked a job and before the run began: a ring that finds its job picked and not
begun names the second too, so that at most one job a second is queued beside it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from arq.connections import ArqRedis, RedisSettings
from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.exceptions import RedisError

from orchestrator.core.model import SHARDS

LANES = 8
"""Turn jobs: each concerns SHARDS / LANES shards, so that workers rarely meet."""

TURNS = "outreach:turns"
"""The arq queue of turns and sweeps."""

MOST_SKEW = timedelta(days=1)
"""arq takes a job once it is due by the clock of the worker's machine, and orders jobs by that
time: it is Redis's, so long ago that a machine whose clock is wrong holds nothing up."""

KEPT = timedelta(days=1)
"""A job that nobody takes for so long is forgotten; sweeps ring again."""

PATIENCE_S = 1.0
"""A ring that takes longer fails: nobody who rings may be held up by it."""

log = logging.getLogger(__name__)


def lane_of(shard: int) -> int:
    """The lane whose turn job looks after this shard."""
    return shard % LANES


def shards_of(lane: int) -> list[int]:
    """The shards that a lane's turn job looks after."""
    return [shard for shard in range(SHARDS) if lane_of(shard) == lane]


def delivery_queue(channel: str) -> str:
    """The arq queue whose worker is the gateway that holds this channel."""
    return f"outreach:deliver:{channel}"


def serialize(job: dict[str, Any]) -> bytes:
    """A job as JSON: nothing that a stranger on Redis could make us execute. A result that is an
    exception is kept as its text."""
    return json.dumps(job, default=repr).encode()


def deserialize(text: bytes) -> dict[str, Any]:
    job: dict[str, Any] = json.loads(text)
    return job


async def connect(settings: RedisSettings) -> ArqRedis:
    """A pool that speaks to arq in JSON, and has been answered once.

    arq's own `create_pool` leaves a connection open if it fails, or is cancelled, on the way.
    """
    named = {"database": "db", "conn_timeout": "socket_connect_timeout"}
    unwanted = {"conn_retries", "conn_retry_delay", "sentinel", "sentinel_master"}
    options = {
        named.get(field.name, field.name): getattr(settings, field.name)
        for field in fields(settings)
        if field.name not in unwanted
    }
    pool = ArqRedis(
        job_serializer=serialize, job_deserializer=deserialize, encoding="utf8", **options
    )
    try:
        await pool.ping()
    except BaseException:
        await pool.aclose(close_connection_pool=True)
        raise
    return pool


class Bell:
    """Rings for workers. A ring that fails is logged and made up for by the next sweep."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    async def ring_turns(self, shards: Iterable[int]) -> None:
        """The turn jobs of these shards are queued, once each."""
        lanes = sorted({lane_of(shard) for shard in shards})
        for lane in await self._silent(lanes) if len(lanes) > 1 else lanes:
            await self._ring("turn", str(lane), TURNS)

    async def ring_delivery(self, channels: Iterable[str]) -> None:
        """The delivery jobs of these channels are queued, once each."""
        for channel in sorted(set(channels)):
            await self._ring("deliver", channel, delivery_queue(channel))

    async def ring_sweep(self) -> None:
        """A sweep is queued, unless one is already."""
        await self._ring("sweep", "all", TURNS)

    async def begin(self, job: str, about: str) -> None:
        """A run of this job has begun: what rings from now on is for another one."""
        await self._redis.incr(f"outreach:generation:{job}:{about}")

    async def _silent(self, lanes: Sequence[int]) -> Sequence[int]:
        """Those of the lanes whose turn job is not queued yet: arq asks the same, of one after the
        other."""
        ids = [f"turn:{lane}" for lane in lanes]
        try:
            async with asyncio.timeout(PATIENCE_S):
                said = await self._redis.mget([f"outreach:generation:{it}" for it in ids])
                jobs = [f"{it}:{int(number or 0)}" for it, number in zip(ids, said, strict=True)]
                async with self._redis.pipeline(transaction=False) as asked:
                    for job in jobs:
                        asked.exists(in_progress_key_prefix + job)
                        asked.exists(job_key_prefix + job)
                    known = await asked.execute()
        except (RedisError, OSError) as error:
            log.warning("bell_silent job=turn about=%s error=%s", lanes, type(error).__name__)
            return ()
        picked, queued = known[::2], known[1::2]
        return [it for it, *two in zip(lanes, picked, queued, strict=True) if two != [0, 1]]

    async def _ring(self, job: str, about: str, queue: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                generation = int(await self._redis.get(f"outreach:generation:{job}:{about}") or 0)
                job_id = f"{job}:{about}:{generation}"
                async with self._redis.pipeline(transaction=False) as asked:
                    asked.exists(in_progress_key_prefix + job_id)
                    asked.time()
                    picked, (seconds, micros) = await asked.execute()
                rung_at = datetime.fromtimestamp(seconds + micros / 1e6, UTC)
                await self._redis.enqueue_job(
                    job,
                    about,
                    _job_id=f"{job_id}:{seconds}" if picked else job_id,
                    _queue_name=queue,
                    _defer_until=rung_at - MOST_SKEW,
                    _expires=KEPT,
                )
        except (RedisError, OSError) as error:
            log.warning("bell_silent job=%s about=%s error=%s", job, about, type(error).__name__)
