"""Octets to begin with: what honest carriers send, and thousands of things near it, the same ones
for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from channels.sms import codec, pdu

CORPUS = Path(__file__).parent / "corpus"

_ODD_OCTETS = bytes((0x00, 0x01, 0x04, 0x1B, 0x20, 0x3F, 0x40, 0x7F, 0x80, 0xD8, 0xFE, 0xFF))
_ODD_LENGTHS = (0, 1, 15, 16, 17, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x11000, 0x11001, 0x7FFFFFFF)
_RECEIPT = (
    b"id:0000001001 sub:001 dlvrd:001 submit date:2601011200 done date:2601011201 "
    b"stat:DELIVRD err:000 text:hello"
)


def pdu_of(value: pdu.Pdu, sequence: int = 1, command_status: int = 0) -> bytes:
    """The PDU in octets."""
    return codec.encode(value, sequence, command_status)


BIND_ANSWER = pdu_of(pdu.BindTransceiverResp("carrier", ((pdu.SC_INTERFACE_VERSION, b"\x34"),)))


def honest() -> list[bytes]:
    """Whole PDUs of every kind, as carriers and customers send them."""
    said = pdu.DeliverSm(
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr="8613800138000",
        destination_addr="10086",
        short_message=b"hello?",
    )

    def like(**fields: object) -> pdu.DeliverSm:
        return pdu.DeliverSm(**{**_fields(said), **fields})  # type: ignore[arg-type]

    part = b"\5\0\3\x2a\2"
    messages = [
        said,
        like(data_coding=8, short_message="你好😀".encode("utf-16-be")),
        like(esm_class=4, short_message=_RECEIPT),
        like(
            esm_class=4,
            short_message=b"",
            tlvs=((pdu.RECEIPTED_MESSAGE_ID, b"3e9\0"), (pdu.MESSAGE_STATE, b"\2")),
        ),
        like(esm_class=4, short_message=b"id:3E9 stat:UNDELIV err:045"),
        like(esm_class=0x40, short_message=part + b"\1" + b"first half, "),
        like(esm_class=0x40, short_message=part + b"\2" + b"second half"),
        like(esm_class=0x40, short_message=b"\6\x08\4\0\x2a\2\1" + b"with sixteen bits"),
        like(
            tlvs=(
                (pdu.SAR_REFERENCE, b"\0\7"), (pdu.SAR_TOTAL, b"\2"), (pdu.SAR_NUMBER, b"\1"),
            )
        ),
        like(short_message=b"", tlvs=((pdu.MESSAGE_PAYLOAD, b"a long text " * 100),)),
        like(short_message=b"\x1b\x65\x1b\x3c\x1b", data_coding=0),
        like(data_coding=0xF1, short_message=bytes(range(128))),
        like(data_coding=5, short_message="テスト".encode("shift_jis")),
    ]  # fmt: skip
    submits = [pdu.SubmitSm(**_fields(it)) for it in messages]  # type: ignore[arg-type]
    others: list[pdu.Pdu] = [kind() for kind in pdu.PDUS.values()]
    others += [
        pdu.SubmitSmResp("0000001001"),
        pdu.SubmitSmResp("3e9"),
        pdu.Outbind("carrier", "knock"),
        pdu.DataSm(destination_addr="8613800138000", tlvs=((pdu.MESSAGE_PAYLOAD, b"hi"),)),
        pdu.QuerySm("0000001001"),
        pdu.ReplaceSm("0000001001", short_message=b"other words"),
        pdu.BindTransceiver("outreach", "secret"),
    ]
    return [pdu_of(it) for it in [*messages, *submits, *others]]


def _fields(value: pdu.Pdu) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def seeds(target: str) -> list[bytes]:
    """Inputs of a target to begin with: honest ones, and those that the fuzzers kept."""
    whole = honest()
    made = {
        "framing": [b"\xff" + it for it in whole] + [b"\3" + b"".join(whole[:4])],
        "bodies": [bytes((index,)) + it[16:] for index in range(len(pdu.PDUS)) for it in whole[:4]],
        "delivered": [it[16:] for it in whole[:13]],
        "receipts": [b"\0" + _RECEIPT, b"\0id:3E9 stat:UNDELIV err:045", b"\0id:1\nstat: EXPIRED"],
        "parts": [
            b"\x0c\5\0\3\x2a\2\1hello, " + b"\x0a\5\0\3\x2a\2\2world",
            b"\x0c\6\x08\4\0\x2a\1\1hello",
        ],
        "alphabets": [b"\0hello", b"\x08" + "你好".encode("utf-16-be"), b"\x05\x83\x65", b"\0\x1b"],
        "customers": whole,
    }[target]
    return made + kept(target)


def kept(target: str) -> list[bytes]:
    """What the fuzzers found worth keeping: one input per line, in hexadecimal."""
    file = CORPUS / f"{target}.hex"
    return [bytes.fromhex(line) for line in file.read_text().split("\n") if line] \
        if file.exists() else []  # fmt: skip


def mutated(target: str, count: int, seed: int) -> Iterator[bytes]:
    """So many inputs near those of `seeds`, drawn from `seed`."""
    chance = random.Random(f"{target} {seed}")
    begun = seeds(target)
    for _ in range(count):
        octets = bytearray(chance.choice(begun))
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            _change(octets, chance, begun)
        yield bytes(octets)


def _change(octets: bytearray, chance: random.Random, others: list[bytes]) -> None:
    """One change in place, of a kind that parsers have stumbled over."""
    at = chance.randrange(len(octets) + 1)
    kind = chance.randrange(9)
    if kind == 0 and at < len(octets):
        octets[at] ^= 1 << chance.randrange(8)
    elif kind == 1 and at < len(octets):
        octets[at] = chance.choice(_ODD_OCTETS)
    elif kind == 2:
        octets[at:at] = bytes((chance.choice(_ODD_OCTETS),)) * chance.choice((1, 2, 9, 300))
    elif kind == 3:
        del octets[at : at + chance.choice((1, 2, 4, 16))]
    elif kind == 4:
        del octets[at:]
    elif kind == 5:
        octets[at:at] = octets[at : at + chance.randrange(1, 64)]
    elif kind == 6:
        other = chance.choice(others)
        octets[at:] = other[chance.randrange(len(other) + 1) :]
    elif kind == 7:
        octets[at : at + 2] = chance.choice(_ODD_LENGTHS).to_bytes(4, "big")[2:]
    else:
        octets[0:4] = chance.choice(_ODD_LENGTHS).to_bytes(4, "big")
