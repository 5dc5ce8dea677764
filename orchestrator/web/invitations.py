"""`POST /v1/subscribers/{key}/invitations`: a link that makes somebody's chat theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web
from msgspec import Struct

from orchestrator.core.acts import Deed
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.channels import Configured
from orchestrator.runtime.context import Context
from orchestrator.runtime.inviting import invite, qr_code
from orchestrator.store import acts, timeline
from orchestrator.web.problem import ProblemError
from orchestrator.web.shapes import read_one


class InvitationShape(Struct, frozen=True, forbid_unknown_fields=True):
    """To which channel; `qr`: with a QR code of the link, as SVG."""

    channel: str
    qr: bool = False


def _somebody(request: web.Request) -> str:
    return "api"


def routes(
    context: Context,
    configured: Mapping[str, Configured],
    who: Callable[[web.Request], str] = _somebody,
) -> list[web.RouteDef]:
    """The route of invitations, for holders of an API key; `who` says which holder that is."""

    async def post(request: web.Request) -> web.Response:
        key = request.match_info["key"]
        asked = read_one(await request.read(), InvitationShape)
        known = None
        if "\0" not in key:
            async with context.pool.acquire() as connection:
                known = await timeline.find(connection, key)
        if known is None:
            raise ProblemError(404, "No such subscriber", "Subscribers are named by your own key.")
        try:
            made = await invite(context, configured, known.id, asked.channel)
        except OutreachError as error:
            raise ProblemError(409, error.message, error.hint) from None
        deed = Deed(
            who(request),
            "subscriber.invited",
            f"subscriber:{known.id}",
            {},
            {"channel": asked.channel},
        )
        async with context.pool.acquire() as connection, connection.transaction():
            await acts.record(connection, deed, context.clock.now(), context.secret)
        body = msgspec.to_builtins(made)
        if asked.qr:
            body["qr"] = qr_code(made.url or made.say)
        return web.Response(
            status=201,
            body=msgspec.json.encode(body),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return [web.post("/v1/subscribers/{key}/invitations", post)]
