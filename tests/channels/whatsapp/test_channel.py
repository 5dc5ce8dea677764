"""WhatsApp at a simulated Cloud API: what is sent, what is told, and who may tell it."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.base import Outcome, Outgoing
from channels.carriers.graph import (
    ACCESS_TOKEN,
    APP_SECRET,
    NUMBER_ID,
    VERIFY_TOKEN,
    Contact,
    Graph,
)
from channels.whatsapp import channel as whatsapp
from channels.whatsapp.channel import SIGNATURE, WhatsApp
from channels.whatsapp.hooks import MalformedError, read, receipts, replies, signed
from channels.whatsapp.settings import WhatsAppSettings, chat_link
from orchestrator.core.delivery import Receipt, Reply
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import Button, Content
from tests.channels.contract.rig import Kept, until
from tests.channels.mutations import mutations

ANN = "+8613800138000"
KNOWN = {
    "phone_number_id": NUMBER_ID,
    "access_token": ACCESS_TOKEN,
    "app_secret": APP_SECRET,
    "verify_token": VERIFY_TOKEN,
}


class Line:
    """The channel, up, with its far end."""

    def __init__(self, channel: WhatsApp, graph: Graph, kept: Kept) -> None:
        self.channel, self.graph, self.kept = channel, graph, kept

    @property
    def ann(self) -> Contact:
        return self.graph.handset(ANN)

    async def send(self, text: str = "hello", number: int = 1, **parts: Any) -> Outcome:
        [outcome] = await self.channel.send([Outgoing(number, 1, ANN, Content(text, **parts))])
        return outcome


@asynccontextmanager
async def connected(**more: Any) -> AsyncIterator[Line]:
    graph = Graph()
    async with AsyncExitStack() as stack:
        await graph.start()
        stack.push_async_callback(graph.stop)
        fast = {"graph_url": graph.url, "deadline_s": 0.5, "probe_s": 60}
        given: dict[str, Any] = {**KNOWN, **fast, **more}
        channel, kept = WhatsApp("whatsapp", WhatsAppSettings(**given)), Kept()
        application = web.Application()
        application.add_routes(channel.routes())
        server = TestServer(application)
        await server.start_server()
        stack.push_async_callback(server.close)
        graph.webhook = str(server.make_url("/whatsapp"))
        await channel.start(kept.inbox)
        stack.push_async_callback(channel.stop)
        await until(lambda: channel.health() == "up")
        graph.handset(ANN)
        yield Line(channel, graph, kept)


# Sending


@pytest.mark.parametrize("count", [1, 3, 4, 10])
async def test_buttons_are_buttons_or_a_list_and_say_their_reply(count: int) -> None:
    buttons = tuple(Button(f"Choice {n}", f"/choice {n}") for n in range(count))
    async with connected() as line:
        assert (await line.send("What now?", buttons=buttons)).result == "accepted"
        [shown] = line.ann.arrived
        assert (shown.text, shown.buttons) == ("What now?", buttons)
        line.ann.press("Choice 0")
        await until(lambda: line.kept.replies)
        assert [(it.address, it.text) for it in line.kept.replies] == [(ANN, "/choice 0")]


async def test_what_no_button_can_hold_is_written_out() -> None:
    buttons = (Button("A label of more than twenty characters", "1"), Button("B", "2"))
    async with connected() as line:
        assert (await line.send("What now?", buttons=buttons)).result == "accepted"
        [shown] = line.ann.arrived
        assert shown.text.endswith("A label of more than twenty characters: 1\nB: 2")


async def test_outside_the_window_the_template_carries_the_words() -> None:
    async with connected(template="news") as line:
        line.graph.faults.closed_window = True
        outcome = await line.send("Five points\nfor  you")
        assert outcome.result == "accepted"
        [shown] = line.ann.arrived
        assert (shown.text, shown.template) == ("Five points for you", "news")
    async with connected() as line:
        line.graph.faults.closed_window = True
        outcome = await line.send()
        assert (outcome.result, outcome.code, outcome.retry) == ("rejected", "131047", "never")


@pytest.mark.parametrize(
    ("code", "result", "retry"),
    [
        (131026, "rejected", "never"),
        (131056, "unsent", "later"),
        (190, "unsent", "later"),
        (131000, "unknown", "never"),
        (999999, "rejected", "never"),
    ],
)
async def test_a_code_says_whether_to_try_again(code: int, result: str, retry: str) -> None:
    async with connected() as line:
        line.graph.faults.code = code
        outcome = await line.send()
        assert (outcome.result, outcome.code, outcome.retry) == (result, str(code), retry)
        assert outcome.reason


async def test_over_the_limit_nothing_is_sent_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whatsapp, "QUIET_S", 0.3)
    async with connected() as line:
        line.graph.faults.code = 130429
        assert (await line.send()).result == "unsent"
        line.graph.faults.code = 0
        assert line.channel.health() == "connecting"
        assert (await line.send(number=2)).result == "unsent"
        await until(lambda: line.channel.health() == "up")
        assert (await line.send(number=3)).result == "accepted"


@pytest.mark.parametrize("status", [200, 500, 503])
async def test_an_answer_that_is_none_is_unknown(status: int) -> None:
    async with connected() as line:
        line.graph.faults.broken = status
        assert (await line.send()).result == "unknown"


# Coming in


@pytest.mark.parametrize(
    ("statuses", "states"),
    [
        (("sent",), []),
        (("delivered", "sent"), ["delivered"]),
        (("read", "delivered", "sent"), ["delivered", "delivered"]),
        (("failed",), ["undelivered"]),
        (("a-new-one",), []),
    ],
)
async def test_statuses_come_in_any_order(statuses: tuple[str, ...], states: list[str]) -> None:
    async with connected() as line:
        line.graph.faults.statuses = statuses
        outcome = await line.send()
        said = line.ann.say("and this comes after them")
        await until(lambda: said.acknowledged_at and len(line.kept.receipts) == len(states))
        assert [it.state for it in line.kept.receipts] == states
        assert {it.carrier_id for it in line.kept.receipts} <= {outcome.carrier_id}


async def test_a_call_whose_thanks_were_lost_comes_again_under_the_same_id() -> None:
    async with connected() as line:
        line.graph.faults.lose_thanks = 2
        said = line.ann.say("hello")
        await until(lambda: said.acknowledged_at)
        assert len(line.kept.replies) == 3
        assert len({it.source_id for it in line.kept.replies}) == 1


async def test_a_call_is_thanked_for_only_once_it_is_stored() -> None:
    async with connected() as line:
        line.kept.broken = True
        said = line.ann.say("STOP")
        await until(lambda: line.kept.refused >= 2)
        assert said.acknowledged_at is None
        line.kept.broken = False
        await until(lambda: said.acknowledged_at)
        assert [it.text for it in line.kept.replies] == ["STOP"]


async def test_only_who_knows_the_secrets_is_listened_to() -> None:
    async with connected() as line, aiohttp.ClientSession() as session:
        url = line.graph.webhook
        asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
        right = {**asked, "hub.verify_token": VERIFY_TOKEN}
        async with session.get(url, params=right) as answer:
            assert (answer.status, await answer.text()) == (200, "1158201444")
        for wrong in ({}, asked, {**asked, "hub.verify_token": "x"}, {**right, "hub.mode": "x"}):
            async with session.get(url, params=wrong) as answer:
                assert answer.status == 403
        for body, proof, status in (
            (TEXT, "", 403),
            (TEXT, "sha256=" + "0" * 64, 403),
            (TEXT + b" ", proof_of(TEXT), 403),
            (b"{", proof_of(b"{"), 400),
            (TEXT, proof_of(TEXT), 200),
        ):
            async with session.post(url, data=body, headers={SIGNATURE: proof}) as answer:
                assert answer.status == status
        assert [it.text for it in line.kept.replies] == ["this is a text message"]
        for secret in (APP_SECRET, ACCESS_TOKEN, VERIFY_TOKEN):
            assert secret not in repr(line.channel.settings)


def proof_of(body: bytes) -> str:
    return "sha256=" + hmac.new(APP_SECRET.encode(), body, "sha256").hexdigest()


def hook(**value: Any) -> bytes:
    metadata = {"display_phone_number": "15550783881", "phone_number_id": NUMBER_ID}
    change = {"value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
    entry = {"id": "WHATSAPP_BUSINESS_ACCOUNT_ID", "changes": [{**change, "field": "messages"}]}
    return msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})


def message(kind: str, **parts: Any) -> bytes:
    told = {"from": "8613800138000", "id": "wamid.ID", "timestamp": "1664488100", "type": kind}
    return hook(
        contacts=[{"profile": {"name": "NAME"}, "wa_id": "1"}], messages=[{**told, **parts}]
    )


# The examples of Meta's "Webhooks notification payload reference".
TEXT = message("text", text={"body": "this is a text message"})
BUTTON = message("button", button={"text": "No", "payload": "No-Button-Payload"})
LIST = message(
    "interactive",
    interactive={
        "type": "list_reply",
        "list_reply": {"id": "list_reply_id", "title": "title", "description": "description"},
    },
)
IMAGE = message("image", image={"caption": "CAPTION", "mime_type": "image/jpeg", "id": "ID"})
REACTION = message("reaction", reaction={"message_id": "MESSAGE_ID", "emoji": "👍"})
FAILED = hook(
    statuses=[
        {
            "id": "wamid.ID",
            "status": "failed",
            "timestamp": "1689380458",
            "recipient_id": "8613800138000",
            "errors": [{"code": 131014, "title": "Request for url failed"}],
        }
    ]
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (TEXT, ["this is a text message"]),
        (BUTTON, ["No-Button-Payload"]),
        (LIST, ["list_reply_id"]),
        (IMAGE, ["CAPTION"]),
        (message("audio", audio={"id": "ID"}), [""]),
        (REACTION, []),
        (FAILED, []),
    ],
)
def test_the_examples_of_the_manual_are_understood(body: bytes, words: list[str]) -> None:
    found = replies(read(body), "whatsapp", NUMBER_ID)
    assert found == [Reply("whatsapp", ANN, it, "wamid.ID", NUMBER_ID) for it in words]
    assert replies(read(body), "whatsapp", "another number") == []


def test_a_failed_message_says_why() -> None:
    found = receipts(read(FAILED), "whatsapp", NUMBER_ID)
    assert found == [Receipt("whatsapp", "wamid.ID", "undelivered", "131014")]


def test_a_signature_is_that_of_rfc_4231() -> None:
    """Test case 2 of RFC 4231: key "Jefe"."""
    wanted = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signed(wanted, b"what do ya want for nothing?", "Jefe")
    assert not signed(wanted, b"what do ya want for nothing!", "Jefe")


def test_five_thousand_spoilt_hooks_are_read_or_refused() -> None:
    refused = 0
    for body in mutations([TEXT, BUTTON, LIST, IMAGE, REACTION, FAILED], 5_000):
        try:
            told = read(body)
        except MalformedError:
            refused += 1
        else:
            for reply in replies(told, "whatsapp", NUMBER_ID):
                assert reply.address.removeprefix("+").isdigit()
            receipts(told, "whatsapp", NUMBER_ID)
    assert 1_000 < refused < 5_000


def test_a_link_opens_the_chat_with_the_code_typed() -> None:
    settings = WhatsAppSettings(**{**KNOWN, "number": "8613800138000"})
    link = chat_link(settings, "7Q2M0RXA9KTVC4HE")
    assert link == "https://wa.me/8613800138000?text=LINK%207Q2M0RXA9KTVC4HE"
    with pytest.raises(OutreachError):
        chat_link(WhatsAppSettings(**KNOWN), "x")
