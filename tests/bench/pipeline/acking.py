"""A carrier that acknowledges every submit_sm and does nothing else: as bare as it can be, and in
a process of its own, so that its cost is nobody's."""

from __future__ import annotations

import asyncio
import struct
import sys

_RESPONSE = struct.Struct(">IIII")


class Acking(asyncio.Protocol):
    """Answers binds and submits with status 0; message ids count up in hexadecimal."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        at, answers = 0, []
        while len(data) - at >= 16:
            length, command, _, sequence = _RESPONSE.unpack_from(data, at)
            if len(data) - at < length:
                break
            at += length
            if command == 4:
                Acking.count += 1
                body = b"%x\0" % Acking.count
            else:
                body = b"bench\0" if command in (1, 2, 9) else b""
            head = _RESPONSE.pack(16 + len(body), command | 0x80000000, 0, sequence)
            answers.append(head + body)
        self._rest = data[at:]
        self._transport.write(b"".join(answers))  # type: ignore[attr-defined]


async def serve() -> None:
    """Serves on a free port, printed first, until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Acking, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
