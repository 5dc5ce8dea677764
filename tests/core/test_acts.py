"""The audit log: whatever is done to it afterwards is found, and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core.acts import Act, Deed, Head, canonical, chained, line, verify

SECRET = b"a secret of sixteen octets or more"
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def log(count: int = 5, secret: bytes = SECRET) -> list[str]:
    acts: list[Act] = []
    head = Head()
    for n in range(count):
        deed = Deed("cli:ann@host", "journey.paused", f"journey:{n}", {"n": n}, {"城市": "上海"})
        acts.append(chained(deed, NOON + timedelta(minutes=n), head, secret))
        head = Head(acts[-1].number, acts[-1].hash)
    return [act.line for act in acts]


def swapped(lines: list[str]) -> list[str]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def rewritten(lines: list[str]) -> list[str]:
    """Entry 3 says something else, and everything after it is chained anew, by somebody who does
    not know the secret."""
    forged, head = lines[:2], Head(2, json.loads(lines[1])["hash"])
    for text in lines[2:]:
        said = json.loads(text)
        deed = Deed("cli:bob@host", said["what"], said["about"], said["before"], said["after"])
        act = chained(deed, NOON, head, b"another secret of sixteen octets")
        forged.append(act.line)
        head = Head(act.number, act.hash)
    return forged


def test_a_log_that_nobody_touched_is_whole() -> None:
    verdict = verify(log(), SECRET)
    assert (verdict.entries, verdict.wrong, verdict.sealed) == (5, "", True)
    assert verdict.head.hash == json.loads(log()[-1])["hash"]
    assert verify([]).wrong == ""


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_one_character_changed_anywhere_is_found_on_its_line(place: int) -> None:
    lines = log()
    text = lines[2]
    at = place % len(text)
    lines[2] = text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :]
    assert verify(lines, SECRET).line == 3
    if not text[at:].startswith('"seal') and at < text.index('"seal"'):
        assert verify(lines).line in (3, 4)


@pytest.mark.parametrize(
    ("harm", "at"),
    [
        (lambda it: [it[0], *it[2:]], 2),
        (lambda it: it[1:], 1),
        (swapped, 2),
        (lambda it: [*it[:2], it[1], *it[2:]], 3),
        (lambda it: [*it[:3], "", *it[3:]], 4),
        (lambda it: [it[0], it[1].replace(":", ": ", 1), *it[2:]], 2),
        (lambda it: [*it[:4], it[4][:-1]], 5),
        (lambda it: [*it, "[]"], 6),
        (lambda it: [*it, '{"number":6}'], 6),
    ],
)
def test_what_is_deleted_swapped_doubled_or_reformatted_is_found(
    harm: Callable[[list[str]], list[str]], at: int
) -> None:
    verdict = verify(harm(log()))
    assert verdict.wrong
    assert verdict.line == at
    assert verdict.entries == at - 1


def test_an_end_cut_off_is_found_by_an_anchor_only() -> None:
    lines = log()
    anchor = verify(lines).head.hash
    assert verify(lines[:-1]).wrong == ""
    cut = verify(lines[:-1], anchor=anchor)
    assert "cut short" in cut.wrong
    assert cut.line == 5
    assert verify(lines, anchor=anchor).wrong == ""
    assert verify(log(7), anchor=anchor).wrong == ""


def test_a_log_chained_anew_is_found_by_its_seals_and_by_an_anchor() -> None:
    forged = rewritten(log())
    assert verify(forged).wrong == ""
    assert verify(forged, SECRET).line == 3
    assert "rewritten" in verify(forged, anchor=verify(log()).head.hash).wrong


def test_a_seal_that_is_no_seal_is_named_like_any_other() -> None:
    said = json.loads(log(1)[0])
    forged = canonical({**said, "seal": "封"})
    assert "was not sealed" in verify([forged], SECRET).wrong


def test_anybody_can_recompute_a_hash_with_what_is_documented() -> None:
    said = json.loads(log(1)[0])
    digest, seal = said.pop("hash"), said.pop("seal")
    entry = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert line(entry, digest, seal) == log(1)[0]
    assert canonical(said) == entry
