"""The filters, tests and operators that templates have. None costs more than it pays for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date as day
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from orchestrator.core.errors import RenderError
from orchestrator.core.expression.numbers import (
    OPERATORS,
    PLACES,
    decimal,
    is_number,
    round_half_up,
)
from orchestrator.core.render.bounds import made, spend
from orchestrator.core.render.values import is_missing, items_of, lowered, number_of, plain, weighed

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_DATE_PART = re.compile(r"%(-?[A-Za-z]|%)|%")
_DATE_PARTS: Mapping[str, Callable[[datetime], str]] = {
    "%": lambda at: "%",
    "Y": lambda at: f"{at.year:04}",
    "y": lambda at: f"{at.year % 100:02}",
    "m": lambda at: f"{at.month:02}",
    "-m": lambda at: str(at.month),
    "d": lambda at: f"{at.day:02}",
    "-d": lambda at: str(at.day),
    "H": lambda at: f"{at.hour:02}",
    "-H": lambda at: str(at.hour),
    "M": lambda at: f"{at.minute:02}",
    "S": lambda at: f"{at.second:02}",
}


def upper(value: Any) -> str:
    """In capitals."""
    return made(plain(value).upper())


def lower(value: Any) -> str:
    """In small letters."""
    return made(plain(value).lower())


def title(value: Any) -> str:
    """Every Word With a Capital."""
    return made(_WORD.sub(lambda word: word[0].capitalize(), plain(value)))


def capitalize(value: Any) -> str:
    """The first letter a capital, the others small."""
    return made(plain(value).capitalize())


def trim(value: Any) -> str:
    """Without white space around it."""
    return plain(value).strip()


def truncate(value: Any, length: int, end: str = "…") -> str:
    """At most `length` characters, the last of them `end` if something was cut."""
    text, tail = plain(value), plain(end)
    if type(length) is not int or length < len(tail):
        raise RenderError("truncate needs a length", "write |truncate(20)")
    return text if len(text) <= length else text[: length - len(tail)].rstrip() + tail


def replace(value: Any, old: str, new: str) -> str:
    """With every `old` changed to `new`."""
    text, before, after = plain(value), plain(old), plain(new)
    if not before:
        raise RenderError("replace needs a text to look for", "write |replace('old', 'new')")
    made_of = text.count(before)
    spend(made_of * len(after))
    return made(text.replace(before, after))


def urlencode(value: Any) -> str:
    """Safe as part of a link."""
    return made(quote(plain(value), safe=""))


def default(value: Any, fallback: Any = "", falsy: bool = False) -> Any:
    """`fallback` where the value is missing; with `true` also where it is empty."""
    return fallback if is_missing(value) or (falsy and not value) else value


def length(value: Any) -> int:
    """How many characters, items or keys."""
    if isinstance(value, str | Mapping):
        return len(value)
    return len(items_of(value))


def first(value: Any) -> Any:
    """The first item of a list, or letter of a text; missing if there is none."""
    found = value if isinstance(value, str) else items_of(value)
    return found[0] if found else None


def last(value: Any) -> Any:
    """The last item of a list, or letter of a text; missing if there is none."""
    found = value if isinstance(value, str) else items_of(value)
    return found[-1] if found else None


def join(value: Any, between: str = "") -> str:
    """The items in a row, with `between` between them."""
    items, glue = items_of(value), plain(between)
    spend(len(items) * (1 + len(glue)))
    return made(glue.join([plain(item) for item in items]))


def round_(value: Any, places: int = 0) -> int | float:
    """The number to so many places, half away from zero."""
    if type(places) is not int or not 0 <= places <= PLACES:
        raise RenderError(f"round takes 0 to {PLACES} places", "write |round(2)")
    return lowered(round_half_up(number_of(value), places))


def abs_(value: Any) -> int | float:
    """Without its sign."""
    found = number_of(value)
    return lowered(found if found >= 0 else -found)


def int_(value: Any) -> int:
    """The whole part of a number, also of one written as a text."""
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}(\.[0-9]{0,12})?\s*", value):
        return int(Decimal(value.strip()))
    return int(number_of(value))


def number(value: Any, places: int | None = None, comma: str = ",", point: str = ".") -> str:
    """12,345.6: thousands apart. `places` are always shown; without, as many as there are."""
    if type(value) is int and places is None and comma == ",":
        return made(f"{number_of(value):,}")
    exact = decimal(number_of(value))
    if places is None:
        exact = exact.normalize()
        places = max(0, -int(exact.as_tuple().exponent))
    if type(places) is not int or not 0 <= places <= PLACES:
        raise RenderError(f"number takes 0 to {PLACES} places", "write |number(2)")
    shown = f"{round_half_up(exact, places):,.{places}f}"
    signs = {",": plain(comma), ".": plain(point)}
    return made("".join(signs.get(letter, letter) for letter in shown))


def date(value: Any, form: str = "%Y-%m-%d") -> str:
    """A date or time, or the ISO text of one, in this form: %Y %m %d %H %M %S %y, and without
    leading zeros %-m %-d %-H. It shows the time as it is given, in no other zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(made(value))
        except ValueError:
            raise RenderError("this is no date", "give it as 2026-01-31") from None
    if isinstance(value, day) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - shown as it is
    if not isinstance(value, datetime):
        raise RenderError("this is no date", "give it as 2026-01-31")
    at: datetime = value

    def part(found: re.Match[str]) -> str:
        write = _DATE_PARTS.get(found[1] or "")
        if write is None:
            raise RenderError(f"date knows no {found[0]}", f"it knows %{' %'.join(_DATE_PARTS)}")
        return write(at)

    return made(_DATE_PART.sub(part, plain(form)))


def each(value: Any, weight: int) -> list[Any]:
    """What a loop runs over, paid for: `weight` is the size of the loop's body."""
    items = items_of(value)
    spend((len(items) + 1) * weight)
    return items


def concat(*values: Any) -> str:
    """a ~ b ~ c."""
    return made("".join([plain(value) for value in values]))


def listing(*values: Any) -> list[Any]:
    """[a, b]: of texts and numbers only, so that no list can be nested into a giant."""
    for value in values:
        if not (is_missing(value) or isinstance(value, str | bool) or is_number(value)):
            raise RenderError("a list may hold texts and numbers only", "write its items out")
    return list(values)


def called(function: Any, *arguments: Any) -> str:
    """link(url): what the caller's function makes of the text, or the text itself."""
    (text,) = [plain(argument) for argument in arguments]
    return text if is_missing(function) else plain(function(text))


def calculated(operator: str, left: Any, right: Any) -> int | float:
    """left + right, and so on."""
    if operator == "+" and (isinstance(left, str) or isinstance(right, str)):
        raise RenderError("+ adds numbers only", "write ~ to join texts")
    a, b = number_of(left), number_of(right)
    if not (type(a) is int and type(b) is int):
        spend(10)  # decimals take some microseconds
    if operator in ("//", "%", "/") and not b:
        raise RenderError("a division by zero", "ask with if, first")
    found = OPERATORS[operator](a, b)
    if found is None:
        raise RenderError("this cannot be calculated", "ask with if, first")
    return lowered(found)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": abs_,
    "capitalize": capitalize,
    "count": length,
    "d": default,
    "date": date,
    "default": default,
    "first": first,
    "int": int_,
    "join": join,
    "last": last,
    "length": length,
    "lower": lower,
    "number": number,
    "replace": replace,
    "round": round_,
    "title": title,
    "trim": trim,
    "truncate": truncate,
    "upper": upper,
    "urlencode": urlencode,
}
"""What authors may write after |."""

REWRITTEN: Mapping[str, Callable[..., Any]] = {
    "_each": each,
    "_concat": concat,
    "_listing": listing,
    "_called": called,
    "_weighed": weighed,
}
"""What the grammar puts in place of loops' lists, ~, [ ], link( ) and what is compared."""

TESTS: Mapping[str, Callable[..., bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "defined": lambda value: not is_missing(value),
    "even": lambda value: int_(value) % 2 == 0,
    "none": is_missing,
    "number": is_number,
    "odd": lambda value: int_(value) % 2 == 1,
    "string": lambda value: isinstance(value, str),
    "undefined": is_missing,
}
"""What authors may write after `is`."""
