"""A carrier in a process of its own that takes every short message and writes down who got what,
in which order. `python -m tests.bench.versions.carrier FILE` prints its port, and writes the file
(a line each: number, text, Unix time) when its standard input ends."""

from __future__ import annotations

import asyncio
import struct
import sys
import time
from pathlib import Path

_HEAD = struct.Struct(">IIII")


class Carrier(asyncio.Protocol):
    """Answers binds and submits with status 0; message ids count up in hexadecimal."""

    got: tuple[list[str], ...] = ([],)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        at, answers = 0, []
        now = time.time()
        while len(data) - at >= 16:
            length, command, _, sequence = _HEAD.unpack_from(data, at)
            if len(data) - at < length:
                break
            body = data[at + 16 : at + length]
            at += length
            said = b"bench\0" if command in (1, 2, 9) else b""
            if command == 4:
                number, text = _read(body)
                self.got[0].append(f"{number}\t{text}\t{now:.3f}\n")
                said = b"%x\0" % len(self.got[0])
            answers.append(_HEAD.pack(16 + len(said), command | 0x80000000, 0, sequence) + said)
        self._rest = data[at:]
        self._transport.write(b"".join(answers))  # type: ignore[attr-defined]


def _read(body: bytes) -> tuple[str, str]:
    """Destination and text of a submit_sm (SMPP 3.4 §4.4.1)."""
    at = body.index(b"\0") + 3  # service_type, source's type and plan
    at = body.index(b"\0", at) + 3  # source, destination's type and plan
    end = body.index(b"\0", at)
    number = body[at:end].decode()
    at = body.index(b"\0", end + 4) + 1  # esm_class, protocol, priority; schedule
    at = body.index(b"\0", at) + 5  # validity; receipts, replace, coding, default message
    return number, body[at + 1 : at + 1 + body[at]].decode("latin-1")


async def serve() -> None:
    """Serves on a free port, printed first, until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Carrier, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
    Path(sys.argv[1]).write_text("".join(Carrier.got[0]))
