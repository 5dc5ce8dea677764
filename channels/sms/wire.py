"""One TCP connection that speaks SMPP, seen from either end: octets in, whole PDUs out.

What is written within one turn of the event loop leaves in one write. A length that cannot be true
(under 16 octets, or over the cap) is answered with generic_nack and ends the connection: after it
nothing could be found again (SMPP 3.4 §3.2, §4.3).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import cast

from channels.sms import codec, pdu, status

log = logging.getLogger("outreach.sms")

MOST_UNREAD_OCTETS = 8 * 1024 * 1024
"""Whoever has left so much of what we wrote unread reads no more: the connection ends."""

_NOTHING = b""


class Wire(asyncio.Protocol):
    """A connection; the two ends derive from it and say what each PDU means to them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.congested = False
        self._rest = _NOTHING
        self._out: list[bytes] = []
        self._flush_due = False
        self._unwanted = False

    def pdu_received(
        self, command_id: int, command_status: int, sequence: int, body: bytes
    ) -> None:
        """Called for each whole PDU, in order."""
        raise NotImplementedError

    def chunk_received(self) -> None:
        """Called after the PDUs that one read brought."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._unwanted:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        start, end = 0, len(data)
        unpack, received, longest = (
            codec.HEADER.unpack_from,
            self.pdu_received,
            codec.MAX_PDU_OCTETS,
        )
        while end - start >= 16:
            length, command_id, command_status, sequence = unpack(data, start)
            stop = start + length
            if length < 16 or length > longest:
                self._rest = _NOTHING
                self.write(codec.encode(pdu.GenericNack(), sequence, status.INVALID_COMMAND_LENGTH))
                log.warning("smpp_unframed command_length=%d", length)
                self.close()
                return
            if stop > end:
                break
            received(command_id, command_status, sequence, data[start + 16 : stop])
            start = stop
        self._rest = data[start:] if start < end else _NOTHING
        self.chunk_received()

    def write(self, octets: bytes) -> None:
        """The octets leave before the loop sleeps, together with all others of this turn."""
        self._out.append(octets)
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Everything written so far is with the transport."""
        self._flush_due = False
        out = self._out
        if out and self.transport is not None and not self.transport.is_closing():
            self.transport.write(b"".join(out))
            if self.congested and self.transport.get_write_buffer_size() > MOST_UNREAD_OCTETS:
                log.warning("smpp_unread octets=%d", self.transport.get_write_buffer_size())
                self.abort()
        out.clear()

    def close(self) -> None:
        """The connection ends once what was written has left, or as soon as it is made."""
        self.flush()
        self._unwanted = True
        # Python 3.11.2 cannot abort a TLS transport that was closed twice.
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def abort(self) -> None:
        """The connection ends now, or as soon as it is made."""
        self._unwanted = True
        if self.transport is not None:
            self.transport.abort()

    def pause_writing(self) -> None:
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = False
        self.chunk_received()


async def stop_listening(server: asyncio.Server) -> None:
    """No more connections are accepted, and those that were have their protocol.

    `Server.close` alone forgets a connection that is between the two (CPython gh-109564).
    """
    for sock in server.sockets:
        server.get_loop().remove_reader(sock)
    for _ in range(2):  # accepted in the one turn, made in the next
        await asyncio.sleep(0)
    server.close()
