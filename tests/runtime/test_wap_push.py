"""A push in an installation: over the carrier of SMS, its receipts, and the SMS in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channels.base import Channel
from channels.carriers.smsc import Smsc
from channels.sms import status
from orchestrator.cli.gateway import chosen
from orchestrator.core.delivery import Receipt
from orchestrator.runtime import channels
from orchestrator.runtime.context import Context
from orchestrator.runtime.deliver import LEASE
from orchestrator.runtime.gateway import holding
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.settings import Settings
from orchestrator.runtime.sweep import sweep
from orchestrator.runtime.turn import Taken
from orchestrator.store import claims
from tests.runtime.installation import (
    FILES,
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
    value,
)

PUSHED = number(100)
"""Where pushes reach the person whose SMS come to `number(0)`."""

PUSHING = {
    **FILES,
    "journeys/welcome.yaml": FILES["journeys/welcome.yaml"].replace("[sms]", "[wap_push, sms]"),
    "templates/hello.en.j2": "{% block sms %}Hello, see {{ link('http://wap.example/a') }}"
    "{% endblock %}{% block wap_push_text %}Hello {{ subscriber.name }}{% endblock %}"
    "{% block wap_push_href %}http://wap.example/a{% endblock %}",
}
MESSAGES = "SELECT channel, state, via FROM messages"


def built(folder: Path, smsc: Smsc, context: Context) -> list[Channel]:
    """The channels that a gateway holds, as `channels.yaml` has them."""
    (folder / channels.FILE).write_text(
        "wap_push:\n  over: sms\n  action: signal-high\n"
        f"sms:\n  url: smpp://outreach:secret@127.0.0.1:{smsc.port}?source=10086\n"
    )
    found = channels.configured(Settings.from_env({}, folder), {})
    return channels.build(found.values(), "gateway", channels.means(context))


@asynccontextmanager
async def running(
    database_url: str, redis_url: str, folder: Path, files: dict[str, str] = PUSHING
) -> AsyncIterator[tuple[Context, Smsc]]:
    """An installation with a gateway, connected to its carrier."""
    # A receipt that comes before its response is recorded would wait for a sweep.
    patient = carrier(receipt_delay_s=0.3)
    async with patient as smsc, installed(database_url, redis_url, files) as context:
        smsc.now = context.clock.now
        held = built(folder, smsc, context)
        assert [channel.name for channel in held] == ["sms", "wap_push"]
        async with holding(context, held, alone=True):
            await until(lambda: all(channel.health() == "up" for channel in held))
            yield context, smsc


async def queued(context: Context, *, pushed: bool = True) -> Taken:
    """One person has been activated, and their message waits to be sent."""
    known = await people(context, [0])
    if pushed:
        addresses = f'{{"wap_push": "{PUSHED}"}}'
        await do(context, "UPDATE subscribers SET addresses = addresses || $1::jsonb", addresses)
    await happened(context, known)
    return await turns(context)


async def activated(context: Context, *, pushed: bool = True) -> None:
    """One person has been activated, and their message is on its way."""
    await context.bell.ring_delivery((await queued(context, pushed=pushed)).channels)


async def test_a_push_is_delivered_and_the_carriers_receipt_settles_it(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with running(database_url, redis_url, tmp_path) as (context, smsc):
        await activated(context)
        await until_found(context, "delivered", "SELECT state FROM messages")
        assert await rows(context, MESSAGES) == [("wap_push", "delivered", ["sms"])]
        [arrived] = smsc.handset(PUSHED).arrived
        assert (arrived.text, arrived.href) == ("Hello Name 0", "http://wap.example/a")
        assert await value(context, "SELECT count(*) FROM parked_receipts") == 0


async def test_who_has_no_phone_for_pushes_gets_the_sms(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with running(database_url, redis_url, tmp_path) as (context, smsc):
        await activated(context, pushed=False)
        await until_found(context, "delivered", "SELECT state FROM messages")
        [arrived] = smsc.handset(number(0)).arrived
        assert (arrived.text, arrived.href) == ("Hello, see http://wap.example/a", "")


@pytest.mark.parametrize("how", ["refused", "undeliverable", "too long", "no action"])
async def test_a_push_that_does_not_arrive_becomes_the_sms(
    database_url: str, redis_url: str, tmp_path: Path, how: str
) -> None:
    files = dict(PUSHING)
    if how == "too long":
        said = files["templates/hello.en.j2"]
        files["templates/hello.en.j2"] = said.replace("Hello {{", "long " * 300 + "{{")
    if how == "no action":
        files["templates/hello.en.j2"] += "{% block wap_push_action %}{{ 'shout' }}{% endblock %}"
    async with running(database_url, redis_url, tmp_path, files) as (context, smsc):
        digits = PUSHED.removeprefix("+")
        if how == "refused":
            smsc.faults.reject = lambda to: 0x43 if to == digits else status.OK
        if how == "undeliverable":
            smsc.faults.undeliverable = lambda to: to == digits
        await activated(context)
        await until_found(context, 1, "SELECT count(*)::integer FROM events WHERE kind = 'failed'")
        taken = await turns(context)
        assert taken.channels == {"sms"}
        await context.bell.ring_delivery(taken.channels)
        await until_found(context, "delivered", "SELECT state FROM messages")
        assert await rows(context, MESSAGES) == [("sms", "delivered", [])]
        assert [it.text for it in smsc.handset(number(0)).arrived] == [
            "Hello, see http://wap.example/a"
        ]
        assert not smsc.handset(PUSHED).arrived


@pytest.mark.parametrize("name", ["sms", "wap_push"])
def test_a_gateway_holds_a_push_channel_and_its_bearer_together(name: str, tmp_path: Path) -> None:
    (tmp_path / channels.FILE).write_text(
        "wap_push:\n  over: sms\nsms:\n  url: smpp://outreach:secret@carrier\n"
    )
    found = channels.configured(Settings.from_env({}, tmp_path), {})
    assert [it.name for it in chosen(found, [name])] == ["sms", "wap_push"]


async def test_a_receipt_for_a_push_may_come_before_its_response(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, PUSHING) as context:
        ingest = Ingest(context, riders={"sms": ["wap_push"]})
        await ingest.inbox.receipts([Receipt("sms", "c1", "delivered")])
        assert await rows(context, "SELECT channel, riders FROM parked_receipts") == [
            ("sms", ["wap_push"])
        ]
        await queued(context)
        await do(context, "UPDATE messages SET state = 'accepted', carrier_id = 'c1'")
        await sweep(context)
        assert await value(context, "SELECT state FROM messages") == "delivered"
        assert await value(context, "SELECT count(*) FROM parked_receipts") == 0


async def test_a_receipt_of_another_carriers_channel_does_not_settle_a_push(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, PUSHING) as context:
        await queued(context)
        await do(context, "UPDATE messages SET state = 'accepted', carrier_id = 'c1'")
        for channel in ("mms", "sms"):
            await Ingest(context).inbox.receipts([Receipt(channel, "c1", "delivered")])
        await sweep(context)
        assert await value(context, "SELECT state FROM messages") == "accepted"


async def test_a_message_says_which_step_of_which_journey_sent_it(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, PUSHING) as context:
        await queued(context)
        async with context.pool.acquire() as connection, connection.transaction():
            claim = await claims.claim(
                connection, "wap_push", "test", context.clock.now(),
                context.clock.real_now() + LEASE, 99, context.ids, context.projects.project,
            )  # fmt: skip
        [claimed] = claim.messages
        assert claimed.outgoing.series == "welcome/hello"
        assert claimed.outgoing.contact_class == "promotion"


async def test_a_phone_that_takes_no_pushes_gets_the_sms(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with running(database_url, redis_url, tmp_path) as (context, smsc):
        smsc.handset(PUSHED).takes_pushes = False
        await activated(context)
        await until_found(context, 1, "SELECT count(*) FROM events WHERE kind = 'failed'")
        await context.bell.ring_delivery((await turns(context)).channels)
        await until_found(context, "delivered", "SELECT state FROM messages")
        assert await rows(context, MESSAGES) == [("sms", "delivered", [])]
        assert not smsc.handset(PUSHED).arrived
