"""Long texts whose parts an aggregator brings one by one, each in a callback of its own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from msgspec import Struct

Key = tuple[str, str, int]
"""Who wrote, which reference, of how many parts."""


class Part(Struct, frozen=True):
    """Part `number` of `key`, from 1. `id` is the aggregator's."""

    key: Key
    number: int
    text: str
    id: str
    to: str = ""


class _Whole:
    def __init__(self) -> None:
        self.parts: dict[int, Part] = {}
        self.brought: dict[int, int] = {}
        self.complete = asyncio.Event()
        self.stored: asyncio.Future[None] | None = None


class Joining:
    """Keeps parts until their text is whole, for at most `max_texts` texts.

    A part's callback is answered only once the whole text is stored. If the others do not come
    within `patience_s`, it is refused, so that the aggregator brings it again; whatever it brings
    for the third time goes in as it is: half a text is worth more than none. `store` is given the
    first part and the whole text.
    """

    def __init__(
        self,
        store: Callable[[Part, str], Awaitable[None]],
        *,
        patience_s: float = 8.0,
        max_texts: int = 1_000,
    ) -> None:
        self._store = store
        self._patience_s = patience_s
        self._max_texts = max_texts
        self._texts: OrderedDict[Key, _Whole] = OrderedDict()

    async def add(self, part: Part) -> bool:
        """Whether the part is stored, within its text. Raises what `store` raises."""
        whole = self._texts.setdefault(part.key, _Whole())
        while len(self._texts) > self._max_texts:
            self._texts.popitem(last=False)
        whole.parts[part.number] = part
        brought = whole.brought[part.number] = whole.brought.get(part.number, 0) + 1
        if len(whole.parts) >= part.key[2] or brought >= 3:
            whole.complete.set()
        else:
            try:
                await asyncio.wait_for(whole.complete.wait(), self._patience_s)
            except TimeoutError:
                return False
        await self._stored(part.key, whole)
        return True

    async def _stored(self, key: Key, whole: _Whole) -> None:
        """The text is in the store; whoever comes first puts it there, the others wait for that."""
        if whole.stored is None:
            whole.stored = asyncio.ensure_future(self._put(whole))
        try:
            await asyncio.shield(whole.stored)
        except Exception:
            whole.stored = None
            raise
        if self._texts.get(key) is whole:
            del self._texts[key]

    async def _put(self, whole: _Whole) -> None:
        parts = [whole.parts[number] for number in sorted(whole.parts)]
        await self._store(parts[0], "".join(part.text for part in parts))
