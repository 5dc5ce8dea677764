"""When two short messages say the same."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

LONGEST = 160
"""Characters of a reply that are compared: a command or an answer is short."""

_JOINED = "'’`"
"""Signs within a word, which nobody misses: don't is dont."""

_DECORATIONS = ("Cf", "Me")
"""Categories of what cannot be seen alone: zero-width characters, keycaps."""


def normalise(text: str) -> str:
    """`text` without case, width, punctuation, symbols and spare space: 「ＳＴＯＰ！」 is `stop`,
    `Stop 🙏` too, and `1.5` is not 15 but `1 5`.

    Text of nothing but punctuation or symbols (`？`, 👍🏽) is kept, without width and decoration.
    """
    return _normalise(text.lstrip()[: LONGEST + 1])


@lru_cache(maxsize=4096)
def _normalise(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    seen = [c for c in folded if c not in _JOINED and not _decorates(c)]
    words = "".join(" " if unicodedata.category(c)[0] in "ZCPS" else c for c in seen).split()
    return " ".join(words) or "".join(c for c in seen if unicodedata.category(c)[0] in "PS")


def _decorates(character: str) -> bool:
    """Variation selectors, skin tones and whatever has no looks of its own."""
    return (
        unicodedata.category(character) in _DECORATIONS
        or "\ufe00" <= character <= "\ufe0f"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )
