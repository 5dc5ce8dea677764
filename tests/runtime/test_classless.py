"""A class of contact that is gone is in nobody's way: nothing is sent of it, and who says STOP has
stopped."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from orchestrator.core.delivery import Reply
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.projects import apply
from tests.runtime.installation import (
    FILES,
    NOON,
    at,
    do,
    happened,
    installed,
    number,
    people,
    rows,
    turns,
    value,
)

CONTACT, WELCOME = "journeys/program/contact.yaml", "journeys/welcome.yaml"
FIRST = {
    **FILES,
    WELCOME: FILES[WELCOME].replace(
        "steps:\n",
        "steps:\n  - {id: before, send: hello, via: [sms, chat]}\n  - {id: rest, wait: 1h}\n",
    ),
}
THEN = {
    **FIRST,
    CONTACT: FIRST[CONTACT].replace("promotion:", "offers:"),
    WELCOME: FIRST[WELCOME].replace("class: promotion", "class: offers"),
}


async def test_whoever_stands_in_a_class_that_is_gone_can_say_stop(
    database_url: str, redis_url: str
) -> None:
    async with installed(database_url, redis_url, FIRST) as office:
        await people(office, [1, 2])
        await happened(office, ["1", "2"])
        await turns(office)
        later = at(office, NOON + timedelta(hours=2))
        async with office.pool.acquire() as connection:
            await apply(connection, THEN, NOON)
            await office.projects.follow(connection)
        failed = """
        INSERT INTO events (id, subscriber_id, shard, kind, name, properties, at, source, source_id)
        SELECT m.id, s.id, s.shard, 'failed', 'rejected', jsonb_build_object('message_id', m.id,
            'template', m.template, 'contact_class', m.contact_class, 'journey', m.journey,
            'run', m.run, 'step', m.step, 'via', array['chat'], 'state', 'rejected'),
            now(), 'x', m.id::text
        FROM messages m JOIN subscribers s ON s.id = m.subscriber_id
        """
        await do(office, failed)
        ingest = Ingest(later)
        await ingest.inbox.replies([Reply("sms", number(1), "STOP", "r1")])
        await ingest.answered()
        await turns(later)
        assert await rows(office, "SELECT what, error FROM failures") == []
        consents = await value(office, "SELECT consents FROM subscribers WHERE key = '1'")
        assert msgspec.json.decode(consents)["everything"]["granted"] is False
        assert await value(office, "SELECT count(*) FROM messages WHERE journey <> ''") == 2
