"""An MMS in an installation: its picture from the applied project, its report, and what comes in
its place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from channels.base import Called
from channels.carriers.mmsc import Mmsc, MmscSettings
from channels.carriers.smsc import Smsc
from orchestrator.cli import show
from orchestrator.project import pictures
from orchestrator.runtime import channels, projects
from orchestrator.runtime.context import Context
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.settings import Settings
from orchestrator.store import subscribers, timeline
from orchestrator.store.subscribers import NewSubscriber
from tests.project.test_pictures import picture
from tests.runtime.installation import (
    FILES,
    NOON,
    carrier,
    do,
    happened,
    installed,
    number,
    people,
    rows,
    turns,
    until,
    until_found,
)

SHOWN = number(200)
"""Where MMS reach the person whose SMS come to `number(0)`."""

PHOTO = picture(900, 700)
FILES_WITH_PICTURE = {
    **FILES,
    "journeys/welcome.yaml": FILES["journeys/welcome.yaml"].replace(
        "[sms]", "[mms, wap_push, sms]"
    ),
    "templates/hello.en.j2": "{% block sms %}Hello by SMS{% endblock %}"
    "{% block mms_subject %}Hi {{ subscriber.name }}{% endblock %}"
    "{% block mms_text %}Hello by MMS{% endblock %}"
    "{% block mms_image %}hello/photo.png {{ subscriber.screen|default('') }}{% endblock %}"
    "{% block wap_push_text %}Hello{% endblock %}"
    "{% block wap_push_href %}http://wap.example/a{% endblock %}",
}


class Stage:
    """An installation with its carrier and its MMS centre."""

    def __init__(self, context: Context, smsc: Smsc, mmsc: Mmsc) -> None:
        self.context = context
        self.smsc = smsc
        self.mmsc = mmsc

    async def activated(self, *, mms: bool = True, **attributes: str) -> None:
        """One person has been activated, and their message is on its way."""
        known = await people(self.context, [0])
        if mms:
            it = NewSubscriber(
                "0",
                timezone="Asia/Shanghai",
                addresses={"sms": number(0), "mms": SHOWN},
                attributes={"name": "Name 0", **attributes},
            )
            async with self.context.pool.acquire() as connection:
                await subscribers.upsert(connection, [it], NOON, "en")
        await happened(self.context, known)
        taken = await turns(self.context)
        await self.context.bell.ring_delivery(taken.channels)

    async def states(self) -> list[tuple[object, ...]]:
        return await rows(self.context, "SELECT channel, state FROM messages")


@asynccontextmanager
async def staged(
    database_url: str, redis_url: str, folder: Path, *, applied: bool = True
) -> AsyncIterator[Stage]:
    port = unused_port()
    async with AsyncExitStack() as stack:
        smsc = await stack.enter_async_context(carrier(receipt_delay_s=0.3))
        context = await stack.enter_async_context(installed(database_url, redis_url))
        smsc.now = context.clock.now
        files = dict(FILES_WITH_PICTURE)
        looked = pictures.look("templates/hello/photo.png", PHOTO)
        if applied:
            files["templates/hello/photo.png"] = looked.pointer()
        async with context.pool.acquire() as connection:
            await projects.apply(connection, files, NOON, {looked.hash: PHOTO})
            await context.projects.follow(connection)
        # A report that comes before its answer is recorded would wait for a sweep.
        mmsc = Mmsc(smsc, MmscSettings(deliver_after_s=0.5))
        await mmsc.start()
        stack.push_async_callback(mmsc.stop)
        (folder / channels.FILE).write_text(
            f"mms:\n  url: {mmsc.url}\n  username: outreach\n  password: ${{MM7_PASSWORD}}\n"
            f"  sender: '10086'\n  public_url: http://127.0.0.1:{port}\n"
            f"sms:\n  url: smpp://outreach:secret@127.0.0.1:{smsc.port}?source=10086\n"
            "wap_push:\n  over: sms\n"
        )
        found = channels.configured(Settings.from_env({}, folder), {"MM7_PASSWORD": "secret"})
        lent = channels.means(context)
        wanted = [found[name] for name in ("sms", "mms", "wap_push")]
        held = [*channels.build(wanted, "gateway", lent), *channels.build(wanted, "web", lent)]
        app = web.Application()
        for channel in held:
            if isinstance(channel, Called):
                app.add_routes(channel.routes())
                mmsc.callback = channel.callbacks()["reports and replies"]  # type: ignore[attr-defined]
        server = TestServer(app, port=port)
        await server.start_server()
        stack.push_async_callback(server.close)
        await stack.enter_async_context(holding(context, held))
        await until(lambda: all(channel.health() == "up" for channel in held))
        yield Stage(context, smsc, mmsc)


async def test_an_mms_is_shown_with_its_picture_and_its_report_settles_it(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        await stage.activated(screen="240x320")
        await until_found(stage.context, "delivered", "SELECT state FROM messages")
        assert await stage.states() == [("mms", "delivered")]
        [shown] = stage.smsc.handset(SHOWN).arrived
        assert (shown.subject, shown.text) == ("Hi Name 0", "Hello by MMS")
        assert shown.picture is not None
        looked = pictures.look("shown", shown.picture.octets)
        assert (looked.width, looked.height) == (240, 187)


async def test_an_mms_that_comes_in_is_answered_like_any_reply(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        await stage.activated()
        await until_found(stage.context, "delivered", "SELECT state FROM messages")
        await stage.mmsc.say(SHOWN, "STOP")
        await until_found(stage.context, False, "SELECT granted FROM consent_records")
        await until(lambda: len(stage.smsc.handset(SHOWN).arrived) == 2)
        assert stage.smsc.handset(SHOWN).arrived[-1].picture is None


async def _falls_to(stage: Stage, channel: str, events: int) -> None:
    """The message moves on, by so many failures, and arrives by this channel."""
    for number_of in range(1, events + 1):
        query = "SELECT count(*)::integer FROM events WHERE kind = 'failed'"
        await until_found(stage.context, number_of, query)
        taken = await turns(stage.context)
        await stage.context.bell.ring_delivery(taken.channels)
    await until_found(stage.context, "delivered", "SELECT state FROM messages")
    assert await stage.states() == [(channel, "delivered")]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("refused", "the MMS centre refused it"),
        ("not brought", "rejected MM7 Rejected"),
        ("no picture", "there is no picture of this name"),
    ],
)
async def test_an_mms_that_does_not_arrive_becomes_the_sms_and_show_says_why(
    database_url: str, redis_url: str, tmp_path: Path, how: str, why: str
) -> None:
    """Nobody here has a phone for pushes: what has no address is passed over."""
    applied = how != "no picture"
    async with staged(database_url, redis_url, tmp_path, applied=applied) as stage:
        if how == "refused":
            stage.mmsc.faults.code = 2004
        if how == "not brought":
            stage.mmsc.faults.undeliverable = lambda _: True
        await stage.activated()
        await _falls_to(stage, "sms", 1)
        [arrived] = stage.smsc.handset(number(0)).arrived
        assert arrived.text == "Hello by SMS"
        assert not stage.smsc.handset(SHOWN).arrived
        async with stage.context.pool.acquire() as connection:
            found = await timeline.find(connection, "0")
            assert found is not None
            story = list(show.told(await timeline.load(connection, found)))
        [line] = [it for it in story if "sms delivered: 'Hello by SMS'" in it]
        assert f"reason=fell back from mms: {why}" in line


async def test_an_mms_that_is_refused_becomes_a_push_where_there_is_an_address_for_it(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        stage.mmsc.faults.code = 2004
        known = await people(stage.context, [0])
        both = f'{{"mms": "{SHOWN}", "wap_push": "{SHOWN}"}}'
        await do(stage.context, "UPDATE subscribers SET addresses = addresses || $1::jsonb", both)
        await happened(stage.context, known)
        await stage.context.bell.ring_delivery((await turns(stage.context)).channels)
        await _falls_to(stage, "wap_push", 1)
        [arrived] = stage.smsc.handset(SHOWN).arrived
        assert (arrived.text, arrived.href) == ("Hello", "http://wap.example/a")


async def test_who_has_no_phone_for_mms_gets_the_next_channel_at_once(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        await stage.activated(mms=False)
        await until_found(stage.context, "delivered", "SELECT state FROM messages")
        assert await stage.states() == [("sms", "delivered")]
        assert not stage.mmsc.taken
