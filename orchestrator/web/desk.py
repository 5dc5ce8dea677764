"""`/v1/desk/…`: the work of people at counters and on the telephone, for whatever screen they use.

- `POST /v1/desk/{calls|counter}/next` takes the first item that nobody has, and reserves it: 200
  with the item, 204 if there is none.
- `GET /v1/desk/{calls|counter}/subscribers/{key}` says what may be spoken of with somebody who
  stands there now; `key` may be a number. What they have a code for: `web/codes.py`.
- `POST /v1/desk/items/{id}/outcome` says what came of it, `POST /v1/desk/items/{id}/release`
  gives it back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from orchestrator.core.contact import refused
from orchestrator.core.delivery import Receipt
from orchestrator.core.model import DESK_CHANNELS
from orchestrator.core.steps.hand_over import DESK_OUTCOME
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.reports import Time, Timed
from orchestrator.store import desk, timeline
from orchestrator.store.desk import Item
from orchestrator.web.problem import ProblemError
from orchestrator.web.shapes import read_one

SOURCE = "desk"
MOST_TRIES = 3
"""Calls that reach nobody, until it is given up."""

AGAIN = timedelta(hours=2)
"""After a call that reached nobody, the next one comes so much later."""

Who = Annotated[str, Meta(min_length=1, max_length=100, description="Who of you does it.")]


class Take(Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes the item, and for how many seconds nobody else gets it."""

    by: Who
    hold_s: Annotated[float, Meta(ge=10, le=86_400)] = 900


class Release(Struct, frozen=True, forbid_unknown_fields=True):
    """Who gives the item back."""

    by: Who


class Said(Timed, frozen=True, forbid_unknown_fields=True):
    """What came of it. `later`: they asked to be called `at` a time (in two hours, if none
    is said), and the item stays on the list. `unreached` stays as well, until it was tried three
    times."""

    by: Who
    outcome: Literal["accepted", "refused", "later", "unreached", "wrong_number"]
    note: Annotated[str, Meta(max_length=2_000)] = ""
    at: Time | None = None


class Shown(Struct, frozen=True):
    """An item as a person sees it. Say what came of it before `until`."""

    id: str
    subscriber: str
    number: str
    locale: str
    timezone: str | None
    script: str
    journey: str
    step: str
    tries: int
    until: datetime | None
    reserved_until: datetime | None


class Standing(Struct, frozen=True):
    """Whether anything is left to do about the item."""

    id: str
    open: bool


def routes(context: Context, ingest: Ingest) -> list[web.RouteDef]:
    """The routes of the desk; holders of an API key may call them."""
    work = _Desk(context, ingest)
    return [
        web.post("/v1/desk/{channel}/next", work.next),
        web.get("/v1/desk/{channel}/subscribers/{key}", work.for_subscriber),
        web.post("/v1/desk/items/{id}/outcome", work.outcome),
        web.post("/v1/desk/items/{id}/release", work.release),
    ]


class _Desk:
    def __init__(self, context: Context, ingest: Ingest) -> None:
        self._context = context
        self._ingest = ingest

    async def next(self, request: web.Request) -> web.StreamResponse:
        channel, asked = _channel(request), read_one(await request.read(), Take)
        now = await self._context.now()
        until = now + timedelta(seconds=asked.hold_s)
        while True:
            unwanted: Item | None = None
            taken = False
            async with self._context.pool.acquire() as connection, connection.transaction():
                stale = await desk.stale_items(connection, channel, now)
                item = await desk.next_item(connection, channel, now)
                if item is not None:
                    if self._refused(item):
                        unwanted = item
                    else:
                        taken = await desk.take(connection, item, asked.by, until, now)
            if stale:
                await self._end(channel, [(it, "expired", "") for it in stale])
            if unwanted is not None:  # they opted out since
                await self._end(channel, [(unwanted.carrier_id, "rejected", "opted_out")])
                continue
            if item is None:
                return web.Response(status=204)
            if taken:
                return _json(_shown(item, until))

    async def for_subscriber(self, request: web.Request) -> web.StreamResponse:
        channel, key = _channel(request), request.match_info["key"]
        now = await self._context.now()
        async with self._context.pool.acquire() as connection:
            found = None if "\0" in key else await timeline.find(connection, key)
            if found is None:
                raise ProblemError(404, "No such subscriber", "By key, or by number: +86138….")
            items = await desk.items_for(connection, found.id, channel, now)
        return _json([_shown(item, None) for item in items if not self._refused(item)])

    async def outcome(self, request: web.Request) -> web.StreamResponse:
        said = read_one(await request.read(), Said)
        item, told = await self._settled(request.match_info["id"], said)
        if told is not None:
            event = {
                "outcome": told,
                "channel": item.channel,
                "by": said.by,
                "journey": item.journey,
                "run": item.run,
                "step": item.step,
            }
            one = EventIn(item.key, DESK_OUTCOME, item.id, None, event)
            await self._ingest.events([one], SOURCE)
            state = "delivered" if told in ("accepted", "refused") else "undelivered"
            await self._end(item.channel, [(item.carrier_id, state, told)])
        return _json(Standing(item.id, told is None))

    async def release(self, request: web.Request) -> web.StreamResponse:
        asked = read_one(await request.read(), Release)
        now = await self._context.now()
        async with self._context.pool.acquire() as connection, connection.transaction():
            item = await self._theirs(connection, request.match_info["id"], asked.by, now)
            await desk.reserve(connection, item, None, now, item.tries)
        return _json(Standing(item.id, True))

    async def _settled(self, named: str, said: Said) -> tuple[Item, str | None]:
        """The item, and the last word on it: None while it stays on the list. Saying the same
        twice is once."""
        now = await self._context.now()
        async with self._context.pool.acquire() as connection, connection.transaction():
            item = await desk.find_item(connection, named)
            if item is not None and item.outcome == said.outcome:
                return item, said.outcome
            item = await self._theirs(connection, named, said.by, now)
            if said.outcome == "later":
                ready_at = max(now, said.at or now + AGAIN)
                await desk.reserve(connection, item, None, ready_at, item.tries)
                return item, None
            if said.outcome == "unreached" and item.tries + 1 < MOST_TRIES:
                await desk.reserve(connection, item, None, now + AGAIN, item.tries + 1)
                return item, None
            await desk.settle(connection, item, said.by, said.outcome, said.note, now)
            return item, said.outcome

    async def _theirs(self, connection: Any, named: str, by: str, now: datetime) -> Item:
        """The open item, unless somebody else has it."""
        item = await desk.find_item(connection, named)
        if item is None:
            raise ProblemError(404, "No such item", "Items are named by `next`.")
        if not item.open:
            raise ProblemError(409, "The item is closed", f"It ended as {item.outcome or 'over'}.")
        reserved = item.reserved_by is not None and item.ready_at is not None
        if reserved and item.reserved_by != by and item.ready_at > now:  # type: ignore[operator]
            raise ProblemError(409, "Somebody else has it", "Ask for the next one.")
        return item

    def _refused(self, item: Item) -> bool:
        policy = self._context.projects.project.contact
        reason = refused(policy.rules(item.contact_class), item.consents)
        if item.contact_class in policy.classes:
            return reason is not None
        return reason == "opted_out"  # nobody can have agreed to a class that is gone

    async def _end(self, channel: str, ended: list[tuple[str, str, str]]) -> None:
        """The items of these carrier ids have had their last word. Saying it twice is once."""
        receipts = [Receipt(channel, it, state, code) for it, state, code in ended]  # type: ignore[arg-type]
        await self._ingest.inbox.receipts(receipts)


def _shown(item: Item, reserved_until: datetime | None) -> Shown:
    return Shown(
        item.id, item.key, item.number, item.locale, item.timezone, item.content.text,
        item.journey, item.step, item.tries, item.until, reserved_until,
    )  # fmt: skip


def _channel(request: web.Request) -> str:
    channel = request.match_info["channel"]
    if channel not in DESK_CHANNELS:
        raise ProblemError(404, "No such desk", f"There are: {', '.join(DESK_CHANNELS)}.")
    return channel


def _json(value: Any) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
