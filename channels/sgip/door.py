"""Where the gateway calls us: it brings reports and what people write over connections of its
own (SGIP §3.7.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from channels.sgip.session import SgipVisit
from channels.sms.wire import stop_listening

log = logging.getLogger("outreach.sms")


class Door:
    """Listens, and tries again while the port is taken; `trouble` then says why, for people.

    At most `most` callers are in; for one more, the one that was silent longest goes. A caller that
    has not logged in within `login_within_s` goes too.
    """

    def __init__(
        self,
        host: str,
        port: int,
        new: Callable[[], SgipVisit],
        *,
        most: int,
        login_within_s: float,
        again_s: float = 5.0,
    ) -> None:
        self.port = port
        self.visits: set[SgipVisit] = set()
        self._host = host
        self._new = new
        self._most = most
        self._login_within_s = login_within_s
        self._again_s = again_s
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None
        self._closed = False
        self.trouble = ""

    @property
    def is_open(self) -> bool:
        """The gateway may come in."""
        return self._server is not None

    async def open(self) -> None:
        """Listening, or about to; `port` says where."""
        self._closed = False
        if not await self._tried():
            self._opening = asyncio.get_running_loop().create_task(self._try_again())

    async def close(self) -> None:
        """No longer listening; every caller is gone, one that reads nothing after a while."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._server is not None:
            server, self._server = self._server, None
            await stop_listening(server)
        for visit in self.visits:
            visit.close()
        if self._calls:
            await asyncio.wait(self._calls, timeout=self._login_within_s)
        for visit in self.visits:
            visit.abort()
        if self._calls:
            await asyncio.wait(self._calls)

    async def _tried(self) -> bool:
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._called, self._host, self.port)
        except OSError as error:
            self.trouble = f"cannot listen at {self._host}:{self.port}: {error.strerror}"
            log.error("sgip_cannot_listen port=%d", self.port, extra={"reason": self.trouble})
            return False
        self.port = self._server.sockets[0].getsockname()[1]
        self.trouble = ""
        return True

    async def _try_again(self) -> None:
        while True:
            await asyncio.sleep(self._again_s)
            if await self._tried():
                return

    def _called(self) -> SgipVisit:
        if len(self.visits) >= self._most:
            silent = min(self.visits, key=lambda it: (it.admitted, it.heard_at))
            log.warning("sgip_visit_ended reason=too_many")
            silent.abort()
        visit = self._new()
        if self._closed:
            visit.abort()
        self.visits.add(visit)
        call = visit.loop.create_task(self._attend(visit))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return visit

    async def _attend(self, visit: SgipVisit) -> None:
        """The visit is over, however it went."""
        try:
            await asyncio.wait([visit.lost], timeout=self._login_within_s)
            if not visit.admitted:
                visit.abort()
            await visit.lost
        finally:
            self.visits.discard(visit)
