"""An official account at a simulated WeChat: held callbacks, quotas, and what is not WeChat's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from channels.base import Inbox, Media, MediaError, Outcome, Outgoing, Presence, Receipt, Reply
from channels.carriers.weixin import APP_ID, APP_SECRET, TOKEN, Follower, Weixin
from channels.wechat.channel import WeChat
from channels.wechat.crypt import Seal, SealError, signature
from channels.wechat.envelope import MalformedError, heard, read, write
from channels.wechat.settings import WeChatSettings
from orchestrator.core.model import Button, Content
from tests.channels.contract.rig import Kept, serve, until
from tests.channels.contract.wechat import AES_KEY
from tests.channels.mms.conftest import media
from tests.channels.mutations import mutations

SMALL = "hello/small.png"
PICTURES = {SMALL: media(64, 48, noise=8)}
ANN = "oLVPpjqs9BhvzwPj5A-vTYAX3GLc"


class Line:
    """The channel, up, with its far end."""

    def __init__(self, channel: WeChat, weixin: Weixin, kept: Kept) -> None:
        self.channel, self.weixin, self.kept = channel, weixin, kept

    @property
    def ann(self) -> Follower:
        return self.weixin.handset(ANN)

    async def send(self, text: str = "hello", number: int = 1, **parts: Any) -> Outcome:
        [outcome] = await self.channel.send([Outgoing(number, 1, ANN, Content(text, **parts))])
        return outcome


async def pictures(name: str) -> Media:
    if name not in PICTURES:
        raise MediaError("there is no picture of this name")
    return PICTURES[name]


@asynccontextmanager
async def connected(aes_key: str = AES_KEY, answer: str = "", **more: Any) -> AsyncIterator[Line]:
    """With `answer`, whoever says something is answered so, at once."""
    weixin = Weixin(aes_key=aes_key)
    async with AsyncExitStack() as stack:
        await weixin.start()
        stack.push_async_callback(weixin.stop)
        known = {"app_id": APP_ID, "app_secret": APP_SECRET, "token": TOKEN}
        fast = {"hold_s": 0.3, "deadline_s": 60.0, "probe_s": 60}
        given = {**known, "aes_key": aes_key, "api_url": weixin.url, **fast, **more}
        channel, kept = WeChat("wechat", WeChatSettings(**given), pictures), Kept()
        running: set[asyncio.Task[Any]] = set()

        async def replies(said: Sequence[Reply]) -> None:
            await kept.inbox.replies(said)
            if answer:
                message = Outgoing(len(kept.replies), 1, said[0].address, Content(answer))
                running.add(asyncio.create_task(channel.send([message])))

        async def receipts(given: Sequence[Receipt]) -> None:
            await kept.inbox.receipts(given)

        async def presence(told: Sequence[Presence]) -> None:
            await kept.inbox.presence(told)

        server = await serve(channel)
        stack.push_async_callback(server.close)
        weixin.callback = str(server.make_url("/wechat"))
        await channel.start(Inbox(replies, receipts, presence=presence))
        stack.push_async_callback(channel.stop)
        await until(lambda: channel.health() == "up")
        weixin.handset(ANN)
        yield Line(channel, weixin, kept)


@pytest.mark.parametrize("aes_key", ["", AES_KEY])
async def test_an_answer_in_time_is_the_callbacks_own_and_costs_nothing(aes_key: str) -> None:
    async with connected(aes_key, answer="你有 5 分 <a> & ]]>") as line:
        line.weixin.faults.quota = 0
        line.ann.say("积分")
        await until(lambda: line.ann.arrived)
        [shown] = line.ann.arrived
        assert (shown.text, shown.passive) == ("你有 5 分 <a> & ]]>", True)


async def test_without_an_answer_the_callback_is_let_go_and_the_api_brings_it_later() -> None:
    async with connected() as line:
        said = line.ann.say("hello")
        await until(lambda: said.acknowledged_at)
        assert not line.ann.arrived
        assert (await line.send("later")).result == "accepted"
        assert [(it.text, it.passive) for it in line.ann.arrived] == [("later", False)]


async def test_a_callback_that_comes_again_is_one_reply_and_gets_the_same_answer() -> None:
    async with connected(answer="thanks") as line:
        line.weixin.faults.lose_answers = 2
        line.ann.say("hello")
        await until(lambda: line.ann.arrived)
        assert [it.text for it in line.ann.arrived] == ["thanks"]
        assert [it.text for it in line.kept.replies] == ["hello"]


async def test_a_callback_is_not_answered_before_it_is_stored() -> None:
    async with connected() as line:
        line.kept.broken = True
        said = line.ann.say("TD")
        await until(lambda: line.kept.refused)
        line.kept.broken = False
        await until(lambda: said.acknowledged_at)
        assert [it.text for it in line.kept.replies] == ["TD"]


async def test_lines_menus_and_scenes_are_said() -> None:
    async with connected() as line:
        buttons = (Button("我的积分", "/points"), Button("a&b", '"1"'))
        assert (await line.send("What now?", buttons=buttons)).result == "accepted"
        [shown] = line.ann.arrived
        assert (shown.text, shown.buttons) == ("What now?", buttons)
        line.ann.press("我的积分")
        line.ann.choose("/rewards")
        line.ann.switch_on("7Q2M0RXA9KTVC4HE")
        line.ann.switch_off()
        await until(lambda: len(line.kept.replies) == 3)
        await asyncio.sleep(0.1)
        texts = {it.text for it in line.kept.replies}
        assert texts == {"/points", "/rewards", "/start 7Q2M0RXA9KTVC4HE"}


@pytest.mark.parametrize(
    ("errcode", "result", "retry"),
    [
        (45015, "rejected", "never"),
        (45047, "rejected", "never"),
        (45009, "unsent", "later"),
        (-1, "unsent", "later"),
        (43004, "rejected", "never"),
        (48001, "rejected", "never"),
        (99999, "rejected", "never"),
    ],
)
async def test_an_errcode_says_whether_to_try_again(errcode: int, result: str, retry: str) -> None:
    async with connected() as line:
        line.weixin.faults.errcode = errcode
        outcome = await line.send()
        assert (outcome.result, outcome.code) == (result, str(errcode))
        assert outcome.retry == retry
        assert outcome.reason


async def test_twenty_messages_may_follow_what_somebody_wrote() -> None:
    async with connected() as line:
        line.weixin.faults.quota = 20
        said = line.ann.say("hello")
        await until(lambda: said.acknowledged_at)
        results = [(await line.send(number=number)).result for number in range(21)]
        assert results == ["accepted"] * 20 + ["rejected"]
        said = line.ann.say("more")
        await until(lambda: said.acknowledged_at)
        assert (await line.send(number=22)).result == "accepted"


@pytest.mark.parametrize("errcode", [45009, 45011, -1])
async def test_an_api_that_takes_no_more_calls_is_left_alone_for_a_while(errcode: int) -> None:
    async with connected(answer="thanks") as line:
        line.weixin.faults.errcode = errcode
        assert (await line.send()).result == "unsent"
        line.weixin.faults.errcode = 0
        again = await line.send(number=2)
        assert (again.result, again.code, again.retry) == ("unsent", "rests", "later")
        assert line.weixin.sends == 1
        line.ann.say("hello")  # an answer to a callback is no call
        await until(lambda: line.ann.arrived)
        assert line.ann.arrived[0].passive
        line.channel._rests_until_s = 0.0
        assert (await line.send(number=3)).result == "accepted"


# Pictures


async def test_a_picture_is_uploaded_once_and_stands_before_the_words() -> None:
    async with connected() as line:
        bob = line.weixin.handset("oLVPpjqs2BhvzwPj5A-vTYAX4GLc")
        batch = [
            Outgoing(n, n, it.number, Content("Hi", image=SMALL))
            for n, it in enumerate([line.ann, bob] * 3)
        ]
        outcomes = await line.channel.send(batch)
        assert {(it.result, it.code) for it in outcomes} == {("accepted", "")}
        assert line.weixin.gallery.given == 1
        for person in (line.ann, bob):
            shown = [it.picture.octets if it.picture else it.text for it in person.arrived]
            assert sorted(shown, key=str) == sorted([PICTURES[SMALL].octets, "Hi"] * 3, key=str)
        assert line.ann.arrived[0].picture is not None


async def test_a_media_id_that_wechat_forgot_is_uploaded_again() -> None:
    async with connected() as line:
        await line.send(image=SMALL)
        line.weixin.gallery.forget()
        outcome = await line.send(image=SMALL, number=2)
        assert (outcome.result, outcome.code) == ("accepted", "")
        assert [it.picture is not None for it in line.ann.arrived] == [True, False, True, False]


async def test_a_picture_needs_a_good_access_token_as_well() -> None:
    async with connected() as line:
        line.weixin.faults.stale_token = True
        outcome = await line.send(image=SMALL)
        assert (outcome.result, outcome.code) == ("accepted", "")
        assert [it.picture is not None for it in line.ann.arrived] == [True, False]


async def test_a_picture_is_one_of_the_twenty_and_the_answer_to_a_callback_has_none() -> None:
    async with connected() as line:
        line.weixin.faults.quota = 3
        said = line.ann.say("hello")
        await until(lambda: said.acknowledged_at)
        first = await line.send(image=SMALL)
        second = await line.send(image=SMALL, number=2)
        assert (first.result, second.result, second.code) == ("accepted", "rejected", "45047")
        assert [it.picture is not None for it in line.ann.arrived] == [True, False, True]
        third = await line.send(image=SMALL, number=3)
        assert (third.result, third.code) == ("rejected", "45047")
        line.ann.say("more")
        await until(lambda: len(line.kept.replies) == 2)
        answer = await line.send("Answer", image=SMALL, number=4)
        assert (answer.result, answer.code) == ("accepted", "no_picture")
        await until(lambda: line.ann.arrived[-1].passive)
        assert (line.ann.arrived[-1].text, line.ann.arrived[-1].picture) == ("Answer", None)


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        (SMALL, {"picture_errcode": 40009}),
        (SMALL, {"mute_pictures": True}),
        (SMALL, {"mute_uploads": True}),
        ("nowhere.png", {}),
        ("https://x.example/a.png", {}),
    ],
)
async def test_the_words_go_without_a_picture_that_cannot_be_shown(
    image: str, fault: dict[str, Any]
) -> None:
    async with connected(deadline_s=1.0) as line:
        vars(line.weixin.faults).update(fault)
        outcome = await line.send("Look", image=image)
        assert (outcome.result, outcome.code) == ("accepted", "no_picture")
        assert "picture" in outcome.reason
        assert [it.text for it in line.ann.arrived if not it.picture] == ["Look"]


async def test_who_leaves_the_account_cannot_be_written_to() -> None:
    async with connected() as line:
        line.kept.broken = True
        line.ann.switch_off()
        await until(lambda: line.kept.refused)
        line.kept.broken = False
        await until(lambda: line.kept.presence)
        assert line.kept.presence == [Presence("wechat", ANN, False)]
        assert not line.kept.replies
        assert (await line.send()).code == "43004"
        assert line.kept.presence == [Presence("wechat", ANN, False)] * 2
        line.ann.switch_on()
        await until(lambda: line.kept.replies)
        assert [it.text for it in line.kept.replies] == ["/start"]


async def test_who_cannot_be_written_to_is_not_sent_the_words_after_the_picture() -> None:
    async with connected() as line:
        line.ann.follows = False
        outcome = await line.send(image=SMALL)
        assert (outcome.result, outcome.code) == ("rejected", "43004")
        assert line.weixin.sends == 1


async def test_a_stale_access_token_is_renewed_and_the_message_sent_once() -> None:
    async with connected() as line:
        line.weixin.faults.stale_token = True
        outcomes = await line.channel.send(
            [Outgoing(number, 1, ANN, Content(f"number {number}")) for number in range(5)]
        )
        assert {(it.result, it.code) for it in outcomes} == {("accepted", "")}
        assert len(line.ann.arrived) == 5
        assert line.weixin.tokens == 2


async def test_only_who_knows_the_token_is_listened_to() -> None:
    async with connected() as line, aiohttp.ClientSession() as session:
        url, asked = line.weixin.callback, {"timestamp": "1", "nonce": "2", "echostr": "echo me"}
        right = {**asked, "signature": signature(TOKEN, "1", "2")}
        async with session.get(url, params=right) as answer:
            assert (answer.status, await answer.text()) == (200, "echo me")
        for wrong in ("", "x" * 40, "Ö"):
            async with session.get(url, params={**asked, "signature": wrong}) as answer:
                assert answer.status == 403
        plain = write({"FromUserName": ANN, "MsgType": "text", "Content": "x", "MsgId": "1"})
        for body, status in ((plain, 403), (b"<xml", 400), (b"", 400)):
            async with session.post(url, params=right, data=body) as answer:
                assert answer.status == status
        sealed = Seal(AES_KEY, "wx_of_another").seal(plain)
        proof = {**right, "msg_signature": signature(TOKEN, "1", "2", sealed)}
        async with session.post(url, params=proof, data=write({"Encrypt": sealed})) as answer:
            assert answer.status == 400
        assert not line.kept.replies
        assert APP_SECRET not in repr(line.channel.settings)
        assert AES_KEY not in repr(line.channel.settings)


TEXT = (
    b"<xml><ToUserName><![CDATA[toUser]]></ToUserName><FromUserName><![CDATA[fromUser]]>"
    b"</FromUserName><CreateTime>1348831860</CreateTime><MsgType><![CDATA[text]]></MsgType>"
    b"<Content><![CDATA[this is a test]]></Content><MsgId>1234567890123456</MsgId></xml>"
)
EVENT = (
    b"<xml><ToUserName><![CDATA[toUser]]></ToUserName><FromUserName><![CDATA[FromUser]]>"
    b"</FromUserName><CreateTime>123456789</CreateTime><MsgType><![CDATA[event]]></MsgType>"
    b"<Event><![CDATA[CLICK]]></Event><EventKey><![CDATA[EVENTKEY]]></EventKey></xml>"
)


def test_the_examples_of_the_manual_are_understood() -> None:
    """WeChat, "Receiving Standard Messages" and "Receiving Event Pushes"."""
    said = heard(read(TEXT), "wechat")
    assert said == Reply("wechat", "fromUser", "this is a test", "1234567890123456", "toUser")
    chosen = heard(read(EVENT), "wechat")
    assert chosen is not None
    assert (chosen.address, chosen.text) == ("FromUser", "EVENTKEY")


def test_nothing_is_fetched_or_unfolded_for_xml() -> None:
    for hostile in (
        b'<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><A>&a;</A></xml>',
        b'<!DOCTYPE xml [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><xml><A>&b;</A></xml>',
        b"<xml><A>&a;</A></xml>",
        b"<xml>" * 100_000,
        b"<other/>",
    ):
        with pytest.raises(MalformedError):
            read(hostile)


def test_five_thousand_spoilt_callbacks_are_read_or_refused() -> None:
    refused = 0
    for body in mutations([TEXT, EVENT], 5_000):
        try:
            heard(read(body), "wechat")
        except MalformedError:
            refused += 1
    assert 1_000 < refused < 5_000


def test_five_thousand_spoilt_seals_are_refused() -> None:
    seal = Seal(AES_KEY, APP_ID)
    honest = seal.seal(TEXT)
    assert seal.open(honest) == TEXT
    for body in mutations([honest.encode()], 5_000):
        spoilt = body.decode("latin-1")
        if spoilt != honest:
            try:
                seal.open(spoilt)
            except SealError:
                continue
