"""`POST /v1/desk/counter/codes`: a code that points bought is shown at a counter, and used."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from orchestrator.core.errors import OutreachError
from orchestrator.runtime import counter
from orchestrator.runtime.context import Context
from orchestrator.runtime.reports import Word
from orchestrator.store import timeline
from orchestrator.web.desk import Who
from orchestrator.web.keys import HOLDER
from orchestrator.web.problem import ProblemError
from orchestrator.web.shapes import read_one


class ShownCode(Struct, frozen=True, forbid_unknown_fields=True):
    """A code as somebody typed it, and who of you takes it. `request` is your own name of this
    request: the same once more, because its answer was lost, gives the same answer. With
    `subscriber`, a key or a number, only that subscriber's code is taken."""

    code: Word
    by: Who
    request: Annotated[
        str, Meta(min_length=1, max_length=100, description="Another one for each code: a UUID.")
    ]
    subscriber: Word | None = None


def routes(context: Context) -> list[web.RouteDef]:
    """The route of codes; holders of an API key for the desk may call it."""

    async def post(request: web.Request) -> web.Response:
        shown = read_one(await request.read(), ShownCode)
        whose = None if shown.subscriber is None else await _known(context, shown.subscriber)
        try:
            honoured = await counter.use(
                context, shown.code, shown.by, shown.request, request[HOLDER], whose
            )
        except OutreachError as error:
            raise ProblemError(409, error.message.capitalize(), error.hint) from None
        return web.Response(
            body=msgspec.json.encode(honoured),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return [web.post("/v1/desk/counter/codes", post)]


async def _known(context: Context, who: str) -> int:
    async with context.pool.acquire() as connection:
        found = await timeline.find(connection, who)
    if found is None:
        raise ProblemError(404, "No such subscriber", "By key, or by number: +86138….")
    return found.id
