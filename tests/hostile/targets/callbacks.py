"""What is brought by HTTP: callbacks, answers, tokens, frames of the chat, words of the desk."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from channels.base import Means
from channels.calls import Answer
from channels.http import callback
from channels.http.answer import judged
from channels.http.callback import CallbackError
from channels.http.channel import HttpChannel
from channels.http.joining import Joining
from channels.http.settings import HttpSettings
from channels.http.signature import proven
from channels.registry import kind_of
from channels.telegram import updates
from channels.webchat import link as chat_links
from channels.webchat.browser import Browser
from channels.webchat.channel import WebChat
from channels.webchat.frames import Line
from channels.wechat import envelope
from channels.wechat.crypt import Seal, SealError
from channels.whatsapp import hooks
from channels.whatsapp.settings import WhatsAppSettings
from orchestrator.core import codes, links
from orchestrator.core.delivery import Outcome
from orchestrator.store.json import word
from orchestrator.web import desk
from orchestrator.web.codes import ShownCode
from orchestrator.web.problem import ProblemError
from orchestrator.web.shapes import read_one
from tests.channels.contract.wechat import AES_KEY
from tests.channels.telegram.test_updates import EXAMPLES
from tests.channels.telegram.test_updates import octets as update
from tests.channels.wechat.test_channel import EVENT, TEXT
from tests.channels.whatsapp import test_channel as meta
from tests.hostile.targets.ends import (
    MOST_ID,
    Loop,
    look_at_receipt,
    look_at_reply,
    storable,
)

SECRET = b"a secret of sixteen octets or more"
_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
_VALUES = {
    "kannel": {"username": "u", "password": "p", "base": "http://127.0.0.1:13013"},
    "twilio": {"account": "AC1", "token": "word"},
    "vonage": {"api_key": "k", "api_secret": "s", "signature_secret": "secret"},
}
_NUMBER_ID = meta.KNOWN["phone_number_id"]
_DESK: tuple[Any, ...] = (desk.Take, desk.Release, desk.Said, ShownCode)


async def _nobody(*_: object) -> Any:
    return []


class _World(Loop):
    """An aggregator's channel for each preset, a chat, and a number at WhatsApp."""

    def __init__(self) -> None:
        super().__init__(cleaned=True)
        means = Means(SECRET, lambda: _AT, _nobody)
        self.aggregators = [HttpChannel("sms", self._settings(preset), means) for preset in _VALUES]
        self.chat = WebChat(SECRET, _nobody, now=lambda: _AT)
        settings = msgspec.convert(meta.KNOWN, WhatsAppSettings)
        self.whatsapp: Any = kind_of("whatsapp").build("whatsapp", settings, means)
        self.loop.run_until_complete(self._start())

    def _settings(self, preset: str) -> HttpSettings:
        return HttpSettings(
            preset=preset, values=_VALUES[preset], public_url="https://outreach.example"
        )

    async def _start(self) -> None:
        await self.chat.start(self.stored.inbox)
        for it in self.aggregators:
            it._inbox = self.stored.inbox  # without the connections that `start` opens
            it._joining = Joining(it._store_joined, patience_s=0.0, max_texts=5)


@cache
def _world() -> _World:
    """The one that all inputs of a process meet, one after the other."""
    return _World()


def _look(outcome: Outcome) -> None:
    """It can be recorded, as the store does it."""
    for it in (outcome.carrier_id, outcome.code, outcome.reason):
        storable(word(it), MOST_ID)


def telegram(octets: bytes) -> None:
    """An update by webhook, and the same octets as an answer to getUpdates."""
    for read in (lambda: [updates.read(octets)], lambda: updates.read_polled(octets)[0]):
        with suppress(updates.MalformedError):
            for it in read():
                if (reply := updates.heard(it, "telegram", "700100")) is not None:
                    look_at_reply(reply, cleaned=True)
                if it.callback_query is not None:
                    msgspec.json.encode(it.callback_query.id)


def wechat(octets: bytes) -> None:
    """A callback's XML, and the envelope that answers it."""
    try:
        fields = envelope.read(octets)
        reply = envelope.heard(fields, "wechat")
    except envelope.MalformedError:
        return
    assert sum(map(len, fields.values())) <= len(octets)
    if reply is not None:
        look_at_reply(reply, cleaned=True)
        said = {"ToUserName": reply.address, "FromUserName": reply.to, "Content": reply.text}
        assert envelope.read(envelope.write(said))["Content"] == reply.text


def seals(octets: bytes) -> None:
    """Base64 of anything, or anything sealed with the right key."""
    seal, rest = Seal(AES_KEY, "wx0123"), octets[1:]
    if octets[:1] < b"\x80":
        sealed = rest.decode("latin-1")
    else:
        encryptor = seal._cipher().encryptor()
        sealed = base64.b64encode(encryptor.update(rest + bytes(-len(rest) % 16))).decode()
    with suppress(SealError):
        assert len(seal.open(sealed)) <= len(octets)


def whatsapp(octets: bytes) -> None:
    """A hook, under a signature that may be anything."""
    assert not hooks.signed(octets[:80].decode("utf-8", "surrogateescape"), octets, "secret")
    with suppress(hooks.MalformedError):
        told = hooks.read(octets)
        for receipt in hooks.receipts(told, "whatsapp", _NUMBER_ID):
            look_at_receipt(receipt, cleaned=True)
        for reply in hooks.replies(told, "whatsapp", _NUMBER_ID):
            look_at_reply(reply, cleaned=True)


def aggregator(octets: bytes) -> None:
    """A callback for one of the presets: query, NUL, body. It need not be proven to be read, nor
    to be read to be judged."""
    world = _world()
    which, (query, _, body) = octets[0] if octets else 0, octets[1:].partition(b"\0")
    channel = world.aggregators[which % 3]
    kind = "application/json" if which & 4 else "application/x-www-form-urlencoded"
    asked = dict(parse_qsl(query.decode("utf-8", "surrogateescape"), max_num_fields=200))
    heading = query.decode("utf-8", "surrogateescape")

    async def bring() -> None:
        with suppress(CallbackError):
            told = callback.read(kind, body, asked)
            for fields in told[:1]:
                assert not proven(
                    channel._proof, key=channel._key, given_key=heading, url=heading, body=body,
                    form=fields.form, fields=fields.all,
                    headers={"X-Twilio-Signature": heading},
                )  # fmt: skip
            take = channel._take_receipts if which & 8 else channel._take_replies
            await take(world.stored.inbox, told)
            assert channel._joining is not None
            assert len(channel._joining._texts) <= 5

    if query.count(b"&") < 200:
        world.run(bring())


def answers(octets: bytes) -> None:
    """What the far end answers a message with, for the presets and WhatsApp."""
    world = _world()
    which, body = octets[0] if octets else 0, octets[1:]
    status = (200, 202, 400, 429, 500)[which % 5]

    async def judge() -> None:
        for it in world.aggregators:
            _look(judged(it._send, 1, "1", 1, status, body))
        _look(world.whatsapp._outcome(1, Answer(status, body)))

    world.run(judge())


def tokens(octets: bytes) -> None:
    """Tokens of tracked links and of chat pages: nobody's, or as we wrote them."""
    token = octets.decode("utf-8", "surrogateescape")
    if (link := links.read(token, SECRET)) is not None:
        assert links.sign(link, SECRET) == token.lstrip("0")
    if (address := chat_links.read(token, SECRET)) is not None:
        assert chat_links.mint(address, SECRET) == token


def chat(octets: bytes) -> None:
    """Frames of one page, each on a line of its own."""
    world = _world()

    async def talk() -> None:
        page: Any = Browser(None, "eve", None)  # type: ignore[arg-type]
        page.show([Line("77", "us", "hello", _AT)])
        frames = octets.split(b"\n")
        for frame in frames[:50]:
            await world.chat._hear(page, frame)
        assert len(page._answers) <= len(frames)
        for answer in page._answers:
            msgspec.json.decode(answer)

    world.run(talk())


def desk_words(octets: bytes) -> None:
    """What somebody at a desk says of an item, or of a code."""
    shape = _DESK[octets[0] % len(_DESK) if octets else 0]
    try:
        said = read_one(octets[1:], shape)
    except ProblemError:
        return
    storable(said.by, 100)
    if isinstance(said, ShownCode):
        storable(said.request, 100)
        if (code := codes.read_code(said.code)) is not None:
            assert codes.read_code(code) == code
    if isinstance(said, desk.Said):
        storable(said.note, 2_000)
        if said.at is not None:
            said.at.astimezone(UTC)


TARGETS: dict[str, Callable[[bytes], None]] = {
    it.__name__: it
    for it in (
        telegram, wechat, seals, whatsapp, aggregator, answers, tokens, chat, desk_words,
    )
}  # fmt: skip


def _seals() -> list[bytes]:
    seal = Seal(AES_KEY, "wx0123")
    sealed = seal.seal(TEXT)
    plain = bytes(16) + len(TEXT).to_bytes(4, "big") + TEXT + b"wx0123"
    missing = 32 - len(plain) % 32
    short = bytes(16) + b"\0\0\0\2hi" + b"wx0123" + bytes((4,)) * 4
    return [b"\0" + sealed.encode(), b"\x80" + plain + bytes((missing,)) * missing, b"\x80" + short]


def _callbacks() -> list[bytes]:
    return [
        b"\x08key=k&id=77&state=1&code=ACK\0",
        b"\x00key=k&id=7&sender=8613800138000&to=10086&text=%E9%80%80%E8%AE%A2\0",
        b"\x09\0MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30003",
        b"\x01\0MessageSid=SM2&From=%2B8613800138000&To=10086&Body=hi",
        b'\x0e\0{"messageId":"1","status":"failed","err-code":"6"}',
        b'\x06\0[{"messageId":"1","msisdn":"8613800138000","to":"1","text":"hi","concat-ref":"9",'
        b'"concat-total":"2","concat-part":"1"}]',
        b"\x02\0messageId=1&msisdn=8613800138000&to=1&text=hi&sig=a",
    ]


def _answers() -> list[bytes]:
    return [
        b"\x000: Accepted for delivery",
        b"\x02" + b'{"code": 21211, "message": "Invalid", "status": 400}',
        b'\x01{"sid": "SM1", "status": "queued"}',
        b'\x00{"message-count":"1","messages":[{"message-id":"A1","status":"0","error-text":""}]}',
        b'\x00{"messages":[{"id":"wamid.1"}]}',
        b'\x02{"error":{"code":131047,"message":"m"}}',
    ]


def _tokens() -> list[bytes]:
    link = links.Link(77, 1 << 40, 3)
    signed = (links.sign(link, SECRET), links.sign(link, b"another"))
    minted = (chat_links.mint("eve", SECRET), chat_links.mint("你好", SECRET))
    return [it.encode() for it in (*signed, *minted)]


def _frames() -> list[bytes]:
    said = b'{"type":"say","id":"ann-said-1","text":"still here"}'
    return [said, b'{"type":"seen","ids":["77"]}', said + b"\n" + said, b'{"type":"lines"}']


def _desk_words() -> list[bytes]:
    return [
        b'\0{"by":"ann","hold_s":60}',
        b'\1{"by":"ann"}',
        b'\2{"by":"ann","outcome":"later","note":"call again","at":"2026-03-02T09:00:00+08:00"}',
        b'\3{"by":"ann","code":"7q2m 0rxa 9ktv c4he","request":"1","subscriber":"+8613800138000"}',
        b'\2{"by":"ann","outcome":"later","at":"9999-12-31T23:59:59-18:43"}',
    ]


def _updates() -> list[bytes]:
    one = [update(name) for name in EXAMPLES]
    return [*one, b'{"ok":true,"result":[%b,%b]}' % (one[0], one[7])]


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "telegram": _updates,
    "wechat": lambda: [TEXT, EVENT],
    "seals": _seals,
    "whatsapp": lambda: [
        meta.TEXT, meta.BUTTON, meta.LIST, meta.IMAGE, meta.REACTION, meta.FAILED,
    ],
    "aggregator": _callbacks,
    "answers": _answers,
    "tokens": _tokens,
    "chat": _frames,
    "desk_words": _desk_words,
}  # fmt: skip
