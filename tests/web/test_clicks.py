"""A tracked link, from the turn that makes it to the click that is an event."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

from orchestrator.core import links
from orchestrator.core.model import SHARDS
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context, open_context
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.projects import apply
from orchestrator.runtime.turn import take_due
from orchestrator.store import subscribers
from orchestrator.store.subscribers import NewSubscriber
from orchestrator.web import clicks

SECRET = b"a secret of sixteen octets or more"
BROWSER = {"User-Agent": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Mobile Safari"}
FILES = {
    "journeys/hello.yaml": """
journey: hello
summary: A link, and thanks to whoever opens it
class: care
enter: [{on: joined}]
steps:
  - {id: look, send: look}
  - id: opened
    wait_for: link.clicked
    within: 1d
    then: [{set: {tags: [+opened]}}]
""",
    "journeys/program/project.yaml": "name: shop\nlocale: en\ntimezone: UTC\n",
    "journeys/program/contact.yaml": """
senders: [Shop]
classes:
  care: {purpose: service, consent: opt_out}
""",
    "templates/look.en.j2": (
        "{% block sms %}Look: {{ link('https://shop.example/a?b=1') }}{% endblock %}"
    ),
}


class House:
    """One process with a project whose message has a link."""

    def __init__(self, context: Context, server: TestServer) -> None:
        self.context, self.server = context, server

    async def turn(self) -> None:
        await take_due(self.context, range(SHARDS))

    async def path(self) -> str:
        """The path of the link that Ann got."""
        text = await self.context.pool.fetchval("SELECT content::json->>'text' FROM messages")
        found = re.fullmatch(r"Look: https://go\.example(/l/\w+)", text)
        assert found, text
        return found[1]

    async def follow(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        url = self.server.make_url(path)
        async with (
            aiohttp.ClientSession(headers={**BROWSER, **headers}) as session,
            session.request(method, url, allow_redirects=False) as answer,
        ):
            return answer.status, answer.headers.get("Location", "")

    async def clicked(self) -> int:
        query = "SELECT count(*) FROM events WHERE name = 'link.clicked'"
        return int(await self.context.pool.fetchval(query))


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    async with open_context(
        database_url, redis_url, secret=SECRET, clock=Clock(), links="https://go.example"
    ) as context:
        now = context.clock.now()
        async with context.pool.acquire() as connection, connection.transaction():
            await apply(connection, FILES, now)
            await context.projects.follow(connection)
            ann = NewSubscriber(key="ann", timezone="UTC", addresses={"sms": "+8613800138000"})
            await subscribers.upsert(connection, [ann], now, "en")
        ingest = Ingest(context)
        app = web.Application()
        app.add_routes(clicks.routes(context, ingest))
        server = TestServer(app)
        await server.start_server()
        await ingest.events([EventIn("ann", "joined", "1")], "test")
        house = House(context, server)
        await house.turn()
        yield house
        await server.close()


async def test_a_click_leads_on_and_moves_the_journey(house: House) -> None:
    assert await house.follow(await house.path()) == (302, "https://shop.example/a?b=1")
    await house.turn()
    tags = await house.context.pool.fetchval("SELECT tags FROM subscribers")
    assert tags == ["opened"]


async def test_two_clicks_at_once_are_one_event(house: House) -> None:
    path = await house.path()
    for _ in range(3):
        await house.follow(path)
    assert 1 <= await house.clicked() <= 2  # a minute may end between them


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "WhatsApp/2.23.20.0"},
        {"User-Agent": "TelegramBot (like TwitterBot)"},
        {"User-Agent": "facebookexternalhit/1.1"},
        {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"},
        {"User-Agent": "python-requests/2.32"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "preview"},
    ],
)
async def test_programs_that_look_are_led_on_and_not_counted(
    house: House, headers: dict[str, str]
) -> None:
    assert (await house.follow(await house.path(), **headers))[0] == 302
    assert await house.clicked() == 0


async def test_asking_for_the_head_alone_is_no_click(house: House) -> None:
    assert (await house.follow(await house.path(), "HEAD"))[0] == 302
    assert await house.clicked() == 0


async def test_what_we_did_not_sign_leads_nowhere(house: House) -> None:
    path = await house.path()
    wrong = path[:-1] + ("0" if path[-1] != "0" else "1")
    for made_up in (wrong, "/l/https:%2F%2Fevil.example", "/l/x", f"/l/{'z' * 300}"):
        assert await house.follow(made_up) == (404, "")
    assert await house.clicked() == 0


async def test_an_old_link_is_gone_and_so_is_one_whose_message_is(house: House) -> None:
    path = await house.path()
    later = replace(
        house.context,
        clock=Clock.starting(house.context.clock.now() + links.LIVES + timedelta(minutes=1), 1.0),
    )
    app = web.Application()
    app.add_routes(clicks.routes(later, Ingest(later)))
    async with TestServer(app) as server:
        assert await House(later, server).follow(path) == (410, "")
    await house.context.pool.execute("DELETE FROM messages")
    assert await house.follow(path) == (410, "")


async def test_a_page_is_shown_even_if_the_click_cannot_be_stored(house: House) -> None:
    path = await house.path()
    await house.context.pool.execute("ALTER TABLE events RENAME TO away")
    assert (await house.follow(path))[0] == 302
    await house.context.pool.execute("ALTER TABLE away RENAME TO events")
    assert await house.clicked() == 0
