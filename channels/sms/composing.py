"""Messages as the submit_sm bodies that one bind wants: sender, coding, parts, validity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from channels.base import Prepared
from channels.sms import addresses, codec, pdu
from channels.sms.settings import Rule, SmppSettings
from orchestrator.core import short_message
from orchestrator.core.alphabets import Tables
from orchestrator.core.delivery import Outgoing

_WANTS_RECEIPT = 1
_OCTETS = 4
"""`data_coding` of what is no text (SMPP 3.4 §5.2.19)."""
_FLASH = 0x10
"""`data_coding` with this has a message class, 0 (GSM 03.38 §4)."""
_PLAIN = Rule()


class References:
    """The numbers that tell the long messages of all binds apart, one after the other."""

    def __init__(self, start: int) -> None:
        self.next = start & 0xFFFF

    def spend(self) -> None:
        self.next = (self.next + 1) & 0xFFFF


class Composer:
    """Writes messages for one bind. `rules` say the sender; the message's own comes before them."""

    def __init__(
        self,
        settings: SmppSettings,
        rules: Sequence[Rule],
        languages: Sequence[str],
        references: References,
    ) -> None:
        self._settings = settings
        self._rules = tuple(rules)
        self._languages = tuple(languages)
        self._references = references
        self._wide = settings.reference_bits == 16

    def text(self, message: Outgoing, bodies: list[bytes]) -> int:
        """The message's bodies are appended; the answer is how many parts phones get. Raises
        TextError or PduError, and then nothing is appended."""
        reference = self._references.next
        coded = short_message.split(
            message.content.text, reference, wide=self._wide, languages=self._languages
        )
        parts, coding = coded.parts, coded.data_coding
        if not parts[0]:
            raise short_message.TextError("the message has no text")
        rule = self._rule(message.address, message.contact_class, message.series)
        if rule.flash:
            coding |= _FLASH
        total = len(parts)
        if total == 1:
            esm_class = pdu.HAS_HEADER if coded.headed else 0
            self._write(message, rule, esm_class, coding, parts, bodies)
            return 1
        self._references.spend()
        # Tables are named in a header, so with them there is no other way than headers.
        way = self._settings.long if coded.tables == Tables() else "udh"
        if way == "udh":
            self._write(message, rule, pdu.HAS_HEADER, coding, parts, bodies)
        elif way == "sar":
            tlvs = [_sar(reference, total, number) for number in range(1, total + 1)]
            self._write(message, rule, 0, coding, coded.bare(), bodies, tlvs)
        else:
            payload = codec.pack_tlvs((pdu.MESSAGE_PAYLOAD, b"".join(coded.bare())))
            self._write(message, rule, 0, coding, (b"",), bodies, (payload,))
        return total

    def octets(self, message: Prepared, bodies: list[bytes]) -> int:
        """The same for what another channel prepared."""
        if not message.parts or max(map(len, message.parts)) > short_message.MAX_OCTETS:
            raise pdu.PduError("a short message holds 1 to 140 octets")
        rule = self._rule(message.address, "", "")
        self._write(message, rule, pdu.HAS_HEADER, _OCTETS, message.parts, bodies)
        return len(message.parts)

    def ends(self, message: Outgoing) -> tuple[bytes, bytes]:
        """From whom and to whom the message goes, as address triples. Raises PduError."""
        rule = self._rule(message.address, message.contact_class, message.series)
        return self._source(message.sender, rule), self._destination(message.address)

    def _rule(self, address: str, contact_class: str, series: str) -> Rule:
        for rule in self._rules:
            if rule.matches(address, contact_class, series):
                return rule
        return _PLAIN

    def _write(
        self,
        message: Outgoing | Prepared,
        rule: Rule,
        esm_class: int,
        coding: int,
        parts: Sequence[bytes],
        bodies: list[bytes],
        tlvs: Sequence[bytes] = (),
    ) -> None:
        last = len(parts)
        source = self._source(message.sender, rule)
        destination = self._destination(message.address)
        validity = _absolute(message.valid_until) if message.valid_until else b""
        for number, part in enumerate(parts, 1):
            wants = _WANTS_RECEIPT if number == last else 0
            after = tlvs[number - 1] if tlvs else b""
            bodies.append(
                codec.message_body(
                    source, destination, esm_class, wants, coding, part, validity, after
                )
            )

    def _source(self, sender: str, rule: Rule) -> bytes:
        if rule.sender and not sender:
            return addresses.source(rule.sender, rule.ton, rule.npi)
        settings = self._settings
        return addresses.source(sender or settings.source, settings.source_ton, settings.source_npi)

    def _destination(self, address: str) -> bytes:
        return addresses.destination(address, self._settings.dest_ton, self._settings.dest_npi)


def _sar(reference: int, total: int, number: int) -> bytes:
    """SMPP 3.4 §5.3.2.22–24."""
    return codec.pack_tlvs(
        (pdu.SAR_REFERENCE, reference.to_bytes(2, "big")),
        (pdu.SAR_TOTAL, bytes((total,))),
        (pdu.SAR_NUMBER, bytes((number,))),
    )


@lru_cache(maxsize=1024)
def _absolute(moment: datetime) -> bytes:
    """SMPP 3.4 §7.1.1: YYMMDDhhmmss, tenths, quarter hours from UTC."""
    return moment.astimezone(UTC).strftime("%y%m%d%H%M%S000+").encode()
