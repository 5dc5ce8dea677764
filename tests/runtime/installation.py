"""A small installation for these tests: a campaign, its people, and a carrier with telephones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from msgspec.structs import replace

from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmppSettings
from orchestrator.project.source import read_folder
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context, open_context
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.projects import apply
from orchestrator.runtime.turn import Taken, take_due
from orchestrator.store import subscribers
from orchestrator.store.subscribers import NewSubscriber

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
"""In Shanghai, where everybody here lives."""

EVERY_SHARD = range(64)

WELCOME = """
journey: welcome
class: promotion
enter:
  - on: subscriber.activated
again: always
steps:
  - id: hello
    send: hello
    via: [sms]
  - id: thanks
    award: 5
    for: welcome
"""

CONTACT = """
classes:
  promotion:
    purpose: marketing
    consent: opt_out
    hours: 09:00-20:00
    per_day: 1
  urgent:
    purpose: service
    consent: opt_out
    uncertain: resend
  answer: {purpose: answer, consent: answer}
"""

FILES = {
    **{
        path: text
        for path, text in read_folder(Path(__file__).parents[2]).items()
        if path.startswith("templates/bot/")
    },
    "journeys/welcome.yaml": WELCOME,
    "journeys/program/contact.yaml": CONTACT,
    "journeys/program/project.yaml": "{name: small, locale: en, timezone: Asia/Shanghai}",
    "templates/hello.en.j2": "{% block sms %}Hello {{ subscriber.name }}!{% endblock %}"
    "{% block chat %}Hello {{ subscriber.name }}!{% endblock %}",
}


@asynccontextmanager
async def installed(
    database_url: str,
    redis_url: str,
    files: Mapping[str, str] = FILES,
    clock: Clock | None = None,
    **means: Any,
) -> AsyncIterator[Context]:
    """A process of an installation in which `files` are applied. The clock stands at noon."""
    clock = clock or Clock.starting(NOON, 0)
    async with open_context(
        database_url, redis_url, secret=b"secret", clock=clock, **means
    ) as context:
        async with context.pool.acquire() as connection:
            await apply(connection, files, clock.now())
            await context.projects.follow(connection)
        yield context


def at(context: Context, moment: datetime) -> Context:
    """The same process, its clock standing at `moment`."""
    return replace(context, clock=Clock.starting(moment, 0))


def number(n: int) -> str:
    """The telephone number of the person of key `n`."""
    return f"+8613{n:09}"


async def people(context: Context, numbers: Iterable[int], **known: Any) -> dict[str, int]:
    """People of these keys, with telephones: their ids."""
    news = [
        NewSubscriber(
            str(n),
            timezone="Asia/Shanghai",
            addresses={"sms": number(n)},
            **{"attributes": {"name": f"Name {n}"}, **known},
        )
        for n in numbers
    ]
    async with context.pool.acquire() as connection:
        await subscribers.upsert(connection, news, context.clock.now(), "en")
        found = await subscribers.find_keys(connection, (one.key for one in news))
    return {one.key: found[one.key][0] for one in news}


async def happened(
    context: Context, keys: Iterable[str], name: str = "subscriber.activated", **properties: Any
) -> None:
    """The event `name` is reported of these people, once each."""
    reports = [EventIn(key, name, f"{name}:{key}", properties=properties) for key in keys]
    await Ingest(context).events(reports, "switch")


async def turns(context: Context, shards: Sequence[int] = EVERY_SHARD) -> Taken:
    """Turns have been taken until nothing is due: all of them together."""
    total, failed, channels = 0, 0, frozenset[str]()
    for _ in range(100):
        taken = await take_due(context, shards)
        if not taken.subscribers:
            return Taken(total, failed, channels)
        total, failed = total + taken.subscribers, failed + taken.failed
        channels |= taken.channels
    raise AssertionError("there is always something due")


async def rows(context: Context, query: str, *values: object) -> list[tuple[Any, ...]]:
    """What the query finds."""
    async with context.pool.acquire() as connection:
        return [tuple(row) for row in await connection.fetch(query, *values)]


async def value(context: Context, query: str, *values: object) -> Any:
    """The one value that the query finds."""
    async with context.pool.acquire() as connection:
        return await connection.fetchval(query, *values)


async def do(context: Context, command: str, *values: object) -> None:
    """The command has been executed."""
    async with context.pool.acquire() as connection:
        await connection.execute(command, *values)


@asynccontextmanager
async def carrier(**settings: Any) -> AsyncIterator[Smsc]:
    """A carrier that listens."""
    smsc = Smsc(SmscSettings(**{"receipt_delay_s": 0.01, **settings}))
    await smsc.start()
    try:
        yield smsc
    finally:
        await smsc.stop()


def sms(smsc: Smsc, options: str = "") -> SmsChannel:
    """A channel to that carrier, not yet started."""
    url = f"smpp://outreach:secret@127.0.0.1:{smsc.port}?source=10086&reconnect_max_s=0.2{options}"
    return SmsChannel(SmppSettings.from_url(url))


async def until(holds: Callable[[], object], patience_s: float = 30.0) -> None:
    """It holds. Fails if that takes too long."""
    async with asyncio.timeout(patience_s):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


async def until_found(
    context: Context, expected: object, query: str, *values: object, patience_s: float = 30.0
) -> None:
    """The query's one value is `expected`. Fails, saying what it was, if that takes too long."""
    found = None
    try:
        async with asyncio.timeout(patience_s):
            while (found := await value(context, query, *values)) != expected:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{found!r}, not {expected!r}: {query}") from None


def counting(statements: list[str]) -> Callable[[asyncpg.Connection], Any]:
    """What makes a connection write down the statements it executes."""

    async def listen(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(lambda record: statements.append(record.query))

    return listen
