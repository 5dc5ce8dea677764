"""Telephone numbers as subscribers have them (`+8613800138000`) and as China's gateways do."""

from __future__ import annotations

from typing import Literal

from channels.china.fields import FieldError
from channels.sms import addresses

COUNTRY = "86"

Form = Literal["national", "international"]
"""`13800138000` (and `01062345678`, with the area's code), or `8613800138000`."""


def outgoing(number: str, form: Form) -> str:
    """The number of a subscriber as the gateway wants it. Raises FieldError for what is none."""
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and 3 <= len(digits) <= 20):
        raise FieldError("the address is not a telephone number")
    if number[0] != "+":
        return digits
    if form == "international":
        return digits
    if not digits.startswith(COUNTRY):
        raise FieldError("the address is not a telephone number in China")
    inside = digits[len(COUNTRY) :]
    mobile = len(inside) == 11 and inside[0] == "1"
    return inside if mobile or len(inside) < 10 else "0" + inside


def incoming(number: str) -> str:
    """Who wrote, as subscribers' addresses are kept."""
    return addresses.subscriber(0, number, COUNTRY)
