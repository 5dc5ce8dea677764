"""How a bind wants its messages: who the sender is, and how long texts go."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Prepared
from channels.carriers.smsc import Smsc
from channels.sms import codec, pdu
from channels.sms.channel import SmsChannel
from channels.sms.composing import Composer, References
from channels.sms.reassembly import Reassembly, unwrap
from channels.sms.settings import Rule, SettingsError, SmppSettings, SmsSettings
from orchestrator.core import short_message
from orchestrator.core.delivery import Outgoing
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, until
from tests.channels.sms.conftest import NUMBER, message

LONG = "Dear customer, your statement is ready. " * 10
RULES = (
    {"to": "+86", "class": "marketing", "sender": "106570001"},
    {"to": "+44", "sender": "Outreach", "ton": "5", "npi": "0"},
    {"journey": "alarm", "sender": "+8610010", "flash": "true"},
    {"class": "service", "flash": "yes"},
)


def composer(options: str = "", rules: Any = (), languages: tuple[str, ...] = ()) -> Composer:
    settings = SmppSettings.from_url(f"smpp://me@host?source=10086{options}")
    read = msgspec.convert(rules, tuple[Rule, ...], strict=False)
    return Composer(settings, read, languages, References(0x1234))


def composed(made: Composer, outgoing: Outgoing) -> list[pdu.SubmitSm]:
    bodies: list[bytes] = []
    made.text(outgoing, bodies)
    return [codec.decode_message(pdu.SubmitSm, body) for body in bodies]


def outgoing(address: str, contact_class: str, series: str, sender: str = "") -> Outgoing:
    return Outgoing(1, 1, address, Content(text="hi"), sender, None, contact_class, series)


@pytest.mark.parametrize(
    ("address", "contact_class", "series", "sender", "coding"),
    [
        ("+8613800138000", "marketing", "alarm/x", (0, 1, "106570001"), 0),
        ("+8613800138000", "service", "", (0, 1, "10086"), 0x10),
        ("+8613800138000", "service", "alarm/x", (1, 1, "8610010"), 0x10),
        ("+447700900123", "marketing", "alarm/x", (5, 0, "Outreach"), 0),
        ("+33700900123", "marketing", "alarms/x", (0, 1, "10086"), 0),
    ],
)
def test_the_first_rule_that_matches_says_the_sender(
    address: str, contact_class: str, series: str, sender: tuple[int, int, str], coding: int
) -> None:
    made = composer(rules=[{**rule, "flash": "flash" in rule} for rule in RULES])
    [submit] = composed(made, outgoing(address, contact_class, series))
    assert (submit.source_addr_ton, submit.source_addr_npi, submit.source_addr) == sender
    assert submit.data_coding == coding


def test_a_message_that_names_its_sender_keeps_it() -> None:
    made = composer(rules=[{"sender": "Shop"}])
    [submit] = composed(made, outgoing(NUMBER, "", "", "10010"))
    assert submit.source_addr == "10010"


def test_a_prepared_message_has_a_sender_by_its_number_alone() -> None:
    made = composer(rules=[{"class": "service", "sender": "A"}, {"to": "+86", "sender": "B"}])
    bodies: list[bytes] = []
    assert made.octets(Prepared(1, NUMBER, (b"\x00x",)), bodies) == 1
    assert codec.decode_message(pdu.SubmitSm, bodies[0]).source_addr == "B"


@pytest.mark.parametrize("sender", ["twelve-chars", "Zwölf Zeichen"])
def test_a_sender_that_no_phone_shows_is_refused(sender: str) -> None:
    with pytest.raises(SettingsError, match="too long"):
        Rule(sender=sender)


def arrives(submits: list[pdu.SubmitSm]) -> str:
    kept: Reassembly[None] = Reassembly()
    for submit in submits:
        fragment, coding, octets = unwrap(submit)
        if fragment is None:
            return short_message.decode(coding, octets)
        whole = kept.add(submit, fragment, coding, octets, None, 0.0)
        if whole is not None:
            return whole.text
    raise AssertionError("parts are missing")


@given(
    st.text(st.sampled_from("abc €中😀çşãá\n"), min_size=1, max_size=600),
    st.sampled_from(["udh", "sar", "payload"]),
    st.sampled_from([8, 16]),
    st.booleans(),
    st.booleans(),
)
def test_any_text_arrives_whole_whichever_way_it_goes(
    words: str, way: str, bits: int, flash: bool, national: bool
) -> None:
    languages = ("tr", "es", "pt") if national else ()
    made = composer(f"&long={way}&reference_bits={bits}", [{"flash": flash}], languages)
    submits = composed(made, message(1, words))
    assert arrives(submits) == words
    assert [it.registered_delivery for it in submits] == [0] * (len(submits) - 1) + [1]


@pytest.mark.parametrize(
    ("options", "submits", "first"),
    [
        ("", 3, "050003340301"),
        ("&reference_bits=16", 3, "06080412340301"),
        ("&long=sar", 3, ""),
        ("&long=payload", 1, ""),
    ],
)
def test_parts_are_named_as_the_bind_wants(options: str, submits: int, first: str) -> None:
    made, bodies = composer(options), list[bytes]()
    assert made.text(message(1, LONG), bodies) == 3
    read = [codec.decode_message(pdu.SubmitSm, body) for body in bodies]
    assert len(read) == submits
    assert read[0].short_message.startswith(bytes.fromhex(first))
    assert bool(read[0].esm_class & pdu.HAS_HEADER) == bool(first)
    if "sar" in options:
        assert [it.tlvs for it in read] == [
            ((0x20C, b"\x12\x34"), (0x20E, b"\x03"), (0x20F, bytes((number,))))
            for number in (1, 2, 3)
        ]
    if "payload" in options:
        assert (read[0].short_message, read[0].tlvs) == (b"", ((0x424, LONG.encode()),))


@pytest.mark.parametrize("way", ["udh", "sar", "payload"])
async def test_a_long_message_is_shown_whole_and_counts_its_parts(smsc: Smsc, way: str) -> None:
    url = f"smpp://outreach:secret@127.0.0.1:{smsc.port}?source=10086&long={way}"
    wanted = SmsSettings(url=url, languages=("tr",), rules=(Rule(flash=True),))
    channel, kept = SmsChannel(wanted.accounts(), "sms", wanted), Kept()
    await channel.start(kept.inbox)
    await until(lambda: channel.health() == "up")
    texts = [LONG, "中文😀" * 60, "çünkü şimdi değil " * 20, "short"]
    outcomes = await channel.send([message(n, words) for n, words in enumerate(texts)])
    parts = {it.message_id: it.parts for it in outcomes}
    assert {it.result for it in outcomes} == {"accepted"}
    assert parts == {0: 3, 1: 4, 2: 3, 3: 1}
    await until(lambda: len(smsc.handset(NUMBER).arrived) == 4)
    assert {arrived.text for arrived in smsc.handset(NUMBER).arrived} == set(texts)
    await until(lambda: len(kept.receipts) == 4)
    await channel.stop()
