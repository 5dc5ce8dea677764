"""What comes in: stored once, in batches, and answered at once where somebody waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from channels.base import Inbox
from orchestrator.core.delivery import Late, Presence, Receipt, Reply
from orchestrator.runtime.context import Context
from orchestrator.runtime.gather import Gathering
from orchestrator.runtime.joining import join
from orchestrator.runtime.turn import take_named
from orchestrator.store import events, importing, presence, receipts, subscribers
from orchestrator.store.events import NewEvent
from orchestrator.store.json import clean, word
from orchestrator.store.subscribers import NewSubscriber

LONGEST_REPLY = 2000
"""Characters of a reply that are kept."""

log = logging.getLogger(__name__)


class EventIn(Struct, frozen=True):
    """An event as somebody outside reports it, about the subscriber of that key."""

    subscriber: str
    name: str
    source_id: str
    at: datetime | None = None
    properties: Mapping[str, Any] = {}


class Counts(Struct, frozen=True):
    """What became of a batch: new, known already by their source ids, and whose subscriber is
    unknown (their positions in the batch)."""

    stored: int
    known: int
    strangers: tuple[int, ...]


class Ingest:
    """The way in of one process. `deliver` is called with the channels that got answers, so that
    a process which holds one can send at once; by default the bell is rung. `riders` are the
    channels that go over another, by its name: its carrier's receipts may be theirs."""

    def __init__(
        self,
        context: Context,
        deliver: Callable[[frozenset[str]], Awaitable[None]] | None = None,
        riders: Mapping[str, Sequence[str]] = {},
    ) -> None:
        self._riders = riders
        self._context = context
        self._deliver = deliver or context.bell.ring_delivery
        self._replies: Gathering[Reply] = Gathering(self._store_replies)
        self._receipts: Gathering[Receipt] = Gathering(self._store_receipts, most=2000)
        self._late: Gathering[Late] = Gathering(self._store_late)
        self._presence: Gathering[Presence] = Gathering(self._store_presence)
        self._turns: Gathering[int] = Gathering(self._take_turns)
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def inbox(self) -> Inbox:
        """Where channels hand in."""
        return Inbox(
            replies=self._replies.add,
            receipts=self._receipts.add,
            late=self._late.add,
            presence=self._presence.add,
        )

    async def answered(self) -> None:
        """Every reply stored so far has been answered."""
        while self._answering:
            await asyncio.gather(*self._answering, return_exceptions=True)

    async def events(self, reported: Sequence[EventIn], source: str) -> Counts:
        """Events are stored, once per source id, have counted what the project says they count,
        and their subscribers' turns are rung for."""
        now = await self._context.now()
        project = await self._context.projects.counting(self._context.pool)
        async with self._context.pool.acquire() as connection, connection.transaction():
            known = await subscribers.find_keys(connection, (e.subscriber for e in reported))
            news = [
                NewEvent(
                    *known[e.subscriber], "event", e.name, e.properties, e.at or now, source,
                    e.source_id,
                )
                for e in reported
                if e.subscriber in known
            ]  # fmt: skip
            stored = await events.add(connection, news, now, self._context.ids, project)
            if len(stored) < len(news):  # some were known, or theirs whom we waited for in vain
                known = await subscribers.find_keys(connection, known)
        await self._context.bell.ring_turns(shard for _, shard in stored)
        strangers = tuple(i for i, e in enumerate(reported) if e.subscriber not in known)
        return Counts(len(stored), len(reported) - len(strangers) - len(stored), strangers)

    async def _store_replies(self, replies: Sequence[Reply]) -> None:
        context = self._context
        now = await context.now()
        replies = [
            replace(r, address=word(r.address), text=clean(r.text), source_id=word(r.source_id))
            for r in replies
        ]
        joined = await join(context, replies)
        async with context.pool.acquire() as connection, connection.transaction():
            senders = [(r.channel, r.address) for r in replies]
            owners = await subscribers.held_owners(connection, senders)
            strangers = {sender for sender in senders if sender not in owners}
            if strangers:
                # Whoever writes is somebody: their opt-out must hold, their question gets help.
                news = [
                    NewSubscriber(key=f"{channel}:{address}", addresses={channel: address})
                    for channel, address in sorted(strangers)
                ]
                locale = context.projects.project.locale
                # An import may be quicker: then they are whom it says.
                await importing.add(connection, news, now, locale, context.secret)
                owners |= await subscribers.held_owners(connection, strangers)
            if back := [it for it, owner in owners.items() if owner.gone]:
                await presence.record(connection, dict.fromkeys(back, True), now)
            stored = await events.add(
                connection,
                [
                    NewEvent(
                        owners[r.channel, r.address].subscriber_id,
                        owners[r.channel, r.address].shard,
                        "reply",
                        r.channel,
                        {
                            "text": r.text[:LONGEST_REPLY],
                            "channel": r.channel,
                            "address": r.address,
                            **({"joined": joined[position]} if position in joined else {}),
                        },
                        now,
                        r.channel,
                        r.source_id,
                    )
                    for position, r in enumerate(replies)
                ],
                now,
                context.ids,
            )
        if stored:
            self._answering.add(
                task := asyncio.create_task(self._turns.add([who for who, _ in stored]))
            )
            task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # The replies are stored: a sweep finds them.
            log.warning("answer_late error=%s", type(error).__name__)

    async def _take_turns(self, subscriber_ids: Sequence[int]) -> None:
        taken = await take_named(self._context, subscriber_ids)
        if taken.channels:
            await self._deliver(taken.channels)

    async def _store_late(self, given: Sequence[Late]) -> None:
        late = [replace(it, carrier_id=word(it.carrier_id)) for it in given]
        async with self._context.pool.acquire() as connection, connection.transaction():
            await receipts.came_late(connection, late)

    async def _store_presence(self, told: Sequence[Presence]) -> None:
        """Of one address what was told last counts; nobody's do not matter."""
        here = {(it.channel, word(it.address)): it.here for it in told}
        now = await self._context.now()
        async with self._context.pool.acquire() as connection, connection.transaction():
            owners = await subscribers.held_owners(connection, here)
            await presence.record(connection, {it: here[it] for it in owners}, now)

    async def _store_receipts(self, given: Sequence[Receipt]) -> None:
        context = self._context
        by_channel: dict[str, list[Receipt]] = {}
        for receipt in given:
            by_channel.setdefault(receipt.channel, []).append(
                replace(receipt, carrier_id=word(receipt.carrier_id), code=word(receipt.code))
            )
        now = await context.now()
        waiting: list[int] = []
        async with context.pool.acquire() as connection, connection.transaction():
            for channel, theirs in by_channel.items():
                riders = self._riders.get(channel, ())
                waiting += await receipts.receive(
                    connection, channel, theirs, now, context.ids, riders
                )
        if waiting:
            await context.bell.ring_turns(range(64))
