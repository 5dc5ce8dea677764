"""The same decisions as a program makes them that asks a server about each event.

What all of them do, as we do: take the same octets over HTTP, a thousand events a request, by the
same web server, and read them by the same function, with the same checks of every field; decide all
twenty triggers for every event; and answer once what fires is committed to PostgreSQL, under the
event's source id, for the subscriber whose number it is: one statement for all of a request.

Where they differ is how they know who is on which list. `sql` asks one prepared query an event, by
an index that has the answer in it (and one for the peer where a trigger needs it): the best that a
query per event can do. `sql-by-list` asks one for each list that the event's triggers name, as it
is often written. `redis` asks SISMEMBER for each of those, pipelined for the whole request.
`redis-sparing` judges what the event says first, and asks only about what is left.

What none of them does, and we do: check the properties against the declared types, set aside what
is not as it must be, push back, put events in order, keep states and waits for the triggers that
have any (these twenty have none), hand over to others what a killed process had, enter the events
that fired where a turn finds them, and count it all for the operators.
"""

from __future__ import annotations

import argparse
import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import asyncpg
import redis.asyncio
import uvloop
from aiohttp import web

from orchestrator.runtime.redis_url import redis_settings
from orchestrator.runtime.reports import EventShape, quick_list
from orchestrator.store import json
from tests.bench.triggers.world import TRIGGERS, Trigger

MOST_OCTETS = 4 * 1024 * 1024
LOOKUP = "SELECT list FROM bench_listed WHERE number = $1"
IS_ON = "SELECT EXISTS (SELECT FROM bench_listed WHERE number = $1 AND list = $2)"

# What fires is there, once, for whoever has the number.
MADE = """
CREATE TABLE IF NOT EXISTS bench_fired (journey text, source_id text, subscriber_id bigint NOT NULL,
    at timestamptz NOT NULL, properties jsonb NOT NULL, PRIMARY KEY (source_id, journey))
"""
FIRE = """
INSERT INTO bench_fired (journey, source_id, subscriber_id, at, properties)
SELECT u.journey, u.source_id, a.subscriber_id, u.at, u.properties::jsonb
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
    AS u (journey, source_id, number, at, properties)
JOIN addresses a ON a.channel = 'sms' AND a.address = u.number
ON CONFLICT DO NOTHING
"""

BY_NAME = {name: tuple(it for it in TRIGGERS if it.on == name) for name in {t.on for t in TRIGGERS}}

PEERS = ("floor", "redis", "redis-sparing", "sql", "sql-by-list")

Match = tuple[EventShape, Trigger]


class Contender(ABC):
    """Decides, and commits what fires."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    @abstractmethod
    async def matches(self, events: Sequence[EventShape]) -> list[Match]:
        """Which triggers fire."""

    async def take(self, body: bytes) -> int:
        """How many fired, and are committed."""
        events = quick_list(body)
        assert events is not None
        found = await self.matches(events)
        if found:
            await self.pool.execute(
                FIRE,
                [trigger.journey for _, trigger in found],
                [event.source_id for event, _ in found],
                [event.number for event, _ in found],
                [event.at for event, _ in found],
                [json.encode(event.properties) for event, _ in found],
            )
        return len(found)


class Floor(Contender):
    """Nothing is decided."""

    async def matches(self, events: Sequence[EventShape]) -> list[Match]:
        """None."""
        return []


class Redis(Contender):
    """Lists are sets in Redis. `sparing`: they are asked only where the event itself fits."""

    def __init__(self, pool: asyncpg.Pool, url: str, *, sparing: bool) -> None:
        super().__init__(pool)
        self._sparing = sparing
        settings = redis_settings(url)
        self._redis = redis.asyncio.Redis(
            host=str(settings.host), port=settings.port, unix_socket_path=settings.unix_socket_path
        )

    async def matches(self, events: Sequence[EventShape]) -> list[Match]:
        """One pipeline for all events."""
        pipeline = self._redis.pipeline(transaction=False)
        asked: list[tuple[EventShape, Trigger, bool]] = []
        for event in events:
            for it in BY_NAME.get(event.name, ()):
                fits = it.said(event.properties)
                if fits or not self._sparing:
                    asked.append((event, it, fits))
                    pipeline.sismember(it.own, str(event.number))
                    if it.peers:
                        pipeline.sismember(it.peers, event.properties["peer"])
        answers = iter(await pipeline.execute())
        found: list[Match] = []
        for event, it, fits in asked:
            on = next(answers)
            if it.peers:
                on = next(answers) and on
            if fits and on:
                found.append((event, it))
        return found


class Sql(Contender):
    """Lists are rows in PostgreSQL: the lists of the event's number are asked for every event."""

    async def matches(self, events: Sequence[EventShape]) -> list[Match]:
        """A query per event."""
        found: list[Match] = []
        async with self.pool.acquire() as connection:
            lookup = await connection.prepare(LOOKUP)
            for event in events:
                said = event.properties
                on = {row[0] for row in await lookup.fetch(_number(event.number))}
                for it in BY_NAME.get(event.name, ()):
                    if it.own in on and it.said(said):
                        if it.peers:
                            peer = await lookup.fetch(_number(said["peer"]))
                            if it.peers not in {row[0] for row in peer}:
                                continue
                        found.append((event, it))
        return found


class SqlByList(Contender):
    """Lists are rows in PostgreSQL: each list that a trigger of the event names is asked for."""

    async def matches(self, events: Sequence[EventShape]) -> list[Match]:
        """A query per event and list."""
        found: list[Match] = []
        async with self.pool.acquire() as connection:
            is_on = await connection.prepare(IS_ON)
            for event in events:
                said = event.properties
                for it in BY_NAME.get(event.name, ()):
                    on = await is_on.fetchval(_number(event.number), it.own)
                    if it.peers:
                        on = await is_on.fetchval(_number(said["peer"]), it.peers) and on
                    if on and it.said(said):
                        found.append((event, it))
        return found


def _number(text: object) -> int:
    return int(str(text).removeprefix("+"))


async def serve(contender: Contender, port: int) -> None:
    """Takes batches at /v1/events for ever; /matches says how many there were."""
    total = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal total
        found = await contender.take(await request.read())
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
    async with asyncpg.create_pool(options.database, min_size=4, max_size=4) as pool:
        await pool.execute(MADE)
        contenders: dict[str, Callable[[], Contender]] = {
            "floor": lambda: Floor(pool),
            "sql": lambda: Sql(pool),
            "sql-by-list": lambda: SqlByList(pool),
            "redis": lambda: Redis(pool, options.redis, sparing=False),
            "redis-sparing": lambda: Redis(pool, options.redis, sparing=True),
        }
        await serve(contenders[options.contender](), options.port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=PEERS)
    parser.add_argument("redis")
    parser.add_argument("database")
    parser.add_argument("port", type=int)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner_:
        runner_.run(_run(parser.parse_args()))
