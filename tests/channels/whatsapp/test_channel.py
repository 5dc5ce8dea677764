"""WhatsApp at a simulated Cloud API: what is sent, what is told, and who may tell it."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import aiohttp
import msgspec
import pytest
from PIL import Image

from channels.base import Means, Media, MediaError, Outcome, Outgoing
from channels.carriers.graph import (
    ACCESS_TOKEN,
    APP_SECRET,
    NUMBER_ID,
    VERIFY_TOKEN,
    Contact,
    Graph,
    Template,
)
from channels.carriers.handset import Shot
from channels.whatsapp import channel as whatsapp
from channels.whatsapp.channel import SIGNATURE, WhatsApp
from channels.whatsapp.hooks import MalformedError, read, receipts, replies, signed
from channels.whatsapp.settings import Approved, WhatsAppSettings, chat_link
from channels.whatsapp.templates import gaps_of, templated
from channels.whatsapp.windows import Windows
from orchestrator.core.delivery import Receipt, Reply, Spoken
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import Button, Content
from tests.channels.contract.rig import Kept, serve, until
from tests.channels.mms.conftest import media
from tests.channels.mutations import mutations

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
SMALL = "hello/small.png"
PICTURES = {
    SMALL: media(64, 48, noise=8),
    "moves.gif": media(40, 30, "GIF"),
    "few.png": media(40, 30, "PNG", mode="P"),
}
ANN = "+8613800138000"
BOB = "+8613800138001"
KNOWN: dict[str, Any] = {
    "phone_number_id": NUMBER_ID,
    "access_token": ACCESS_TOKEN,
    "app_secret": APP_SECRET,
    "verify_token": VERIFY_TOKEN,
}


class Past:
    """What was said before; `looked` counts who asked."""

    def __init__(self) -> None:
        self.lines: list[Spoken] = []
        self.looked = 0
        self.away = False

    async def history(self, channel: str, address: str, limit: int) -> list[Spoken]:
        self.looked += 1
        if self.away:
            raise RuntimeError("the database is away")
        return self.lines[-limit:]

    def wrote(self, ago: timedelta) -> None:
        self.lines.append(Spoken("1", "them", Content("hi"), AT - ago))


async def pictures(name: str) -> Media:
    if name not in PICTURES:
        raise MediaError("there is no picture of this name")
    return PICTURES[name]


class Line:
    """The channel, up, with its far end."""

    def __init__(self, channel: WhatsApp, graph: Graph, kept: Kept, past: Past) -> None:
        self.channel, self.graph, self.kept, self.past = channel, graph, kept, past

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
        fast = {"graph_url": graph.url, "deadline_s": 60.0, "probe_s": 60}
        given: dict[str, Any] = {**KNOWN, **fast, **more}
        past, kept = Past(), Kept()
        means = Means(b"0123456789abcdef", lambda: AT, past.history, media=pictures)
        channel = WhatsApp("whatsapp", WhatsAppSettings(**given), means)
        server = await serve(channel)
        stack.push_async_callback(server.close)
        graph.webhook = str(server.make_url("/whatsapp"))
        await channel.start(kept.inbox)
        stack.push_async_callback(channel.stop)
        await until(lambda: channel.health() == "up")
        graph.handset(ANN)
        yield Line(channel, graph, kept, past)


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
        line.graph.templates["news", "en"] = Template("News from us: {{1}}. Thank you.")
        line.graph.faults.closed_window = True
        outcome = await line.send("Five points\nfor  you", buttons=(Button("Take them", "1"),))
        assert outcome.result == "accepted"
        [shown] = line.ann.arrived
        words = "News from us: Five points for you Take them: 1. Thank you."
        assert (shown.text, shown.template) == (words, "news")
        assert line.graph.sends == 1
    async with connected() as line:
        line.graph.faults.closed_window = True
        outcome = await line.send()
        assert (outcome.result, outcome.code, outcome.retry) == ("rejected", "131047", "never")


DAY_ONE = Approved(
    name="day_one",
    language="zh_CN",
    body="{{1}}，欢迎开始手机上网第一天！\n今天打开不计流量：{{2}}",
    image=True,
    buttons=("我的积分", "退订"),
)
BARE = Approved(name="day_one_bare", language="zh_CN", body=DAY_ONE.body)
BUTTONS = (Button("我的积分", "/points"), Button("退订", "/stop"))
WORDS = "李雷，欢迎开始手机上网第一天！ \n今天打开不计流量：\nhttps://o.example/l/7Q"


async def test_a_message_in_approved_words_goes_as_that_template_with_its_gaps_filled() -> None:
    async with connected(templates=(BARE, DAY_ONE)) as line:
        for it in (DAY_ONE, BARE):
            line.graph.templates[it.name, it.language] = Template(it.body, it.image, it.buttons)
        line.graph.faults.closed_window = True
        whole = await line.send(WORDS, image=SMALL, buttons=BUTTONS)
        bare = await line.send(WORDS, image=SMALL, number=2)
        assert (whole.result, whole.code) == ("accepted", "")
        assert (bare.result, bare.code) == ("accepted", "no_picture")
        line.graph.handset(BOB)
        first, second = line.ann.arrived
        assert (first.template, first.buttons) == ("day_one", BUTTONS)
        assert (
            first.text == "李雷，欢迎开始手机上网第一天！\n今天打开不计流量：https://o.example/l/7Q"
        )
        assert pixels(first.picture) == pixels_of(SMALL)
        assert (second.template, second.picture) == ("day_one_bare", None)
        line.ann.press("退订")
        await until(lambda: line.kept.replies)
        assert line.kept.replies[0].text == "/stop"
        line.graph.gallery.forget()
        [again] = await line.channel.send(
            [Outgoing(3, 3, BOB, Content(WORDS, image=SMALL, buttons=BUTTONS))]
        )
        assert (again.result, again.code) == ("accepted", "")
        assert pixels(line.graph.handset(BOB).arrived[0].picture) == pixels_of(SMALL)


async def test_words_that_no_template_has_are_refused_and_go_on_elsewhere() -> None:
    async with connected(templates=(DAY_ONE,)) as line:
        line.graph.faults.closed_window = True
        outcome = await line.send("Something else")
        assert (outcome.result, outcome.code, outcome.retry) == ("rejected", "131047", "never")


@pytest.mark.parametrize(
    ("ago", "template"),
    [(timedelta(hours=23, minutes=58), ""), (timedelta(hours=24), "news"), (None, "news")],
)
async def test_whoever_wrote_within_a_day_gets_the_words_as_they_are(
    ago: timedelta | None, template: str
) -> None:
    async with connected(template="news") as line:
        line.graph.templates["news", "en"] = Template("{{1}}")
        if ago is not None:
            line.past.wrote(ago)
        line.past.lines.append(Spoken("2", "us", Content("hello"), AT))
        assert (await line.send("Five\npoints")).result == "accepted"
        assert line.ann.arrived[0].template == template


async def test_whoever_has_just_written_here_is_not_looked_up() -> None:
    async with connected(template="news") as line:
        line.ann.say("points")
        await until(lambda: line.kept.replies)
        assert (await line.send()).result == "accepted"
        assert (line.ann.arrived[0].template, line.past.looked) == ("", 0)
    async with connected() as line:  # without a template there is nothing to choose
        await line.send()
        assert line.past.looked == 0


async def test_while_the_conversation_cannot_be_read_messages_wait() -> None:
    async with connected(template="news") as line:
        line.past.away = True
        outcome = await line.send()
        assert (outcome.result, outcome.retry) == ("unsent", "later")
        assert line.graph.sends == 0


async def test_who_wrote_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.whatsapp.windows._MOST_REMEMBERED", 3)
    past = Past()
    windows = Windows("whatsapp", past.history, lambda: AT)
    for n in range(10):
        windows.wrote(f"+{n}")
    assert [await windows.is_open(f"+{n}") for n in (6, 7, 9)] == [False, True, True]
    assert past.looked == 1


@pytest.mark.parametrize(
    ("body", "text", "gaps"),
    [
        ("Hi {{1}}!", "Hi Ann!", {"1": "Ann"}),
        ("Hi {{name}}, you have {{n}}", "Hi Ann,\n you have 5", {"name": "Ann", "n": "5"}),
        ("{{1}} and {{2}} and {{1}}", "a and b and a", {"1": "a", "2": "b"}),
        ("{{1}} and {{2}} and {{1}}", "a and b and c", None),
        ("Hi {{1}}!", "Hi !", None),
        ("Hi {{1}}!", "Hi  !", None),
        ("Hi {{1}}!", "Hello Ann!", None),
        ("Hi {{1}}!", "Hi Ann", None),
        ("No gap", "No  gap", {}),
        ("No gap", "No gap at all", None),
        ("{{1}}", "anything", {"1": "anything"}),
        ("a{{1}}ba", "aba", None),
        ("{{2}}-{{1}}", "x-y", {"2": "x", "1": "y"}),
        ("{{1}}b{{2}}", "abbb", {"1": "a", "2": "bb"}),
    ],
)
def test_the_gaps_of_a_template_are_what_its_words_leave_out(
    body: str, text: str, gaps: dict[str, str] | None
) -> None:
    assert gaps_of(body, " ".join(text.split())) == gaps


def test_a_template_of_many_gaps_takes_no_time_whatever_the_text() -> None:
    body = "".join(f"a{{{{{n}}}}}" for n in range(1, 100)) + "!"
    assert gaps_of(body, "a" * 100_000) is None


def test_parameters_go_in_the_order_of_their_numbers_or_by_their_names() -> None:
    def said(body: str) -> Any:
        it = Approved(name="x", language="en", body=body)
        asked = templated(Content("5 for Ann"), [it], None)
        assert asked is not None
        return asked["template"]["components"][0]["parameters"]

    assert [it["text"] for it in said("{{2}} for {{1}}")] == ["Ann", "5"]
    assert said("{{n}} for {{who}}")[1] == {"type": "text", "parameter_name": "who", "text": "Ann"}
    with pytest.raises(OutreachError):
        Approved(name="x", language="en", body="{{1}} for {{who}}")


def test_what_is_too_long_for_a_template_has_none() -> None:
    any_words = Approved(name="x", language="en", body="{{1}}")
    assert templated(Content("x" * 1024), [any_words], None) is not None
    assert templated(Content("x" * 1025), [any_words], None) is None


# Pictures


def pixels(shot: Shot | None) -> bytes:
    assert shot is not None
    with Image.open(BytesIO(shot.octets)) as image:
        assert image.mode in ("RGB", "RGBA")
        return image.convert("RGB").tobytes()


def pixels_of(name: str) -> bytes:
    with Image.open(BytesIO(PICTURES[name].octets)) as image:
        return image.convert("RGB").tobytes()


@pytest.mark.parametrize("name", PICTURES)
async def test_a_picture_stands_above_its_words_and_is_uploaded_once(name: str) -> None:
    async with connected() as line:
        batch = [Outgoing(n, n, ANN, Content(f"Look {n}", image=name)) for n in range(8)]
        outcomes = await line.channel.send(batch)
        assert {(it.result, it.code) for it in outcomes} == {("accepted", "")}
        assert {pixels(it.picture) for it in line.ann.arrived} == {pixels_of(name)}
        assert sorted(it.text for it in line.ann.arrived) == [f"Look {n}" for n in range(8)]
        assert line.graph.gallery.given == 1


@pytest.mark.parametrize(
    ("length", "buttons", "shown"),
    [
        (1024, 0, [True]),
        (1025, 0, [True, False]),
        (1024, 3, [True]),
        (1024, 4, [True, False]),
        (1025, 3, [True, False]),
    ],
)
async def test_what_has_no_room_below_a_picture_comes_after_it(
    length: int, buttons: int, shown: list[bool]
) -> None:
    given = tuple(Button(f"B{n}", f"/{n}") for n in range(buttons))
    async with connected() as line:
        outcome = await line.send("x" * length, image=SMALL, buttons=given)
        assert (outcome.result, outcome.code) == ("accepted", "")
        assert [it.picture is not None for it in line.ann.arrived] == shown
        last = line.ann.arrived[-1]
        assert last.text.startswith("x" * length)
        assert last.buttons == (given if length == 1024 else ())
        await until(lambda: outcome.carrier_id in [it.carrier_id for it in line.kept.receipts])


async def test_an_id_that_meta_forgot_is_uploaded_again() -> None:
    async with connected() as line:
        await line.send(image=SMALL)
        line.graph.gallery.forget()
        outcome = await line.send(image=SMALL, number=2)
        assert (outcome.result, outcome.code) == ("accepted", "")
        assert all(it.picture for it in line.ann.arrived)
        assert line.graph.gallery.given == 2


async def test_a_picture_elsewhere_is_fetched_by_meta() -> None:
    async with connected() as line:
        await line.send("Look", image="https://x.example/a.png")
        assert line.ann.arrived[0].image == "https://x.example/a.png"


@pytest.mark.parametrize("text", ["short", "x" * 2000])
@pytest.mark.parametrize(
    ("image", "fault"),
    [
        (SMALL, {"upload_code": 131053}),
        (SMALL, {"picture_code": 131052}),
        (SMALL, {"mute_uploads": True}),
        ("https://x.example/a.png", {"picture_code": 131052}),
        ("nowhere.png", {}),
    ],
)
async def test_the_words_go_without_a_picture_that_cannot_be_shown(
    image: str, fault: dict[str, Any], text: str
) -> None:
    async with connected(deadline_s=1.0) as line:
        vars(line.graph.faults).update(fault)
        outcome = await line.send(text, image=image)
        assert (outcome.result, outcome.code) == ("accepted", "no_picture")
        assert "picture" in outcome.reason
        assert [(it.text, it.picture) for it in line.ann.arrived] == [(text, None)]


async def test_no_answer_to_a_picture_with_its_words_is_unknown() -> None:
    async with connected(deadline_s=1.0) as line:
        line.graph.faults.mute_pictures = True
        assert (await line.send(image=SMALL)).result == "unknown"
        assert line.graph.sends == 1
        long = await line.send("x" * 2000, image=SMALL, number=2)
        assert (long.result, long.code) == ("accepted", "no_picture")


async def test_a_refusal_that_is_not_the_pictures_is_not_asked_again_without_it() -> None:
    async with connected() as line:
        line.graph.faults.code = 131026
        outcome = await line.send(image=SMALL)
        assert (outcome.result, outcome.code) == ("rejected", "131026")
        assert line.graph.sends == 1


async def test_an_upload_over_the_limit_waits_like_a_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whatsapp, "QUIET_S", 0.3)
    async with connected() as line:
        line.graph.faults.upload_code = 130429
        outcome = await line.send(image=SMALL)
        assert (outcome.result, outcome.code, outcome.retry) == ("unsent", "130429", "later")
        assert line.channel.health() == "connecting"
        assert line.graph.sends == 0


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
