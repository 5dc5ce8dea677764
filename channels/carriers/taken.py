"""A message that a simulated carrier took: whether it may, and what its receipt says."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from msgspec import Struct

from channels.sms import codec, pdu, status
from orchestrator.core import short_message

_ON_AIR_BITS = 140 * 8
_GSM7_FLASH = 0x10
_DELIVERED = 2
_WORDS = {2: b"DELIVRD", 3: b"EXPIRED", 4: b"DELETED", 5: b"UNDELIV"}


class Taken(Struct, eq=False):
    """A message on its way. `state` as in SMPP 3.4 §5.2.28: 1 on its way, 2 delivered, 3 expired,
    4 deleted, 5 undeliverable; `ended_at` is when it came to that."""

    message_id: int
    account: str
    message: pdu.SubmitSm
    at: datetime
    state: int = 1
    ended_at: datetime | None = None

    def of(self, account: str, source_addr: str, destination_addr: str = "") -> bool:
        """Who asks with these words sent it: a query names its sender, a cancel may name who it was
        for (SMPP 3.4 §4.8.1, §4.9.1)."""
        return (self.account, self.message.source_addr) == (account, source_addr) and (
            destination_addr in ("", self.message.destination_addr)
        )


def refusal_of(message: pdu.SubmitSm) -> int:
    """The command_status for a message that no phone could get, 0 for a good one."""
    number = message.destination_addr
    if not (number.isascii() and number.isdigit()):
        return status.INVALID_DESTINATION
    octets = message.short_message
    bits = len(octets) * 8
    if message.data_coding in (short_message.GSM7, _GSM7_FLASH):
        header = octets[0] + 1 if message.esm_class & pdu.HAS_HEADER and octets else 0
        bits = -(-header * 8 // 7) * 7 + (len(octets) - header) * 7
    return status.INVALID_MESSAGE_LENGTH if bits > _ON_AIR_BITS else status.OK


def replaced(message: pdu.SubmitSm, words: bytes) -> pdu.SubmitSm:
    """The message with other words."""
    return msgspec.structs.replace(message, short_message=words)


def state_of(taken: Taken, named: str) -> pdu.QuerySmResp:
    """What a query is answered, the final date in UTC (SMPP 3.4 §4.8.2, §7.1.1)."""
    ended = "" if taken.ended_at is None else f"{taken.ended_at.astimezone(UTC):%y%m%d%H%M%S}000+"
    return pdu.QuerySmResp(named, ended, taken.state, int(taken.state > _DELIVERED))


def expiry_of(message: pdu.SubmitSm) -> datetime | None:
    """The moment that an absolute validity period in UTC names (SMPP 3.4 §7.1.1)."""
    try:
        return datetime.strptime(message.validity_period[:12] + "+0000", "%y%m%d%H%M%S%z")
    except ValueError:
        return None


def receipt_body(taken: Taken, now: datetime, exact_id: bytes | None) -> bytes:
    """The deliver_sm body of a receipt (SMPP 3.4 appendix B). With `exact_id`, the optional
    parameters receipted_message_id and message_state are there too."""
    message = taken.message
    delivered = taken.state == 2
    words = b"id:%010d sub:001 dlvrd:%03d submit date:%b done date:%b stat:%b err:%03d text:%b" % (
        taken.message_id,
        delivered,
        _minute(int(taken.at.timestamp() // 60)),
        _minute(int(now.timestamp() // 60)),
        _WORDS[taken.state],
        not delivered,
        message.short_message[:20] if message.data_coding == short_message.GSM7 else b"",
    )
    tlvs = b""
    if exact_id is not None:
        tlvs = codec.pack_tlvs(
            (pdu.RECEIPTED_MESSAGE_ID, exact_id + b"\0"),
            (pdu.MESSAGE_STATE, bytes((taken.state,))),
        )
    return codec.message_body(
        codec.address(message.dest_addr_ton, message.dest_addr_npi, message.destination_addr),
        codec.address(message.source_addr_ton, message.source_addr_npi, message.source_addr),
        pdu.RECEIPT,
        0,
        short_message.GSM7,
        words,
        b"",
        tlvs,
    )


@lru_cache(maxsize=64)
def _minute(since_epoch: int) -> bytes:
    return datetime.fromtimestamp(since_epoch * 60, UTC).strftime("%y%m%d%H%M").encode()
