"""What may stand in a text, and how it looks there."""

from __future__ import annotations

from typing import Any

from jinja2 import StrictUndefined, Undefined

from orchestrator.core.errors import RenderError
from orchestrator.core.expression.numbers import LARGEST, Amount, amount, decimal, is_number
from orchestrator.core.render.bounds import made, spend

_DEFAULT = "write what to say instead: |default('…')"


class Missing(StrictUndefined):
    """What a name without a value gives. It may be asked about — it is false, the same as none
    only, and holds nothing, as in conditions — but not said, calculated with or looped over."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]
        return False

    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return other is None or isinstance(other, Undefined)

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return not self == other

    __hash__ = Undefined.__hash__  # type: ignore[assignment]

    def __contains__(self, item: object) -> bool:  # type: ignore[override]
        return False


def is_missing(value: object) -> bool:
    """Whether it is null in the sense of conditions."""
    return value is None or isinstance(value, Undefined)


def plain(value: Any) -> str:
    """The value as it stands in a text; RenderError for what has no one obvious form."""
    kind = type(value)
    if kind is str:
        return made(value)
    if is_missing(value):
        name = getattr(value, "_undefined_name", None)
        raise RenderError(f"{name or 'a value'} is empty or unknown", _DEFAULT)
    if kind is int or is_number(value):
        if not -LARGEST < value < LARGEST:
            raise RenderError("a number is too large to be said", "write something else")
        text = repr(value)
        return made((f"{decimal(value):f}" if "e" in text else text).removesuffix(".0"))
    if isinstance(value, str):
        return made(str(value))
    if kind is list or kind is tuple:
        raise RenderError("a list is not a text", "write |join(', '), or loop over it")
    if kind is bool:
        raise RenderError("true and false are not texts", "write 'yes' if … else 'no'")
    raise RenderError(f"a {kind.__name__} is not a text", "name a part of it, or use |date")


def number_of(value: Any) -> Amount:
    """The value as a number to calculate with."""
    found = amount(value)
    if found is None:
        what = "a value is empty or unknown" if is_missing(value) else "this is no usable number"
        raise RenderError(what, "only numbers below 10^18 can be calculated with; |default(0)")
    return found


def weighed(value: Any) -> Any:
    """The value, paid for by its size: what comparing it may cost."""
    if isinstance(value, str):
        spend(1 + len(value) // 16)
    elif isinstance(value, list | tuple | dict):
        spend(1 + len(value))
        for part in value.values() if isinstance(value, dict) else value:
            if isinstance(part, list | tuple | dict):
                weighed(part)
    return value


def items_of(value: Any) -> list[Any]:
    """The items of a list, paid for."""
    if isinstance(value, list | tuple | set | frozenset):
        spend(len(value))
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if is_missing(value):
        raise RenderError("the list is empty or unknown", "write |default([])")
    raise RenderError("this is no list", "only lists can be looped over and joined")


def lowered(number: Amount) -> int | float:
    """The result of a calculation as templates go on with it: whole numbers are integers."""
    if isinstance(number, int):
        return number
    return int(number) if number == number.to_integral_value() else float(number)
