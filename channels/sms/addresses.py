"""Telephone numbers as subscribers have them (`+8613800138000`) and as SMPP carries them."""

from __future__ import annotations

from functools import lru_cache

from channels.sms import codec, pdu

_INTERNATIONAL, _NATIONAL, _ALPHANUMERIC = 1, 2, 5
_LONG_NUMBER_DIGITS = 10
"""A number at least this long is a telephone; a shorter one is a short code."""
_MAX_DIGITS = 20


def destination(number: str, ton: int | None, npi: int | None) -> bytes:
    """The number as an address triple. Raises PduError when it is not a number.

    A leading `+` means international/E.164 unless `ton` and `npi` say otherwise.
    """
    digits = number[1:] if number[:1] == "+" else number
    if not (digits.isascii() and digits.isdigit() and 3 <= len(digits) <= _MAX_DIGITS):
        raise pdu.PduError("the address is not a telephone number")
    if ton is None:
        ton = _INTERNATIONAL if number[0] == "+" else 0
    return b"%c%c%b\0" % (ton, 1 if npi is None else npi, digits.encode())


@lru_cache(maxsize=1024)
def source(sender: str, ton: int | None, npi: int | None) -> bytes:
    """The sender as an address triple: `+86…`, a short code, or up to 11 letters.

    Raises PduError when SMPP cannot carry it.
    """
    name = sender.removeprefix("+")
    digits = name.isascii() and name.isdigit()
    if ton is None:
        international = sender.startswith("+") and digits
        ton = _INTERNATIONAL if international else 0 if digits or not name else _ALPHANUMERIC
    if npi is None:
        npi = 1 if digits else 0
    return codec.address(ton, npi, name if digits else sender)


def subscriber(ton: int, number: str, country: str) -> str:
    """Who wrote, as subscribers' addresses are kept: `+` and digits for every telephone number.

    International numbers and long ones get a `+`. With `country`, national numbers (type 2, or
    long ones that do not begin with it) are completed first. Short codes and names stay.
    """
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return number
    if ton == _INTERNATIONAL or number.startswith("+"):
        return "+" + digits
    if country and (ton == _NATIONAL or len(digits) >= _LONG_NUMBER_DIGITS):
        national = ton == _NATIONAL or not digits.startswith(country)
        return f"+{country}{digits.lstrip('0')}" if national else "+" + digits
    return "+" + digits if len(digits) >= _LONG_NUMBER_DIGITS else digits
