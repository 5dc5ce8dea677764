"""Telegram in a whole installation: a link makes a chat theirs, and the bot knows them there."""

from __future__ import annotations

from channels.carriers.bot_api import TOKEN, BotApiServer
from channels.registry import kind_of
from channels.telegram.channel import Telegram
from channels.telegram.settings import TelegramSettings
from orchestrator.project.findings import Mark
from orchestrator.runtime.channels import Configured
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.inviting import invite
from tests.runtime.installation import happened, installed, people, turns, until, value

ANN = "4200001"


async def test_a_link_a_button_and_a_balance(database_url: str, redis_url: str) -> None:
    api = BotApiServer()
    await api.start()
    settings = TelegramSettings(
        token=TOKEN, mode="polling", bot="our_bot", api_url=api.url, gap_s=0, poll_s=1
    )
    channel = Telegram("telegram", settings, "unused")
    found = {
        "telegram": Configured("telegram", "telegram", kind_of("telegram"), settings, Mark(""))
    }
    async with installed(database_url, redis_url) as context:
        ids = await people(context, [1])
        await happened(context, ["1"])
        await turns(context)
        async with holding(context, [channel], alone=True):
            await until(lambda: channel.health() == "up")
            ann = api.handset(ANN)
            ann.say("hello?")
            await until(lambda: len(ann.arrived) == 1)
            made = await invite(context, found, ids["1"], "telegram")
            ann.say(f"/start {made.url.rpartition('=')[2]}")
            await until(lambda: len(ann.arrived) == 2)
            assert "belong together" in ann.arrived[-1].text
            ann.press("My points")
            await until(lambda: len(ann.arrived) == 3)
            assert "You have 5 points" in ann.arrived[-1].text
            await until(lambda: ann.thanked)
            ann.say("STOP")
            await until(lambda: len(ann.arrived) == 4)
        refused = "SELECT consents -> 'everything' ->> 'granted' FROM subscribers WHERE id = $1"
        assert await value(context, refused, ids["1"]) == "false"
        assert await value(context, "SELECT count(*) FROM subscribers") == 1
    await api.stop()
