"""`python -m tests.bench.channels`: what sending a message costs a channel of each kind.

The simulated carrier is a process of its own; its cost is nobody's. CPU is user and system time of
this one, from the text to the outcome, for batches of 100 to 100 people; receipts are not counted,
but web chat's, which come by themselves. The floor of a channel over HTTP is one of its own
requests made bare by aiohttp, as often and as many at a time; that of web chat a ready frame per
message. What goes over SMPP has its floor in `tests.bench.smpp`. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import uvloop
from aiohttp import web
from msgspec import Struct

from channels.base import Called, Channel, Inbox, Means, Media, Outgoing
from channels.registry import kind_of
from orchestrator.core.delivery import Spoken
from orchestrator.core.model import Content
from tests.bench.channels import mms
from tests.bench.channels.far import FAR, SECRET, Reach, addresses
from tests.bench.channels.floor import Ear, Pages, post

BATCH = 100
WORDS = "亲爱的用户，五大入口任您选，本月流量已为您准备好，点击下面的链接开始。"
SHARES = {"mms": 0.25, "telegram": 0.5, "sms": 4, "cmpp": 4, "sgip": 4, "smgp": 4, "wap_push": 4}
"""Times so many messages: who is quick sends more, so that all run about as long."""
_URLS = ("url", "api_url", "graph_url", "values")


class Measured(Struct, frozen=True):
    """One run: CPU per message of the channel, of its floor if it has one, and the pace."""

    us: float
    per_s: float
    floor_us: float | None = None


class Counted:
    """An inbox that counts receipts."""

    def __init__(self) -> None:
        self.receipts = 0
        self.inbox = Inbox(self._replies, self._count)

    async def _replies(self, replies: Sequence[object]) -> None:
        pass

    async def _count(self, receipts: Sequence[object]) -> None:
        self.receipts += len(receipts)


async def _history(channel: str, address: str, limit: int) -> Sequence[Spoken]:
    return []


def _means(photo: Media, built: dict[str, Channel]) -> Means:
    async def media(name: str) -> Media:
        return photo

    return Means(SECRET, lambda: datetime.now(UTC), _history, built=built, media=media)


def _built(kind: str, reach: Reach, photo: Media) -> list[Channel]:
    """The channel, after that which it goes over."""
    under: dict[str, Channel] = {}
    if kind == "wap_push":
        under["sms"] = _built("sms", reach, photo)[-1]
        reach = {}
    if kind == "webchat":
        reach = {}
    of = kind_of(kind)
    settings = msgspec.convert(reach, of.settings, strict=False)
    return [*under.values(), of.build(kind, settings, _means(photo, under))]


def _messages(kind: str, count: int) -> list[Outgoing]:
    image = "a.jpg" if kind == "mms" else ""
    href = "http://wap.example/start" if kind in ("wap_push", "pap") else ""
    content = Content(text=WORDS, subject="今日" if kind == "mms" else "", image=image, href=href)
    people = addresses(kind)
    return [Outgoing(n, n, people[n % len(people)], content) for n in range(count)]


@asynccontextmanager
async def far(kind: str, site: str = "") -> AsyncIterator[Reach]:
    """The carrier of that kind runs; how to reach it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.channels.far", kind,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    if site:
        process.stdin.write(f"{site}\n".encode())
    try:
        reach: Reach = json.loads(await process.stdout.readline())
        yield reach
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def served(routes: list[web.RouteDef]) -> AsyncIterator[str]:
    """These routes are answered; where."""
    application = web.Application()
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def up(channels: Sequence[Channel], counted: Counted) -> AsyncIterator[Channel]:
    """The last of them is up."""
    for it in channels:
        await it.start(counted.inbox)
    async with asyncio.timeout(30):
        while channels[-1].health() != "up":  # noqa: ASYNC110 — health has no event
            await asyncio.sleep(0.01)
    yield channels[-1]
    for it in reversed(channels):
        await it.stop()


async def _send(channel: Channel, messages: Sequence[Outgoing]) -> None:
    for at in range(0, len(messages), BATCH):
        outcomes = await channel.send(messages[at : at + BATCH])
        assert all(it.result == "accepted" for it in outcomes), outcomes[0]


async def _timed(doing: Any, messages: int) -> tuple[float, float]:
    """CPU µs per message, and messages per second."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    await doing
    spent_s, took_s = time.process_time() - cpu, time.perf_counter() - wall
    return spent_s / messages * 1e6, messages / took_s


async def measure(kind: str, messages: int, photo: Media) -> Measured:
    """One run of one kind, and of its floor."""
    if kind == "webchat":
        return await _measure_chat(messages, photo)
    async with far(kind) as reach:
        all_of_them = _messages(kind, messages + BATCH)
        channels = _built(kind, reach, photo)
        over_http = isinstance(channels[-1], Called)
        async with up(channels, Counted()) as channel:
            await _send(channel, all_of_them[:BATCH])
            us, per_s = await _timed(_send(channel, all_of_them[BATCH:]), messages)
        if not over_http:
            return Measured(us, per_s)
        url = next(it for it in map(reach.get, _URLS) if it)
        url = url["base"] if isinstance(url, dict) else url
        ear = Ear(url)
        port = await ear.listen()
        heard = _elsewhere(reach, url, port)
        async with up(_built(kind, heard, photo), Counted()) as channel:
            await _send(channel, _messages(kind, 10))
        said = ear.longest()
        await ear.end()
        await post(url, said, BATCH, BATCH)
        floor_us, _ = await _timed(post(url, said, messages, BATCH), messages)
        return Measured(us, per_s, floor_us)


def _elsewhere(reach: Reach, url: str, port: int) -> Reach:
    """The same carrier, reached by another port."""
    old, new = url.split("/")[2], f"127.0.0.1:{port}"
    return {
        key: _elsewhere(it, url, port) if isinstance(it, dict)
        else it.replace(old, new) if isinstance(it, str) else it
        for key, it in reach.items()
    }  # fmt: skip


async def _measure_chat(messages: int, photo: Media) -> Measured:
    """Visitors have their pages open; a message is over when its page has acknowledged it."""
    all_of_them, counted = _messages("webchat", messages + BATCH), Counted()
    channels = _built("webchat", {}, photo)
    assert isinstance(channels[-1], Called)

    async def shown(count: int) -> None:
        while counted.receipts < count:  # noqa: ASYNC110 — counted, not told
            await asyncio.sleep(0.001)

    async def send() -> None:
        for at in range(BATCH, len(all_of_them), BATCH):
            await _send(channel, all_of_them[at : at + BATCH])
            await shown(at)
        await shown(len(all_of_them))

    async with (
        served(channels[-1].routes()) as site,
        up(channels, counted) as channel,
        far("webchat", site),
    ):
        chat: Any = channel
        while len(chat.connected) < len(addresses("webchat")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await _send(channel, all_of_them[:BATCH])
        us, per_s = await _timed(send(), messages)
    pages = Pages()
    frame = msgspec.json.encode(
        {
            "type": "lines",
            "lines": [{"id": "1", "by": "us", "text": WORDS, "at": datetime.now(UTC)}],
        }
    ).decode()
    async with served(pages.routes()) as site, far("webchat", site):
        while pages.open < len(addresses("webchat")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        floor_us, _ = await _timed(pages.show(frame, messages), messages)
    return Measured(us, per_s, floor_us)


def median(kind: str, messages: int, runs: int, photo: Media) -> Measured:
    """The middle of several runs, each figure for itself."""
    count = round(messages * SHARES.get(kind, 1) / BATCH) * BATCH or BATCH
    ran = []
    for _ in range(runs):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ran.append(runner.run(measure(kind, count, photo)))
    floors = [it.floor_us for it in ran if it.floor_us is not None]
    return Measured(
        statistics.median(it.us for it in ran),
        statistics.median(it.per_s for it in ran),
        statistics.median(floors) if floors else None,
    )


def main() -> None:
    """Every kind, then the line of JSON."""
    parser = argparse.ArgumentParser(prog="tests.bench.channels", description=__doc__)
    parser.add_argument(
        "--messages", type=int, default=2_000, help="of each kind, or a share of it"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=FAR, default=[*FAR])
    asked = parser.parse_args()
    photo = mms.photo(640, 480, 60_000)
    found: dict[str, dict[str, float | None]] = {}
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, median of {asked.runs}")
    print(f"{'':10} {'CPU µs/message':>14} {'messages/s':>10} {'floor µs':>8} {'ratio':>5}")
    for kind in asked.only:
        it = median(kind, asked.messages, asked.runs, photo)
        floor = f"{it.floor_us:>8.0f} {it.us / it.floor_us:>5.1f}" if it.floor_us else ""
        print(f"{kind:10} {it.us:>14.1f} {it.per_s:>10,.0f} {floor}".rstrip(), flush=True)
        ratio = round(it.us / it.floor_us, 2) if it.floor_us else None
        found[kind] = {"us": round(it.us, 1), "per_s": round(it.per_s), "ratio_to_floor": ratio}
    pictures = mms.measure(photo) if "mms" in asked.only else {}
    print(json.dumps({**found, **pictures, "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
