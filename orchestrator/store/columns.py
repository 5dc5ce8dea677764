"""Rows turned into columns: set-based statements take arrays, one per column.

asyncpg looks at every element of an array, and PostgreSQL as well; so what many rows of a batch
have in common is sent once, and each row says by number which of those it has.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any


def columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """The columns of `rows`, which must not be empty."""
    return [list(column) for column in zip(*rows, strict=True)]


def shared(rows: Iterable[tuple[tuple[Any, ...], tuple[Hashable, ...]]]) -> list[list[Any]]:
    """The columns of rows of (what is the row's own, what it may share): first the own ones, then
    the number of what it shares, from 1, then the columns of what is shared, each but once."""
    numbers: dict[tuple[Hashable, ...], int] = {}
    own = columns((*mine, numbers.setdefault(common, len(numbers) + 1)) for mine, common in rows)
    return own + columns(numbers)
