"""Values as people write them: numbers, true and false, dotted names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from orchestrator.core.errors import OutreachError

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})")
_DECIMAL = re.compile(r"-?(0|[1-9]\d{0,14})\.\d{1,15}")
_WORDS = {"true": True, "false": False}


def typed(text: str) -> Any:
    """The number or boolean that `text` is written as, else the text. `007`, `+1`, `1e5` and
    numbers of more than 15 digits are texts: somebody's codes, not amounts."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return _WORDS.get(text.lower(), text)


def nested(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """`usage.mb_7d` becomes `{"usage": {"mb_7d": …}}`. Raises OutreachError if a name is both a
    value and a group."""
    whole: dict[str, Any] = {}
    for name, value in pairs:
        *groups, last = name.split(".")
        place = whole
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise OutreachError(f"{name}: {group} is a value already, and cannot be a group")
        if isinstance(place.get(last), dict):
            raise OutreachError(f"{name} is a group already, and cannot be a value")
        place[last] = value
    return whole
