"""The rights of people over the API, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from orchestrator.runtime.context import Context
from orchestrator.runtime.intake import Intake
from orchestrator.runtime.settings import ApiKey
from orchestrator.web.app import create_app
from orchestrator.web.doors import open_doors
from orchestrator.web.keys import key_name
from tests.runtime.installation import installed, rows, value

KEY = "a-key-of-the-shop"
ANN = {
    "key": "ann",
    "addresses": {"sms": "+8613800138000"},
    "attributes": {"name": "Ann Canary"},
    "consents": {"news": {"granted": True, "at": "2026-03-01T00:00:00Z"}},
}


class Api:
    def __init__(self, context: Context, server: TestServer) -> None:
        self.context, self._server = context, server

    async def ask(self, method: str, path: str, body: Any = None, key: str = KEY) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, self._server.make_url(path), json=body) as answer,
        ):
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    async with installed(database_url, redis_url) as context:
        server = TestServer(
            create_app(open_doors(context, Intake(context)), api_keys=[ApiKey(KEY)])
        )
        await server.start_server()
        yield Api(context, server)
        await server.close()


async def test_somebody_is_exported_erased_and_stays_opted_out(api: Api) -> None:
    assert (await api.ask("POST", "/v1/subscribers", ANN))[0] == 200
    status, told = await api.ask("GET", "/v1/subscribers/ann/export")
    assert (status, told["subscriber"]["attributes"]) == (200, {"name": "Ann Canary"})
    status, erased = await api.ask("DELETE", "/v1/subscribers/ann")
    assert (status, erased["erased"]["addresses"]) == (200, 1)
    for method, path in (("DELETE", ""), ("GET", "/export"), ("GET", "")):
        assert (await api.ask(method, f"/v1/subscribers/ann{path}"))[0] == 404
    assert (await api.ask("POST", "/v1/subscribers", {**ANN, "key": "anna"}))[0] == 200
    refused = "SELECT consents -> 'everything' ->> 'granted' FROM subscribers"
    assert await value(api.context, refused) == "false"


async def test_whose_key_did_what_is_on_record_without_the_key(api: Api) -> None:
    await api.ask("POST", "/v1/subscribers", ANN)
    await api.ask("DELETE", "/v1/subscribers/ann")
    await api.ask("DELETE", "/v1/subscribers/ann", key="a-key-that-is-unknown")
    query = "SELECT entry::json ->> 'who', entry::json ->> 'what' FROM acts ORDER BY number"
    assert await rows(api.context, query) == [
        (key_name(KEY), "key.used"),
        (key_name(KEY), "consents.reported"),
        (key_name(KEY), "subscriber.erased"),
    ]
    assert KEY not in key_name(KEY)
