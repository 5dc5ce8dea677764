"""The API over a real server: what it takes, what it refuses, and in which words."""

from __future__ import annotations

import gzip
import io
import json
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp.test_utils import TestServer

from orchestrator.core.errors import GrammarError
from orchestrator.runtime.reports import Broken, EventShape, Taken
from orchestrator.runtime.settings import ApiKey
from orchestrator.store.subscribers import NewSubscriber
from orchestrator.web.app import Doors, create_app
from orchestrator.web.shapes import MAX_ITEMS

KEY = "an-api-key-of-the-shop"
EVENT = {"subscriber": "ann", "name": "data.used", "source_id": "e1"}


class House:
    """What stands behind the doors: lists in memory."""

    def __init__(self) -> None:
        self.events: list[EventShape] = []
        self.broken: list[Broken] = []
        self.subscribers: dict[str, NewSubscriber] = {}
        self.missing: list[str] = []
        self.holders: list[str] = []
        self.failure: Exception | None = None

    async def take_events(
        self,
        events: Sequence[EventShape],
        broken: Sequence[Broken],
        positions: Sequence[int] | None,
    ) -> Taken:
        if self.failure:
            raise self.failure
        known = {it.source_id for it in self.events}
        fresh = [it for it in events if it.source_id not in known]
        self.events += fresh
        self.broken += broken
        aside = tuple(it.position for it in broken)
        return Taken(len(fresh), len(events) - len(fresh), (), set_aside=aside)

    async def take_subscribers(
        self, subscribers: Sequence[NewSubscriber], who: str
    ) -> tuple[int, int]:
        made = sum(it.key not in self.subscribers for it in subscribers)
        self.subscribers |= {it.key: it for it in subscribers}
        return made, len(subscribers) - made

    async def timeline(self, key: str) -> Any:
        return {"key": key, "lines": []} if key in self.subscribers else None

    async def export(self, key: str, who: str) -> Any:
        return await self.timeline(key)

    async def erase(self, key: str, who: str) -> Any:
        return self.subscribers.pop(key, None) and {"by": who}

    async def admitted(self, who: str) -> None:
        self.holders.append(who)

    async def waiting_for(self) -> list[str]:
        return self.missing

    @property
    def doors(self) -> Doors:
        return Doors(
            events=self.take_events,
            subscribers=self.take_subscribers,
            timeline=self.timeline,
            export=self.export,
            erase=self.erase,
            admitted=self.admitted,
            waiting_for=self.waiting_for,
        )


class Api:
    def __init__(self, server: TestServer, session: aiohttp.ClientSession, house: House) -> None:
        self.server, self.session, self.house = server, session, house

    async def post(self, path: str, body: Any, **more: Any) -> tuple[int, Any]:
        octets = body if isinstance(body, bytes | io.BytesIO) else json.dumps(body).encode()
        async with self.session.post(self.server.make_url(path), data=octets, **more) as answer:
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            return answer.status, json.loads(await answer.read())

    async def get(self, path: str, **more: Any) -> tuple[int, Any]:
        async with self.session.get(self.server.make_url(path), **more) as answer:
            return answer.status, json.loads(await answer.read())


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    house = House()
    server = TestServer(create_app(house.doors, api_keys=[ApiKey("another-key"), ApiKey(KEY)]))
    await server.start_server()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        yield Api(server, session, house)
    await server.close()


async def test_one_event_is_taken(api: Api) -> None:
    event = {**EVENT, "at": "2026-03-02T10:00:00+08:00", "properties": {"mb": 31, "城市": "上海"}}
    counts = {"stored": 1, "known": 0, "queued": 0, "unmatched": 0}
    said = {**counts, "strangers": [], "set_aside": []}
    assert await api.post("/v1/events", event) == (202, said)
    [taken] = api.house.events
    assert taken.at == datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert taken.properties == {"mb": 31, "城市": "上海"}


async def test_a_batch_is_counted_and_the_same_again_is_known(api: Api) -> None:
    batch = [{**EVENT, "source_id": f"e{i}"} for i in range(MAX_ITEMS)]
    assert (await api.post("/v1/events", batch))[1]["stored"] == MAX_ITEMS
    assert (await api.post("/v1/events", batch))[1]["known"] == MAX_ITEMS


async def test_an_empty_batch_is_nothing(api: Api) -> None:
    assert (await api.post("/v1/events", []))[1]["stored"] == 0


FLAWS = [
    ({"name": "x", "source_id": "e"}, "subscriber"),
    ({**EVENT, "subscriber": 7}, "subscriber"),
    ({**EVENT, "subscriber": ""}, "subscriber"),
    ({**EVENT, "name": "n" * 201}, "name"),
    ({**EVENT, "at": "yesterday"}, "at"),
    ({**EVENT, "at": "2026-03-02T10:00:00"}, "at"),
    ({**EVENT, "at": 12}, "at"),
    ({**EVENT, "propertes": {}}, "propertes"),
    ({**EVENT, "properties": []}, "properties"),
    ({**EVENT, "properties": {"a": [{"b": "nul \0"}]}}, "properties"),
    ({**EVENT, "properties": {"nul \0": 1}}, "properties"),
    ({**EVENT, "subscriber": "a\0"}, "subscriber"),
    ("event", ""),
    (None, ""),
]


@pytest.mark.parametrize(("wrong", "field"), FLAWS, ids=range(len(FLAWS)))
async def test_a_flaw_is_named_by_index_and_field_and_nothing_is_stored(
    api: Api, wrong: Any, field: str
) -> None:
    status, problem = await api.post("/v1/events", [EVENT, wrong, {**EVENT, "source_id": "e3"}])
    assert status == 422
    assert problem["title"] == "1 of 3 cannot be taken"
    [flaw] = problem["errors"]
    assert (flaw["index"], flaw["field"]) == (1, field)
    assert flaw["detail"]
    assert api.house.events == []


async def test_every_flaw_of_a_batch_is_named(api: Api) -> None:
    status, problem = await api.post("/v1/events", [{**EVENT, "at": "x"}, EVENT, {}, 7])
    assert status == 422
    assert [it["index"] for it in problem["errors"]] == [0, 2, 3]


async def test_a_text_that_speaks_of_nul_is_not_a_nul(api: Api) -> None:
    event = {**EVENT, "properties": {"said": "\\u0000"}}
    assert (await api.post("/v1/events", [event]))[0] == 202
    assert api.house.events[0].properties == {"said": "\\u0000"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[", b"nonsense", b"[" * 200_000, b'{"a":' * 100_000, b"\xff\xfe", b"[1,]",
     b'[{"subscriber":"\\ud800"}]', b'{"subscriber":"a","name":"b","source_id":"\xff"}',
     b'{"subscriber":"a","name":"b","source_id":"c","properties":{"x":NaN}}'],
    ids=range(11),
)  # fmt: skip
async def test_what_is_no_json_is_refused(api: Api, body: bytes) -> None:
    status, problem = await api.post("/v1/events", body)
    assert status in (400, 422)
    assert problem["title"]
    assert api.house.events == []


async def test_too_many_items_and_too_long_bodies_are_refused(api: Api) -> None:
    batch = [{**EVENT, "source_id": f"e{i}"} for i in range(MAX_ITEMS + 1)]
    assert (await api.post("/v1/events", batch))[0] == 413
    assert (await api.post("/v1/events", io.BytesIO(b" " * 5_000_000)))[0] == 413


async def test_a_small_body_that_unpacks_to_a_huge_one_is_refused(api: Api) -> None:
    bomb = gzip.compress(b" " * (64 * 1024 * 1024))
    status, _ = await api.post("/v1/events", bomb, headers={"Content-Encoding": "gzip"})
    assert status == 413


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {KEY}", KEY, "Bearer é"]
)
async def test_without_a_right_key_nothing_is_taken(api: Api, authorization: str) -> None:
    headers = {"Authorization": authorization}
    status, problem = await api.post("/v1/events", EVENT, headers=headers)
    assert (status, problem["title"]) == (401, "An API key is needed")
    assert (await api.get("/v1/subscribers/ann", headers=headers))[0] == 401
    assert (await api.get("/v1/nothing", headers=headers))[0] == 401
    assert api.house.events == []


async def test_without_any_key_configured_nobody_is_let_in() -> None:
    house = House()
    server = TestServer(create_app(house.doors, api_keys=[]))
    await server.start_server()
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            server.make_url("/v1/events"), json=EVENT, headers={"Authorization": "Bearer "}
        ) as answer,
    ):
        assert answer.status == 401
    await server.close()


async def test_subscribers_are_made_and_known(api: Api) -> None:
    ann = {
        "key": "ann",
        "locale": "zh-CN",
        "timezone": "Asia/Shanghai",
        "attributes": {"network": "3g"},
        "tags": ["new"],
        "addresses": {"sms": "+8613800138000"},
        "consents": {"marketing": {"granted": True, "at": "2026-03-01T00:00:00Z", "how": "shop"}},
    }
    assert await api.post("/v1/subscribers", ann) == (200, {"made": 1, "known": 0})
    assert await api.post("/v1/subscribers", [ann, {"key": "bob"}]) == (
        200,
        {"made": 1, "known": 1},
    )
    kept = api.house.subscribers["ann"]
    assert kept.consents["marketing"].how == "shop"
    assert kept.tags == ("new",)
    assert await api.get("/v1/subscribers/ann") == (200, {"key": "ann", "lines": []})


async def test_a_flaw_deep_in_a_subscriber_is_named_by_its_path(api: Api) -> None:
    wrong = {"key": "ann", "consents": {"marketing": {"granted": "yes", "at": "2026-03-01"}}}
    status, problem = await api.post("/v1/subscribers", [wrong])
    assert status == 422
    assert problem["errors"][0]["field"].startswith("consents")
    status, problem = await api.post("/v1/subscribers", {"key": "ann", "locale": "x; DROP"})
    assert problem["errors"][0]["field"] == "locale"


@pytest.mark.parametrize("key", ["nobody", "%00", "%2e%2e%2f", "a%0d%0ab", "%F0%9F%99%82"])
async def test_an_unknown_subscriber_is_not_found(api: Api, key: str) -> None:
    url = api.server.make_url("/").with_path(f"/v1/subscribers/{key}", encoded=True)
    async with api.session.get(url) as answer:
        assert answer.status == 404
        assert answer.content_type == "application/problem+json"


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(api: Api) -> None:
    status, problem = await api.post("/v1/event", EVENT)
    assert (status, problem["title"]) == (404, "Not Found")
    status, problem = await api.get("/v1/events")
    assert (status, problem["detail"]) == (405, "Use POST.")


async def test_a_mistake_that_can_be_mended_is_told_with_its_hint(api: Api) -> None:
    api.house.failure = GrammarError("there is no event data.usd", "Did you mean data.used?")
    status, problem = await api.post("/v1/events", EVENT)
    assert (status, problem["title"]) == (422, "there is no event data.usd")
    assert problem["detail"] == "Did you mean data.used?"


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (RuntimeError("canary"), 500),
        (ConnectionError("canary"), 503),
        (asyncpg.DiskFullError("canary"), 503),
        (asyncpg.DeadlockDetectedError("canary"), 503),
    ],
)
async def test_an_unexpected_failure_tells_nothing_of_us_and_logs_no_words(
    api: Api, caplog: pytest.LogCaptureFixture, failure: Exception, status: int
) -> None:
    api.house.failure = failure
    with caplog.at_level(logging.DEBUG):
        got, problem = await api.post("/v1/events", EVENT)
    assert got == status
    shown = json.dumps(problem)
    assert "canary" not in shown + caplog.text
    assert "Traceback" not in shown
    assert type(failure).__name__ not in shown
    assert "test_api.py" in caplog.text


async def test_health_is_told_to_everybody(api: Api) -> None:
    nobody = {"Authorization": ""}
    assert await api.get("/livez", headers=nobody) == (200, {"alive": True})
    assert await api.get("/readyz", headers=nobody) == (200, {"ready": True, "waiting_for": []})
    api.house.missing = ["postgresql"]
    assert await api.get("/readyz", headers=nobody) == (
        503,
        {"ready": False, "waiting_for": ["postgresql"]},
    )
