"""The same decisions as a program makes them that asks a server about each event: whether its
number is on the lists that its triggers name, by SISMEMBER, pipelined for the whole request
(`redis`), or by a query for each list (`sql-by-list`). `sql` asks one query an event, on which
lists the number is. `redis-sparing` is the best that can be done that way: it judges what the event
says first and asks only about what is left. All take the same octets by the same library."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import asyncpg
import msgspec
import redis.asyncio
import uvloop
from aiohttp import web
from msgspec import Struct

from orchestrator.runtime.redis_url import redis_settings
from tests.bench.triggers.world import TRIGGERS, Trigger

MOST_OCTETS = 4 * 1024 * 1024
LOOKUP = "SELECT list FROM bench_listed WHERE number = $1"
IS_ON = "SELECT EXISTS (SELECT FROM bench_listed WHERE number = $1 AND list = $2)"

BY_NAME = {name: tuple(it for it in TRIGGERS if it.on == name) for name in {t.on for t in TRIGGERS}}


class Reported(Struct, frozen=True):
    """An event as it comes."""

    number: str
    name: str
    source_id: str
    at: str
    properties: dict[str, Any] = {}


_decoder = msgspec.json.Decoder(list[Reported])


class Redis:
    """Lists are sets in Redis. `sparing`: they are asked only where the event itself fits."""

    def __init__(self, url: str, *, sparing: bool) -> None:
        self._sparing = sparing
        settings = redis_settings(url)
        self._redis = redis.asyncio.Redis(
            host=str(settings.host), port=settings.port, unix_socket_path=settings.unix_socket_path
        )

    async def matches(self, events: list[Reported]) -> int:
        """How many (event, trigger) pairs match: one pipeline."""
        pipeline = self._redis.pipeline(transaction=False)
        asked: list[tuple[Trigger, bool]] = []
        for event in events:
            for it in BY_NAME.get(event.name, ()):
                fits = it.said(event.properties)
                if fits or not self._sparing:
                    asked.append((it, fits))
                    pipeline.sismember(it.own, event.number)
                    if it.peers:
                        pipeline.sismember(it.peers, event.properties["peer"])
        answers = iter(await pipeline.execute())
        found = 0
        for it, fits in asked:
            on = next(answers)
            if it.peers:
                on = next(answers) and on
            found += bool(fits and on)
        return found


class Sql:
    """Lists are rows in PostgreSQL: the lists of the event's number are asked for every event."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def matches(self, events: list[Reported]) -> int:
        """How many (event, trigger) pairs match: a query per event."""
        async with self._pool.acquire() as connection:
            lookup = await connection.prepare(LOOKUP)
            found = 0
            for event in events:
                on = {row[0] for row in await lookup.fetch(int(event.number[1:]))}
                for it in BY_NAME.get(event.name, ()):
                    if it.own in on and it.said(event.properties):
                        if not it.peers:
                            found += 1
                            continue
                        peer = await lookup.fetch(int(event.properties["peer"][1:]))
                        found += it.peers in {row[0] for row in peer}
            return found


class SqlByList:
    """Lists are rows in PostgreSQL: each list that a trigger of the event names is asked for."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def matches(self, events: list[Reported]) -> int:
        """How many (event, trigger) pairs match: a query per event and list."""
        async with self._pool.acquire() as connection:
            is_on = await connection.prepare(IS_ON)
            found = 0
            for event in events:
                for it in BY_NAME.get(event.name, ()):
                    on = await is_on.fetchval(int(event.number[1:]), it.own)
                    if it.peers:
                        peer = int(event.properties["peer"][1:])
                        on = await is_on.fetchval(peer, it.peers) and on
                    found += bool(on and it.said(event.properties))
            return found


async def serve(contender: Redis | Sql | SqlByList, port: int) -> None:
    """Takes batches at /v1/events for ever; /matches says how many there were."""
    total = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal total
        found = await contender.matches(_decoder.decode(await request.read()))
        total += found
        return web.Response(status=202, body=b"{}", content_type="application/json")

    async def told(request: web.Request) -> web.Response:
        return web.json_response(total)

    app = web.Application(client_max_size=MOST_OCTETS)
    app.add_routes([web.post("/v1/events", take), web.get("/matches", told)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


async def _run(options: argparse.Namespace) -> None:
    if options.contender in ("redis", "redis-sparing"):
        sparing = options.contender == "redis-sparing"
        await serve(Redis(options.url, sparing=sparing), options.port)
    else:
        async with asyncpg.create_pool(options.url, min_size=4, max_size=4) as pool:
            by_list = options.contender == "sql-by-list"
            await serve(SqlByList(pool) if by_list else Sql(pool), options.port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=("redis", "redis-sparing", "sql", "sql-by-list"))
    parser.add_argument("url")
    parser.add_argument("port", type=int)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner_:
        runner_.run(_run(parser.parse_args()))
