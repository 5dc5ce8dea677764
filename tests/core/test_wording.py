"""Two ways to write the same short message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.wording import LONGEST, normalise


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("STOP", "stop"),
        ("Stop.", "stop"),
        ("  stop\n", "stop"),
        ("「ＳＴＯＰ！」", "stop"),
        ("ＴＤ", "td"),
        ("td。", "td"),
        ("退订！", "退订"),
        ("退\u200b订", "退订"),
        ("s\u200dt\u2060o\ufeffp", "stop"),
        ("Stop 🙏🏽", "stop"),
        ("👍🏽 yes ❤️", "yes"),
        ("1️⃣", "1"),
        ("２", "2"),
        ("/points", "points"),
        ("兑换 ２", "兑换 2"),
        ("Don’t", "dont"),
        ("opt-out", "opt out"),
        ("1.5", "1 5"),
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("e\u0301te\u0301", "été"),
        ("？", "?"),
        ("！！", "!!"),
        ("👍🏽", "👍"),
        ("❤️", "❤"),
        ("", ""),
        (" \u200b ", ""),
    ],
)
def test_what_was_written_is_heard_as(written: str, said: str) -> None:
    assert normalise(written) == said


def test_a_long_message_is_never_a_short_one() -> None:
    assert normalise("stop " * 20_000) != "stop"
    assert len(normalise("x" * 100_000)) == LONGEST + 1


def test_leading_space_does_not_hide_a_word() -> None:
    assert normalise(" " * 1000 + "stop") == "stop"


@given(st.text())
def test_normalising_again_changes_nothing(text: str) -> None:
    once = normalise(text[:50])
    assert normalise(once) == once


@given(st.text())
def test_case_and_spare_space_never_matter(text: str) -> None:
    assert normalise(f"  {text[:50]} ") == normalise(text[:50])
