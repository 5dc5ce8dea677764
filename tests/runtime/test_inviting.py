"""A link, minted for somebody, that makes the chat it opens theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from orchestrator.core.delivery import Reply
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.channels import Configured, configured
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.inviting import invite, qr_code
from orchestrator.runtime.settings import Settings
from orchestrator.web import invitations
from orchestrator.web.problem import problems
from tests.runtime.installation import NOON, installed, people, value


@pytest.fixture
def channels(tmp_path: Path) -> dict[str, Configured]:
    (tmp_path / "channels.yaml").write_text("telegram: {token: '1:x', bot: our_bot}\n")
    return dict(configured(Settings.from_env({}, tmp_path), {}))


@pytest_asyncio.fixture
async def context(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    async with installed(database_url, redis_url) as made:
        yield made


async def test_the_link_opens_the_bot_and_the_chat_is_theirs(
    context: Context, channels: dict[str, Configured]
) -> None:
    ids = await people(context, [1])
    made = await invite(context, channels, ids["1"], "telegram")
    start = "https://t.me/our_bot?start="
    assert made.url.startswith(start)
    assert timedelta(days=7) - timedelta(hours=1) < made.expires_at - NOON <= timedelta(days=8)
    reply = Reply("telegram", "42", f"/start {made.url.removeprefix(start)}", "first")
    ingest = Ingest(context)
    await ingest.inbox.replies([reply])
    await ingest.answered()
    owner = "SELECT subscriber_id FROM addresses WHERE channel = 'telegram' AND address = '42'"
    assert await value(context, owner) == ids["1"]


async def test_a_channel_without_links_is_told_by_its_words(
    context: Context, channels: dict[str, Configured]
) -> None:
    ids = await people(context, [1])
    made = await invite(context, channels, ids["1"], "webchat")
    assert made.url == ""
    assert made.say.startswith("LINK ")
    with pytest.raises(OutreachError):
        await invite(context, channels, ids["1"], "telegraph")


def test_a_qr_code_is_a_picture_of_its_own() -> None:
    picture = qr_code("https://t.me/our_bot?start=7Q2M0RXA9KTVC4HE")
    assert picture.startswith("<?xml")
    assert "<svg" in picture
    assert picture != qr_code("https://t.me/our_bot?start=7Q2M0RXA9KTVC4HF")


@pytest.mark.parametrize(
    ("key", "body", "status"),
    [
        ("1", '{"channel": "telegram", "qr": true}', 201),
        ("1", '{"channel": "telegraph"}', 409),
        ("1", '{"channel": 7}', 422),
        ("1", "{", 400),
        ("nobody", '{"channel": "telegram"}', 404),
        ("%00", '{"channel": "telegram"}', 404),
    ],
)
async def test_the_api_invites(
    context: Context, channels: dict[str, Configured], key: str, body: str, status: int
) -> None:
    await people(context, [1])
    app = web.Application(middlewares=[problems])
    app.add_routes(invitations.routes(context, channels, lambda request: "api:1"))
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = server.make_url("/v1/subscribers/") / "x"
        asked = str(url).removesuffix("x") + f"{key}/invitations"
        async with session.post(asked, data=body) as answer:
            assert answer.status == status
            told: dict[str, Any] = await answer.json()
    if status == 201:
        assert told["url"].startswith("https://t.me/our_bot?start=")
        assert "<svg" in told["qr"]
