"""What is said on a page, and to it."""

from __future__ import annotations

import asyncio
import json
import logging

import aiohttp
import pytest

from channels.webchat import Line
from channels.webchat.browser import BURST
from channels.webchat.channel import COOKIE, MAX_SOCKETS, TOO_MANY
from channels.webchat.frames import MAX_TEXT
from channels.webchat.link import mint
from tests.channels.webchat.conftest import BUTTONS, SECRET, START, Chat, outgoing


async def test_a_message_to_an_open_page_is_shown_at_once(chat: Chat) -> None:
    async with chat.page("ann") as page:
        [outcome] = await chat.channel.send(
            [outgoing(7, "ann", "您好 👋", href="http://wap.example/start", buttons=BUTTONS)]
        )
        assert (outcome.result, outcome.carrier_id) == ("accepted", "7")
        [line] = (await page.hears("lines"))["lines"]
        assert line["text"] == "您好 👋"
        assert line["href"] == "http://wap.example/start"
        assert line["buttons"][0] == {"label": "我的积分", "reply": "/points"}


async def test_a_message_to_nobody_is_accepted_and_shown_from_the_history_later(
    chat: Chat,
) -> None:
    [outcome] = await chat.channel.send([outgoing(7, "ann", "hello")])
    assert outcome.result == "accepted"
    chat.lines = [Line("7", "us", "hello", START), Line("ann/own-id-00", "you", "hi", START)]
    async with chat.page("ann") as page:
        assert [(it["id"], it["by"]) for it in page.history] == [("7", "us"), ("own-id-00", "you")]


async def test_a_batch_to_one_page_is_one_frame(chat: Chat) -> None:
    async with chat.page("ann") as page:
        batch = [outgoing(i, "ann", f"line {i}") for i in range(1, 301)]
        outcomes = await chat.channel.send(batch)
        assert [it.message_id for it in outcomes] == list(range(1, 301))
        assert len((await page.hears("lines"))["lines"]) == 300


async def test_a_blast_makes_no_task_per_message(chat: Chat) -> None:
    async with chat.page("ann"), chat.page("bob"):
        before = len(asyncio.all_tasks())
        await chat.channel.send([outgoing(i, f"nobody-{i}", "hi") for i in range(5_000)])
        await chat.channel.send([outgoing(i, "bob", "hi") for i in range(500)])
        assert len(asyncio.all_tasks()) == before


async def test_messages_go_to_their_own_address_only(chat: Chat) -> None:
    async with chat.page("ann") as ann, chat.page("bob") as bob:
        await chat.channel.send([outgoing(1, "ann", "for ann"), outgoing(2, "bob", "for bob")])
        assert [it["text"] for it in (await ann.hears("lines"))["lines"]] == ["for ann"]
        assert [it["text"] for it in (await bob.hears("lines"))["lines"]] == ["for bob"]


async def test_an_acknowledged_message_is_delivered_once(chat: Chat) -> None:
    async with chat.page("ann") as page:
        await chat.channel.send([outgoing(7, "ann", "hello")])
        await page.hears("lines")
        for _ in range(2):
            await page.socket.send_json({"type": "seen", "ids": ["7", "7"]})
        await page.says("done", "done-0001")
        await page.hears("stored")
    assert [(it.carrier_id, it.state) for it in chat.kept.receipts] == [("7", "delivered")]


async def test_nobody_can_acknowledge_what_was_sent_to_somebody_else(chat: Chat) -> None:
    async with chat.page("ann"), chat.page("bob") as bob:
        await chat.channel.send([outgoing(7, "ann", "for ann")])
        await bob.socket.send_json({"type": "seen", "ids": ["7", "8"]})
        await bob.says("done", "done-0001")
        await bob.hears("stored")
    assert chat.kept.receipts == []


async def test_a_line_of_the_history_can_be_acknowledged_unless_it_was(chat: Chat) -> None:
    chat.lines = [Line("6", "us", "old", START, acknowledged=True), Line("7", "us", "new", START)]
    async with chat.page("ann") as page:
        await page.socket.send_json({"type": "seen", "ids": ["6", "7"]})
        await page.says("done", "done-0001")
        await page.hears("stored")
    assert [it.carrier_id for it in chat.kept.receipts] == ["7"]


async def test_a_reply_is_answered_only_after_it_is_stored(chat: Chat) -> None:
    async with chat.page("ann") as page:
        await page.says("  查积分  ", "reply-0001")
        stored = await page.hears("stored")
        assert stored["id"] == "reply-0001"
    [reply] = chat.kept.by_source.values()
    assert (reply.channel, reply.address, reply.text) == ("webchat", "ann", "查积分")
    assert reply.source_id == "ann/reply-0001"


async def test_a_reply_that_is_not_stored_is_not_confirmed_and_can_be_said_again(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    chat.kept.broken = True
    async with chat.page("ann") as page:
        with caplog.at_level(logging.DEBUG):
            await page.says("canary-words", "reply-0001")
            assert (await page.hears("refused"))["reason"] == "try_again"
        assert "canary-words" not in caplog.text
        assert "13800138000" not in caplog.text
        chat.kept.broken = False
        await page.says("canary-words", "reply-0001")
        await page.hears("stored")
    assert chat.kept.texts == ["canary-words"]


async def test_a_reply_resent_after_a_reconnect_is_one_reply(chat: Chat) -> None:
    async with chat.page("ann") as page:
        await page.says("兑换", "reply-0001")
        page.socket._response.close()  # The line goes dead before the answer is read.
    async with chat.page("ann") as page:
        await page.says("兑换", "reply-0001")
        assert (await page.hears("stored"))["id"] == "reply-0001"
    assert chat.kept.texts == ["兑换"]


async def test_the_same_id_of_two_people_is_two_replies(chat: Chat) -> None:
    async with chat.page("ann") as ann, chat.page("bob") as bob:
        await ann.says("1", "reply-0001")
        await bob.says("2", "reply-0001")
        await ann.hears("stored")
        await bob.hears("stored")
    assert sorted(chat.kept.texts) == ["1", "2"]


async def test_what_is_said_on_one_page_shows_on_the_others_of_the_same_person(chat: Chat) -> None:
    async with chat.page("ann") as laptop, chat.page("ann") as phone, chat.page("bob") as other:
        await laptop.says("hello", "reply-0001")
        await laptop.hears("stored")
        [line] = (await phone.hears("lines"))["lines"]
        assert (line["by"], line["id"], line["text"]) == ("you", "reply-0001", "hello")
        with pytest.raises(asyncio.TimeoutError):
            await other.socket.receive(timeout=0.05)


async def test_a_hundred_thousand_characters_get_a_friendly_answer_and_the_socket_stays(
    chat: Chat,
) -> None:
    async with chat.page("ann") as page:
        for text in ("x" * 100_000, "😀" * 100_000, "\\" * 100_000):
            await page.says(text, "reply-0001")
            refused = await page.hears("refused")
            assert (refused["reason"], refused["limit"]) == ("too_long", MAX_TEXT)
        await page.says("y" * MAX_TEXT, "reply-0002")
        await page.hears("stored")
    assert chat.kept.texts == ["y" * MAX_TEXT]


MALFORMED = [
    "",
    "{",
    "null",
    "[]",
    '"say"',
    "1e999",
    "[" * 100_000,
    '{"type":"say"}',
    '{"type":"lines","lines":[]}',
    '{"type":"say","id":"reply-0001","text":7}',
    '{"type":"say","id":"short","text":"x"}',
    '{"type":"say","id":"with space","text":"x"}',
    '{"type":"say","id":"' + "a" * 65 + '","text":"x"}',
    '{"type":"say","id":"reply-0001\\u0000","text":"x"}',
    '{"type":"say","id":"reply-0001","text":"\\ud800"}',
    '{"type":"seen","ids":"7"}',
    '{"type":"seen","ids":[7]}',
    json.dumps({"type": "seen", "ids": ["7"] * 501}),
    json.dumps({"type": "seen", "ids": ["7" * 65]}),
]


@pytest.mark.parametrize("frame", MALFORMED, ids=range(len(MALFORMED)))
async def test_a_malformed_frame_is_answered_and_the_socket_stays(chat: Chat, frame: str) -> None:
    async with chat.page("ann") as page:
        await page.socket.send_str(frame)
        assert (await page.hears("refused"))["reason"] == "malformed"
        await page.socket.send_bytes(frame.encode() + b"\xff")
        assert (await page.hears("refused"))["reason"] == "malformed"
        await page.says("still here", "reply-0002")
        await page.hears("stored")
    assert chat.kept.texts == ["still here"]


@pytest.mark.parametrize("text", ["", " \n\t", "\0", "\u3000"])
async def test_saying_nothing_is_refused(chat: Chat, text: str) -> None:
    async with chat.page("ann") as page:
        await page.says(text, "reply-0001")
        assert (await page.hears("refused"))["reason"] == "empty"
    assert chat.kept.texts == []


async def test_anything_a_person_can_type_arrives_as_typed_but_for_nul(chat: Chat) -> None:
    text = "<script>alert(1)</script> '; DROP TABLE x; -- {{ 7*7 }} \u202e 👨‍👩‍👧 a\0b"
    async with chat.page("ann") as page:
        await page.says(text, "reply-0001")
        await page.hears("stored")
    assert chat.kept.texts == [text.replace("\0", "")]


async def test_a_flood_is_slowed_down_and_nothing_of_it_is_lost_when_said_again(
    chat: Chat,
) -> None:
    async with chat.page("ann") as page:
        for i in range(BURST + 20):
            await page.says(f"{i}", f"reply-{i:04}")
        answers = [await page.socket.receive_json(timeout=30) for _ in range(BURST + 20)]
        refused = [it for it in answers if it["type"] == "refused"]
        assert {it["reason"] for it in refused} == {"too_fast"}
        assert 0 < len(refused) <= 20  # some may speak again before the last has spoken
        await asyncio.sleep(0.3)
        await page.says("again", refused[0]["id"])
        await page.hears("stored")


async def test_a_page_that_only_writes_nonsense_is_closed(chat: Chat) -> None:
    async with chat.page("ann") as page:
        for _ in range(400):
            await page.socket.send_str("nonsense")
        async for _ in page.socket:
            pass
        assert page.socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION
    async with chat.page("ann") as page:
        await page.says("back", "reply-0001")
        await page.hears("stored")


async def test_a_page_that_never_reads_is_dropped_and_holds_up_nobody(chat: Chat) -> None:
    async with chat.page("slow") as slow, chat.page("ann") as ann:
        slow.socket._reader._protocol.pause_reading()
        for round in range(20):
            batch = [outgoing(round * 200 + i, "slow", "x" * 4_000) for i in range(200)]
            assert {it.result for it in await chat.channel.send(batch)} == {"accepted"}
            await asyncio.sleep(0)
        await chat.channel.send([outgoing(9_999, "ann", "for ann")])
        assert (await ann.hears("lines"))["lines"][0]["text"] == "for ann"
        for _ in range(1_000):
            if "slow" not in chat.channel.connected:
                break
            await asyncio.sleep(0.02)
        assert "slow" not in chat.channel.connected
        slow.socket._reader._protocol.resume_reading()


async def test_one_address_may_have_so_many_pages_open(chat: Chat) -> None:
    async with aiohttp.ClientSession(cookies={COOKIE: mint("ann", SECRET)}) as session:
        url = chat.server.make_url("/chat/socket")
        sockets = [await session.ws_connect(url) for _ in range(MAX_SOCKETS + 1)]
        message = await sockets[-1].receive(timeout=30)
        assert message.data == TOO_MANY
        for socket in sockets:
            await socket.close()


async def test_a_history_that_fails_closes_the_page_politely(chat: Chat) -> None:
    async def broken(address: str, limit: int) -> list[Line]:
        raise RuntimeError("the database is away")

    chat.channel._history = broken
    async with aiohttp.ClientSession(cookies={COOKIE: mint("ann", SECRET)}) as session:
        socket = await session.ws_connect(chat.server.make_url("/chat/socket"))
        message = await socket.receive(timeout=30)
        assert message.data == aiohttp.WSCloseCode.TRY_AGAIN_LATER
        await socket.close()


async def test_messages_without_words_or_with_too_many_are_rejected_alone(chat: Chat) -> None:
    outcomes = await chat.channel.send(
        [
            outgoing(1, "ann", ""),
            outgoing(2, "ann", "x" * 4_001),
            outgoing(3, "", "hi"),
            outgoing(4, "ann", "hi"),
        ]
    )
    assert [it.result for it in outcomes] == ["rejected", "rejected", "rejected", "accepted"]
    assert all(it.reason for it in outcomes[:3])


async def test_a_stopped_chat_sends_nothing_and_tells_its_pages_to_come_back(chat: Chat) -> None:
    async with chat.page("ann") as page:
        stopping = asyncio.create_task(chat.channel.stop())
        message = await page.socket.receive(timeout=30)
        assert message.data == aiohttp.WSCloseCode.GOING_AWAY
        await stopping
    [outcome] = await chat.channel.send([outgoing(1, "ann", "hi")])
    assert (outcome.result, outcome.retry) == ("unsent", "later")
    assert chat.channel.health() == "down"
