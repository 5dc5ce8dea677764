"""What a carrier calls the pictures that it was given, so that each is given to it once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_MOST_KEPT = 1_000


class Uploads:
    """The carrier's ids of pictures, by what they are: the carrier forgets them after `lasts_s`.
    Those of one process; another gives its own."""

    def __init__(self, lasts_s: float) -> None:
        self._lasts_s = lasts_s
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._giving: dict[str, asyncio.Event] = {}

    def known(self, digest: str) -> str:
        """The id of this picture; '' if it must be given to the carrier."""
        carrier_id, until_s = self._kept.get(digest, ("", 0.0))
        return carrier_id if until_s > time.monotonic() else ""

    def keep(self, digest: str, carrier_id: str) -> None:
        """The carrier has just been given it."""
        if carrier_id:
            self._kept[digest] = carrier_id, time.monotonic() + self._lasts_s
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    def forget(self, digest: str, carrier_id: str) -> None:
        """The carrier knows this id no more. Another one that it was given since stays."""
        if self.known(digest) == carrier_id:
            self._kept.pop(digest, None)

    @asynccontextmanager
    async def giving(self, digest: str) -> AsyncIterator[str]:
        """The id, or '' for whoever is to give the picture and `keep` its id within. Who comes
        while somebody gives it waits for that one first, and only for that one."""
        first = self._giving.get(digest)
        if not self.known(digest) and first is not None:
            await first.wait()
        if self.known(digest) or digest in self._giving:
            yield self.known(digest)
            return
        given = self._giving[digest] = asyncio.Event()
        try:
            yield ""
        finally:
            del self._giving[digest]
            given.set()
