"""Events by the stream, back-pressure, and what a key is good for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.context import Context
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.settings import ApiKey, Settings
from orchestrator.web import events
from orchestrator.web.app import create_app
from orchestrator.web.doors import open_doors
from tests.runtime.feed import TRIGGERS, clock
from tests.runtime.installation import installed, number, people, value

KEYS = {
    it: ApiKey.parse(f"{it}:a key good for {it}")
    for it in ("events", "subscribers", "read", "desk", "events+read")
}
WHOLE = ApiKey.parse("a key that is good for all")

DOORS = [
    ("POST", "/v1/events", "events"),
    ("POST", "/v1/subscribers", "subscribers"),
    ("DELETE", "/v1/subscribers/x", "subscribers"),
    ("GET", "/v1/subscribers/x", "read"),
    ("GET", "/v1/subscribers/x/export", "read"),
    ("POST", "/v1/desk/calls/next", "desk"),
]


class Api:
    def __init__(self, context: Context, server: TestServer) -> None:
        self.context = context
        self._server = server

    async def ask(
        self, method: str, path: str, key: ApiKey = WHOLE, **request: Any
    ) -> tuple[int, Any, Any]:
        headers = {"Authorization": f"Bearer {key.key}", **request.pop("headers", {})}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self._server.make_url(path), headers=headers, **request) as it,
        ):
            return it.status, await it.json(content_type=None), it.headers

    async def stream(self, body: Any) -> tuple[int, Any, Any]:
        kind = {"Content-Type": "application/x-ndjson"}
        return await self.ask("POST", "/v1/events", data=body, headers=kind)


@pytest_asyncio.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    async with installed(database_url, redis_url, TRIGGERS, clock(), most_waiting=500) as context:
        await people(context, range(3))
        app = create_app(open_doors(context, Intake(context)), api_keys=[*KEYS.values(), WHOLE])
        server = TestServer(app)
        await server.start_server()
        yield Api(context, server)
        await server.close()


def line(n: int, **said: Any) -> bytes:
    whole = {"name": "shop.bought", "source_id": f"s{n}", "number": number(n % 3)}
    return msgspec.json.encode({**whole, "properties": {"amount": n}, **said}) + b"\n"


async def test_a_stream_of_lines_is_taken_whatever_its_length_and_told_by_position(
    api: Api,
) -> None:
    lines = [line(n) for n in range(1200)]
    lines[7], lines[600], lines[1199] = b"nonsense\n", b"\n", line(9, source_id="s1")
    lines[1000] = line(5, properties={"amount": "much"})
    lines[1100] = line(5, number=number(77))
    text = b"".join(lines).removesuffix(b"\n")

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(text), 10_007):
            yield text[start : start + 10_007]

    status, told, _ = await api.stream(pieces())
    assert (status, told["lines"]) == (202, 1200)
    assert (told["stored"], told["known"]) == (1195, 1)
    assert (told["set_aside"], told["set_aside_at"]) == (2, [7, 1000])
    assert (told["strangers"], told["strangers_at"]) == (1, [1100])
    assert await value(api.context, "SELECT count(*) FROM events") == 1195


async def test_a_line_without_end_is_refused_and_what_came_before_is_told(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_EVENT_OCTETS", 50_000)
    status, told, _ = await api.stream(line(1) + b"x" * 200_000)
    assert (status, told["taken"]["lines"]) == (413, 1)


async def test_one_event_has_the_same_limit_in_whatever_form(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_EVENT_OCTETS", 2_000)

    def long(n: int, octets: int) -> bytes:
        bare = len(line(n, properties={"amount": n, "note": ""})) - 1
        return line(n, properties={"amount": n, "note": "x" * (octets - bare)}).strip()

    async def post(body: bytes) -> tuple[int, Any]:
        return (await api.ask("POST", "/v1/events", data=body))[:2]

    fits, longer = long(1, 2_000), long(2, 2_001)
    assert (len(fits), len(longer)) == (2_000, 2_001)
    for body in (fits, b" [" + b",".join([fits, long(3, 2_000)]) + b"]"):
        assert (await post(body))[0] == 202
    status, told, _ = await api.stream(b"\n".join([line(4).strip(), fits, line(5)]))
    assert (status, told["lines"]) == (202, 3)
    for body, what in (
        (longer, "The event"),
        (b"[" + line(6) + b", " + longer + b"]", "Event 1"),
    ):
        status, told = await post(body)
        assert (status, told["title"]) == (413, f"{what} is longer than 2000 octets")
    assert (await post(b"[" + longer))[0] == 400
    status, told, _ = await api.stream(line(7) + longer + b"\n" + line(8))
    assert (status, told["title"]) == (413, "Line 1 is longer than 2000 octets")
    assert told["taken"]["stored"] == 1
    found = await value(
        api.context, "SELECT string_agg(source_id, ' ' ORDER BY source_id) FROM events"
    )
    assert found == "s1 s3 s4 s5 s7"


async def test_when_too_much_waits_the_sender_is_told_and_nothing_is_lost(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = {"name": "call.ended", "number": number(1), "properties": {"cell": "x", "seconds": 1}}
    batch = [{**call, "source_id": f"c{n}"} for n in range(600)]
    assert (await api.ask("POST", "/v1/events", json=batch))[1]["queued"] == 600
    status, problem, headers = await api.ask(
        "POST", "/v1/events", json=[{**call, "source_id": "d"}]
    )
    assert (status, headers["Retry-After"]) == (429, "1")
    assert problem["title"] == "Too many events wait"
    monkeypatch.setattr(events, "PATIENCE_S", 0.0)
    body = line(1) + msgspec.json.encode({**call, "source_id": "e"}) + b"\n"
    status, problem, headers = await api.stream(body)
    assert (status, headers["Retry-After"], problem["taken"]["lines"]) == (429, "1", 0)
    assert (await api.context.streams.backlog({})).events == 600
    # What nobody waits for is taken all the same.
    assert (await api.stream(line(1)))[1]["stored"] == 1


@pytest.mark.parametrize(("method", "path", "scope"), DOORS)
async def test_a_key_opens_what_it_is_good_for_and_nothing_else(
    api: Api, method: str, path: str, scope: str
) -> None:
    for name, key in KEYS.items():
        status, problem, _ = await api.ask(method, path, key, data=b"{}")
        assert (status == 403) is (scope not in name.split("+")), name
        if status == 403:
            assert scope in problem["title"]
            assert key.key not in str(problem)
    assert (await api.ask(method, path, data=b"{}"))[0] != 403


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("event:0123456789abcdef", "did you mean events?"),
        ("events:short", "at least 16 characters"),
        (",", "there is no key"),
    ],
)
def test_a_key_that_is_not_right_is_refused_without_being_told(text: str, wrong: str) -> None:
    with pytest.raises(OutreachError) as error:
        Settings.from_env({"OUTREACH_API_KEYS": text}, Path("/"))
    assert wrong in error.value.message
    assert "0123456789abcdef" not in error.value.message


@pytest.mark.parametrize("text", ["0123456789abcdef", "events:0123456789abcdef"])
def test_a_key_is_written_as_it_was_read(text: str) -> None:
    assert str(ApiKey.parse(text)) == text
    assert "0123456789abcdef" not in repr(ApiKey.parse(text))
