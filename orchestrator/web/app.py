"""The web process: the API for what happens out there, health, and the routes of channels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from orchestrator.core.model import Consent
from orchestrator.runtime.settings import ApiKey
from orchestrator.store.subscribers import NewSubscriber
from orchestrator.web import openapi
from orchestrator.web.events import Take, post_events
from orchestrator.web.keys import HOLDER, key_holders
from orchestrator.web.problem import ProblemError, problems
from orchestrator.web.shapes import SubscriberShape, read_batch

MAX_BODY_OCTETS = 4 * 1024 * 1024


class Doors(Struct, frozen=True):
    """What the API opens to. Each returns once everything is stored.

    `events`: see `web.events.Take`. `subscribers`: the batch and the holder of the key; how many
    were made and how many were known.
    `timeline`: what may be shown of one subscriber, by key; None if there is no such subscriber.
    `export`: all that is held about one; `erase`: they are gone, and what there was; both for the
    holder of a key (`api-key:1f2e3d4c`), None as above. `admitted`: the holder of a key was let in.
    `waiting_for`: the names of what this process cannot reach; nothing: it is ready.
    """

    events: Take
    subscribers: Callable[[Sequence[NewSubscriber], str], Awaitable[tuple[int, int]]]
    timeline: Callable[[str], Awaitable[Any | None]]
    export: Callable[[str, str], Awaitable[Any | None]]
    erase: Callable[[str, str], Awaitable[Any | None]]
    admitted: Callable[[str], Awaitable[None]]
    waiting_for: Callable[[], Awaitable[Sequence[str]]]


def create_app(
    doors: Doors,
    *,
    api_keys: Collection[ApiKey],
    routes: Iterable[web.AbstractRouteDef] = (),
    max_body_octets: int = MAX_BODY_OCTETS,
) -> web.Application:
    """An application that answers `/v1/…` to holders of one of `api_keys` (none: to nobody), as
    far as it is good for that, `/livez` and `/readyz` to everybody, and serves `routes` of channels
    beside them."""
    api = _Api(doors)
    app = web.Application(
        middlewares=[problems, key_holders(api_keys, doors.admitted)],
        client_max_size=max_body_octets,
    )
    app.add_routes(
        [
            web.post("/v1/events", post_events(doors.events)),
            web.post("/v1/subscribers", api.post_subscribers),
            web.get("/v1/subscribers/{key}", api.get_subscriber),
            web.get(openapi.PATH, api.describe),
            web.delete("/v1/subscribers/{key}", api.delete_subscriber),
            web.get("/v1/subscribers/{key}/export", api.get_export),
            web.get("/livez", api.live),
            web.get("/readyz", api.ready),
            *routes,
        ]
    )
    return app


class _Api:
    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def post_subscribers(self, request: web.Request) -> web.Response:
        shapes = read_batch(await request.read(), SubscriberShape)
        made, known = await self._doors.subscribers(
            [_subscriber(it) for it in shapes], request[HOLDER]
        )
        return _json({"made": made, "known": known}, 200)

    async def get_subscriber(self, request: web.Request) -> web.Response:
        return _json(_there(await self._doors.timeline(_key(request))), 200)

    async def get_export(self, request: web.Request) -> web.Response:
        return _json(_there(await self._doors.export(_key(request), request[HOLDER])), 200)

    async def delete_subscriber(self, request: web.Request) -> web.Response:
        had = _there(await self._doors.erase(_key(request), request[HOLDER]))
        return _json({"erased": had}, 200)

    async def describe(self, request: web.Request) -> web.Response:
        return _json(openapi.document(), 200)

    async def live(self, request: web.Request) -> web.Response:
        return _json({"alive": True}, 200)

    async def ready(self, request: web.Request) -> web.Response:
        missing = list(await self._doors.waiting_for())
        return _json({"ready": not missing, "waiting_for": missing}, 503 if missing else 200)


def _key(request: web.Request) -> str:
    key = request.match_info["key"]
    if "\0" in key:
        raise _nobody()
    return key


def _there(found: Any | None) -> Any:
    if found is None:
        raise _nobody()
    return found


def _nobody() -> ProblemError:
    return ProblemError(404, "No such subscriber", "Subscribers are named by your own key.")


def _subscriber(it: SubscriberShape) -> NewSubscriber:
    consents = {
        purpose: Consent(given.granted, given.at, given.how, given.wording)
        for purpose, given in it.consents.items()
    }
    return NewSubscriber(
        it.key, it.locale, it.timezone, it.attributes, it.tags, it.addresses, consents
    )


def _json(value: Any, status: int) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
