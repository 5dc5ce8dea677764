"""A carrier as bare as can be, in a process of its own: every submit_sm is answered and, if wanted,
followed by its receipt. It looks at nothing but command and length."""

from __future__ import annotations

import asyncio
import struct
import sys

import uvloop

_HEADER = struct.Struct(">IIII")
_ADDRESSES = b"\0\1\x018613800138000\0\0\x0110086\0"


class Bare(asyncio.Protocol):
    """Message ids count up in ten decimal digits, in receipts too."""

    receipts = False
    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._rest = b""
        self._sequence = 0

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at, end, out, pack = 0, len(data), [], _HEADER.pack
        while end - at >= 16:
            length, command, _, sequence = _HEADER.unpack_from(data, at)
            if end - at < length:
                break
            at += length
            if command == 4:
                Bare.count += 1
                name = b"%010d" % Bare.count
                out += pack(27, 0x80000004, 0, sequence), name, b"\0"
                if self.receipts:
                    self._sequence += 1
                    body = _receipt(name)
                    out += pack(16 + len(body), 5, 0, self._sequence), body
            elif command in (1, 2, 9):
                out += pack(22, command | 0x80000000, 0, sequence), b"bench\0"
            elif not command & 0x80000000:
                out.append(pack(16, command | 0x80000000, 0, sequence))
        self._rest = data[at:]
        self._transport.write(b"".join(out))  # type: ignore[attr-defined]


def _receipt(name: bytes) -> bytes:
    words = b"id:%b sub:001 dlvrd:001 submit date:2611220101 done date:2611220102 " % name
    words += b"stat:DELIVRD err:000 text:Dear customer, your b"
    return b"%b\4\0\0\0\0\0\0\0\0%c%b" % (_ADDRESSES, len(words), words)


async def serve() -> None:
    """Serves on a free port, printed first, until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Bare, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    Bare.receipts = "--receipts" in sys.argv
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
