"""Who may be written to in free words: whoever wrote within the last 24 hours."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from orchestrator.core.delivery import Spoken

OPEN_FOR = timedelta(hours=24) - timedelta(minutes=1)
"""A minute less, for the message under way."""

_LINES = 30
_MOST_REMEMBERED = 10_000


class Windows:
    """Knows who wrote to this process, and looks up in `history` who wrote to another."""

    def __init__(
        self,
        name: str,
        history: Callable[[str, str, int], Awaitable[Sequence[Spoken]]],
        now: Callable[[], datetime],
    ) -> None:
        self._name = name
        self._history = history
        self._now = now
        self._wrote_at: OrderedDict[str, datetime] = OrderedDict()

    def wrote(self, address: str) -> None:
        """They have just written."""
        self._wrote_at[address] = self._now()
        self._wrote_at.move_to_end(address)
        if len(self._wrote_at) > _MOST_REMEMBERED:
            self._wrote_at.popitem(last=False)

    async def is_open(self, address: str) -> bool:
        """Whether free words may go to them. Raises what the store raises when it is away."""
        since = self._now() - OPEN_FOR
        wrote_at = self._wrote_at.get(address)
        if wrote_at is not None and wrote_at > since:
            return True
        lines = await self._history(self._name, address, _LINES)
        return any(it.by == "them" and it.at > since for it in lines)
