"""The API and the web chat on a real PostgreSQL and Redis: from an event to a bubble and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

import orchestrator.project
from channels.carriers.smsc import Smsc
from channels.carriers.visitors import Visitor, Visitors
from channels.webchat import WebChat
from channels.webchat.channel import KIND
from channels.webchat.settings import WebChatSettings
from orchestrator.core.model import SHARDS
from orchestrator.project.source import read_folder
from orchestrator.runtime import channels
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context, open_context
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.projects import apply
from orchestrator.runtime.settings import ApiKey
from orchestrator.runtime.turn import take_due
from orchestrator.store.counts import Facts
from orchestrator.web.app import create_app
from orchestrator.web.doors import open_doors
from orchestrator.web.wall import create_wall

SECRET = b"a secret of sixteen octets or more"
STARTER = Path(orchestrator.project.__file__).parent / "starter"
ANN = {
    "key": "ann",
    "timezone": "UTC",
    "attributes": {"name": "Ann"},
    "addresses": {"webchat": "ann"},
}
ACTIVATED = {"subscriber": "ann", "name": "subscriber.activated", "source_id": "e1"}


def files() -> dict[str, str]:
    """The starter project, with the shipped words of the bot."""
    shipped = read_folder(STARTER.parents[2])
    return read_folder(STARTER) | {
        name: text for name, text in shipped.items() if name.startswith("templates/bot/")
    }


class House:
    """One process that does everything, with the starter project applied."""

    def __init__(
        self, context: Context, server: TestServer, chat: WebChat, delivery: Delivery
    ) -> None:
        self.context, self.server, self.chat, self.delivery = context, server, chat, delivery
        self.visitors = Visitors(str(server.make_url("/")), chat.link)

    async def post(self, path: str, body: Any) -> Any:
        headers = {"Authorization": "Bearer key"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(self.server.make_url(path), json=body) as answer,
        ):
            return await answer.json(content_type=None)

    async def get(self, path: str) -> tuple[int, Any]:
        headers = {"Authorization": "Bearer key"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(self.server.make_url(path)) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def turn(self) -> None:
        """Whoever has something due has had their turn, and what came of it is sent."""
        await take_due(self.context, range(SHARDS))
        await self.delivery.run()

    async def until_messages_are(self, state: str) -> None:
        async with asyncio.timeout(30), self.context.pool.acquire() as connection:
            states = None
            while states != [state]:
                await asyncio.sleep(0.01)
                rows = await connection.fetch("SELECT state FROM messages")
                states = [row["state"] for row in rows]


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        context = await stack.enter_async_context(
            open_context(database_url, redis_url, secret=SECRET, clock=Clock())
        )
        async with context.pool.acquire() as connection, connection.transaction():
            await apply(connection, files(), context.clock.now())
            await context.projects.follow(connection)
        chat = cast(WebChat, KIND.build("webchat", WebChatSettings(), channels.means(context)))
        delivery = Delivery(context, chat)

        async def deliver(channels: frozenset[str]) -> None:
            assert channels == {"webchat"}
            await delivery.run()

        ingest = Ingest(context, deliver)
        await chat.start(ingest.inbox)
        stack.push_async_callback(ingest.answered)
        stack.push_async_callback(chat.stop)
        app = create_app(
            open_doors(context, Intake(context, ingest)),
            api_keys=[ApiKey("key")],
            routes=chat.routes(),
        )
        server = TestServer(app)
        await server.start_server()
        stack.push_async_callback(server.close)
        house = House(context, server, chat, delivery)
        stack.push_async_callback(house.visitors.stop)
        yield house


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


def texts(visitor: Visitor) -> str:
    return "\n".join(it.text for it in visitor.arrived)


async def test_an_event_becomes_a_bubble_and_a_reply_is_answered(house: House) -> None:
    assert await house.post("/v1/subscribers", ANN) == {"made": 1, "known": 0}
    ann = house.visitors.handset("ann")
    await until(lambda: "ann" in house.chat.connected)
    counts = await house.post("/v1/events", [ACTIVATED, {**ACTIVATED, "subscriber": "nobody"}])
    assert (counts["stored"], counts["strangers"]) == (1, [1])
    await house.turn()
    await until(lambda: "Hello Ann" in texts(ann))
    assert [it.label for it in ann.arrived[0].buttons] == ["My points", "Stop"]
    said = ann.say("/points")
    await until(lambda: len(ann.arrived) == 2)
    assert said.acknowledged_at is not None

    status, timeline = await house.get("/v1/subscribers/ann")
    assert status == 200
    assert timeline["subscriber"]["addresses"] == {"webchat": "ann"}
    assert [it["kind"] for it in timeline["moments"]].count("message") == 2
    assert (await house.get("/v1/subscribers/nobody"))[0] == 404


async def test_a_page_opened_later_shows_the_conversation_and_receipts_come_once(
    house: House,
) -> None:
    await house.post("/v1/subscribers", ANN)
    await house.post("/v1/events", ACTIVATED)

    await house.turn()
    await house.until_messages_are("accepted")
    ann = house.visitors.handset("ann")
    await until(lambda: "Hello Ann" in texts(ann))
    await house.until_messages_are("delivered")
    history = await channels.means(house.context).history("webchat", "ann", 50)
    assert [(it.by, it.delivered) for it in history] == [("us", True)]


async def test_whoever_writes_first_is_somebody_from_then_on(house: House) -> None:
    guest = house.visitors.handset("web-0123456789")
    guest.say("help")
    await until(lambda: guest.arrived)
    spoken = channels.means(house.context).history
    history = await spoken("webchat", "web-0123456789", 50)
    assert (history[0].by, history[0].content.text) == ("them", "help")
    assert await spoken("webchat", "web-nobody", 50) == []


async def test_readiness_names_what_is_away(house: House) -> None:
    assert (await house.get("/readyz"))[1] == {"ready": True, "waiting_for": []}
    await house.context.pool.close()
    assert await house.get("/readyz") == (503, {"ready": False, "waiting_for": ["postgresql"]})


async def test_a_visitor_of_the_chat_has_a_phone_on_the_wall(house: House) -> None:
    async def no_figures() -> Facts:
        return Facts(0, 0, 0, 0, 0, 0)

    smsc = Smsc()
    smsc.handset("8613800138000")
    wall = TestServer(create_wall([smsc, house.visitors], house.context.clock.now, no_figures))
    await wall.start_server()
    house.visitors.handset("ann")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(wall.make_url("/wall/socket")) as page,
        asyncio.timeout(30),
    ):
        await page.send_json({"type": "say", "number": "ann", "text": "help"})
        await page.send_json({"type": "open", "number": "ann"})
        lines: list[dict[str, Any]] = []
        while len(lines) < 2:
            frame = await page.receive_json()
            lines = frame.get("open", {}).get("lines", lines)
        assert (lines[0]["by"], lines[0]["text"], lines[1]["by"]) == ("you", "help", "us")
        assert frame["total"] == 2
    await wall.close()


async def test_two_subscribers_never_share_an_address(house: House) -> None:
    await house.post("/v1/subscribers", ANN)
    eve = {"key": "eve", "addresses": ANN["addresses"]}
    answer = await house.post("/v1/subscribers", [{"key": "bob"}, eve])
    assert answer["status"] == 409
    assert [(it["index"], it["field"]) for it in answer["errors"]] == [(1, "addresses")]
    assert "another subscriber: ann" in answer["errors"][0]["detail"]
    assert (await house.get("/v1/subscribers/bob"))[0] == 404
