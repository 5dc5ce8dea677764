"""The bot at a simulated Bot API: what is sent, what is refused, and what comes in."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from channels.base import Media, MediaError, Outcome, Outgoing, Presence
from channels.carriers.bot_api import TOKEN, BotApiServer, Chatter
from channels.carriers.gallery import size_of
from channels.telegram.channel import KIND, SECRET_HEADER, Telegram
from channels.telegram.pace import Gaps
from channels.telegram.settings import TelegramSettings, start_link
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import Button, Content
from orchestrator.runtime.logs import Logfmt
from tests.channels.contract.rig import Kept, serve, until
from tests.channels.mms.conftest import media

SMALL = "hello/small.png"
PICTURES = {
    SMALL: media(64, 48, noise=8),
    "moves.gif": media(40, 30, "GIF"),
    "wide.png": media(6_000, 400, noise=400),
    "thin.png": media(2_100, 100, noise=100),
}
SECRET = "the-token-that-only-telegram-knows"
ANN = "4200001"


class Line:
    """The channel, up, with its far end."""

    def __init__(self, channel: Telegram, api: BotApiServer, kept: Kept, site: str) -> None:
        self.channel, self.api, self.kept, self.site = channel, api, kept, site

    @property
    def ann(self) -> Chatter:
        return self.api.handset(ANN)

    async def send(self, text: str = "hello", number: int = 1, **parts: Any) -> Outcome:
        [outcome] = await self.channel.send([Outgoing(number, 1, ANN, Content(text, **parts))])
        return outcome

    async def call(self, body: bytes, secret: str = SECRET) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.site}/telegram", data=body, headers={SECRET_HEADER: secret}) as it,
        ):
            return it.status


async def pictures(name: str) -> Media:
    if name not in PICTURES:
        raise MediaError("there is no picture of this name")
    return PICTURES[name]


@asynccontextmanager
async def connected(
    api: BotApiServer, media: Callable[[str], Awaitable[Media]] = pictures, **settings: Any
) -> AsyncIterator[Line]:
    port = unused_port()
    if settings.get("mode") != "polling":
        settings["public_url"] = f"http://127.0.0.1:{port}"
    fast = {"gap_s": 0, "rate_per_s": 1000, "deadline_s": 60.0, "probe_s": 0.05, "poll_s": 1}
    given = TelegramSettings(token=TOKEN, api_url=api.url, **{**fast, **settings})
    channel, kept = Telegram("telegram", given, SECRET, media), Kept()
    async with AsyncExitStack() as stack:
        server = await serve(channel, port)
        stack.push_async_callback(server.close)
        stack.push_async_callback(channel.stop)
        await channel.start(kept.inbox)
        await until(lambda: channel.health() == "up")
        yield Line(channel, api, kept, f"http://127.0.0.1:{port}")


@pytest.fixture
async def api() -> AsyncIterator[BotApiServer]:
    server = BotApiServer()
    await server.start()
    server.handset(ANN)
    yield server
    await server.stop()


@pytest.fixture
async def line(api: BotApiServer) -> AsyncIterator[Line]:
    async with connected(api) as made:
        yield made


# Sending


async def test_words_are_sent_as_they_are_and_not_as_markdown(line: Line) -> None:
    words = "*2* <b>for_1</b> [a](b) `c` & 您好"
    assert (await line.send(words)).result == "accepted"
    assert line.ann.arrived[-1].text == words


async def test_buttons_stand_below_and_what_they_cannot_hold_is_written_out(line: Line) -> None:
    buttons = (Button("积分", "/points"), Button("Long", "x" * 65), Button("您", "您" * 21))
    assert (await line.send("What now?", buttons=buttons)).result == "accepted"
    [shown] = line.ann.arrived
    assert shown.buttons == (buttons[0], buttons[2])
    assert shown.text == "What now?\nLong: " + "x" * 65


async def test_a_picture_elsewhere_is_fetched_by_telegram(line: Line) -> None:
    address = "https://outreach.example/coffee.png"
    assert (await line.send("Coffee!", image=address)).result == "accepted"
    [shown] = line.ann.arrived
    assert (shown.text, shown.photo) == ("Coffee!", address)


async def test_a_picture_of_the_project_is_uploaded_once_and_shown_each_time(line: Line) -> None:
    batch = [Outgoing(n, n, str(4200001 + n), Content("Hi", image=SMALL)) for n in range(10)]
    for message in batch:
        line.api.handset(message.address)
    outcomes = await line.channel.send(batch)
    assert {(it.result, it.code) for it in outcomes} == {("accepted", "")}
    for message in batch:
        [shown] = line.api.handset(message.address).arrived
        assert shown.text == "Hi"
        assert shown.picture is not None
        assert shown.picture.octets == PICTURES[SMALL].octets
    assert line.api.gallery.given == 1


async def test_words_that_no_picture_can_hold_come_after_it_with_the_buttons(line: Line) -> None:
    fits, long = "😀" * 512, "😀" * 512 + "x"
    buttons = (Button("Points", "/points"),)
    assert (await line.send(fits, image=SMALL, buttons=buttons)).result == "accepted"
    outcome = await line.send(long, image=SMALL, buttons=buttons, number=2)
    first, second, third = line.ann.arrived
    assert (first.text, bool(first.picture), first.buttons) == (fits, True, buttons)
    assert (second.text, bool(second.picture), second.buttons) == ("", True, ())
    assert (third.text, third.picture, third.buttons) == (long, None, buttons)
    assert (outcome.result, outcome.carrier_id) == ("accepted", f"{ANN}/{third.message_id}")


async def test_an_animation_moves_and_what_telegram_cannot_hold_is_made_smaller(line: Line) -> None:
    await line.send("Look", image="moves.gif")
    await line.send("Wide", image="wide.png", number=2)
    assert line.api.calls.count("sendAnimation") == 1
    first, second = line.ann.arrived
    assert first.picture is not None
    assert first.picture.mime == "image/gif"
    assert second.picture is not None
    assert size_of(second.picture.octets)[0] == 5_000


async def test_a_file_id_that_telegram_forgot_is_uploaded_again(line: Line) -> None:
    await line.send(image=SMALL)
    line.api.gallery.forget()
    outcome = await line.send(image=SMALL, number=2)
    assert (outcome.result, outcome.code) == ("accepted", "")
    assert [it.picture is not None for it in line.ann.arrived] == [True, True]
    assert line.api.gallery.given == 2


@pytest.mark.parametrize("image", [SMALL, "nowhere.png", "thin.png", "https://x.example/a.png"])
@pytest.mark.parametrize("text", ["short", "x" * 2000])
async def test_the_words_go_without_a_picture_that_cannot_be_shown(
    line: Line, image: str, text: str
) -> None:
    if image in (SMALL, "https://x.example/a.png"):
        line.api.faults.refuse_pictures = "IMAGE_PROCESS_FAILED"
    outcome = await line.send(text, image=image)
    assert (outcome.result, outcome.code) == ("accepted", "no_picture")
    assert "picture" in outcome.reason
    assert [(it.text, it.photo) for it in line.ann.arrived] == [(text, "")]


async def test_a_picture_without_words_that_telegram_refuses_is_rejected(line: Line) -> None:
    line.api.faults.refuse_pictures = "IMAGE_PROCESS_FAILED"
    outcome = await line.send("", image=SMALL)
    assert (outcome.result, outcome.code) == ("rejected", "picture")


async def test_who_blocks_the_bot_is_not_asked_twice_because_of_a_picture(line: Line) -> None:
    line.ann.blocks = True
    outcome = await line.send(image=SMALL)
    assert (outcome.result, outcome.code) == ("rejected", "blocked")
    assert "sendMessage" not in line.api.calls


async def test_no_answer_to_a_picture_with_its_words_is_unknown(api: BotApiServer) -> None:
    async with connected(api, deadline_s=1.0) as line:
        api.faults.mute_pictures = True
        assert (await line.send(image=SMALL)).result == "unknown"
        assert "sendMessage" not in api.calls
        long = await line.send("x" * 2000, image=SMALL, number=2)
        assert (long.result, long.code) == ("accepted", "no_picture")
        assert line.ann.arrived[-1].text == "x" * 2000


async def test_words_that_are_tried_again_do_not_bring_their_picture_again(line: Line) -> None:
    line.api.faults.throttle_words_once = 1
    outcome = await line.send("x" * 2000, image=SMALL)
    assert (outcome.result, outcome.retry) == ("unsent", "later")
    await until(lambda: line.channel.health() == "up")
    assert (await line.send("x" * 2000, image=SMALL)).result == "accepted"
    assert [it.text for it in line.ann.arrived] == ["", "x" * 2000]


async def test_while_the_pictures_cannot_be_read_messages_wait(api: BotApiServer) -> None:
    async def away(name: str) -> Media:
        raise RuntimeError("the database is away")

    async with connected(api, media=away) as line:
        outcome = await line.send(image=SMALL)
        assert (outcome.result, outcome.retry) == ("unsent", "later")
        assert not line.ann.arrived


@pytest.mark.parametrize(("length", "result"), [(4096, "accepted"), (4097, "rejected")])
async def test_a_message_has_at_most_4096_units(line: Line, length: int, result: str) -> None:
    assert (await line.send("x" * length)).result == result
    assert (await line.send("😀" * (length // 2) + "x" * (length % 2), 2)).result == result


async def test_who_has_blocked_the_bot_gets_nothing_and_the_reason_says_so(line: Line) -> None:
    line.ann.blocks = True
    outcome = await line.send()
    assert (outcome.result, outcome.code, outcome.retry) == ("rejected", "blocked", "never")
    await until(lambda: line.kept.presence)
    assert line.kept.presence == [Presence("telegram", ANN, False)]
    line.ann.switch_on()
    assert (await line.send(number=2)).result == "accepted"


@pytest.mark.parametrize("mode", ["webhook", "polling"])
async def test_telegram_tells_who_blocks_the_bot_and_who_takes_it_back(
    api: BotApiServer, mode: str
) -> None:
    async with connected(api, mode=mode) as line:
        line.kept.broken = True
        line.ann.switch_off()
        await until(lambda: line.kept.refused >= 2)
        line.kept.broken = False
        line.ann.switch_on()
        await until(lambda: len(line.kept.presence) == 2)
        assert [it.here for it in line.kept.presence] == [False, True]
        assert {(it.channel, it.address) for it in line.kept.presence} == {("telegram", ANN)}
        assert not line.kept.replies


async def test_who_never_opened_the_bot_cannot_be_written_to(line: Line) -> None:
    [outcome] = await line.channel.send([Outgoing(1, 1, "999", Content("hello"))])
    assert (outcome.result, outcome.code) == ("rejected", "chat_not_found")


async def test_after_a_429_nothing_is_sent_until_telegram_allows_it(line: Line) -> None:
    line.api.faults.throttle_s = 1
    outcome = await line.send()
    assert (outcome.result, outcome.code, outcome.retry) == ("unsent", "429", "later")
    line.api.faults.throttle_s = None
    assert line.channel.health() == "connecting"
    asked = len(line.api.calls)
    assert (await line.send(number=2)).result == "unsent"
    assert line.api.calls[asked:].count("sendMessage") == 0
    await until(lambda: line.channel.health() == "up")
    assert (await line.send(number=3)).result == "accepted"


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_whether_a_broken_server_sent_it_nobody_knows(line: Line, status: int) -> None:
    line.api.faults.broken = status
    assert (await line.send()).result == "unknown"


async def test_a_lost_answer_is_unknown_and_the_message_is_sent_once(line: Line) -> None:
    line.api.faults.lose_answers = True
    assert (await line.send()).result == "unknown"
    assert len(line.ann.arrived) == 1


async def test_a_refused_connection_is_unsent_and_comes_back_by_itself(api: BotApiServer) -> None:
    async with connected(api, probe_s=60) as line:
        await api.stop()
        outcome = await line.send()
        assert (outcome.result, outcome.retry) == ("unsent", "later")
        assert line.channel.health() == "connecting"
        await api.start()
        await until(lambda: line.channel.health() == "up")
        assert (await line.send(number=2)).result == "accepted"


async def test_a_wrong_token_takes_the_channel_down(api: BotApiServer) -> None:
    settings = TelegramSettings(token="1:wrong", api_url=api.url)
    channel = Telegram("telegram", settings, SECRET)
    await channel.start(Kept().inbox)
    await until(lambda: channel.health() == "down")
    await channel.stop()


def test_a_person_is_written_to_once_a_second_after_a_burst() -> None:
    gaps = Gaps(1.0)
    waits = [gaps.wait_s(ANN, 100.0) for _ in range(10)]
    assert waits == [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, None, None]
    assert gaps.wait_s("another", 100.0) == 0.0
    assert gaps.wait_s(ANN, 110.0) == 0.0


# Coming in


async def test_a_pressed_button_says_its_reply_and_stops_waiting(line: Line) -> None:
    await line.send("What now?", buttons=(Button("My points", "/points"),))
    line.ann.press("My points")
    await until(lambda: line.kept.replies and line.ann.thanked)
    assert [(it.address, it.text) for it in line.kept.replies] == [(ANN, "/points")]


async def test_an_update_whose_thanks_were_lost_comes_again_under_the_same_id(line: Line) -> None:
    line.api.faults.lose_thanks = 2
    said = line.ann.say("hello")
    await until(lambda: said.acknowledged_at)
    assert len(line.kept.replies) == 3
    assert len({it.source_id for it in line.kept.replies}) == 1


async def test_an_update_is_thanked_for_only_once_it_is_stored(line: Line) -> None:
    line.kept.broken = True
    said = line.ann.say("STOP")
    await until(lambda: line.kept.refused >= 2)
    assert said.acknowledged_at is None
    line.kept.broken = False
    await until(lambda: said.acknowledged_at)
    assert [it.text for it in line.kept.replies] == ["STOP"]


async def test_only_who_knows_the_secret_is_listened_to(line: Line) -> None:
    body = b'{"update_id":1,"message":{"message_id":1,"chat":{"id":5,"type":"private"},"text":"x"}}'
    assert await line.call(body, "") == 403
    assert await line.call(body, SECRET + "x") == 403
    assert await line.call(body, "Ö") == 403
    assert not line.kept.replies
    assert await line.call(body) == 200
    assert await line.call(b"{") == 400
    assert [it.address for it in line.kept.replies] == ["5"]


async def test_polling_brings_what_was_said_and_takes_it_from_the_list(api: BotApiServer) -> None:
    async with connected(api, mode="polling") as line:
        assert api.webhook == ""
        said = [line.ann.say("one"), line.ann.say("two")]
        await until(lambda: all(it.acknowledged_at for it in said))
        assert [it.text for it in line.kept.replies] == ["one", "two"]
        line.kept.broken = True
        third = line.ann.say("three")
        await until(lambda: line.kept.refused >= 2)
        assert third.acknowledged_at is None
        line.kept.broken = False
        await until(lambda: third.acknowledged_at)
        assert [it.text for it in line.kept.replies] == ["one", "two", "three"]


# Configured


def test_a_polled_bot_belongs_to_a_gateway_and_one_with_a_webhook_to_the_web() -> None:
    place: Callable[[Any], str] = KIND.place  # type: ignore[assignment]
    assert place(TelegramSettings(token=TOKEN)) == "web"
    assert place(TelegramSettings(token=TOKEN, mode="polling")) == "gateway"
    with pytest.raises(OutreachError):
        TelegramSettings(token=TOKEN, mode="polling", public_url="https://outreach.example")


def test_a_link_opens_the_bot_and_says_start() -> None:
    settings = TelegramSettings(token=TOKEN, bot="our_bot")
    assert start_link(settings, "7Q2M0RXA") == "https://t.me/our_bot?start=7Q2M0RXA"
    with pytest.raises(OutreachError):
        start_link(TelegramSettings(token=TOKEN), "x")


async def test_no_log_holds_the_token_the_address_or_the_words(api: BotApiServer) -> None:
    from orchestrator.runtime import logs

    heard, root = io.StringIO(), logging.getLogger()
    before, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs._QUIET}
    logs.set_up_logs(logging.DEBUG, heard)
    assert isinstance(root.handlers[0].formatter, Logfmt)
    try:
        async with connected(api, deadline_s=0.5) as line:
            await line.send("canary words")
            for fault in ({"throttle_s": 1}, {"broken": 502}, {"refuse": "x"}, {"mute": True}):
                vars(line.api.faults).update(throttle_s=None, broken=None, refuse=None)
                vars(line.api.faults).update(fault)
                line.channel._quiet_until_s = 0.0
                await line.send("canary words")
            line.kept.broken = True
            line.ann.say("canary words")
            await until(lambda: line.kept.refused)
    finally:
        root.handlers[:], root.level = before, level
        for name, least in levels.items():
            logging.getLogger(name).setLevel(least)
    assert "bot_ready" in heard.getvalue()
    for canary in ("canary", ANN, TOKEN, TOKEN.partition(":")[2], SECRET):
        assert canary not in heard.getvalue()
    assert TOKEN not in repr(line.channel.settings)
