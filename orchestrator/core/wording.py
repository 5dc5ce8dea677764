"""When two short messages say the same."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

LONGEST = 160
"""Characters of a reply that are compared: a command or an answer is short."""


@lru_cache(maxsize=4096)
def _normalise(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = [
        " " if unicodedata.category(c)[0] in "ZC" else c
        for c in folded
        if unicodedata.category(c)[0] not in "PS" and unicodedata.category(c) not in ("Mn", "Cf")
    ]
    return " ".join("".join(kept).split())


def normalise(text: str) -> str:
    """`text` without case, width, punctuation, symbols and spare space: 「ＳＴＯＰ！」 is `stop`.

    Text of nothing but punctuation or symbols (`?`, 👍) is kept as it is, trimmed.
    """
    text = text[: LONGEST + 1]
    return _normalise(text) or text.strip()
