"""Whatever comes in under a right signature is stored or refused: nothing breaks on it."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.telegram.channel import SECRET_HEADER, Telegram
from channels.telegram.settings import TelegramSettings
from channels.wechat.channel import WeChat
from channels.wechat.crypt import Seal, signature
from channels.wechat.envelope import write
from channels.wechat.settings import WeChatSettings
from channels.whatsapp.channel import SIGNATURE, WhatsApp
from channels.whatsapp.settings import WhatsAppSettings
from tests.channels.contract.rig import Kept
from tests.channels.contract.wechat import AES_KEY
from tests.channels.mms.conftest import MEANS
from tests.channels.mutations import mutations
from tests.channels.telegram.test_updates import EXAMPLES, octets
from tests.channels.wechat.test_channel import EVENT, TEXT
from tests.channels.whatsapp import test_channel as whatsapp

COUNT = 700
NOWHERE = "http://127.0.0.1:9"
SEAL = Seal(AES_KEY, "wx0123")

Sent = tuple[bytes, dict[str, str], dict[str, str]]


def telegram(body: bytes) -> Sent:
    return body, {SECRET_HEADER: "secret"}, {}


def wechat(body: bytes) -> Sent:
    """The spoilt message sealed, so that it is looked at."""
    sealed = SEAL.seal(body)
    proof = signature("token", "1", "2", sealed)
    asked = {"timestamp": "1", "nonce": "2", "msg_signature": proof}
    return write({"Encrypt": sealed}), {}, asked


def meta(body: bytes) -> Sent:
    proof = hmac.new(b"app-secret", body, "sha256").hexdigest()
    return body, {SIGNATURE: f"sha256={proof}"}, {}


def channels() -> dict[str, tuple[Any, list[bytes], Callable[[bytes], Sent]]]:
    hooks = [whatsapp.TEXT, whatsapp.BUTTON, whatsapp.LIST, whatsapp.FAILED]
    return {
        "telegram": (
            Telegram("telegram", TelegramSettings(token="1:x", api_url=NOWHERE), "secret"),
            [octets(name) for name in EXAMPLES],
            telegram,
        ),
        "wechat": (
            WeChat(
                "wechat",
                WeChatSettings(
                    app_id="wx0123",
                    app_secret="s",
                    token="token",
                    aes_key=AES_KEY,
                    api_url=NOWHERE,
                    hold_s=0,
                ),
            ),
            [TEXT, EVENT],
            wechat,
        ),
        "whatsapp": (
            WhatsApp(
                "whatsapp",
                WhatsAppSettings(
                    phone_number_id="106540352242922",
                    access_token="t",
                    app_secret="app-secret",
                    verify_token="verify-token",
                    graph_url=NOWHERE,
                ),
                MEANS,
            ),
            hooks,
            meta,
        ),
    }


@pytest.mark.parametrize("name", ["telegram", "wechat", "whatsapp"])
async def test_a_spoilt_callback_is_stored_or_refused(name: str) -> None:
    channel, seeds, signed = channels()[name]
    kept = Kept()
    application = web.Application()
    application.add_routes(channel.routes())
    statuses: dict[int, int] = {}
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        await channel.start(kept.inbox)
        url = server.make_url(channel.settings.path)
        for body in mutations(seeds, COUNT, seed=11):
            sent, headers, query = signed(body)
            async with session.post(url, data=sent, headers=headers, params=query) as answer:
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
        await channel.stop()
    assert statuses.keys() == {200, 400}, statuses
    assert min(statuses.values()) > 50
    assert kept.replies
