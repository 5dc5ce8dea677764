"""One open page: what waits to be written to it, what it may acknowledge, how fast it may talk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from channels.webchat.frames import Line, Lines, Refused, Stored, encode

BURST = 20
PER_S = 4.0
"""A person types less; a page acknowledges in groups."""

_MOST_WAITING = 1_000
_MOST_UNSEEN = 2_000
_MOST_REFUSED = 200


class Browser:
    """Writing never waits for a slow page: what it does not read in time closes it, and the
    history brings it up to date when it comes back."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        address: str,
        transport: asyncio.BaseTransport | None,
    ) -> None:
        self.socket = socket
        self.address = address
        self._transport = transport
        self._unseen: dict[str, None] = {}
        self._lines: list[Line] = []
        self._whole = False
        self._answers: list[bytes] = []
        self._refused = 0
        self._wake = asyncio.Event()
        self._tokens = float(BURST)
        self._filled_at = time.monotonic()

    def show(self, lines: Sequence[Line], whole: bool = False) -> None:
        """`lines` will be on the page, in one frame with others that wait."""
        self._lines.extend(lines)
        self._whole = self._whole or whole
        for line in lines:
            if line.by == "us" and not line.acknowledged:
                self._unseen[line.id] = None
        while len(self._unseen) > _MOST_UNSEEN:
            del self._unseen[next(iter(self._unseen))]
        self._wake_writer()

    def answer(self, frame: Stored | Refused) -> None:
        """The page will get `frame`."""
        self._refused = self._refused + 1 if isinstance(frame, Refused) else 0
        self._answers.append(encode(frame))
        self._wake_writer()

    def acknowledge(self, ids: Sequence[str]) -> list[str]:
        """Those of `ids` that this page was shown and had not acknowledged: nobody can vouch for
        a message that went to somebody else."""
        known = [it for it in dict.fromkeys(ids) if it in self._unseen]
        for it in known:
            del self._unseen[it]
        return known

    def may_talk(self) -> bool:
        """A frame is taken from the allowance; False if there is none left for now."""
        now = time.monotonic()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled_at) * PER_S)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    @property
    def misbehaves(self) -> bool:
        """So much of what it wrote in a row could not be taken that it is no page of ours."""
        return self._refused > _MOST_REFUSED

    async def write(self) -> None:
        """Everything shown or answered is written, in order, until the page is gone."""
        try:
            while not self.socket.closed:
                await self._wake.wait()
                self._wake.clear()
                await self._flush()
        except ConnectionError:
            return

    async def close(self, code: int) -> None:
        """The page is told to go."""
        await self.socket.close(code=code)

    def _wake_writer(self) -> None:
        if len(self._lines) + len(self._answers) > _MOST_WAITING:
            self._lines, self._answers = [], []
            if isinstance(self._transport, asyncio.WriteTransport):
                self._transport.abort()
        self._wake.set()

    async def _flush(self) -> None:
        answers, self._answers = self._answers, []
        for answer in answers:
            await self.socket.send_frame(answer, WSMsgType.TEXT)
        if self._lines or self._whole:
            frame = encode(Lines(self._lines, self._whole))
            self._lines, self._whole = [], False
            await self.socket.send_frame(frame, WSMsgType.TEXT)
