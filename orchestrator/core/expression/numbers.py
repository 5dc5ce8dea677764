"""Numbers as authors mean them: exact decimals, in conditions and in templates."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from math import isfinite
from typing import Any

PLACES = 12
"""Every result of arithmetic is rounded (half away from zero) to so many places."""

LARGEST = 10**18
"""Numbers from here on do not take part in arithmetic."""

Amount = int | Decimal

_EXACT = 2**53
_CONTEXT = Context(prec=20_000, rounding=ROUND_HALF_UP, Emin=-999_999, Emax=999_999, traps=[])
_UNITS = [Decimal(1).scaleb(-places) for places in range(PLACES + 1)]


def is_number(value: Any) -> bool:
    """Whether it is a JSON number: true and false are none, nor is an infinity."""
    kind = type(value)
    return kind is int or (kind is float and isfinite(value)) or kind is Decimal


def comparable(left: Any, right: Any) -> tuple[Any, Any]:
    """Both as they are if Python then compares what their decimal texts say, else as decimals."""
    if type(left) is type(right):
        return left, right
    if type(left) is not Decimal and type(right) is not Decimal:
        whole = left if type(left) is int else right
        if -_EXACT < whole < _EXACT:
            return left, right
    return decimal(left), decimal(right)


def decimal(number: Any) -> Decimal:
    """Exactly what the number's text says."""
    return Decimal(repr(number)) if type(number) is float else Decimal(number)


def amount(value: Any) -> Amount | None:
    """The value as a number fit for arithmetic, or None."""
    if type(value) is int:
        return value if -LARGEST < value < LARGEST else None
    if is_number(value):
        exact = decimal(value)
        return round_half_up(exact, PLACES) if -LARGEST < exact < LARGEST else None
    return None


def round_half_up(number: Amount, places: int) -> Amount:
    """The number to so many places, half away from zero."""
    if type(number) is Decimal:
        return number.quantize(_UNITS[places], context=_CONTEXT)
    return number


def _settled(number: Decimal) -> Decimal:
    return number.quantize(_UNITS[PLACES], context=_CONTEXT)


def _plus(a: Amount, b: Amount) -> Amount:
    if type(a) is int and type(b) is int:
        return a + b
    return _CONTEXT.add(Decimal(a), Decimal(b))


def _minus(a: Amount, b: Amount) -> Amount:
    if type(a) is int and type(b) is int:
        return a - b
    return _CONTEXT.subtract(Decimal(a), Decimal(b))


def _times(a: Amount, b: Amount) -> Amount:
    if type(a) is int and type(b) is int:
        return a * b
    return _settled(_CONTEXT.multiply(Decimal(a), Decimal(b)))


def _over(a: Amount, b: Amount) -> Decimal | None:
    if not b:
        return None
    # Cut after one digit more, then rounded: the exact quotient's rounding, as in SQL.
    cut = _CONTEXT.divide_int(Decimal(a).scaleb(PLACES + 1, _CONTEXT), Decimal(b))
    return _settled(cut.scaleb(-PLACES - 1, _CONTEXT))


def _floor_over(a: Amount, b: Amount) -> Amount:
    if type(a) is int and type(b) is int:
        return a // b
    whole = _CONTEXT.subtract(Decimal(a), Decimal(_left_over(a, b)))
    return _CONTEXT.divide_int(whole, Decimal(b))


def _left_over(a: Amount, b: Amount) -> Amount:
    if type(a) is int and type(b) is int:
        return a % b
    rest = _CONTEXT.remainder(Decimal(a), Decimal(b))
    return _CONTEXT.add(rest, Decimal(b)) if rest < 0 else rest


OPERATORS: dict[str, Callable[[Any, Any], Amount | None]] = {
    "+": _plus,
    "-": _minus,
    "*": _times,
    "/": _over,
    "//": _floor_over,
    "%": _left_over,
}
