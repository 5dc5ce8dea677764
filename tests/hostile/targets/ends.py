"""Both ends of what a target looks at: an inbox that stores as PostgreSQL would, and a connection
whose far end is nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from channels.base import Inbox
from orchestrator.core.delivery import Receipt, Reply
from orchestrator.store.json import clean, word

MOST_ADDRESS, MOST_ID, MOST_CODE = 200, 255, 100
MOST_TEXT = 270_000
"""Characters: a little more than the longest callback has octets."""


def storable(words: str, most_characters: int) -> None:
    """PostgreSQL takes it, and an index over it if it is short."""
    assert "\0" not in words
    assert len(words.encode()) <= most_characters * 4
    assert len(words) <= most_characters


def look_at_reply(it: Reply, cleaned: bool = False) -> None:
    """The reply can be stored; with `cleaned`, once ingest has cleaned it."""
    named = word if cleaned else str
    storable(clean(it.text) if cleaned else it.text, MOST_TEXT)
    storable(named(it.address), MOST_ID if cleaned else MOST_ADDRESS)
    storable(named(it.source_id), MOST_ID)


def look_at_receipt(it: Receipt, cleaned: bool = False) -> None:
    """The receipt can be stored; with `cleaned`, once ingest has cleaned it."""
    named = word if cleaned else str
    storable(named(it.carrier_id), MOST_ID)
    storable(named(it.code), MOST_ID if cleaned else MOST_CODE)


class Stored:
    """An inbox that looks at all it gets as the store would, counts it, and keeps nothing but
    `failed`: what could not have been stored, and what the loop could tell nobody."""

    def __init__(self, cleaned: bool = False) -> None:
        self.failed: list[BaseException] = []
        self.count = 0
        self._cleaned = cleaned
        self.inbox = Inbox(replies=self.replies, receipts=self.receipts)

    async def replies(self, replies: Sequence[Reply]) -> None:
        for it in replies:
            self.count += 1
            try:
                look_at_reply(it, self._cleaned)
            except (AssertionError, UnicodeError) as error:
                self.failed.append(error)

    async def receipts(self, receipts: Sequence[Receipt]) -> None:
        for it in receipts:
            self.count += 1
            try:
                look_at_receipt(it, self._cleaned)
            except (AssertionError, UnicodeError) as error:
                self.failed.append(error)

    def hear(self, loop: asyncio.AbstractEventLoop, said: dict[str, Any]) -> None:
        self.failed.append(said.get("exception") or RuntimeError(said["message"]))


class Nowhere(asyncio.Transport):
    """The far end of a connection that is nowhere: what is written is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.octets = 0
        self.closed = False

    def write(self, data: object) -> None:
        self.octets += len(data)  # type: ignore[arg-type]

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class Loop:
    """A loop of its own, and the inbox of everything that runs on it."""

    def __init__(self, cleaned: bool = False) -> None:
        self.loop = asyncio.new_event_loop()
        self.stored = Stored(cleaned)
        self.loop.set_exception_handler(self.stored.hear)

    def run(self, doing: Coroutine[None, None, None]) -> None:
        """Done; raises what failed out of sight, too."""
        self.loop.run_until_complete(doing)
        if failed := self.stored.failed:
            raise failed.pop()


async def quiet(rounds: int = 3) -> None:
    """What was left for later is done."""
    for _ in range(rounds):
        await asyncio.sleep(0)
