"""A refusal that comes by an import, the API, or with another person holds like one by reply."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from orchestrator.core.delivery import Reply
from orchestrator.core.invitations import hash_invitation
from orchestrator.core.model import Consent
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.projects import apply
from orchestrator.store import checks, claims, importing, invitations
from orchestrator.store.subscribers import NewSubscriber
from tests.runtime.installation import (
    FILES,
    NOON,
    do,
    happened,
    number,
    people,
    rows,
    turns,
    value,
)

MINUTE = timedelta(minutes=1)
CODE = "7Q2M0RXA9KTVC4HE"


async def told(office: Context, granted: bool, ago: timedelta, purpose: str = "marketing") -> None:
    """Somebody outside reports what person 1 said so long ago."""
    consent = Consent(granted, NOON - ago, "form", "")
    news = [NewSubscriber("1", consents={purpose: consent})]
    async with office.pool.acquire() as connection, connection.transaction():
        await importing.add(connection, news, NOON, "en", office.secret)


async def allows(office: Context, purpose: str = "marketing") -> bool:
    """What holds now; it is what was last recorded."""
    consents = msgspec.json.decode(await value(office, "SELECT consents FROM subscribers"))
    granted: bool = consents[purpose]["granted"]
    last = "SELECT granted FROM consent_records WHERE purpose = $1 ORDER BY at DESC"
    assert await value(office, last, purpose) == granted
    return granted


async def claimed(office: Context) -> int:
    """How many messages a gateway gets."""
    until = NOON + 2 * MINUTE
    async with office.pool.acquire() as connection, connection.transaction():
        claim = await claims.claim(
            connection, "sms", "gateway", NOON, until, 5, office.ids, office.projects.project
        )
        return len(claim.messages)


@pytest.mark.parametrize(
    ("first", "then", "holds"),
    [
        ((True, 2), (False, 1), False),  # they think better of it
        ((False, 2), (True, 1), False),  # a refusal is never undone by a report
        ((True, 1), (False, 2), True),  # an old file comes again
        ((True, 1), (False, 1), False),
    ],
)
async def test_the_newest_refusal_counts_and_is_on_record_once(
    office: Context, first: tuple[bool, int], then: tuple[bool, int], holds: bool
) -> None:
    await told(office, first[0], first[1] * MINUTE)
    for _ in range(2):
        await told(office, then[0], then[1] * MINUTE)
    assert await allows(office) is holds
    records = await value(office, "SELECT count(*) FROM consent_records")
    assert records == (2 if first[0] and not holds else 1)
    async with office.pool.acquire() as connection:
        assert not [it for it in await checks.examine(connection, NOON) if it.found]


@pytest.mark.parametrize("purpose", ["marketing", "everything"])
async def test_after_a_reported_refusal_nothing_is_claimed(office: Context, purpose: str) -> None:
    await people(office, [1, 2])
    await happened(office, ["1", "2"])
    await turns(office)
    await told(office, False, MINUTE, purpose)
    assert await claimed(office) == 1
    states = "SELECT state, reason FROM messages ORDER BY subscriber_id"
    assert await rows(office, states) == [("suppressed", "opted_out"), ("queued", None)]


async def without_promotion(office: Context) -> None:
    """The project runs that has no class `promotion`."""
    contact, welcome = "journeys/program/contact.yaml", "journeys/welcome.yaml"
    files = {
        **FILES,
        contact: FILES[contact].replace("promotion:", "offers:"),
        welcome: FILES[welcome].replace("class: promotion", "class: offers"),
    }
    async with office.pool.acquire() as connection:
        await apply(connection, files, NOON)
        await office.projects.follow(connection)


async def test_whoever_stands_in_a_class_that_is_gone_can_say_stop(office: Context) -> None:
    waits = FILES["journeys/welcome.yaml"].replace("steps:", "steps:\n  - {id: rest, wait: 1h}")
    async with office.pool.acquire() as connection:
        await apply(connection, {**FILES, "journeys/welcome.yaml": waits}, NOON)
        await office.projects.follow(connection)
    await people(office, [1])
    await happened(office, ["1"])
    await turns(office)
    await without_promotion(office)
    ingest = Ingest(office)
    await ingest.inbox.replies([Reply("sms", number(1), "STOP", "1")])
    await ingest.answered()
    assert await allows(office, "everything") is False
    assert await rows(office, "SELECT status, reason FROM enrollments") == [("left", "opted_out")]


async def test_who_refused_everything_gets_nothing_of_a_class_that_is_gone(office: Context) -> None:
    await people(office, [1, 2])
    await happened(office, ["1", "2"])
    await turns(office)
    await without_promotion(office)
    await told(office, False, MINUTE, "everything")
    assert await claimed(office) == 1


async def test_a_refusal_that_cannot_be_read_stops_their_messages_and_no_others(
    office: Context,
) -> None:
    await people(office, [1, 2])
    await happened(office, ["1", "2"])
    await turns(office)
    broken = '{"marketing": {"granted": false}}'
    await do(office, "UPDATE subscribers SET consents = $1::text::jsonb WHERE key = '1'", broken)
    assert await claimed(office) == 1


async def test_after_becoming_one_with_somebody_who_refused_nothing_is_claimed(
    office: Context,
) -> None:
    ids = await people(office, [1])
    chat, ingest = ("telegram", "4200001"), Ingest(office)
    await ingest.inbox.replies([Reply(*chat, "STOP", "1")])
    await ingest.answered()
    await happened(office, ["1"])
    await turns(office)
    async with office.pool.acquire() as connection:
        code = (hash_invitation(CODE, office.secret), ids["1"], NOON + 10 * MINUTE)
        await invitations.add(connection, [code], NOON)
    await ingest.inbox.replies([Reply(*chat, f"LINK {CODE}", "2")])
    await ingest.answered()
    address = "SELECT subscriber_id FROM addresses WHERE channel = 'telegram'"
    assert await value(office, address) == ids["1"]
    assert await claimed(office) == 0
    assert number(1) == await value(office, "SELECT address FROM messages WHERE channel = 'sms'")
