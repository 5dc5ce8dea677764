"""`/v1/desk/…` on a real database: a person takes the next one, and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from channels.desk.channel import DeskChannel
from orchestrator.core.model import SHARDS
from orchestrator.runtime import people
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context, open_context
from orchestrator.runtime.deliver import Delivery
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.projects import apply
from orchestrator.runtime.settings import ApiKey
from orchestrator.runtime.turn import take_due
from orchestrator.store import desk as store
from orchestrator.store import joining, subscribers
from orchestrator.store.subscribers import NewSubscriber
from orchestrator.web import desk
from orchestrator.web.app import create_app
from orchestrator.web.doors import open_doors

SECRET = b"a secret of sixteen octets or more"
FILES = {
    "journeys/call.yaml": """
journey: call
summary: Somebody calls, and what came of it counts
class: care
enter: [{on: joined}]
steps:
  - id: speak
    hand_over: pitch
    to: calls
    within: 5d
    outcome:
      - {is: accepted, do: [{set: {tags: [+customer]}}]}
      - {is: [unreached, wrong_number], do: [{set: {tags: [+lost]}}]}
""",
    "journeys/program/project.yaml": "name: shop\nlocale: en\ntimezone: UTC\n",
    "journeys/program/contact.yaml": """
senders: [Shop]
classes:
  care: {purpose: service, consent: opt_out, valid: 3d}
""",
    "templates/pitch.en.j2": (
        "{% block script %}Ask {{ subscriber.name }}: more data?{% endblock %}"
    ),
}


class House:
    """One process with a desk, and whoever sits at it."""

    def __init__(self, context: Context, ingest: Ingest, server: TestServer) -> None:
        self.context, self.ingest, self.server = context, ingest, server
        self.delivery = Delivery(context, DeskChannel("calls"))

    async def ask(self, method: str, path: str, body: Any = None, key: str = "key") -> Any:
        """The status, and the JSON of the answer if there is any."""
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, self.server.make_url(f"/v1/desk{path}"), json=body) as answer,
        ):
            if answer.status == 204:
                return 204, None
            return answer.status, await answer.json(content_type=None)

    async def next(self, by: str = "amy", **more: Any) -> Any:
        status, item = await self.ask("POST", "/calls/next", {"by": by, **more})
        return None if status == 204 else item

    async def say(self, item: Any, outcome: str, by: str = "amy", **more: Any) -> Any:
        body = {"by": by, "outcome": outcome, **more}
        return await self.ask("POST", f"/items/{item['id']}/outcome", body)

    async def turn(self) -> None:
        await take_due(self.context, range(SHARDS))
        await self.delivery.run()

    async def tags(self) -> dict[str, list[str]]:
        await self.turn()
        rows = await self.context.pool.fetch("SELECT key, tags FROM subscribers")
        return {row["key"]: row["tags"] for row in rows}

    async def states(self) -> list[str]:
        rows = await self.context.pool.fetch("SELECT state FROM messages ORDER BY id")
        return [row["state"] for row in rows]


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    """Ann, Bob and Cai are on the list of calls, in this order."""
    async with open_context(database_url, redis_url, secret=SECRET, clock=Clock()) as context:
        now = context.clock.now()
        known = [
            NewSubscriber(
                key=name,
                timezone="UTC",
                attributes={"name": name.title()},
                addresses={"sms": f"+861380013800{number}"},
            )
            for number, name in enumerate(("ann", "bob", "cai"))
        ]
        async with context.pool.acquire() as connection, connection.transaction():
            await apply(connection, FILES, now)
            await context.projects.follow(connection)
            await subscribers.upsert(connection, known, now, "en")
        ingest = Ingest(context)
        app = create_app(
            open_doors(context, Intake(context, ingest)),
            api_keys=[ApiKey("key")],
            routes=desk.routes(context, ingest),
        )
        async with TestServer(app) as server:
            house = House(context, ingest, server)
            await house.delivery._channel.start(ingest.inbox)
            for name in ("ann", "bob", "cai"):
                await ingest.events([EventIn(name, "joined", name)], "test")
                await house.turn()
            yield house


async def test_items_come_one_by_one_with_their_script_and_nobody_gets_one_twice(
    house: House,
) -> None:
    taken = await asyncio.gather(*(house.next(f"agent-{number}") for number in range(5)))
    items = sorted((item for item in taken if item), key=lambda it: str(it["subscriber"]))
    assert [it["subscriber"] for it in items] == ["ann", "bob", "cai"]
    assert items[0]["script"] == "Ask Ann: more data?"
    assert items[0]["number"] == "+8613800138000"


async def test_who_found_an_item_before_another_took_it_does_not_get_it(house: House) -> None:
    """Two look at once: the second one's query began before the first one's commit."""
    now = house.context.clock.now()
    until = now + timedelta(minutes=15)
    async with house.context.pool.acquire() as connection:
        async with connection.transaction():
            found = await store.next_item(connection, "calls", now)
        assert found is not None
        assert (await house.next("ben"))["id"] == found.id
        assert await store.take(connection, found, "amy", until, now) is False
    assert (await house.say({"id": found.id}, "accepted", by="ben"))[0] == 200


async def test_of_two_who_say_something_else_at_once_one_is_refused(house: House) -> None:
    item = await house.next()
    said = await asyncio.gather(
        *(house.say(item, outcome) for outcome in ("accepted", "refused") * 3)
    )
    assert sorted(status for status, _ in said) == [200, 200, 200, 409, 409, 409]


async def test_what_came_of_it_is_not_asked_again_although_the_message_lives(house: House) -> None:
    """We were killed between the two."""
    item = await house.next()
    await house.say(item, "accepted")
    await house.context.pool.execute(
        "UPDATE messages SET state = 'accepted'; UPDATE desk_items SET ready_at = '2000-01-01'"
    )
    assert [(await house.next())["subscriber"] for _ in range(2)] == ["bob", "cai"]
    assert await house.next() is None
    assert (await house.say(item, "accepted"))[0] == 200
    assert (await house.states())[0] == "delivered"


async def test_what_is_left_of_somebody_erased_is_not_ended_again_and_again(house: House) -> None:
    context = house.context
    async with context.pool.acquire() as connection:
        ann = await connection.fetchval("SELECT id FROM subscribers WHERE key = 'ann'")
        await people.erase(connection, ann, "cli:test", context.clock.now(), SECRET)
    await context.pool.execute("UPDATE messages SET valid_until = now() - interval '1h'")
    for _ in range(2):
        assert await house.next() is None
    assert await context.pool.fetchval("SELECT count(*) FROM parked_receipts") == 0


@pytest.mark.parametrize("end", ["accepted", "opted out", "stale"])
async def test_an_item_of_somebody_who_became_another_comes_to_its_end(
    house: House, end: str
) -> None:
    pool, now = house.context.pool, house.context.clock.now()
    await pool.execute("UPDATE subscribers SET key = 'sms:' || (addresses ->> 'sms')")
    chat = NewSubscriber(key="dan", timezone="UTC", addresses={"telegram": "42"})
    async with pool.acquire() as connection, connection.transaction():
        await subscribers.upsert(connection, [chat], now, "en")
        found = "SELECT min(id) AS ann, max(id) AS dan FROM subscribers"
        ann, dan = await connection.fetchrow(found)
        both = await joining.lock(connection, [ann, dan])
        await joining.merge(connection, both[dan], both[ann], now)
    if end == "accepted":
        item = await house.next()
        assert item["subscriber"] == "dan"
        assert (await house.say(item, "accepted"))[0] == 200
    elif end == "opted out":
        await pool.execute(
            """UPDATE subscribers SET consents = jsonb_build_object('everything',
                jsonb_build_object('granted', false, 'at', now())) WHERE key = 'dan'"""
        )
    else:
        await pool.execute(
            "UPDATE messages SET valid_until = now() - interval '1h' WHERE subscriber_id = $1", dan
        )
    async with asyncio.timeout(10):
        assert (await house.next())["subscriber"] != "dan"
    state = await pool.fetchval("SELECT state FROM messages WHERE subscriber_id = $1", dan)
    assert state == {"accepted": "delivered", "opted out": "rejected", "stale": "expired"}[end]
    assert await pool.fetchval("SELECT count(*) FROM parked_receipts") == 0


async def test_what_came_of_it_moves_the_journey_and_ends_the_message(house: House) -> None:
    for outcome in ("accepted", "refused", "wrong_number"):
        assert (await house.say(await house.next(), outcome))[0] == 200
    assert await house.next() is None
    assert await house.states() == ["delivered", "delivered", "undelivered"]
    assert await house.tags() == {"ann": ["customer"], "bob": [], "cai": ["lost"]}


async def test_saying_it_twice_is_once_and_something_else_is_refused(house: House) -> None:
    item = await house.next()
    assert [(await house.say(item, "accepted"))[0] for _ in range(2)] == [200, 200]
    assert (await house.say(item, "refused"))[0] == 409
    count = await house.context.pool.fetchval(
        "SELECT count(*) FROM events WHERE name = 'desk.outcome'"
    )
    assert count == 1


async def test_an_item_that_is_given_back_is_the_next_one(house: House) -> None:
    item = await house.next()
    assert (await house.ask("POST", f"/items/{item['id']}/release", {"by": "amy"}))[0] == 200
    assert (await house.next("ben"))["id"] == item["id"]


async def test_nobody_speaks_about_an_item_that_somebody_else_has(house: House) -> None:
    item = await house.next("amy")
    assert (await house.say(item, "accepted", by="ben"))[0] == 409
    assert (await house.say(item, "accepted", by="amy"))[0] == 200


async def test_a_reservation_that_has_ended_frees_its_item(house: House) -> None:
    item = await house.next(hold_s=10)
    past = house.context.clock.now() - timedelta(seconds=1)
    await house.context.pool.execute("UPDATE desk_items SET ready_at = $1", past)
    assert (await house.next("ben"))["id"] == item["id"]


async def test_whoever_wants_a_call_later_is_called_later(house: House) -> None:
    item = await house.next()
    later = house.context.clock.now() + timedelta(hours=3)
    said = await house.say(item, "later", at=later.isoformat())
    assert said == (200, {"id": item["id"], "open": True})
    assert [(await house.next())["subscriber"] for _ in range(2)] == ["bob", "cai"]
    assert await house.next() is None
    await house.context.pool.execute("UPDATE desk_items SET ready_at = ready_at - interval '4h'")
    assert (await house.next())["id"] == item["id"]


async def test_who_is_not_reached_is_tried_three_times(house: House) -> None:
    tries = []
    for _ in range(3):
        item = await house.next()
        assert item["subscriber"] == "ann"
        tries.append((item["tries"], (await house.say(item, "unreached"))[1]["open"]))
        await house.context.pool.execute(
            "UPDATE desk_items SET ready_at = ready_at - interval '3h'"
        )
    assert tries == [(0, True), (1, True), (2, False)]
    assert (await house.tags())["ann"] == ["lost"]


@pytest.mark.parametrize("contact_class", ["care", "gone"])
async def test_nobody_calls_whoever_opted_out_since(house: House, contact_class: str) -> None:
    """Also if the project has no such class of contact any more."""
    await house.context.pool.execute("UPDATE messages SET contact_class = $1", contact_class)
    await house.context.pool.execute(
        """UPDATE subscribers SET consents = jsonb_build_object('everything',
            jsonb_build_object('granted', false, 'at', now())) WHERE key = 'ann'"""
    )
    assert (await house.next())["subscriber"] == "bob"
    assert (await house.states())[0] == "rejected"


async def test_what_is_stale_is_not_spoken_of(house: House) -> None:
    await house.context.pool.execute("UPDATE messages SET valid_until = now() - interval '1h'")
    assert await house.next() is None
    assert set(await house.states()) == {"expired"}


async def test_a_clerk_sees_what_is_for_whoever_stands_there(house: House) -> None:
    for key in ("bob", "+8613800138001"):
        status, items = await house.ask("GET", f"/calls/subscribers/{key}")
        assert (status, [it["subscriber"] for it in items]) == (200, ["bob"])
    assert (await house.ask("GET", "/calls/subscribers/nobody"))[0] == 404
    assert (await house.ask("GET", "/counter/subscribers/bob")) == (200, [])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/fax/next", {"by": "amy"}, 404),
        ("/calls/next", {}, 422),
        ("/calls/next", {"by": "amy", "hold_s": 1}, 422),
        ("/calls/next", {"by": "amy", "more": 1}, 422),
        ("/items/1-2/outcome", {"by": "amy", "outcome": "accepted"}, 404),
        ("/items/x/outcome", {"by": "amy", "outcome": "accepted"}, 404),
        ("/items/99999999999999999999-1/release", {"by": "amy"}, 404),
        ("/items/1-2/outcome", {"by": "amy", "outcome": "bought"}, 422),
        ("/items/1-2/outcome", {"by": "a\0", "outcome": "accepted"}, 422),
    ],
)
async def test_what_cannot_be_is_a_problem_that_says_why(
    house: House, path: str, body: Any, status: int
) -> None:
    told, problem = await house.ask("POST", path, body)
    assert (told, problem["status"]) == (status, status)
    assert problem["title"]


async def test_the_desk_is_for_holders_of_a_key(house: House) -> None:
    assert (await house.ask("POST", "/calls/next", {"by": "amy"}, key="wrong"))[0] == 401
