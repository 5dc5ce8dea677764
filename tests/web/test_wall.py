"""The phone wall on a real simulated carrier: what pages see, and what they can do."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from channels.carriers.handset import Shot
from channels.carriers.smsc import Smsc
from channels.sms import pdu
from orchestrator.core import short_message
from orchestrator.store.counts import Facts
from orchestrator.web import wall
from orchestrator.web.wall import create_wall

ANN, BOB = "8613800138000", "8613900139000"
START = datetime(2026, 3, 2, 10, tzinfo=UTC)


class Scene:
    """A carrier whose clock moves a second with each look, and the wall in front of it."""

    def __init__(self) -> None:
        self.smsc = Smsc(now=self.now)
        self.seconds = 0
        self.facts = Facts(2, 0, 0, 0, 0, 0)

    def now(self) -> datetime:
        self.seconds += 1
        return START + timedelta(seconds=self.seconds)

    async def ask_facts(self) -> Facts:
        return self.facts

    def arrive(self, number: str, words: str) -> None:
        """The words reach the phone, as the parts that the SMS channel would make of them."""
        handset = self.smsc.handset(number)
        coded = short_message.split(words, 7)
        for part in coded.parts:
            message = pdu.SubmitSm(
                source_addr="10086",
                destination_addr=number,
                esm_class=pdu.HAS_HEADER if len(coded.parts) > 1 else 0,
                data_coding=coded.data_coding,
                short_message=part,
            )
            if handset.receive(message):
                self.smsc.tell("arrived", number)

    @asynccontextmanager
    async def page(self, **options: Any) -> AsyncIterator[Page]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self.server.make_url("/wall/socket"), **options) as socket,
        ):
            yield Page(socket)

    async def run(self) -> None:
        self.server = TestServer(create_wall(self.smsc, self.now, self.ask_facts))
        await self.server.start_server()


class Page:
    """An open page that keeps what it was told."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.phones: dict[str, Any] = {}
        self.frames = 0

    async def until(self, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first frame of which `true` holds, once it is kept."""
        async with asyncio.timeout(30):
            while True:
                frame = await self.socket.receive_json()
                self.frames += 1
                self.phones |= {it["number"]: it for it in frame.get("phones", ())}
                if true(frame):
                    return dict(frame)

    def texts(self, number: str) -> list[str]:
        return [it["text"] for it in self.phones.get(number, {}).get("lines", ())]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    scene.arrive(ANN, "您好，欢迎 👋")
    await scene.run()
    yield scene
    await scene.server.close()


async def test_a_page_begins_with_every_phone_as_it_is(scene: Scene) -> None:
    async with scene.page() as page:
        frame = await page.until(lambda it: it["total"] == 1)
        assert page.texts(ANN) == ["您好，欢迎 👋"]
        assert datetime.fromisoformat(frame["now"]) > START


async def test_a_message_that_arrives_shows_within_a_moment(scene: Scene) -> None:
    async with scene.page() as page:
        await page.until(lambda _: True)
        scene.arrive(BOB, "Day 1. " * 40)
        await page.until(lambda _: BOB in page.phones)
        [line] = page.phones[BOB]["lines"]
        assert line["text"] == "Day 1. " * 40
        assert line["parts"] == 2


async def test_a_multimedia_message_shows_with_its_picture(scene: Scene) -> None:
    octets = b"GIF89a"
    odd = Shot("text/html", b"<script>", "ef01")
    async with scene.page() as page:
        for shot in (Shot("image/gif", octets, "abcd"), odd):
            scene.smsc.handset(ANN).receive_mms("Today", "Hello", shot, "10086")
            scene.smsc.tell("arrived", ANN)
        await page.until(lambda _: len(page.texts(ANN)) == 3)
        line = page.phones[ANN]["lines"][1]
        assert (line["subject"], line["text"], line["picture"]) == ("Today", "Hello", "abcd")
    async with aiohttp.ClientSession() as session:
        url = scene.server.make_url(f"/wall/pictures/{ANN}/abcd")
        async with session.get(url) as answer:
            assert (answer.content_type, await answer.read()) == ("image/gif", octets)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for wrong in (f"{ANN}/ef01", f"{ANN}/ffff", f"{BOB}/abcd", "x/y"):
            async with session.get(scene.server.make_url(f"/wall/pictures/{wrong}")) as answer:
                assert answer.status == 404


async def test_what_is_typed_on_the_wall_is_said_by_the_phone(scene: Scene) -> None:
    async with scene.page() as page:
        await page.socket.send_json({"type": "say", "number": ANN, "text": "积分"})
        await page.until(lambda _: "积分" in page.texts(ANN))
        [said] = scene.smsc.handsets[ANN].said
        assert (said.text, said.to) == ("积分", "10086")
        assert page.phones[ANN]["said"] == 1
        assert page.phones[ANN]["lines"][-1]["by"] == "you"


async def test_the_open_phone_comes_whole_and_stays_so(scene: Scene) -> None:
    for i in range(30):
        scene.arrive(ANN, f"number {i}")
    async with scene.page() as page:
        await page.socket.send_json({"type": "open", "number": ANN})
        frame = await page.until(lambda it: "open" in it)
        assert len(frame["open"]["lines"]) == 31
        assert len(page.phones[ANN]["lines"]) == wall.IN_SMALL
        scene.arrive(ANN, "one more")
        frame = await page.until(lambda it: "open" in it)
        assert frame["open"]["lines"][-1]["text"] == "one more"
        await page.socket.send_json({"type": "open", "number": ""})
        await page.socket.send_json({"type": "say", "number": ANN, "text": "closed"})
        frame = await page.until(lambda _: "closed" in page.texts(ANN))
        assert "open" not in frame


async def test_a_blast_to_hundreds_of_phones_is_few_frames_and_misses_none(scene: Scene) -> None:
    numbers = [f"861370000{i:04}" for i in range(500)]
    async with scene.page() as page:
        await page.until(lambda _: True)
        started, frames = time.monotonic(), page.frames
        for round in range(3):
            for number in numbers:
                scene.arrive(number, f"round {round}")
        await page.until(lambda _: all("round 2" in page.texts(it) for it in numbers))
        assert page.frames - frames <= 1 + (time.monotonic() - started) / wall.FRAME_S
        assert page.frames - frames < 20


async def test_phones_are_ranked_by_their_latest_change(scene: Scene) -> None:
    scene.arrive(BOB, "later")
    async with scene.page() as page:
        await page.until(lambda _: len(page.phones) == 2)
        assert page.phones[BOB]["rank"] > page.phones[ANN]["rank"]
        scene.smsc.handset(ANN).say("now me", "10086")
        await page.until(lambda _: "now me" in page.texts(ANN))
        assert page.phones[ANN]["rank"] > page.phones[BOB]["rank"]


@pytest.mark.parametrize("text", ["800138", "+86 138", "欢迎", "DAY"])
async def test_phones_are_found_by_number_or_by_words(scene: Scene, text: str) -> None:
    scene.arrive(BOB, "nothing of it")
    scene.arrive(ANN, "day 2")
    async with scene.page() as page:
        await page.socket.send_json({"type": "find", "text": text})
        frame = await page.until(lambda it: "found" in it)
        assert frame["found"] == [ANN]


async def test_a_new_phone_can_be_taken(scene: Scene) -> None:
    async with scene.page() as page:
        await page.socket.send_json({"type": "take", "number": f"+{BOB}"})
        await page.until(lambda _: BOB in page.phones)
        await page.socket.send_json({"type": "say", "number": BOB, "text": "hello"})
        await page.until(lambda _: "hello" in page.texts(BOB))


async def test_a_phone_can_be_switched_off_and_on(scene: Scene) -> None:
    async with scene.page() as page:
        await page.until(lambda _: True)
        for on in (False, True):
            await page.socket.send_json({"type": "power", "number": ANN, "on": on})
            frame = await page.until(lambda it: it.get("phones"))
            assert frame["phones"][0]["on"] is scene.smsc.handsets[ANN].on is on


async def test_the_figures_follow(scene: Scene) -> None:
    async with scene.page() as page:
        await page.until(lambda it: it["facts"]["enrolled"] == 2)
        scene.facts = Facts(3, 0, 0, 0, 0, 1)
        await page.until(lambda it: it["facts"]["redeemed"] == 1)


async def test_figures_that_fail_leave_the_last_ones(scene: Scene) -> None:
    async with scene.page() as page:
        await page.until(lambda it: it["facts"]["enrolled"] == 2)

        async def failing() -> Facts:
            raise ConnectionError("the database is away")

        scene.ask_facts = failing  # type: ignore[method-assign]
        for _ in range(3):
            frame = await page.until(lambda _: True)
        assert frame["facts"]["enrolled"] == 2


@pytest.mark.parametrize(
    "frame",
    ["", "{", "null", "[" * 60_000, '{"type":"say"}', '{"type":"say","number":"nobody","text":"x"}',
     '{"type":"say","number":"8613800138000","text":""}', '{"type":"take","number":"12"}',
     '{"type":"take","number":"../../etc"}', '{"type":"open","number":7}',
     '{"type":"power","number":"nobody","on":true}', '{"type":"find","text":"' + "x" * 101 + '"}',
     '{"type":"say","number":"8613800138000","text":"' + "x" * 1_001 + '"}'],
    ids=range(13),
)  # fmt: skip
async def test_a_request_that_means_nothing_changes_nothing(scene: Scene, frame: str) -> None:
    async with scene.page() as page:
        await page.socket.send_str(frame)
        await page.socket.send_bytes(frame.encode() + b"\xff")
        await page.socket.send_json({"type": "say", "number": ANN, "text": "still here"})
        await page.until(lambda _: "still here" in page.texts(ANN))
    assert list(scene.smsc.handsets) == [ANN]
    assert [it.text for it in scene.smsc.handsets[ANN].said] == ["still here"]


async def test_the_wall_is_only_for_this_machine(scene: Scene) -> None:
    async with aiohttp.ClientSession() as session:
        url = scene.server.make_url("/")
        for host in ("evil.example", "10.0.0.1", "127.0.0.1.evil.example", "", "[::2]"):
            async with session.get(url, headers={"Host": host}) as answer:
                assert answer.status == 403, host
        for host in ("localhost:1", "127.0.0.1", "[::1]:80"):
            async with session.get(url, headers={"Host": host}) as answer:
                assert answer.status == 200, host
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with scene.page(origin="http://evil.example"):
            pass


async def test_closing_the_wall_lets_go_of_the_carrier(scene: Scene) -> None:
    async with scene.page() as page:
        await page.until(lambda _: True)
        closing = asyncio.create_task(scene.server.close())
        async for _ in page.socket:
            pass
        await closing
    assert scene.smsc.on_change == []


async def test_the_parts_of_the_page_are_served_and_load_nothing_from_elsewhere(
    scene: Scene,
) -> None:
    folder = Path(wall.__file__).parent / "wall_page"
    outside = r"(?:src|href|url|from|import)\s*[=(]?\s*[\"']?(?:https?:)?//"
    async with aiohttp.ClientSession() as session:
        for part in folder.iterdir():
            path = "/" if part.suffix == ".html" else f"/wall/{part.name}"
            async with session.get(scene.server.make_url(path)) as answer:
                assert answer.status == 200
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert await answer.text() == part.read_text()
            assert not re.search(outside, part.read_text()), part.name
        async with session.get(scene.server.make_url("/wall/wall.html")) as answer:
            assert answer.status == 404
