"""The kinds of channels there are: one per folder here that has a `channel.py` with a `KIND`."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from channels.base import Kind


@cache
def kind_names() -> tuple[str, ...]:
    """The word of each kind, in order."""
    return tuple(sorted(path.parent.name for path in Path(__file__).parent.glob("*/channel.py")))


def kind_of(name: str) -> Kind:
    """The kind of this word; only then is its library loaded. KeyError if there is none."""
    if name not in kind_names():
        raise KeyError(name)
    kind: Kind = importlib.import_module(f"channels.{name}.channel").KIND
    return kind
