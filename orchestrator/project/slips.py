"""Words that are another by a slip of one key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

LEAST = 4
"""Shorter words are too near to each other to tell."""


def slips(words: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Each of these words that is one key away from others of them, with those. Digits tell words
    apart: `stage-1` is no slip of `stage-2`."""
    known = [word for word in dict.fromkeys(words) if len(word) >= LEAST]
    shared: dict[tuple[str, str], list[str]] = {}
    for word in known:
        digits = "".join(filter(str.isdigit, word))
        for form in {word, _bare(word), *_without_one(word)}:
            shared.setdefault((digits, form), []).append(word)
    close: dict[str, dict[str, None]] = {}
    for group in shared.values():
        if len(group) > 1:
            for word in group:
                for other in group:
                    if other != word and _is_slip(word, other):
                        close.setdefault(word, {})[other] = None
    return {word: tuple(others) for word, others in close.items()}


def _is_slip(word: str, other: str) -> bool:
    """Whether one letter was added, left out or replaced, two were swapped, or only capitals and
    signs differ."""
    if _bare(word) == _bare(other):
        return True
    short, long = sorted((word, other), key=len)
    start = 0
    while start < len(short) and short[start] == long[start]:
        start += 1
    if len(short) == len(long):
        swapped = short[start + 1 : start + 2] + short[start : start + 1] + short[start + 2 :]
        return short[start + 1 :] == long[start + 1 :] or swapped == long[start:]
    return len(long) - len(short) == 1 and short[start:] == long[start + 1 :]


def _without_one(word: str) -> Iterator[str]:
    for index in range(len(word)):
        yield word[:index] + word[index + 1 :]


def _bare(word: str) -> str:
    return "".join(filter(str.isalnum, word.lower()))
