"""`{name}` in texts of the configuration: which names there are, and their values filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

MESSAGE_NAMES = (
    "to", "to_digits", "sender", "text", "message_id", "alphabet", "valid_s", "receipts",
)  # fmt: skip
"""What every message fills in by itself."""

_NAME = re.compile(r"\{(\w+)\}")


def names_in(written: Any) -> list[str]:
    """Every name that these texts ask for."""
    return [name for text in _texts(msgspec.to_builtins(written)) for name in _NAME.findall(text)]


def unknown_names(names: Iterable[str], values: Mapping[str, str]) -> list[str]:
    """Those that neither a message nor the configuration knows."""
    return [name for name in names if name not in values and name not in MESSAGE_NAMES]


def filled(written: Any, values: Mapping[str, str]) -> Any:
    """The same with every name filled in, once: a value's own braces stay."""
    if isinstance(written, str):
        return _NAME.sub(lambda found: values[found[1]], written)
    if isinstance(written, Mapping):
        return {key: filled(value, values) for key, value in written.items()}
    if isinstance(written, (list, tuple)):
        return [filled(value, values) for value in written]
    return written


def looked_up(found: Any, path: str) -> str:
    """What stands at a dotted path (`messages.0.status`) of JSON, as text; '' if nothing does."""
    for key in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return ""
    return "" if found is None or isinstance(found, (Mapping, list)) else str(found)


def _texts(written: Any) -> Iterable[str]:
    if isinstance(written, str):
        yield written
    elif isinstance(written, Mapping):
        for value in written.values():
            yield from _texts(value)
    elif isinstance(written, (list, tuple)):
        for value in written:
            yield from _texts(value)
