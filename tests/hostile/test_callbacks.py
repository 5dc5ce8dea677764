"""Whoever calls, and whoever is called, in words that no carrier uses: each case was found by the
fuzzers of this folder, or in writing them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.base import Channel, Outgoing
from channels.registry import kind_of
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, until
from tests.channels.http.conftest import MEANS
from tests.channels.whatsapp.test_channel import KNOWN
from tests.hostile.targets.callbacks import _VALUES as PRESETS

ODD = b"\xff\xed\xa0\x80\xc3"
"""Octets that are no text."""


def channels(url: str) -> dict[str, Channel]:
    """One of each kind that a carrier calls over HTTP, its far end at this URL."""
    account = {"app_id": "wx0123", "app_secret": "s", "token": "token", "aes_key": "a" * 43}
    site = {"public_url": "https://o.example"}
    settings: dict[str, tuple[str, dict[str, Any]]] = {
        **{
            name: ("http", {"preset": name, "values": {**values, "base": url}, **site})
            for name, values in PRESETS.items()
        },
        "mms": ("mms", {"url": url, "sender": "10086"}),
        "pap": ("pap", {"url": url}),
        "telegram": ("telegram", {"token": "1:x", "api_url": url}),
        "wechat": ("wechat", {**account, "api_url": url}),
        "whatsapp": ("whatsapp", {**KNOWN, "graph_url": url}),
    }
    return {name: built(name, kind, said) for name, (kind, said) in settings.items()}


def built(name: str, kind: str, said: dict[str, Any]) -> Channel:
    """As `channels.yaml` would have it."""
    of = kind_of(kind)
    return of.build(name, msgspec.convert(said, of.settings, strict=False), MEANS)


NAMES = tuple(channels("http://127.0.0.1:9"))
_HEADERS = (
    *(b"X-Telegram-Bot-Api-Secret-Token", b"X-Hub-Signature-256", b"X-Twilio-Signature"),
    *(b"Authorization", b"Content-Type"),
)
_QUERY = b"key=%s&sig=%s&signature=%s&msg_signature=%s&timestamp=%s&%s=1"


@asynccontextmanager
async def mounted(name: str) -> AsyncIterator[tuple[Any, Kept]]:
    channel: Any = channels("http://127.0.0.1:9")[name]
    application, kept = web.Application(), Kept()
    application.add_routes(channel.routes())
    async with TestServer(application) as server:
        await channel.start(kept.inbox)
        yield server, kept
        await channel.stop()


async def asked(server: Any, octets: bytes) -> bytes:
    """The first line of what is answered to these octets."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(octets)
    async with asyncio.timeout(10):
        line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


@pytest.mark.parametrize("name", NAMES)
async def test_a_proof_that_is_no_text_is_none(name: str) -> None:
    escaped = "".join(f"%{it:02x}" for it in ODD).encode()
    async with mounted(name) as (server, kept):
        paths = {str(it.resource.canonical) for it in server.app.router.routes()}
        for path in sorted(paths):
            for odd in (ODD, escaped):
                query = _QUERY.replace(b"%s", odd)
                for body in (b"", b"sig=%b&%b=1" % (escaped, escaped)):
                    lines = [
                        b"POST %b?%b HTTP/1.1" % (path.encode(), query),
                        *(b"%b: %b" % (it, ODD) for it in _HEADERS),
                        b"Host: x",
                        b"Content-Length: %d" % len(body),
                    ]
                    line = await asked(server, b"\r\n".join(lines) + b"\r\n\r\n" + body)
                    assert line[9:12] in (b"400", b"403"), (path, line)
        assert not kept.replies
        assert not kept.receipts


ANSWERS = {
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 100_000,
    "deep in their place": b'{"ok":true,"errcode":0,"error":{"x":' + b"[" * 5_000,
    "deep elements": b"<a>" * 100_000,
    "NUL and half a character": b'{"sid":"\\u0000\\ud800"}',
    "octets that are no text": b'{"sid":"\xff"}',
    "nothing": b"",
    "a list": b"[1]",
    "nothing in its place": b'{"ok":true,"result":{},"messages":[null],"error":null}',
    "something else in its place": b'{"ok":true,"result":5,"messages":5,"error":[],"msgid":{}}',
}


@asynccontextmanager
async def far_end(body: bytes) -> AsyncIterator[str]:
    """Whatever it is asked, it answers this. WeChat gets a token, so that it is asked more."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("stable_token"):
            return web.json_response({"access_token": "t", "expires_in": 7200})
        if request.path.endswith("getMe"):
            me = {"id": 1, "is_bot": True, "first_name": "b", "username": "b"}
            return web.json_response({"ok": True, "result": me})
        known = request.method == "GET" and request.path.endswith(KNOWN["phone_number_id"])
        return web.Response(body=b"{}" if known else body, content_type="application/json")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        yield str(server.make_url("/")).rstrip("/")


ADDRESSES = {"telegram": "42", "wechat": "oLVPpjqs9BhvzwPj5A-vTYAX3GLc"}


@pytest.mark.parametrize("odd", ANSWERS)
@pytest.mark.parametrize("name", NAMES)
async def test_an_answer_that_is_none_makes_no_message_of_a_batch_raise(
    name: str, odd: str
) -> None:
    content = Content(text="hi", subject="hi", href="http://x.example/", action="signal-high")
    address = ADDRESSES.get(name, "+8613800138000")
    async with far_end(ANSWERS[odd]) as url:
        channel = channels(url)[name]
        await channel.start(Kept().inbox)
        await until(lambda: channel.health() == "up")
        outcomes = await channel.send([Outgoing(n, n, address, content) for n in (1, 2)])
        await channel.stop()
    assert [it.message_id for it in outcomes] == [1, 2]
    assert {it.result for it in outcomes} <= {"unknown", "rejected", "unsent", "accepted"}
