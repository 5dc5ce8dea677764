"""`POST /v1/desk/counter/codes` on a real database: somebody redeems points with the bot, and
shows the code at a counter."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import TestServer

from orchestrator.core.codes import make_code
from orchestrator.core.delivery import Reply
from orchestrator.runtime import people
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.settings import ApiKey
from orchestrator.store import acts, checks, dossier, timeline
from orchestrator.web import codes
from orchestrator.web.app import create_app
from orchestrator.web.doors import open_doors
from orchestrator.web.keys import key_name
from tests.runtime import installation
from tests.runtime.installation import NOON, at, happened, installed, number, rows, turns, value

KEY, READER = "key-of-the-shop", "key-of-a-reader"
FILES = {
    **installation.FILES,
    "journeys/program/rewards.yaml": """
rewards:
  - {id: coffee, names: {en: A cup of coffee, zh: 咖啡}, cost_points: 5, stock: 10}
""",
}


class Shop:
    """A counter, and whoever comes to it."""

    def __init__(self, context: Context, server: TestServer, ids: dict[str, int]) -> None:
        self.context, self.server, self.ids = context, server, ids

    async def code(self, key: str) -> str:
        """The code that this person redeems all their points for, as the bot tells it."""
        for minutes, text in enumerate(("REDEEM coffee", "YES")):
            ingest = Ingest(at(self.context, NOON + timedelta(minutes=minutes)))
            reply = Reply("sms", number(int(key)), text, f"{key}:{text}")
            await ingest.inbox.replies([reply])
            await ingest.answered()
        query = """
        SELECT content FROM messages WHERE subscriber_id = $1 AND template = 'bot/redeemed'
        """
        told = msgspec.json.decode(await value(self.context, query, self.ids[key]))["text"]
        [code] = re.findall(r"Code ([0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}):", told)
        return str(code)

    async def ask(self, body: Any, key: str = KEY) -> Any:
        """The status, and the JSON of the answer."""
        content = io.BytesIO(body if isinstance(body, bytes) else msgspec.json.encode(body))
        headers = {"Authorization": f"Bearer {key}"}
        url = self.server.make_url("/v1/desk/counter/codes")
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url, data=content) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def show(self, code: str, request: str = "1", by: str = "amy", **more: Any) -> Any:
        """What the counter is told of this code."""
        status, told = await self.ask({"code": code, "by": by, "request": request, **more})
        assert status == 200, told
        return told

    async def sound(self) -> bool:
        """Every invariant of the database holds."""
        async with self.context.pool.acquire() as connection:
            findings = await checks.examine(connection, self.context.clock.now())
        wrong = {it.check: it.found for it in findings if it.found}
        assert not wrong, wrong
        return True


@pytest.fixture
async def shop(database_url: str, redis_url: str) -> AsyncIterator[Shop]:
    """People of the keys 1 and 2 have five points each."""
    async with installed(database_url, redis_url, FILES) as context:
        ids = await installation.people(context, [1, 2])
        await happened(context, ids)
        await turns(context)
        app = create_app(
            open_doors(context, Intake(context, Ingest(context))),
            api_keys=[ApiKey(KEY, frozenset({"desk"})), ApiKey(READER, frozenset({"read"}))],
            routes=codes.routes(context),
        )
        async with TestServer(app) as server:
            yield Shop(context, server, ids)


async def test_a_code_from_the_bot_is_used_and_the_clerk_hears_for_what(shop: Shop) -> None:
    told = await shop.show(await shop.code("1"))
    assert told == {
        "result": "used",
        "reward": "coffee",
        "title": "A cup of coffee",
        "subscriber": "1",
        "given_at": told["given_at"],
        "used_at": told["used_at"],
        "used_by": "amy",
    }
    assert told["given_at"].startswith(f"{NOON:%Y-%m-%d}")
    assert await shop.sound()


async def test_it_is_used_once_and_the_next_clerk_hears_when_and_by_whom(shop: Shop) -> None:
    code = await shop.code("1")
    first = await shop.show(code, by="amy")
    second = await shop.show(code, by="ben", request="2")
    assert second == {**first, "result": "used_before"}
    assert second["used_by"] == "amy"


async def test_asking_again_because_the_answer_was_lost_is_answered_alike(shop: Shop) -> None:
    code = await shop.code("1")
    first = await shop.show(code)
    assert await shop.show(code) == first
    assert (await shop.show(code, by="ben"))["result"] == "used_before"
    assert len(await rows(shop.context, "SELECT FROM acts WHERE entry LIKE '%code.used%'")) == 1


async def test_of_clerks_at_the_same_moment_one_hands_it_out(shop: Shop) -> None:
    code = await shop.code("1")
    told = await asyncio.gather(*(shop.show(code, f"r{n}", f"clerk-{n}") for n in range(12)))
    assert sorted(it["result"] for it in told) == ["used"] + ["used_before"] * 11
    assert len({it["used_by"] for it in told}) == 1
    assert len(await rows(shop.context, "SELECT FROM acts WHERE entry LIKE '%code.used%'")) == 1


@pytest.mark.parametrize(
    "typed",
    [
        lambda code: code.lower(),
        lambda code: code.replace("-", ""),
        lambda code: f"  {code.replace('-', ' ')}  ",
        lambda code: code.replace("-", " – "),
        lambda code: code.replace("0", "O").replace("1", "l"),
        lambda code: "".join(chr(ord(it) + 0xFEE0) if it != "-" else it for it in code),
    ],
    ids=["lower case", "no hyphens", "spaces", "dashes", "lookalikes", "full width"],
)
async def test_a_code_is_taken_as_people_type_it(shop: Shop, typed: Any) -> None:
    assert (await shop.show(typed(await shop.code("1"))))["result"] == "used"


async def test_what_we_never_gave_is_unknown_and_what_can_be_no_code_unreadable(
    shop: Shop,
) -> None:
    code = await shop.code("1")
    unknown = make_code(bytes(range(16)), "somebody else's shop")
    assert await shop.show(unknown) == {"result": "unknown"}
    assert await shop.show(code[:-1]) == {"result": "unreadable"}
    assert await shop.show("a coffee, please") == {"result": "unreadable"}
    assert (await shop.show(code))["result"] == "used"


async def test_a_code_is_only_for_whom_it_was_given_to(shop: Shop) -> None:
    code = await shop.code("1")
    for another in ("2", number(2)):
        assert await shop.show(code, subscriber=another) == {"result": "not_theirs"}
    status, problem = await shop.ask(
        {"code": code, "by": "amy", "request": "1", "subscriber": "nobody"}
    )
    assert (status, problem["title"]) == (404, "No such subscriber")
    assert (await shop.show(code, subscriber=number(1)))["result"] == "used"
    assert await shop.show(code, "2", subscriber="2") == {"result": "not_theirs"}


async def test_a_request_that_has_used_another_code_is_refused(shop: Shop) -> None:
    first, second = await shop.code("1"), await shop.code("2")
    await shop.show(first)
    status, problem = await shop.ask({"code": second, "by": "amy", "request": "1"})
    assert (status, problem["title"]) == (409, "This request has used another code")
    assert (await shop.show(second, "2"))["result"] == "used"


async def test_codes_of_somebody_erased_are_unknown(shop: Shop) -> None:
    code = await shop.code("1")
    async with shop.context.pool.acquire() as connection:
        await people.erase(
            connection, shop.ids["1"], "cli:test", shop.context.clock.now(), shop.context.secret
        )
    assert await shop.show(code) == {"result": "unknown"}
    assert await shop.sound()


async def test_clerks_and_an_erasure_at_the_same_moment_do_not_hold_each_other_up(
    shop: Shop,
) -> None:
    code, now = await shop.code("1"), shop.context.clock.now()

    async def erase() -> Any:
        async with shop.context.pool.acquire() as connection:
            return await people.erase(
                connection, shop.ids["1"], "cli:test", now, shop.context.secret
            )

    shows = [shop.show(code, f"{n}", subscriber="2" if n % 3 == 0 else None) for n in range(6)]
    told = await asyncio.gather(*shows[:3], erase(), *shows[3:])
    results = [it["result"] for it in told if isinstance(it, dict)]
    assert results.count("used") <= 1
    assert await shop.show(code, "later") == {"result": "unknown"}
    used = await rows(shop.context, "SELECT FROM acts WHERE entry LIKE '%code.used%'")
    assert len(used) == results.count("used")
    assert await shop.sound()


async def test_a_reward_that_is_no_longer_sold_is_called_by_its_id(shop: Shop) -> None:
    code = await shop.code("1")
    async with shop.context.pool.acquire() as connection:
        await connection.execute("UPDATE codes SET reward = 'tea'; UPDATE holds SET reward = 'tea'")
    assert (await shop.show(code))["title"] == "tea"


async def test_it_is_in_their_story_their_export_and_the_audit_log(shop: Shop) -> None:
    told = await shop.show(await shop.code("1"))
    when = msgspec.convert(told["used_at"], type=type(NOON))
    async with shop.context.pool.acquire() as connection:
        known = await timeline.find(connection, "1")
        assert known is not None
        story = await timeline.load(connection, known)
        export = await dossier.load(connection, known.id, shop.context.clock.now())
        logged = await acts.latest(connection, 10, what="code.used")
    [moment] = [it for it in story.moments if it.kind == "code"]
    assert (moment.at, moment.what, moment.facts["by"]) == (when, "coffee", "amy")
    assert export is not None
    [code] = export.points.codes
    assert (code.reward, code.used_at, code.used_by) == ("coffee", when, "amy")
    [act] = logged
    assert act.deed.who == key_name(KEY)
    assert act.deed.about == f"subscriber:{known.id}"
    assert act.deed.after == {"reward": "coffee", "by": "amy"}


async def test_the_code_itself_is_in_no_log_and_no_table_but_the_message(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = await shop.code("1")
    await shop.show(code)
    await shop.show(code, "2")
    await shop.show(make_code(bytes(range(16)), "x"), "3")
    said = [it.message for it in caplog.records if it.name == "outreach.counter"]
    assert said == [
        f"code_shown result={result} who={key_name(KEY)}"
        for result in ("used", "used_before", "unknown")
    ]
    stored = [
        *await rows(shop.context, "SELECT * FROM codes"),
        *await rows(shop.context, "SELECT * FROM acts"),
    ]
    for spelling in (code, code.replace("-", ""), code.lower()):
        assert spelling not in caplog.text
        assert not any(spelling in str(row) for row in stored)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        ({"code": "x", "by": "amy"}, 422),
        ({"code": "x", "request": "1"}, 422),
        ({"by": "amy", "request": "1"}, 422),
        ({"code": "", "by": "amy", "request": "1"}, 422),
        ({"code": 7, "by": "amy", "request": "1"}, 422),
        ({"code": "x", "by": "amy", "request": ""}, 422),
        ({"code": "x" * 201, "by": "amy", "request": "1"}, 422),
        ({"code": "x", "by": "a" * 101, "request": "1"}, 422),
        ({"code": "x", "by": "amy", "request": "1" * 101}, 422),
        ({"code": "x\0", "by": "amy", "request": "1"}, 422),
        ({"code": "x", "by": "a\0", "request": "1"}, 422),
        ({"code": "x", "by": "amy", "request": "\0"}, 422),
        ({"code": "x", "by": "amy", "request": "1", "subscriber": "\0"}, 422),
        ({"code": "x", "by": "amy", "request": "1", "more": 1}, 422),
        (b'{"code": "' + b"x" * 5_000_000 + b'", "by": "amy", "request": "1"}', 413),
    ],
)
async def test_what_cannot_be_is_a_problem_that_says_why(
    shop: Shop, body: Any, status: int
) -> None:
    told, problem = await shop.ask(body)
    assert (told, problem["status"]) == (status, status)
    assert problem["title"]


async def test_codes_are_for_keys_that_are_good_for_the_desk(shop: Shop) -> None:
    body = {"code": await shop.code("1"), "by": "amy", "request": "1"}
    assert (await shop.ask(body, "no-key"))[0] == 401
    status, problem = await shop.ask(body, READER)
    assert (status, problem["title"]) == (403, "The key is not good for `desk`")
    assert (await shop.ask(body))[1]["result"] == "used"
