"""A personal link says who is talking, and cannot be made by anybody else."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.webchat.link import mint, read

SECRET = b"a secret of sixteen octets or more"


@given(st.text(min_size=1, max_size=40).filter(lambda it: it.isprintable()))
def test_a_token_reads_as_the_address_it_was_minted_for(address: str) -> None:
    assert read(mint(address, SECRET), SECRET) == address


def test_a_token_of_another_secret_reads_as_nobody() -> None:
    assert read(mint("ann", b"another secret of some length"), SECRET) is None


def test_no_character_of_a_token_can_be_changed_added_or_left_out() -> None:
    token = mint("ann-1", SECRET)
    alphabet = string.ascii_letters + string.digits + "-_.=+/ "
    for place in range(len(token) + 1):
        for letter in alphabet:
            assert read(token[:place] + letter + token[place:], SECRET) is None
            changed = token[:place] + letter + token[place + 1 :]
            assert changed == token or read(changed, SECRET) is None
        shorter = token[:place] + token[place + 1 :]
        assert shorter == token or read(shorter, SECRET) is None


@pytest.mark.parametrize("token", ["", ".", "..", "é", "a" * 100_000, "YQ.", ".YQ", "\0", "%%%."])
def test_nonsense_reads_as_nobody(token: str) -> None:
    assert read(token, SECRET) is None


@given(st.text(max_size=60))
def test_no_text_at_all_makes_reading_fail(token: str) -> None:
    assert read(token, SECRET) is None
