"""Rows turned into columns: set-based statements take arrays, one per column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """The columns of `rows`, which must not be empty."""
    return [list(column) for column in zip(*rows, strict=True)]
