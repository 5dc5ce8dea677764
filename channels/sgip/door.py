"""Where the gateway calls us: it brings reports and what people write over connections of its
own (SGIP §3.7.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from channels.sgip.session import SgipVisit

log = logging.getLogger("outreach.sms")


class Door:
    """Listens. At most `most` callers are in; for one more, the one that was silent longest goes. A
    caller that has not logged in within `login_within_s` goes too."""

    def __init__(
        self,
        host: str,
        port: int,
        new: Callable[[], SgipVisit],
        *,
        most: int,
        login_within_s: float,
    ) -> None:
        self.port = port
        self.visits: set[SgipVisit] = set()
        self._host = host
        self._new = new
        self._most = most
        self._login_within_s = login_within_s
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listening; `port` says where. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._called, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """No longer listening; every caller is gone."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for visit in self.visits:
            visit.close()
        if self._calls:
            await asyncio.wait(self._calls)

    def _called(self) -> SgipVisit:
        if len(self.visits) >= self._most:
            silent = min(self.visits, key=lambda it: (it.admitted, it.heard_at))
            log.warning("sgip_visit_ended reason=too_many")
            silent.abort()
        visit = self._new()
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
