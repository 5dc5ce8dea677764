"""Long messages from their parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms import pdu
from channels.sms.reassembly import Assembled, Fragment, Reassembly, unwrap
from orchestrator.core import short_message


def parts_of(words: str, reference: int = 7, source: str = "861") -> list[pdu.DeliverSm]:
    coded = short_message.split(words, reference)
    return [
        pdu.DeliverSm(
            source_addr=source,
            destination_addr="10086",
            esm_class=pdu.HAS_HEADER,
            data_coding=coded.data_coding,
            short_message=part,
        )
        for part in coded.parts
    ]


def add(
    kept: Reassembly[int], message: pdu.DeliverSm, mark: int = 0, now: float = 0.0
) -> Assembled[int] | None:
    fragment, coding, octets = unwrap(message)
    assert fragment is not None
    return kept.add(message, fragment, coding, octets, mark, now)


@given(st.text(min_size=161, max_size=600).filter(lambda words: "\x1b" not in words), st.randoms())
def test_parts_in_any_order_make_the_text(words: str, order: object) -> None:
    try:
        messages = parts_of(words)
    except short_message.TextError:
        return
    order.shuffle(messages)  # type: ignore[attr-defined]
    kept: Reassembly[int] = Reassembly()
    results = [add(kept, message, mark) for mark, message in enumerate(messages)]
    assert all(result is None for result in results[:-1])
    last = results[-1]
    assert last is not None
    assert last.whole
    assert last.text == words.replace("\0", "\ufffd")
    assert sorted(last.marks) == list(range(len(messages)))
    assert len(kept) == 0


def test_a_surrogate_pair_that_others_cut_in_two_is_whole_again() -> None:
    octets = "中😀".encode("utf-16-be")
    kept: Reassembly[int] = Reassembly()
    result = None
    for number, piece in enumerate((octets[:4], octets[4:]), 1):
        header = bytes((5, 0, 3, 1, 2, number))
        message = pdu.DeliverSm(
            esm_class=pdu.HAS_HEADER, data_coding=8, short_message=header + piece
        )
        result = add(kept, message)
    assert result is not None
    assert result.text == "中😀"


@pytest.mark.parametrize(
    ("message", "fragment"),
    [
        (pdu.DeliverSm(esm_class=0x40, short_message=bytes((5, 0, 3, 9, 2, 1)) + b"x"), (9, 2, 1)),
        (
            pdu.DeliverSm(esm_class=0x40, short_message=bytes((6, 8, 4, 1, 9, 2, 1)) + b"x"),
            (0x10109, 2, 1),
        ),
        (
            # A port address before the concatenation element (GSM 03.40 §9.2.3.24).
            pdu.DeliverSm(
                esm_class=0x40,
                short_message=bytes.fromhex("0b05040b8423f00003090201") + b"x",
            ),
            (9, 2, 1),
        ),
        (
            pdu.DeliverSm(
                short_message=b"x",
                tlvs=(
                    (pdu.SAR_REFERENCE, b"\0\x09"),
                    (pdu.SAR_TOTAL, b"\2"),
                    (pdu.SAR_NUMBER, b"\1"),
                ),
            ),
            (0x20009, 2, 1),
        ),
    ],
)
def test_a_part_is_known_by_header_or_by_optional_parameters(
    message: pdu.DeliverSm, fragment: tuple[int, int, int]
) -> None:
    assert unwrap(message) == (Fragment(*fragment), 0, b"x")


@pytest.mark.parametrize("header", ["0500030a0203", "0500030a0200", "0500030a0101", "0500", "ff00"])
def test_a_header_that_cannot_be_true_makes_no_part(header: str) -> None:
    message = pdu.DeliverSm(esm_class=0x40, short_message=bytes.fromhex(header))
    assert unwrap(message)[0] is None


@given(st.binary(max_size=200))
def test_any_header_can_be_looked_at(octets: bytes) -> None:
    unwrap(pdu.DeliverSm(esm_class=0x40, short_message=octets))


def test_a_part_that_comes_twice_counts_once() -> None:
    first, second = parts_of("a" * 200)
    kept: Reassembly[int] = Reassembly()
    assert add(kept, first, 1) is None
    assert add(kept, first, 2) is None
    whole = add(kept, second, 3)
    assert whole is not None
    assert whole.marks == (1, 2, 3)


def test_a_part_of_a_message_that_is_whole_is_a_repetition_until_it_failed() -> None:
    first, second = parts_of("a" * 200)
    fragment, _, _ = unwrap(first)
    assert fragment is not None
    kept: Reassembly[int] = Reassembly(max_age_s=60)
    add(kept, first)
    whole = add(kept, second)
    assert whole is not None
    assert kept.finished(first, fragment, 1.0) == "storing"
    kept.settle(whole.key, True)
    assert kept.finished(first, fragment, 1.0) == "stored"
    assert kept.finished(first, fragment, 61.0) == "no"
    kept.settle(whole.key, False)
    assert kept.finished(first, fragment, 1.0) == "no"


def test_two_writers_with_the_same_reference_do_not_mix() -> None:
    kept: Reassembly[int] = Reassembly()
    one, other = parts_of("a" * 200, source="861"), parts_of("b" * 200, source="862")
    assert add(kept, one[0]) is None
    assert add(kept, other[1]) is None
    assert len(kept) == 2


def test_what_never_becomes_whole_comes_out_as_it_is_and_memory_is_bounded() -> None:
    kept: Reassembly[int] = Reassembly(max_messages=10, max_age_s=60)
    for source in range(30):
        add(kept, parts_of("hello " * 40, source=str(source))[0], source, now=source / 10)
    early = kept.expire(3.0)
    assert len(kept) == 10
    assert [partial.marks for partial in early] == [(source,) for source in range(20)]
    assert not early[0].whole
    assert early[0].text.startswith("hello hello")
    assert len(kept.expire(70.0)) == 10
    assert len(kept) == 0


def test_marks_of_parts_that_wait_come_out_once() -> None:
    kept: Reassembly[int] = Reassembly()
    add(kept, parts_of("a" * 400)[0], 5, now=1.0)
    assert kept.waiting(0.5) == []
    assert kept.waiting(1.0) == [5]
    assert kept.waiting(9.0) == []


def test_what_was_acknowledged_and_never_whole_can_be_taken_out_before_the_end() -> None:
    kept: Reassembly[int] = Reassembly()
    first, _ = parts_of("hello " * 40)
    add(kept, first, 5)
    assert kept.leftovers() == []
    kept.waiting(0.0)
    [half] = kept.leftovers()
    assert half.text.startswith("hello")
    assert len(kept) == 0
