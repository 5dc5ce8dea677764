"""Codes that people can type and nobody can guess."""

from __future__ import annotations

import pytest

from orchestrator.core.codes import LETTERS, hash_code, make_code, read_code

CHANCE = bytes(range(16))


def test_a_code_is_four_groups_of_four_letters_that_carry_80_bits() -> None:
    code = make_code(CHANCE, "7:hold")
    assert [len(group) for group in code.split("-")] == [4, 4, 4, 4]
    assert set(code.replace("-", "")) <= set(LETTERS)
    assert len(LETTERS) ** 16 == 2**80


def test_purchases_of_one_turn_have_different_codes() -> None:
    codes = {make_code(CHANCE, f"{member}:hold") for member in range(1000)}
    assert len(codes) == 1000


def test_a_code_needs_80_random_bits() -> None:
    with pytest.raises(ValueError, match="10 random octets"):
        make_code(b"123456789", "7:hold")


@pytest.mark.parametrize("change", [str.lower, lambda c: c.replace("-", " "), lambda c: c + "。"])
def test_a_code_is_read_back_however_it_is_typed(change) -> None:  # type: ignore[no-untyped-def]
    code = make_code(CHANCE, "7:hold")
    assert read_code(change(code)) == code


def test_letters_that_look_alike_are_the_same() -> None:
    assert read_code("o0Oi lL1I 2222 3333") == "0001-1111-2222-3333"


@pytest.mark.parametrize("typed", ["", "1234", "UUUU-UUUU-UUUU-UUUU", "٣" * 16, "x" * 100_000])
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert read_code(typed) is None


def test_codes_are_kept_under_a_secret() -> None:
    code = make_code(CHANCE, "7:hold")
    assert hash_code(code, b"one") != hash_code(code, b"two")
    with pytest.raises(ValueError, match="secret"):
        hash_code(code, b"")
