"""Who leaves an address is not written to there, and keeps it for when they are back."""

from __future__ import annotations

import asyncpg

from orchestrator.core.delivery import Presence, Reply
from orchestrator.core.model import Subscriber
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.store import checks, subscribers, timeline
from orchestrator.store.subscribers import NewSubscriber
from tests.runtime.installation import value

TELEGRAM, WHATSAPP = "4200001", "+8613800138000"


async def ann(office: Context) -> Subscriber:
    news = [NewSubscriber("1", addresses={"telegram": TELEGRAM, "whatsapp": WHATSAPP})]
    async with office.pool.acquire() as connection:
        await subscribers.upsert(connection, news, office.clock.now(), "en")
    return await known(office)


async def known(office: Context) -> Subscriber:
    async with office.pool.acquire() as connection:
        found = await timeline.find(connection, "1")
    assert found is not None
    return found


async def tell(office: Context, *here: bool, channel: str = "telegram") -> None:
    told = [Presence(channel, TELEGRAM, it) for it in here]
    await Ingest(office).inbox.presence(told)


async def wrong(office: Context) -> int:
    """How many addresses `outreach doctor` would find fault with."""
    async with office.pool.acquire() as connection:
        listed: list[asyncpg.Record] = await connection.fetch(checks.ADDRESS_NOT_LISTED, 10)
        owned: list[asyncpg.Record] = await connection.fetch(checks.ADDRESS_NOT_OWNED, 10)
    return len(listed) + len(owned)


async def test_whoever_blocks_us_in_one_chat_is_reached_in_another(office: Context) -> None:
    assert (await ann(office)).reach("chat") == ("telegram", TELEGRAM)
    await tell(office, False)
    assert (await known(office)).reach("chat") == ("whatsapp", WHATSAPP)
    assert (await known(office)).reach("telegram") is None
    assert await wrong(office) == 0
    await tell(office, False)
    await tell(office, True)
    assert (await known(office)).reach("chat") == ("telegram", TELEGRAM)
    assert await wrong(office) == 0


async def test_an_import_lists_it_again_until_the_next_refusal(office: Context) -> None:
    await ann(office)
    await tell(office, False)
    assert (await ann(office)).reach("telegram") == ("telegram", TELEGRAM)
    await tell(office, False)
    assert (await known(office)).reach("telegram") is None
    assert await wrong(office) == 0


async def test_whoever_writes_again_is_back_and_still_the_same(office: Context) -> None:
    before = await ann(office)
    await tell(office, False)
    ingest = Ingest(office)
    await ingest.inbox.replies([Reply("telegram", TELEGRAM, "/start", "7")])
    await ingest.answered()
    after = await known(office)
    assert (after.id, after.addresses) == (before.id, before.addresses)
    assert await value(office, "SELECT count(*) FROM subscribers") == 1
    assert await value(office, "SELECT count(*) FROM addresses WHERE gone_at IS NOT NULL") == 0


async def test_of_what_is_told_together_the_last_counts(office: Context) -> None:
    await ann(office)
    await tell(office, False, True, False)
    assert (await known(office)).reach("telegram") is None
    await tell(office, False, True)
    assert (await known(office)).reach("telegram") == ("telegram", TELEGRAM)


async def test_the_presence_of_strangers_means_nothing(office: Context) -> None:
    before = await ann(office)
    await tell(office, False, channel="wechat")
    assert await known(office) == before
    assert await value(office, "SELECT count(*) FROM subscribers") == 1
