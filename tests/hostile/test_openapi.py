"""The API against its own description (schemathesis): requests that keep to it are taken, those
that do not are refused in words, and every answer is one that the description tells of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from orchestrator.web import openapi
from tests.hostile.api import AUTHORIZED, Api, serving

DOCUMENT = msgspec.json.decode(msgspec.json.encode(openapi.document()))
OPERATIONS = [
    (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
]

MOMENTS = st.integers(86_400, 32_000_000_000).map(lambda it: datetime.fromtimestamp(it, UTC))
schemathesis.openapi.format("date-time", MOMENTS.map(datetime.isoformat))


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    async with serving(database_url, redis_url) as made:
        yield made


async def test_the_description_is_served_and_tells_of_every_route(api: Api) -> None:
    async with (
        aiohttp.ClientSession(headers=AUTHORIZED) as session,
        session.get(api.url + openapi.PATH) as answer,
    ):
        assert await answer.json() == DOCUMENT
    routes = {
        (route.method, route.resource.canonical)
        for route in api.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert routes == set(OPERATIONS)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_every_answer_is_one_that_the_description_tells_of(
    api: Api, mode: GenerationMode
) -> None:
    config = SchemathesisConfig()
    config.projects.default.generation.update(allow_x00=False)
    refusing = config.projects.default.checks.negative_data_rejection
    refusing.expected_statuses = [*refusing.expected_statuses, "413"]
    schema = schemathesis.openapi.from_dict(DOCUMENT, config=config)

    def ask() -> None:
        for found in schema.get_all_operations():
            operation = found.ok()  # type: ignore[union-attr]
            if mode is GenerationMode.NEGATIVE and not (
                operation.body or operation.path_parameters
            ):
                continue  # there is nothing in it to be wrong

            @settings(
                max_examples=20,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def one(case: schemathesis.Case[Any]) -> None:
                case.call_and_validate(base_url=api.url, headers=AUTHORIZED)

            try:
                one()
            except SystemError:  # CPython before 3.11.8 parses badly in two threads (gh-106905)
                one()

    await asyncio.to_thread(ask)
    assert await api.turn() == 0
