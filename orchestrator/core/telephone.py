"""Telephone numbers, as lists hold them and feeds name them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

LONGEST = 15
"""Digits of a number with its country code (E.164)."""

_BEYOND = 10**LONGEST


def number_of(value: Any) -> int | None:
    """The telephone number that a value is, 1 to 15 digits: `+8613800138000`, `8613800138000` and
    the whole number 8613800138000 are the same one. None for anything else."""
    if type(value) is str:
        digits = value.removeprefix("+")
        if not (0 < len(digits) <= LONGEST and digits.isascii() and digits.isdecimal()):
            return None
        return int(digits) if digits[0] != "0" else None
    number = whole(value)
    return number or None


def whole(value: Any) -> int | None:
    """The whole number from 0 on, of at most 15 digits, that a value is; None for anything else."""
    if type(value) is not int:
        if type(value) not in (float, Decimal) or not 0 <= value < _BEYOND or value % 1:
            return None
        value = int(value)
    return value if 0 <= value < _BEYOND else None
