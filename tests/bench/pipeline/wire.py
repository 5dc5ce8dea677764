"""The floor's SMPP: bind, submit, match the answers. No deadlines, no receipts, no reconnecting."""

from __future__ import annotations

import asyncio
import struct

_HEADER = struct.Struct(">IIII")
WINDOW = 100


class Wire(asyncio.Protocol):
    """One bare connection with a window of 100."""

    def __init__(self) -> None:
        self._rest = b""
        self._sequence = 0
        self._answers: dict[int, int] = {}
        self._ids: list[str] = []
        self._bodies: list[bytes] = []
        self._next = 0
        self._left = 0
        self._done: asyncio.Future[None] | None = None

    @classmethod
    async def bind(cls, port: int) -> Wire:
        loop = asyncio.get_running_loop()
        transport, wire = await loop.create_connection(cls, "127.0.0.1", port)
        wire._transport = transport
        wire._done = loop.create_future()
        wire._left = 1
        wire._ids = [""]
        wire._answers[0] = 0
        body = b"bench\0secret\0\0\x34\0\0\0"
        transport.write(_HEADER.pack(16 + len(body), 9, 0, 0) + body)
        await wire._done
        return wire

    def close(self) -> None:
        self._transport.close()

    async def submit(self, bodies: list[bytes]) -> list[str]:
        """The carrier's id for each submit_sm body."""
        self._done = asyncio.get_running_loop().create_future()
        self._bodies, self._next, self._left = bodies, 0, len(bodies)
        self._ids = [""] * len(bodies)
        self._answers = {}
        self._fill()
        await self._done
        return self._ids

    def _fill(self) -> None:
        out = []
        while self._next < len(self._bodies) and len(self._answers) < WINDOW:
            body = self._bodies[self._next]
            self._sequence += 1
            self._answers[self._sequence] = self._next
            out.append(_HEADER.pack(16 + len(body), 4, 0, self._sequence) + body)
            self._next += 1
        if out:
            self._transport.write(b"".join(out))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        at = 0
        while len(data) - at >= 16:
            length, _, _, sequence = _HEADER.unpack_from(data, at)
            if len(data) - at < length:
                break
            self._ids[self._answers.pop(sequence)] = data[at + 16 : at + length - 1].decode()
            self._left -= 1
            at += length
        self._rest = data[at:]
        self._fill()
        if not self._left and self._done and not self._done.done():
            self._done.set_result(None)


def submit_body(address: str, text: str) -> bytes:
    """A submit_sm body: international number, data_coding 0, a receipt asked for."""
    encoded = text.encode("ascii")
    return b"".join(
        (
            b"\0\0\x0010086\0\1\1", address.encode(), b"\0\0\0\0\0\0\1\0\0\0",
            bytes((len(encoded),)), encoded,
        )
    )  # fmt: skip
