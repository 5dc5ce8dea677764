"""A picture of the applied project in every chat, in an installation."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.base import Called
from channels.carriers import bot_api, graph, weixin
from channels.carriers.handset import Shot
from orchestrator.project import pictures
from orchestrator.runtime import channels, projects
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.settings import Settings
from orchestrator.store import subscribers
from orchestrator.store.subscribers import NewSubscriber
from tests.project.test_pictures import picture
from tests.runtime.installation import FILES, NOON, happened, installed, turns, until

PHOTO = picture(90, 70)
LOOKED = pictures.look("templates/hello/photo.png", PHOTO)
CHAT = {
    **FILES,
    "journeys/welcome.yaml": FILES["journeys/welcome.yaml"].replace("[sms]", "[chat, sms]"),
    "templates/hello.en.j2": "{% block sms %}Hello by SMS{% endblock %}"
    "{% block chat %}Hello by chat{% endblock %}"
    "{% block chat_image %}hello/photo.png{% endblock %}",
    "templates/hello/photo.png": LOOKED.pointer(),
}
ADDRESSES = {
    "telegram": "4200001",
    "wechat": "oLVPpjqs9BhvzwPj5A-vTYAX3GLc",
    "whatsapp": "+8613800138000",
}


def _carrier(name: str) -> tuple[Any, str]:
    """A simulated carrier, and what channels.yaml says of it but for its address."""
    match name:
        case "telegram":
            return bot_api.BotApiServer(), f"token: {bot_api.TOKEN}\n  mode: polling\n  api_url: "
        case "wechat":
            return weixin.Weixin(), (
                f"app_id: {weixin.APP_ID}\n  app_secret: {weixin.APP_SECRET}\n"
                f"  token: {weixin.TOKEN}\n  api_url: "
            )
    return graph.Graph(), (
        f"phone_number_id: '{graph.NUMBER_ID}'\n  access_token: {graph.ACCESS_TOKEN}\n"
        f"  app_secret: {graph.APP_SECRET}\n  verify_token: {graph.VERIFY_TOKEN}\n  graph_url: "
    )


@pytest.mark.parametrize("name", ADDRESSES)
async def test_a_journeys_message_is_shown_with_its_picture(
    name: str, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        far, settings = _carrier(name)
        await far.start()
        stack.push_async_callback(far.stop)
        person = far.handset(ADDRESSES[name])
        context = await stack.enter_async_context(installed(database_url, redis_url))
        async with context.pool.acquire() as connection:
            await projects.apply(connection, CHAT, NOON, {LOOKED.hash: PHOTO})
            await context.projects.follow(connection)
            it = NewSubscriber("0", timezone="Asia/Shanghai", addresses={name: ADDRESSES[name]})
            await subscribers.upsert(connection, [it], NOON, "en")
        (tmp_path / channels.FILE).write_text(f"{name}:\n  {settings}{far.url}\n")
        found = channels.configured(Settings.from_env({}, tmp_path), {})[name]
        held = channels.build([found], found.place, channels.means(context))
        app = web.Application()
        for channel in held:
            if isinstance(channel, Called):
                app.add_routes(channel.routes())
        server = TestServer(app)
        await server.start_server()
        stack.push_async_callback(server.close)
        if name == "whatsapp":  # it tells what became of a message
            far.webhook = str(server.make_url("/whatsapp"))
        await stack.enter_async_context(holding(context, held))
        await until(lambda: held[0].health() == "up")
        await happened(context, ["0"])
        taken = await turns(context)
        await context.bell.ring_delivery(taken.channels)
        await until(lambda: person.arrived and "Hello by chat" in person.arrived[-1].text)
        shown: list[Shot] = [it.picture for it in person.arrived if it.picture]
        assert [it.octets for it in shown] == [PHOTO]
