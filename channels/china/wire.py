"""One TCP connection that speaks one of the protocols, seen from either end.

All of them begin a PDU with its length and its command in four octets each; what follows up to the
body is the sequence number: four octets in CMPP and SMGP, twelve in SGIP. None has a way to say
that a length cannot be true, so such a connection ends: nothing could be found again after it.
"""

from __future__ import annotations

import logging
from struct import Struct as Layout
from typing import ClassVar, Final

from channels.sms.wire import Wire

log = logging.getLogger("outreach.sms")

RESPONSE: Final = 0x80000000
"""Set in the command of every response."""
_BEGINNING: Final = Layout(">II")


class Frames(Wire):
    """A connection; the two ends derive from it. `pdu_received` gets 0 for a status, since these
    protocols have theirs in the body."""

    header_octets: ClassVar[int]
    max_octets: ClassVar[int]
    """Longest PDU that we take."""
    protocol: ClassVar[str]

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        start, end, header = 0, len(data), self.header_octets
        unpack, received, longest = _BEGINNING.unpack_from, self.pdu_received, self.max_octets
        while end - start >= header:
            length, command_id = unpack(data, start)
            if length < header or length > longest:
                self._rest = b""
                log.warning("%s_unframed length=%d", self.protocol, length)
                self.close()
                return
            stop, body = start + length, start + header
            if stop > end:
                break
            sequence = int.from_bytes(data[start + 8 : body], "big")
            received(command_id, 0, sequence, data[body:stop])
            if self.transport is None or self.transport.is_closing():
                self._rest = b""
                return
            start = stop
        self._rest = data[start:] if start < end else b""
        self.chunk_received()

    def head(self, command_id: int, body_octets: int, sequence: int) -> bytes:
        """The header of a PDU."""
        header = self.header_octets
        number = sequence.to_bytes(header - 8, "big")
        return _BEGINNING.pack(header + body_octets, command_id) + number

    def say(self, command_id: int, sequence: int, body: bytes = b"") -> None:
        """The PDU leaves, together with all others of this turn."""
        self.write(self.head(command_id, len(body), sequence) + body)
