"""Opening the page: who is it, and what does the browser get."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest

from channels.webchat.channel import COOKIE
from channels.webchat.link import mint, read
from tests.channels.webchat.conftest import SECRET, Chat

PAGE = Path(__file__).parents[3] / "channels/webchat/page"


@pytest.fixture
async def browser() -> aiohttp.ClientSession:  # type: ignore[misc]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


def kept(browser: aiohttp.ClientSession, chat: Chat) -> str | None:
    cookie = browser.cookie_jar.filter_cookies(chat.server.make_url("/chat")).get(COOKIE)
    return read(cookie.value, SECRET) if cookie else None


async def test_a_personal_link_becomes_a_cookie_and_leaves_the_address_bar(
    chat: Chat, browser: aiohttp.ClientSession
) -> None:
    answer = await browser.get(chat.server.make_url(chat.channel.link("ann")))
    assert answer.status == 200
    assert answer.url.query_string == ""
    assert kept(browser, chat) == "ann"
    cookie = answer.history[0].headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


async def test_a_forged_link_is_refused(chat: Chat, browser: aiohttp.ClientSession) -> None:
    for token in ("", "x", mint("ann", b"not the secret of this project"), "%00", "🙂"):
        answer = await browser.get(chat.server.make_url("/chat"), params={"token": token})
        assert answer.status == 403
        assert kept(browser, chat) is None


async def test_without_a_link_a_new_address_is_made_once(
    chat: Chat, browser: aiohttp.ClientSession
) -> None:
    await browser.get(chat.server.make_url("/chat"))
    first = kept(browser, chat)
    assert first
    assert first.startswith("web-")
    await browser.get(chat.server.make_url("/chat"))
    assert kept(browser, chat) == first


async def test_two_browsers_get_two_addresses(chat: Chat) -> None:
    seen = set()
    for _ in range(2):
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            await browser.get(chat.server.make_url("/chat"))
            seen.add(kept(browser, chat))
    assert len(seen) == 2


async def test_a_cookie_of_an_older_secret_is_replaced(
    chat: Chat, browser: aiohttp.ClientSession
) -> None:
    stale = mint("ann", b"the secret before this one")
    url = chat.server.make_url("/chat")
    await browser.get(url, cookies={COOKIE: stale})
    assert (kept(browser, chat) or "").startswith("web-")


@pytest.mark.parametrize("token", [None, "forged", mint("ann", b"not the secret at all")])
async def test_a_socket_without_a_true_cookie_is_refused(chat: Chat, token: str | None) -> None:
    cookies = {COOKIE: token} if token else {}
    async with aiohttp.ClientSession(cookies=cookies) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(chat.server.make_url("/chat/socket"))
    assert refused.value.status == 403


async def test_a_page_of_another_site_cannot_use_a_visitors_cookie(chat: Chat) -> None:
    async with aiohttp.ClientSession(cookies={COOKIE: mint("ann", SECRET)}) as session:
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(chat.server.make_url("/chat/socket"), origin=origin)
            assert refused.value.status == 403
        own = str(chat.server.make_url("/")).rstrip("/")
        async with session.ws_connect(chat.server.make_url("/chat/socket"), origin=own) as socket:
            assert (await socket.receive_json(timeout=30))["type"] == "lines"


async def test_the_parts_of_the_page_are_served_and_nothing_else(
    chat: Chat, browser: aiohttp.ClientSession
) -> None:
    for part in PAGE.iterdir():
        answer = await browser.get(chat.server.make_url(f"/chat/{part.name}"))
        assert answer.status == (404 if part.suffix == ".html" else 200), part.name
    for name in ("nothing.js", "..%2fchannel.py", "%2e%2e%2flink.py", "%00.js", "channel.py"):
        answer = await browser.get(
            chat.server.make_url("/chat/nothing.js").with_path(f"/chat/{name}", encoded=True)
        )
        assert answer.status == 404, name


async def test_the_page_may_load_nothing_from_elsewhere(
    chat: Chat, browser: aiohttp.ClientSession
) -> None:
    answer = await browser.get(chat.server.make_url("/chat"))
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for part in PAGE.iterdir():
        outside = re.findall(
            r"(?:src|href|url|from|import)\s*[=(]?\s*[\"']?(?:https?:)?//", part.read_text()
        )
        assert not outside, part.name
