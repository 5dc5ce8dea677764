"""What goes to an aggregator, octet by octet, what its answers mean, and what it may tell us."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import random
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from channels.base import Outgoing
from channels.http import callback
from channels.http.answer import judged
from channels.http.callback import CallbackError
from channels.http.settings import HttpSettings, Proof, preset_names
from channels.http.signature import proven, twilio, vonage
from channels.http.words import filled
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import Content
from tests.channels.contract.rig import until
from tests.channels.http.conftest import NOW, mounted, settings, twilio_like

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())

VALUES = {
    "twilio": {"account": "AC1", "token": "word"},
    "vonage": {"api_key": "k", "api_secret": "s", "signature_secret": "secret"},
    "kannel": {"username": "u", "password": "p", "base": "http://127.0.0.1:13013"},
}


def preset(name: str, **more: Any) -> HttpSettings:
    values = {**VALUES[name], **more.pop("values", {})}
    return settings(preset=name, values=values, public_url="https://o.example", **more)


def message(words: str = "Hello, 您好", number: str = "+447700900001") -> Outgoing:
    return Outgoing(77, 1, number, Content(text=words), valid_until=NOW + timedelta(hours=2))


# Who calls: third parties' cases


def test_twilios_own_example_is_signed_as_twilio_says() -> None:
    example = VECTORS["twilio_signature"]
    assert twilio(example["token"], example["url"], example["params"]) == example["sig"]


@pytest.mark.parametrize(
    ("method", "signature"),
    [  # the cases of Vonage's own Python client, tests/test_signature.py, secret "secret"
        ("md5hash", "6af838ef94998832dbfc29020b564830"),
        ("md5", "c15c21ced558c93a226c305f58f902f2"),
        ("sha1", "3e19a4e6880fdc2c1426bfd0587c98b9532f0210"),
        ("sha256", "a321e824b9b816be7c3f28859a31749a098713d39f613c80d455bbaffae1cd24"),
    ],
)
def test_vonages_own_cases_are_signed_as_vonage_says(method: str, signature: str) -> None:
    fields = {"a": "1", "b": "2", "timestamp": "1461605396", "sig": "not part of it"}
    assert vonage("secret", method, fields) == signature


@pytest.mark.parametrize("encode", [bytes.hex, lambda it: base64.b64encode(it).decode()])
def test_a_body_signed_by_hmac_is_taken_in_hex_and_base64_and_not_with_one_octet_changed(
    encode: Any,
) -> None:
    proof = Proof(by="hmac", secret="word", header="X-Signature", method="sha256")
    body = b'{"id": 1}'
    signed = encode(hmac.new(b"word", body, hashlib.sha256).digest())

    def holds(body: bytes) -> bool:
        return proven(
            proof, key="", given_key="", url="", body=body, form={}, fields={},
            headers={"X-Signature": f"sha256={signed}"},
        )  # fmt: skip

    assert holds(body)
    assert not holds(b'{"id": 2}')


# What goes out


class Listener:
    """A server that keeps what it is asked and answers what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Mapping[str, str], str]] = []
        self.answer: tuple[int, str] = (200, "")
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._hear)
        self.server = TestServer(app)

    async def _hear(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.asked.append((request.method, request.path_qs, request.headers, body))
        status, text = self.answer
        return web.Response(status=status, text=text)

    async def __aenter__(self) -> str:
        await self.server.start_server()
        return str(self.server.make_url("/")).rstrip("/")

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()


async def sent(name: str, answer: tuple[int, str], words: str = "Hello") -> tuple[Any, Any]:
    listener = Listener()
    listener.answer = answer
    async with listener as base:
        made = preset(name, values={"base": base}, sender="10086")
        async with mounted(made, unused_port()) as (channel, _):
            [outcome] = await channel.send([message(words)])
    return outcome, listener.asked[0]


async def test_twilio_is_asked_as_its_reference_says() -> None:
    outcome, (method, path, headers, body) = await sent("twilio", (201, '{"sid": "SM1"}'))
    assert (method, path) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert headers["Authorization"] == f"Basic {base64.b64encode(b'AC1:word').decode()}"
    assert parse_qs(body) == {
        "To": ["+447700900001"],
        "From": ["10086"],
        "Body": ["Hello"],
        "ValidityPeriod": ["7200"],
        "StatusCallback": ["https://o.example/callbacks/sms/receipts"],
    }
    assert (outcome.result, outcome.carrier_id) == ("accepted", "SM1")


@pytest.mark.parametrize(("words", "alphabet"), [("Hello €", "text"), ("您好", "unicode")])
async def test_vonage_is_asked_as_its_reference_says(words: str, alphabet: str) -> None:
    taken = '{"message-count": "1", "messages": [{"message-id": "0A", "status": "0"}]}'
    outcome, (method, path, _, body) = await sent("vonage", (200, taken), words)
    assert (method, path) == ("POST", "/sms/json")
    asked = parse_qs(body)
    assert (asked["to"], asked["type"], asked["text"]) == (["447700900001"], [alphabet], [words])
    assert (outcome.result, outcome.carrier_id) == ("accepted", "0A")


async def test_kannel_is_asked_as_its_guide_says_and_receipts_carry_our_own_id() -> None:
    outcome, (method, path, _, _) = await sent("kannel", (202, "0: Accepted for delivery"), "您好")
    asked = parse_qs(path.partition("?")[2])
    assert (method, path.partition("?")[0]) == ("GET", "/cgi-bin/sendsms")
    assert (asked["coding"], asked["charset"], asked["text"]) == (["2"], ["UTF-8"], ["您好"])
    [receipts] = asked["dlr-url"]
    assert receipts.startswith("https://o.example/callbacks/sms/receipts?key=")
    assert receipts.endswith("&id=77&state=%d&code=%A")
    assert (outcome.result, outcome.carrier_id) == ("accepted", "77")


@pytest.mark.parametrize(
    ("name", "status", "body", "result", "retry"),
    [
        ("twilio", 400, '{"code": 21211, "message": "Invalid"}', "rejected", "never"),
        ("twilio", 429, '{"code": 20429, "message": "Too many"}', "unsent", "later"),
        ("twilio", 401, '{"code": 20003, "message": "Authenticate"}', "rejected", "never"),
        ("twilio", 503, "", "unsent", "later"),
        ("twilio", 500, "<html>", "unknown", "never"),
        ("twilio", 201, "{}", "unknown", "never"),
        ("vonage", 200, '{"messages": [{"status": "1"}]}', "unsent", "later"),
        ("vonage", 200, '{"messages": [{"status": "4"}]}', "rejected", "never"),
        ("vonage", 200, '{"messages": [{"status": "5"}]}', "unknown", "never"),
        ("vonage", 200, "not JSON", "rejected", "never"),
        ("kannel", 202, "3: Queued for later delivery", "accepted", "never"),
        ("kannel", 503, "4: Temporal failure, try again later.", "unsent", "later"),
        ("kannel", 403, "Authorization failed for sendsms", "rejected", "never"),
    ],
)
def test_each_answer_means_one_outcome(
    name: str, status: int, body: str, result: str, retry: str
) -> None:
    send = preset(name).account().send
    own = "7" if name == "kannel" else ""
    outcome = judged(send, 7, own, 1, status, body.encode())
    assert (outcome.result, outcome.retry) == (result, retry)
    assert result == "accepted" or (outcome.reason and outcome.code)


async def test_an_api_that_cannot_be_reached_is_unsent_and_one_that_hangs_up_unknown() -> None:
    made = preset("twilio", values={"base": f"http://127.0.0.1:{unused_port()}"})
    async with mounted(made, unused_port()) as (channel, _):
        [outcome] = await channel.send([message()])
    assert (outcome.result, outcome.retry) == ("unsent", "later")

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        made = preset("twilio", values={"base": f"http://127.0.0.1:{port}"})
        async with mounted(made, unused_port()) as (channel, _):
            [outcome] = await channel.send([message()])
    assert outcome.result == "unknown"


async def test_no_more_goes_out_than_the_account_allows() -> None:
    async with twilio_like(rate_per_s=20) as (channel, _, aggregator):
        began = asyncio.get_running_loop().time()
        await channel.send([message(str(number)) for number in range(11)])
        took_s = asyncio.get_running_loop().time() - began
    assert len(aggregator.shown["+447700900001"]) == 11
    assert took_s >= 0.45


def test_braces_in_a_text_are_text() -> None:
    assert filled({"Body": "{text}"}, {"text": "{token}", "token": "word"}) == {"Body": "{token}"}


# What comes in


async def test_a_callback_with_a_wrong_signature_is_refused() -> None:
    async with twilio_like() as (_, kept, aggregator):
        form = {"From": "+1", "Body": "STOP", "MessageSid": "SM1"}
        assert await aggregator.call(aggregator.replies_url, form, signature="wrong") == 403
        assert await aggregator.call(aggregator.replies_url, form, signature="") == 403
    assert not kept.replies


async def test_a_reply_is_thanked_for_only_once_it_is_stored() -> None:
    async with twilio_like() as (_, kept, aggregator):
        kept.broken = True
        assert await aggregator.say("+447700900001", "YES", "SM7") == 503
        kept.broken = False
        assert await aggregator.say("+447700900001", "YES", "SM7") == 200
    [reply] = kept.replies
    assert (reply.source_id, reply.address, reply.to) == ("SM7", "+447700900001", "10086")


async def test_what_is_not_final_is_thanked_for_and_says_nothing() -> None:
    async with twilio_like() as (channel, kept, aggregator):
        aggregator.receipts = ("queued", "sent", "undelivered")
        await channel.send([message()])
        await until(lambda: len(aggregator.callbacks) == 3)
    assert aggregator.callbacks == [200, 200, 200]
    assert [receipt.state for receipt in kept.receipts] == ["undelivered"]


async def test_a_callback_that_lacks_its_fields_or_is_too_large_is_told_so() -> None:
    async with twilio_like() as (_, kept, aggregator):
        url = aggregator.replies_url
        assert await aggregator.call(url, {"Body": "hello"}) == 400
        assert await aggregator.call(url, {"Body": "x" * 300_000}) == 413
    assert not kept.replies


def vonage_part(number: int, total: int, words: str) -> dict[str, str]:
    fields = {
        "msisdn": "447700900001",
        "to": "10086",
        "messageId": f"0B{number}",
        "text": words,
        "concat": "true",
        "concat-ref": "9",
        "concat-total": str(total),
        "concat-part": str(number),
    }
    return {**fields, "sig": vonage("secret", "sha256", fields)}


async def test_the_parts_of_a_long_reply_are_joined_and_thanked_for_together() -> None:
    port = unused_port()
    url = f"http://127.0.0.1:{port}/callbacks/sms/replies"
    async with mounted(preset("vonage"), port) as (_, kept), aiohttp.ClientSession() as session:

        async def bring(part: dict[str, str]) -> int:
            async with session.get(url, params=part) as answer:
                return answer.status

        kept.broken = True
        parts = [vonage_part(2, 2, "world"), vonage_part(1, 2, "Hello ")]
        assert await asyncio.gather(*map(bring, parts)) == [503, 503]
        kept.broken = False
        assert await asyncio.gather(*map(bring, parts)) == [200, 200]
    [reply] = kept.replies
    assert (reply.text, reply.source_id, reply.address) == ("Hello world", "0B1", "+447700900001")


FORMS = {name: preset(name).account() for name in preset_names()}


@pytest.mark.parametrize("name", preset_names())
def test_thousands_of_broken_callbacks_are_read_or_refused(name: str) -> None:
    """2,000 per preset, cut, doubled and with octets changed."""
    chance = random.Random(name)
    account = FORMS[name]
    assert account.receipts is not None
    assert account.replies is not None
    seeds = [
        b"MessageSid=SM1&MessageStatus=delivered&From=%2B447700900001&Body=hi",
        b"id=7&state=1&sender=447700900001&to=10086&text=hi",
        b'{"messageId":"1","status":"delivered","msisdn":"44770","text":"x","concat-ref":"1",'
        b'"concat-total":"2","concat-part":"1"}',
        b"msisdn=1&messageId=2&text=x&concat-ref=1&concat-total=2&concat-part=9",
    ]
    refused = 0
    for number in range(2_000):
        body = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(0, 6)):
            at = chance.randrange(len(body))
            body[at : at + chance.randint(0, 3)] = bytes(
                chance.randrange(256) for _ in range(chance.randint(0, 4))
            )
            body = body or bytearray(b"x")
        kind = "application/json" if number % 2 else "application/x-www-form-urlencoded"
        try:
            for fields in callback.read(kind, bytes(body), {}):
                reply = callback.reply_of("sms", fields, account.replies)
                callback.part_of(reply, fields, account.replies)
                callback.receipt_of("sms", fields, account.receipts)
        except CallbackError:
            refused += 1
    assert 0 < refused < 2_000


async def test_logs_say_neither_numbers_nor_texts_nor_passwords(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, logger="outreach"):
        async with twilio_like(deadline_s=0.2) as (channel, kept, aggregator):
            kept.broken = True
            await aggregator.say("+447700900001", "CANARY-text")
            aggregator.mute = True
            [outcome] = await channel.send([message("CANARY-text")])
    told = f"{caplog.text} {outcome} {channel.settings!r}"
    for secret in ("447700900001", "CANARY", "the token of this account"):
        assert secret not in told


# What is configured


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({}, "nothing says how to send"),
        ({"preset": "nobody"}, "there is no preset 'nobody'"),
        ({"preset": "twilio"}, "account, token: nothing says what that is"),
        ({"preset": "twilio", "values": VALUES["twilio"]}, "how the aggregator reaches us"),
        ({"send": {"url": "{host}/x"}}, "host: nothing says what that is"),
        ({"send": {"url": "x"}, "proof": {"by": "hmac"}}, "the proof has no secret"),
    ],
)
def test_what_cannot_work_is_said_when_it_is_read(written: Any, said: str) -> None:
    with pytest.raises(OutreachError, match=said):
        msgspec.convert(written, HttpSettings)
