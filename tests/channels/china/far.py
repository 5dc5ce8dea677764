"""A gateway's end of a bare connection, for gateways that behave oddly."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from tests.channels.bare import listening

RESPONSE = 0x80000000


class Far:
    """A gateway's end of a bare connection, to say odd things by hand."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, header_octets: int
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._header_octets = header_octets

    async def read(self) -> tuple[int, int, bytes]:
        """The next PDU: command, sequence, body."""
        header = await self.reader.readexactly(self._header_octets)
        length, command_id = struct.unpack_from(">II", header)
        body = await self.reader.readexactly(length - self._header_octets)
        return command_id, int.from_bytes(header[8:], "big"), body

    def say(self, command_id: int, sequence: int, body: bytes = b"") -> None:
        octets = self._header_octets
        number = sequence.to_bytes(octets - 8, "big")
        self.writer.write(struct.pack(">II", octets + len(body), command_id) + number + body)


def gateway(
    play: Callable[[Far], Awaitable[None]], header_octets: int = 12
) -> AbstractAsyncContextManager[int]:
    """A listening port; `play` is the gateway's part on each connection, then it hangs up."""
    return listening(lambda reader, writer: play(Far(reader, writer, header_octets)))
