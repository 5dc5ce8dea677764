"""Names for replies, so that one that a carrier brings twice is one reply."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from itertools import count

from msgspec import Struct

from channels.sms.window import Window

_LOST_ANSWER_S = 60.0
_FORGET_S = 600.0
_MOST_ALIKE = 100
"""Arrivals of one content that are remembered; a repetition is nearly always of a late one."""


class Arrival(Struct):
    """One reply as it came in: on which connection, and whether storing it failed."""

    source_id: str
    came_by: Window | None
    at: float
    refused: bool = False


class Arrivals:
    """Gives every reply its `source_id`.

    SMPP gives a deliver_sm no identity. Where the carrier names the message (optional parameter
    receipted_message_id), the id is made of that name and the content, and holds for ever.
    Elsewhere it is made of the content and the time of the first arrival, and a repetition is
    known by circumstance: the same content comes again after we refused it, or within 60 s after
    the connection it came by was lost (and perhaps our answer with it). The same words again on
    connections that live are a new reply: people do answer "1" twice.
    """

    def __init__(self, *, remembered: int = 50_000) -> None:
        self._remembered = remembered
        self._known: OrderedDict[bytes, list[Arrival]] = OrderedDict()
        self._count = count()

    def name(self, *content: str, carrier_id: bytes, came_by: Window | None, now: float) -> Arrival:
        """The arrival to which this content belongs, new or known."""
        digest = blake2b("\0".join(content).encode("utf-8", "replace"), digest_size=12)
        if carrier_id:
            digest.update(carrier_id)
            return Arrival(f"id-{digest.hexdigest()}", came_by, now)
        key = digest.digest()
        known = self._known.setdefault(key, [])
        self._known.move_to_end(key)
        for arrival in known:
            lost = arrival.came_by is not None and arrival.came_by.lost.done()
            if arrival.refused or (lost and now - arrival.at < _LOST_ANSWER_S):
                arrival.came_by, arrival.at, arrival.refused = came_by, now, False
                return arrival
        arrival = Arrival(f"at-{key.hex()}-{int(now * 1000)}-{next(self._count)}", came_by, now)
        known.append(arrival)
        if len(known) > _MOST_ALIKE:
            del known[0]
        self._forget(now)
        return arrival

    def _forget(self, now: float) -> None:
        while self._known:
            key, arrivals = next(iter(self._known.items()))
            if now - arrivals[-1].at < _FORGET_S and len(self._known) <= self._remembered:
                break
            del self._known[key]
