"""Pictures in bubbles: what a page is told, and what it can fetch."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from channels.base import Media, MediaError
from channels.carriers.visitors import Visitors
from channels.webchat import Line
from channels.webchat.channel import WebChat
from tests.channels.contract.rig import until
from tests.channels.mms.conftest import media
from tests.channels.webchat.conftest import SECRET, START, Chat, outgoing

NAMES = {"seven-days/a.png": media(64, 48, noise=8), "您好/b.gif": media(20, 10, "GIF")}
A = NAMES["seven-days/a.png"].picture


class Shelf:
    """The store's pictures; `away` makes it fail."""

    def __init__(self) -> None:
        self.kept = dict(NAMES)
        self.away = False

    async def find(self, name: str) -> Media:
        if self.away:
            raise RuntimeError("the database is away")
        if name not in self.kept:
            raise MediaError("there is no picture of this name")
        return self.kept[name]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def chat(shelf: Shelf) -> AsyncIterator[Chat]:
    chat = Chat()
    chat.channel = WebChat(SECRET, chat.history, now=chat.now, path="/help/talk", media=shelf.find)
    await chat.run()
    yield chat
    await chat.end()


async def fetched(chat: Chat, path: str) -> tuple[int, aiohttp.ClientResponse, bytes]:
    url = chat.server.make_url("/").with_path(path, encoded=True)
    async with aiohttp.request("GET", url) as answer:
        return answer.status, answer, await answer.read()


def visitors(chat: Chat) -> Visitors:
    return Visitors(str(chat.server.make_url("/")), chat.channel.link)


async def test_a_bubble_shows_its_picture_and_has_room_for_it(chat: Chat, shelf: Shelf) -> None:
    people = visitors(chat)
    ann = people.handset("ann")
    await until(lambda: "ann" in chat.channel.connected)
    for number, name in enumerate(NAMES):
        await chat.channel.send([outgoing(number, "ann", "Look", image=name)])
    await until(lambda: len(ann.arrived) == 2)
    for seen, it in zip(ann.arrived, NAMES.values(), strict=True):
        assert seen.picture is not None
        assert (seen.picture.mime, seen.picture.octets) == (it.picture.mime, it.octets)
    await people.stop()


async def test_what_a_page_is_told_is_where_the_picture_is_and_its_size(chat: Chat) -> None:
    line = await chat.channel._pictures.drawn(
        Line("1", "us", "Look", START, shows="seven-days/a.png 240x320")
    )
    assert line.image is not None
    assert (line.image.width, line.image.height, line.shows) == (64, 48, "")
    status, answer, octets = await fetched(chat, f"/help/talk/{line.image.src}")
    assert (status, answer.content_type, octets) == (
        200,
        "image/png",
        NAMES["seven-days/a.png"].octets,
    )
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_a_line_of_the_history_shows_the_picture_of_today(chat: Chat, shelf: Shelf) -> None:
    chat.lines = [Line("7", "us", "Look", START, shows="seven-days/a.png")]
    shelf.kept["seven-days/a.png"] = media(80, 60, noise=8)
    people = visitors(chat)
    ann = people.handset("ann")
    await until(lambda: ann.arrived)
    shown = ann.arrived[0].picture
    assert shown is not None
    assert shown.octets == shelf.kept["seven-days/a.png"].octets
    old = await fetched(chat, f"/help/talk/pictures/{A.hash}/seven-days/a.png")
    assert old[0] == 404
    await people.stop()


@pytest.mark.parametrize(
    "path",
    [
        f"{'0' * 64}/seven-days/a.png",
        f"{A.hash}/seven-days/b.png",
        f"{A.hash}/../../channel.py",
        f"{A.hash}/..%2f..%2fchannel.py",
        f"{A.hash}/%2e%2e/%2e%2e/link.py",
        f"{A.hash}//etc/passwd",
        f"{A.hash}/%00",
        f"{A.hash}/",
        "x/seven-days/a.png",
        "seven-days/a.png",
    ],
)
async def test_only_who_knows_a_picture_gets_it_and_nothing_else(chat: Chat, path: str) -> None:
    assert (await fetched(chat, f"/help/talk/pictures/{path}"))[0] == 404


@pytest.mark.parametrize("image", ["nowhere.png", "https://x.example/a.png"])
async def test_the_words_stand_alone_where_there_is_no_picture(chat: Chat, image: str) -> None:
    people = visitors(chat)
    ann = people.handset("ann")
    await until(lambda: "ann" in chat.channel.connected)
    [outcome] = await chat.channel.send([outgoing(1, "ann", "Look", image=image)])
    assert (outcome.result, outcome.code) == ("accepted", "no_picture")
    await until(lambda: ann.arrived)
    assert (ann.arrived[0].text, ann.arrived[0].picture) == ("Look", None)
    await people.stop()


async def test_while_the_pictures_cannot_be_read_messages_wait(chat: Chat, shelf: Shelf) -> None:
    shelf.away = True
    outcomes = await chat.channel.send(
        [outgoing(1, "ann", "Look", image="seven-days/a.png"), outgoing(2, "ann", "hi")]
    )
    assert [it.result for it in outcomes] == ["unsent", "accepted"]


async def test_the_page_finds_its_parts_wherever_it_stands(chat: Chat) -> None:
    _, _, page = await fetched(chat, "/help/talk")
    assert b'href="talk/chat.css"' in page
    assert b'src="talk/chat.js"' in page
    assert (await fetched(chat, "/help/talk/chat.js"))[0] == 200
